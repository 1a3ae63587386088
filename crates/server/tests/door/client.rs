//! A plain HTTPS client that shows everything: one connection per request, HTTP/1.1, blocking.

use crate::described;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    config: Arc<ClientConfig>,
    authorization: Option<String>,
    /// Its own address; `None`: whichever the kernel chooses.
    from: Option<Ipv4Addr>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// Waits for the server's certificate authority to appear.
    pub fn new(address: SocketAddr, ca: &Path, token: &str) -> Self {
        let end = Instant::now() + super::world::PATIENCE;
        let pem = loop {
            match std::fs::read(ca) {
                Ok(pem) => break pem,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Self { address, config, authorization: Some(format!("Bearer {token}")), from: None }
    }

    pub fn with_address(self, from: Ipv4Addr) -> Self {
        Self { from: Some(from), ..self }
    }

    pub fn with_authorization(mut self, value: Option<&str>) -> Self {
        self.authorization = value.map(str::to_owned);
        self
    }

    /// The token that is sent; empty without one.
    pub fn token(&self) -> &str {
        self.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
    }

    /// A TLS connection by the name `localhost`.
    pub fn connect(&self) -> Tls {
        let tcp = self.reach().unwrap();
        tcp.set_read_timeout(Some(super::world::PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(self.config.clone(), name).unwrap(), tcp)
    }

    /// Whether a TLS connection comes about.
    pub fn try_connect(&self) -> std::io::Result<()> {
        let mut tls = self.connect();
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(())
    }

    fn reach(&self) -> std::io::Result<TcpStream> {
        let Some(from) = self.from else { return TcpStream::connect(self.address) };
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect(&self.address.into())?;
        Ok(socket.into())
    }

    /// As [`Client::connect`], with a copy of all that the server sends.
    pub fn connect_tapped(&self) -> (StreamOwned<ClientConnection, Tapped>, Arc<Mutex<Vec<u8>>>) {
        let (connection, tcp) = self.connect().into_parts();
        let wire = Arc::new(Mutex::new(Vec::new()));
        (StreamOwned::new(connection, Tapped { tcp, wire: wire.clone() }), wire)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body.as_bytes())
    }

    pub fn patch(&self, path: &str, body: &str) -> Answer {
        self.send("PATCH", path, &[], body.as_bytes())
    }

    /// The answer, which is held to the description of the API.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut tls = self.open(method, path, headers, body);
        let answer = read_answer(&mut tls);
        let wrong = described::errors(method, path, &answer);
        assert!(wrong.is_empty(), "{method} {path}: {} {wrong:#?}", answer.status);
        answer
    }

    /// Sends a request and leaves the answer to be read.
    pub fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Tls {
        let mut tls = self.connect();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Accept: application/vnd.heroku+json; version=3\r\n",
            self.address.port(),
            body.len()
        );
        for (name, value) in self
            .authorization
            .iter()
            .map(|value| ("Authorization", value.as_str()))
            .chain(headers.iter().copied())
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        tls.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that has refused by the head alone may have closed already.
        let _refused = tls.write_all(body);
        tls
    }
}

/// A connection that keeps what it reads.
pub struct Tapped {
    tcp: TcpStream,
    wire: Arc<Mutex<Vec<u8>>>,
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.tcp.read(buffer)?;
        self.wire.lock().unwrap().extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Write for Tapped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.tcp.flush()
    }
}

/// Reads a whole answer. The end of the connection must be told by TLS.
pub fn read_answer(from: &mut impl Read) -> Answer {
    let mut reader = BufReader::new(from);
    let (status, headers) = read_head(&mut reader);
    let mut body = Vec::new();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    if chunked {
        while let Some(chunk) = read_chunk(&mut reader) {
            body.extend(chunk);
        }
    } else {
        reader.read_to_end(&mut body).unwrap();
    }
    Answer { status, headers, body }
}

pub fn read_head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => return (status, headers),
        }
    }
}

/// The next chunk of a chunked body; `None` at its orderly end.
pub fn read_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    reader.read_line(&mut size).unwrap();
    let size =
        usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("a chunk size and not {size:?}"));
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}
