//! A backing service at an address of its own: a tiny HTTP server in a network namespace, reachable from apps as any third party's
//! would be. (The host's own addresses are closed to apps.)

use crate::shell;
use anyhow::Result;
use std::process::{Child, Command, Stdio};

/// Two addresses of a range that nothing else here uses; the namespace has both.
const NAMES: [&str; 2] = ["10.255.77.2", "10.255.77.3"];
const HOST_ADDRESS: &str = "10.255.77.1/24";

/// A running service. Dropping it removes the namespace.
pub struct Service {
    namespace: String,
    link: String,
    server: Child,
}

impl Service {
    pub fn start() -> Result<Self> {
        let id = std::process::id() % 100_000;
        let (namespace, link) = (format!("demo-{id}"), format!("demo{id}"));
        let ip = |words: &[&str]| shell::run(Command::new("ip").args(words));
        ip(&["netns", "add", &namespace])?;
        ip(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
        ip(&["addr", "add", HOST_ADDRESS, "dev", &link])?;
        ip(&["link", "set", &link, "up"])?;
        for name in NAMES {
            ip(&["-n", &namespace, "addr", "add", &format!("{name}/24"), "dev", "eth0"])?;
        }
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace]).arg(std::env::current_exe()?).arg("demo-service");
        let server = command.stdin(Stdio::null()).spawn()?;
        Ok(Self { namespace, link, server })
    }

    /// The URL of the first or the second form of the service.
    pub fn url(number: usize) -> String {
        format!("http://{}:8080/", NAMES[number % NAMES.len()])
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
        let _gone = Command::new("ip").args(["link", "del", &self.link]).stderr(Stdio::null()).status();
        let _gone = Command::new("ip").args(["netns", "del", &self.namespace]).stderr(Stdio::null()).status();
    }
}

/// The service itself: answers every request with the address at which it was asked.
pub fn serve() -> Result<()> {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind(("0.0.0.0", 8080))?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut request = [0; 4096];
        let _read = stream.read(&mut request);
        let body = format!("service at {}", stream.local_addr()?.ip());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _hung_up = stream.write_all((head + &body).as_bytes());
    }
    Ok(())
}
