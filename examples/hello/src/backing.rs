//! A backing service is a URL in the config: local or remote, it can be changed without changing the app.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Where the service is. A user and password in the URL are kept out of it, and so out of logs and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    pub path: String,
}

impl Service {
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("BACKING_URL is not of the form scheme://host/")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| "BACKING_URL has a malformed port")?),
            None => (address, default_port(scheme).ok_or("BACKING_URL has no port")?),
        };
        if host.is_empty() {
            return Err("BACKING_URL has no host".to_owned());
        }
        Ok(Self { scheme: scheme.to_owned(), host: host.to_owned(), port, path: format!("/{path}") })
    }

    /// For people: without credentials and path.
    pub fn shown(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// Whether it answers: an HTTP service by its status line, any other by accepting a connection.
    pub fn check(&self) -> Result<String, String> {
        let stream = self.connect().map_err(|error| error.to_string())?;
        if self.scheme != "http" {
            return Ok("accepts connections".to_owned());
        }
        self.status_line(stream).map_err(|error| error.to_string())
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, TIMEOUT) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn status_line(&self, mut stream: TcpStream) -> std::io::Result<String> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        write!(stream, "GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", self.path, self.host)?;
        let mut head = [0; 64];
        let read = stream.read(&mut head)?;
        let text = String::from_utf8_lossy(&head[..read]);
        Ok(text.lines().next().unwrap_or("nothing").trim().to_owned())
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" | "postgresql" => Some(5432),
        "redis" | "rediss" => Some(6379),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn urls() {
        let parsed = |url: &str| Service::parse(url).map(|service| (service.shown(), service.path));
        let good = |shown: &str, path: &str| Ok((shown.to_owned(), path.to_owned()));
        assert_eq!(parsed("http://a.example/x/y?z"), good("http://a.example:80", "/x/y?z"));
        assert_eq!(parsed("redis://user:secret@cache:7000/0"), good("redis://cache:7000", "/0"));
        assert_eq!(parsed("postgres://u:p%40@db"), good("postgres://db:5432", "/"));
        for bad in ["", "a.example", "http://", "http://a:x/", "amqp://host"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tells_whether_it_is_reachable() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let port = listener.local_addr().expect("has one").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepts");
            stream.write_all(b"HTTP/1.0 204 No Content\r\n\r\n").expect("answers");
        });
        let service = Service::parse(&format!("http://127.0.0.1:{port}/")).expect("a URL");
        assert_eq!(service.check().as_deref(), Ok("HTTP/1.0 204 No Content"));
        server.join().expect("ends");
        assert!(service.check().is_err(), "nobody listens any more");
    }
}
