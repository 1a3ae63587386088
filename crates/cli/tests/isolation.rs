//! What an app reaches of another app, of Dozen and of the host: nothing. While the other app runs, while it has crashed, during a
//! build. Everything that is refused inside succeeds outside at the same moment, or the test fails.

mod support;

use serde_json::Value;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::outside::{METADATA, NEIGHBOUR, Outside, UPLINK, assert_own_network, ip};
use support::repository::{Repository, probe};
use support::server::{Server, free_port};
use support::{eventually, rust};

/// The host's end of every app's link.
const GATEWAY: &str = "10.212.0.1";
/// A link-local address that the host itself holds, as some clouds' agents do.
const HELD_LINK_LOCAL: &str = "169.254.170.2";
const WORKER_PORT: u16 = 7010;

/// One way to reach something that is not an app's business.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Attempt {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(PathBuf),
    /// A socket for packets: the launcher's, a shim's.
    Packets(PathBuf),
    Abstract(String),
    File(PathBuf),
}

impl Attempt {
    fn tcp(host: &str, port: u16) -> Self {
        Self::Tcp(SocketAddr::new(host.parse().expect("an address"), port))
    }

    /// As a line for the build script, and as a path for the probe.
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Tcp(to) => ("connect?to", to.to_string()),
            Self::Udp(to) => ("udp?to", to.to_string()),
            Self::Unix(path) | Self::Packets(path) => ("unix?path", path.display().to_string()),
            Self::Abstract(name) => ("abstract?name", name.clone()),
            Self::File(path) => ("see?path", path.display().to_string()),
        }
    }

    /// From here, where nothing stands in the way.
    fn try_outside(&self) -> Result<(), String> {
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
struct HostServices {
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

    fn attempts(&self) -> Vec<Attempt> {
        let port = |listener: &TcpListener| listener.local_addr().expect("its address").port();
        let mut attempts = vec![
            Attempt::tcp("127.0.0.1", port(&self.loopback)),
            Attempt::Abstract(self.abstract_name.clone()),
        ];
        for host in host_addresses() {
            attempts.push(Attempt::tcp(host, port(&self.everywhere)));
            attempts.push(Attempt::Udp(SocketAddr::new(host.parse().expect("an address"), self.datagrams)));
        }
        attempts
    }
}

const fn host_addresses() -> [&'static str; 4] {
    ["127.0.0.1", GATEWAY, UPLINK, HELD_LINK_LOCAL]
}

struct World {
    server: Server,
    services: HostServices,
    _outside: Outside,
}

impl World {
    fn start() -> Self {
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
        Self { server, services: HostServices::start(), _outside: outside }
    }

    fn push_probe(&self, app: &str) -> Repository {
        self.server.dozen(&["apps:create", app]);
        let repository = Repository::with_probe();
        repository.connect(&self.server, app);
        repository.push(&self.server);
        repository
    }

    /// Everything that is nobody's business but the host's, and the listener that holds the address of clouds' metadata.
    fn of_the_host(&self) -> Vec<Attempt> {
        let mut attempts = self.services.attempts();
        for host in host_addresses() {
            attempts.push(Attempt::tcp(host, self.server.api_port));
            attempts.push(Attempt::tcp(host, self.server.http_port));
        }
        attempts.push(Attempt::tcp(METADATA, 80));
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

    /// What lies in the run folders of processes that live.
    fn of_shims(&self) -> Vec<Attempt> {
        let controls = found(&self.server.data().join("run/p"), "ctl");
        assert!(!controls.is_empty(), "some process lives");
        controls.into_iter().map(Attempt::Packets).collect()
    }

    fn table(&self, app: &str) -> Value {
        let text = std::fs::read_to_string(self.server.data().join("routes/table.json")).expect("the table");
        let table: Value = serde_json::from_str(&text).expect("JSON");
        let apps = table["apps"].as_array().expect("apps").clone();
        apps.into_iter().find(|route| route["name"] == app).expect("the app is in the table")
    }

    fn endpoints(&self, app: &str) -> Vec<SocketAddr> {
        let table = self.table(app);
        let processes = table["processes"].as_array().expect("processes").iter();
        processes
            .map(|process| process["endpoint"].as_str().expect("an endpoint").parse().expect("an address"))
            .collect()
    }

    /// The app that attacks tries all of it; the test itself succeeds with each.
    fn assert_refused(&self, moment: &str, attempts: &[Attempt]) {
        assert_reached_outside(moment, attempts);
        let neighbour = format!("/connect?to={NEIGHBOUR}:80");
        assert_eq!(self.server.get("attacker", &neighbour).text(), "connected", "what is not denied is open");
        let tried = attempts.iter().map(|attempt| {
            let (way, target) = attempt.words();
            (format!("{way}={target}"), self.server.get("attacker", &format!("/{way}={target}")).text())
        });
        assert_all_refused(moment, tried.collect());
        assert_reached_outside(moment, attempts);
    }
}

/// `NAME` in each folder below.
fn found(below: &Path, name: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(below).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(name)).filter(|path| path.exists()).collect()
}

fn assert_reached_outside(moment: &str, attempts: &[Attempt]) {
    for attempt in attempts {
        attempt
            .try_outside()
            .unwrap_or_else(|error| panic!("{moment}: {attempt:?} fails outside as well: {error}"));
    }
}

fn assert_all_refused(moment: &str, tried: Vec<(String, String)>) {
    for (what, answer) in &tried {
        println!("{moment}: {what} -> {answer}");
    }
    // What has a path is not even there.
    let wanted =
        |what: &str| if what.contains("path=") { "refused: No such file or directory" } else { "refused: " };
    let through: Vec<_> = tried.iter().filter(|(what, answer)| !answer.starts_with(wanted(what))).collect();
    assert!(through.is_empty(), "{moment}: these got through: {through:?}");
}

/// Holds the very endpoint that a crashed process had, inside its app's network.
struct Stand {
    child: Child,
}

impl Stand {
    fn at(network: &Path, endpoint: SocketAddr) -> Self {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", network.display()))
            .arg(probe())
            .env("PORT", endpoint.port().to_string());
        let child = command.stdin(Stdio::null()).spawn().expect("nsenter runs");
        let stand = Self { child };
        eventually("the endpoint is held", 10, || TcpStream::connect(endpoint).ok());
        stand
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn an_app_reaches_no_other_app_and_nothing_of_the_host() {
    if support::ordinary::needs_root("for networks and user ids of apps") {
        return;
    }
    let world = World::start();
    world.push_probe("victim");
    world.server.dozen(&["config:set", &format!("PROBE_WORKER_PORT={WORKER_PORT}"), "-a", "victim"]);
    world.server.dozen(&["ps:scale", "web=2", "worker=1", "-a", "victim"]);
    let attacker = world.push_probe("attacker");
    let endpoints = eventually("the victim has two routes", 30, || {
        Some(world.endpoints("victim")).filter(|all| all.len() == 2)
    });
    let worker = Attempt::Tcp(SocketAddr::new(endpoints[0].ip(), WORKER_PORT));
    eventually("the victim's worker listens", 30, || worker.try_outside().ok());

    let mut attempts: Vec<_> = endpoints.iter().copied().map(Attempt::Tcp).chain([worker.clone()]).collect();
    attempts.extend(world.of_the_host());
    let with_shims: Vec<_> = attempts.iter().cloned().chain(world.of_shims()).collect();
    world.assert_refused("running", &with_shims);

    let endpoint = crash_until_it_waits(&world);
    let network =
        world.server.data().join("run/net").join(world.table("victim")["app"].as_str().expect("an id"));
    let stand = Stand::at(&network, endpoint);
    let mut attempts = vec![Attempt::Tcp(endpoint), worker];
    attempts.extend(world.of_the_host());
    assert_eq!(world.table("victim")["gate"], "crashed");
    world.assert_refused("crashed", &attempts);
    assert_eq!(world.table("victim")["gate"], "crashed", "all of it happened during the back-off");

    try_during_a_build(&world, &attacker, &attempts);
    drop(stand);
}

/// One web process, crashed so often that it stays away for a while. Returns the endpoint that it had.
fn crash_until_it_waits(world: &World) -> SocketAddr {
    world.server.dozen(&["ps:scale", "web=1", "-a", "victim"]);
    let mut endpoint = eventually("one route is left", 60, || {
        world.endpoints("victim").first().copied().filter(|_| world.endpoints("victim").len() == 1)
    });
    for crash in 1..=6 {
        let deadline =
            format!("crash {crash}; {}", world.server.dozen(&["logs", "-n", "30", "-a", "victim"]));
        eventually(&deadline, 60, || {
            let up = world.endpoints("victim");
            endpoint = *up.first()?;
            world.server.get("victim", "/crash");
            eventually("the table tells of the crash", 20, || {
                world.endpoints("victim").is_empty().then_some(())
            });
            Some(())
        });
    }
    eventually("the gate says crashed", 20, || (world.table("victim")["gate"] == "crashed").then_some(()));
    endpoint
}

/// The build script makes the same attempts and prints what comes of them.
fn try_during_a_build(world: &World, repository: &Repository, attempts: &[Attempt]) {
    if rust::toolchain().is_none() {
        println!("skipped: attempts during a build: there is no Rust toolchain");
        return;
    }
    rust::write(repository, BUILD_SCRIPT);
    let neighbour = Attempt::tcp(NEIGHBOUR, 80);
    let all = attempts.iter().chain([&neighbour]);
    let lines: Vec<_> = all.map(Attempt::words).map(|(way, target)| format!("{way}={target}\n")).collect();
    repository.write("targets.txt", &lines.concat());
    repository.commit("targets");
    assert_reached_outside("build", attempts);
    let said = repository.push(&world.server);
    assert_reached_outside("build", attempts);
    let mut tried: Vec<(String, String)> = said
        .lines()
        .filter_map(|line| line.split_once("TRIED ")?.1.split_once(" -> "))
        .map(|(what, answer)| (what.to_owned(), answer.trim().to_owned()))
        .collect();
    assert_eq!(tried.len(), attempts.len() + 1, "every attempt was made: {said}");
    assert_eq!(tried.pop().expect("the last one").1, "connected", "what is not denied is open to builds too");
    assert_all_refused("build", tried);
}

const BUILD_SCRIPT: &str = r#"
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

fn datagram(to: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(to)?;
    socket.send(b"anybody there?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

fn main() {
    println!("cargo:rerun-if-changed=targets.txt");
    for line in std::fs::read_to_string("targets.txt").unwrap().lines() {
        let (way, target) = line.split_once('=').unwrap();
        let tried = match way {
            "connect?to" => TcpStream::connect_timeout(&target.parse().unwrap(), Duration::from_secs(2)).map(drop),
            "udp?to" => datagram(target),
            "unix?path" => UnixStream::connect(target).map(drop),
            "abstract?name" => SocketAddr::from_abstract_name(target).and_then(|to| UnixStream::connect_addr(&to)).map(drop),
            "see?path" => std::fs::symlink_metadata(target).map(drop),
            other => panic!("{other}"),
        };
        let answer = tried.map_or_else(|error| format!("refused: {error}"), |()| "connected".to_owned());
        println!("cargo:warning=TRIED {line} -> {answer}");
    }
}
"#;
