//! A host with networks of its own, and the ways to try them.

use domain::ids::AppId;
use sandbox::network::lab::{self, Lab};
use sandbox::network::{FoundState, Network, NetworkSettings};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Longest wait for what must happen; it is far sooner.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Wait for what must not happen.
pub const SILENCE: Duration = Duration::from_millis(300);
pub const PORT: u16 = 5000;

pub const A: AppId = AppId::from_u128(0xa);
pub const B: AppId = AppId::from_u128(0xb);

/// One test's host.
pub struct World {
    pub lab: Lab,
    pub network: Network,
    pub folder: tempfile::TempDir,
}

impl World {
    /// Runs a test on a thread of its own, in a lab that ends with it.
    pub fn run(test: impl FnOnce(World) + Send + 'static) {
        Self::run_with(|_| {}, test);
    }

    pub fn run_with(
        change: impl FnOnce(&mut NetworkSettings) + Send + 'static,
        test: impl FnOnce(World) + Send + 'static,
    ) {
        if !nix::unistd::Uid::effective().is_root() {
            eprintln!("skipped: needs root to connect networks");
            return;
        }
        let thread = std::thread::spawn(move || {
            let lab = Lab::enter().expect("a lab needs root and network namespaces");
            let folder = tempfile::tempdir().unwrap();
            let mut settings = NetworkSettings::new(folder.path().join("net"));
            change(&mut settings);
            test(World { lab, network: Network::new(settings), folder });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    pub fn inside<T: Send>(&self, app: AppId, work: impl FnOnce() -> T + Send) -> T {
        lab::run_in(self.network.open(app).unwrap().as_fd(), work).unwrap()
    }

    pub fn outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.lab.run_outside(work).unwrap()
    }

    pub fn state_of(&self, app: AppId) -> Option<FoundState> {
        self.network.list().unwrap().into_iter().find(|found| found.app == app).map(|found| found.state)
    }

    pub fn mounts(&self) -> usize {
        let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        mounts.lines().filter(|line| line.contains(self.folder.path().to_str().unwrap())).count()
    }
}

impl Drop for World {
    /// Pins are mounts: they go first, or the folder cannot.
    fn drop(&mut self) {
        for found in self.network.list().into_iter().flatten() {
            let _ = self.network.remove(found.app);
        }
    }
}

/// As if the mount had been lost, while somebody may still hold the namespace.
pub fn unmount(pin: &Path) {
    nix::mount::umount2(pin, nix::mount::MntFlags::MNT_DETACH).unwrap();
}

pub fn listen(address: Ipv4Addr) -> TcpListener {
    TcpListener::bind((address, PORT)).unwrap()
}

pub fn connect(address: impl Into<IpAddr>) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address.into(), PORT), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

pub fn assert_refused(attempt: io::Result<TcpStream>, what: &str) {
    match attempt {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{what}: {error}"),
        Ok(stream) => panic!("{what}: connected to {:?}", stream.peer_addr()),
    }
}

pub fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    let (stream, peer) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (stream, peer.ip())
}

pub fn assert_carries(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
    from.write_all(text).unwrap();
    let mut got = vec![0; text.len()];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, text);
}
