//! What an app might reach that is not its own, each with the way to it: other apps' ports, the host's services, Dozen's. Everything is
//! tried outside as well, where it succeeds.

use super::outside::{METADATA, Outside, UPLINK, assert_own_network, ip};
use super::repository::{Repository, probe};
use super::rust;
use super::server::{Server, free_port};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The host's end of every app's link.
const GATEWAY: &str = "10.212.0.1";
/// A link-local address that the host itself holds, as some clouds' agents do.
const HELD_LINK_LOCAL: &str = "169.254.170.2";
pub const WORKER_PORT: u16 = 7010;

/// One way to reach something that is not an app's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(PathBuf),
    /// A socket for packets: the launcher's, a shim's.
    Packets(PathBuf),
    Abstract(String),
    File(PathBuf),
}

impl Attempt {
    pub fn tcp(host: &str, port: u16) -> Self {
        Self::Tcp(SocketAddr::new(host.parse().expect("an address"), port))
    }

    /// As a line for the build script, and as a path for the probe.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            Self::Tcp(to) => ("connect?to", to.to_string()),
            Self::Udp(to) => ("udp?to", to.to_string()),
            Self::Unix(path) | Self::Packets(path) => ("unix?path", path.display().to_string()),
            Self::Abstract(name) => ("abstract?name", name.clone()),
            Self::File(path) => ("see?path", path.display().to_string()),
        }
    }

    /// From here, where nothing stands in the way.
    pub fn try_outside(&self) -> Result<(), String> {
        let patience = Duration::from_secs(5);
        match self {
            Self::Tcp(to) => TcpStream::connect_timeout(to, patience).map(drop),
            Self::Udp(to) => ask_by_datagram(*to),
            Self::Unix(path) => UnixStream::connect(path).map(drop),
            Self::Packets(path) => connect_for_packets(path),
            Self::Abstract(name) => {
                UnixAddress::from_abstract_name(name).and_then(|to| UnixStream::connect_addr(&to)).map(drop)
            }
            Self::File(path) => path.symlink_metadata().map(drop),
        }
        .map_err(|error| error.to_string())
    }
}

fn connect_for_packets(path: &Path) -> std::io::Result<()> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok(connect(&socket, &SocketAddrUnix::new(path)?)?)
}

fn ask_by_datagram(to: SocketAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(to)?;
    socket.send(b"anybody there?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

/// Services of the host: on its loopback, on all of its addresses, by datagram, under an abstract name.
pub struct HostServices {
    loopback: TcpListener,
    everywhere: TcpListener,
    datagrams: u16,
    abstract_name: String,
    _abstract: UnixListener,
}

impl HostServices {
    fn start() -> Self {
        let abstract_name = format!("dozen-isolation-{}", std::process::id());
        let address = UnixAddress::from_abstract_name(&abstract_name).expect("a name");
        let echo = UdpSocket::bind("0.0.0.0:0").expect("a port");
        let datagrams = echo.local_addr().expect("its address").port();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((count, peer)) = echo.recv_from(&mut buffer) {
                let _gone = echo.send_to(&buffer[..count], peer);
            }
        });
        Self {
            loopback: TcpListener::bind("127.0.0.1:0").expect("a port"),
            everywhere: TcpListener::bind("0.0.0.0:0").expect("a port"),
            datagrams,
            _abstract: UnixListener::bind_addr(&address).expect("it is free"),
            abstract_name,
        }
    }

    fn attempts(&self, addresses: &[&str]) -> Vec<Attempt> {
        let port = |listener: &TcpListener| listener.local_addr().expect("its address").port();
        let mut attempts = vec![
            Attempt::tcp("127.0.0.1", port(&self.loopback)),
            Attempt::Abstract(self.abstract_name.clone()),
        ];
        for host in addresses {
            attempts.push(Attempt::tcp(host, port(&self.everywhere)));
            attempts.push(Attempt::Udp(SocketAddr::new(host.parse().expect("an address"), self.datagrams)));
        }
        attempts
    }
}

