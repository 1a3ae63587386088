//! A backing service at an address of its own: a tiny HTTP server in a network namespace, reachable from apps as any third party's
//! would be. (The host's own addresses are closed to apps.)

use crate::{install, shell};
use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

/// As root: two addresses of a range that nothing else here uses; the namespace has both.
const NAMES: [&str; 2] = ["10.255.77.2", "10.255.77.3"];
const HOST_ADDRESS: &str = "10.255.77.1/24";
const PORT: u16 = 8080;
/// As an ordinary user, whose apps share the host's network: addresses of its loopback.
const LOOPBACK_NAMES: [&str; 2] = ["127.88.0.2", "127.88.0.3"];

/// A running service. Dropping it ends it.
pub struct Service {
    place: Option<Place>,
    addresses: [SocketAddr; 2],
    server: Child,
}

impl Service {
    pub fn start() -> Result<Self> {
        if install::is_root() { Self::start_apart() } else { Self::start_here() }
    }

    fn start_apart() -> Result<Self> {
        let place = Place::make()?;
        let addresses = NAMES.map(|name| address(name, PORT));
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &place.namespace]).arg(std::env::current_exe()?);
        Self::serve_by(command, addresses, Some(place))
    }

    fn start_here() -> Result<Self> {
        let port = TcpListener::bind((LOOPBACK_NAMES[0], 0))?.local_addr()?.port();
        let addresses = LOOPBACK_NAMES.map(|name| address(name, port));
        Self::serve_by(Command::new(std::env::current_exe()?), addresses, None)
    }

    fn serve_by(mut command: Command, addresses: [SocketAddr; 2], place: Option<Place>) -> Result<Self> {
        command.arg("demo-service").args(addresses.map(|address| address.to_string()));
        Ok(Self { place, addresses, server: command.stdin(Stdio::null()).spawn()? })
    }

    /// The URL of the first or the second form of the service.
    pub fn url(&self, number: usize) -> String {
        format!("http://{}/", self.addresses[number % self.addresses.len()])
    }
}

fn address(name: &str, port: u16) -> SocketAddr {
    SocketAddr::new(name.parse().expect("a constant that is an address"), port)
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
        self.place.take();
    }
}

/// A namespace of the service's own, and the link to it.
struct Place {
    namespace: String,
    link: String,
}

impl Place {
    fn make() -> Result<Self> {
        let id = std::process::id() % 100_000;
        let place = Self { namespace: format!("demo-{id}"), link: format!("demo{id}") };
        let ip = |words: &[&str]| shell::run(Command::new("ip").args(words));
        let (namespace, link) = (place.namespace.as_str(), place.link.as_str());
        ip(&["netns", "add", namespace])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace])?;
        ip(&["addr", "add", HOST_ADDRESS, "dev", link])?;
        ip(&["link", "set", link, "up"])?;
        for name in NAMES {
            ip(&["-n", namespace, "addr", "add", &format!("{name}/24"), "dev", "eth0"])?;
        }
        ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["link", "del", &self.link]).stderr(Stdio::null()).status();
        let _gone = Command::new("ip").args(["netns", "del", &self.namespace]).stderr(Stdio::null()).status();
    }
}

/// The service itself: answers every request with the address at which it was asked.
pub fn serve(addresses: &[String]) -> Result<()> {
    std::thread::scope(|scope| {
        for address in addresses {
            let listener =
                TcpListener::bind(address).with_context(|| format!("cannot listen at {address}"))?;
            scope.spawn(move || answer_all(&listener));
        }
        Ok(())
    })
}

fn answer_all(listener: &TcpListener) {
    use std::io::{Read, Write};
    for mut stream in listener.incoming().flatten() {
        let mut request = [0; 4096];
        let _read = stream.read(&mut request);
        let at = stream.local_addr().map(|address| address.ip().to_string()).unwrap_or_default();
        let body = format!("service at {at}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _hung_up = stream.write_all((head + &body).as_bytes());
    }
}