pub struct World {
    pub server: Server,
    services: HostServices,
    /// As an ordinary user one makes no networks.
    outside_world: Option<Outside>,
}

impl World {
    pub fn start() -> Self {
        assert_own_network();
        let outside = Outside::make(&probe(), 80, &[]);
        ip(&["addr", "add", &format!("{HELD_LINK_LOCAL}/32"), "dev", "lo"]);
        let everywhere = |port: u16| format!("0.0.0.0:{port}");
        let (api, http) = (free_port(), free_port());
        let prefix = rust::toolchain().map(|path| path.display().to_string()).unwrap_or_default();
        let server = Server::start_on(
            api,
            http,
            &[
                ("DOZEN_API_LISTEN", &everywhere(api)),
                ("DOZEN_HTTP_LISTEN", &everywhere(http)),
                ("DOZEN_RUST_PREFIX", &prefix),
            ],
        );
        Self { server, services: HostServices::start(), outside_world: Some(outside) }
    }

    pub fn push_probe(&self, app: &str) -> Repository {
        self.server.dozen(&["apps:create", app]);
        let repository = Repository::with_probe();
        repository.connect(&self.server, app);
        repository.push(&self.server);
        repository
    }

    /// As an ordinary user, everything on the loopback.
    pub fn start_as_ordinary_user() -> Self {
        Self { server: Server::start(), services: HostServices::start(), outside_world: None }
    }

    /// Everything that is nobody's business but the host's, and the listener that holds the address of clouds' metadata.
    pub fn of_the_host(&self) -> Vec<Attempt> {
        let mut attempts = self.services.attempts(self.host_addresses());
        for host in self.host_addresses() {
            attempts.push(Attempt::tcp(host, self.server.api_port));
            attempts.push(Attempt::tcp(host, self.server.http_port));
        }
        if self.outside_world.is_some() {
            attempts.push(Attempt::tcp(METADATA, 80));
        }
        let run = self.server.data().join("run");
        attempts.push(Attempt::Packets(run.join("launcher.sock")));
        attempts.push(Attempt::Unix(run.join("hook.sock")));
        attempts.extend(found(&run.join("router"), "ctl").into_iter().map(Attempt::Unix));
        for file in [
            "ledger/ledger.db",
            "keys/master",
            "ca/ca.key",
            "routes/table.json",
            "run/p",
            "run/net",
            "git",
            "logs",
            "slugs",
        ] {
            attempts.push(Attempt::File(self.server.data().join(file)));
        }
        attempts
    }

    const fn host_addresses(&self) -> &'static [&'static str] {
        match self.outside_world {
            Some(_) => &["127.0.0.1", GATEWAY, UPLINK, HELD_LINK_LOCAL],
            None => &["127.0.0.1"],
        }
    }

    /// What lies in the run folders of processes that live.
    pub fn of_shims(&self) -> Vec<Attempt> {
        let controls = found(&self.server.data().join("run/p"), "ctl");
        assert!(!controls.is_empty(), "some process lives");
        controls.into_iter().map(Attempt::Packets).collect()
    }

    pub fn table(&self, app: &str) -> Value {
        let text = std::fs::read_to_string(self.server.data().join("routes/table.json")).expect("the table");
        let table: Value = serde_json::from_str(&text).expect("JSON");
        let apps = table["apps"].as_array().expect("apps").clone();
        apps.into_iter().find(|route| route["name"] == app).expect("the app is in the table")
    }

    pub fn endpoints(&self, app: &str) -> Vec<SocketAddr> {
        let table = self.table(app);
        let processes = table["processes"].as_array().expect("processes").iter();
        processes
            .map(|process| process["endpoint"].as_str().expect("an endpoint").parse().expect("an address"))
            .collect()
    }
}

/// `NAME` in each folder below.
fn found(below: &Path, name: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(below).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(name)).filter(|path| path.exists()).collect()
}
