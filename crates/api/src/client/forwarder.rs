//! A door on this machine to a server elsewhere, for clients that talk to loopback alone: TLS with a certificate of its own for
//! `127.0.0.1`, and behind it TLS to the server as we trust it. Bytes pass as they are, in the records in which they came, since
//! attached processes depend on those.
//!
//! It is also an HTTP proxy that connects to that server and to itself and to nothing else, so that a client told to use it sends
//! nothing anywhere else.

mod certificate;
mod proxy;

use super::link::{Link, Received, Records};
use super::{ClientError, ServerUrl, Trust, rendezvous};
use certificate::Certificate;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections at once. More are closed as they come.
const MAX_CONNECTIONS: usize = 256;
/// From a connection to its first byte, and to the end of its handshake.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// What a TLS connection begins with.
const TLS_HANDSHAKE: u8 = 0x16;

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum ForwarderError {
    #[error("{url} is not encrypted, and only encrypted servers are led to")]
    PlainHttp { url: ServerUrl },
    #[error("the roots of trust cannot be used")]
    Trust(#[source] Box<ClientError>),
    #[error("cannot make a certificate for this machine")]
    Certificate(#[source] rcgen::Error),
    #[error("cannot use the certificate for this machine")]
    Tls(#[source] rustls::Error),
    #[error("cannot listen on this machine")]
    Listen(#[source] io::Error),
}

/// An open door. It stays open until the program ends.
#[derive(Debug)]
pub struct Forwarder {
    address: SocketAddr,
    authority: String,
}

/// What connections share.
struct Door {
    host: String,
    port: u16,
    own: SocketAddr,
    inner: Arc<ServerConfig>,
    outer: Arc<ClientConfig>,
    open: AtomicUsize,
    refused: Box<dyn Fn(&str) + Send + Sync>,
}

impl Forwarder {
    /// Opens a door to the server. `refused` is told of each other host that a client asked the proxy for.
    ///
    /// # Errors
    /// The server is not encrypted, its roots cannot be used, or nothing can be listened on.
    pub fn open(
        url: &ServerUrl,
        trust: &Trust,
        refused: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, ForwarderError> {
        if !url.is_encrypted() {
            return Err(ForwarderError::PlainHttp { url: url.clone() });
        }
        let certificate = Certificate::make().map_err(ForwarderError::Certificate)?;
        let authority = certificate.authority.clone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ForwarderError::Listen)?;
        let own = listener.local_addr().map_err(ForwarderError::Listen)?;
        let door = Door {
            host: url.host().trim_matches(['[', ']']).to_owned(),
            port: url.port(),
            own,
            inner: certificate.into_config().map_err(ForwarderError::Tls)?,
            outer: trust.rustls_config().map_err(|error| ForwarderError::Trust(Box::new(error)))?,
            open: AtomicUsize::new(0),
            refused: Box::new(refused),
        };
        std::thread::spawn(move || accept(&listener, &Arc::new(door)));
        Ok(Self { address: own, authority })
    }

    /// `127.0.0.1` and a port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate, in PEM, that its clients have to trust.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

fn accept(listener: &TcpListener, door: &Arc<Door>) {
    for stream in listener.incoming().flatten() {
        if door.open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            door.open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let door = Arc::clone(door);
        std::thread::spawn(move || {
            // A connection that breaks is told to both its ends by its end, and to nobody else.
            let _told = serve(&door, stream);
            door.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn serve(door: &Door, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(OPEN_WITHIN))?;
    let mut first = [0];
    stream.peek(&mut first)?;
    if first == [TLS_HANDSHAKE] { forward(door, stream) } else { proxy::serve(door, stream) }
}

/// Opens both links, the inner one first: a client that does not trust us costs the server nothing.
fn forward(door: &Door, stream: TcpStream) -> io::Result<()> {
    let tls = ServerConnection::new(Arc::clone(&door.inner)).map_err(io::Error::other)?;
    let inner = Arc::new(Link::open(Connection::Server(tls), stream)?);
    let outer = Arc::new(door.connect()?);
    for link in [&inner, &outer] {
        link.socket.set_read_timeout(None)?;
    }
    outer.send(&inner.received_early()?)?;
    let (from, to) = (Arc::clone(&outer), Arc::clone(&inner));
    let back = std::thread::spawn(move || copy(&from, &to));
    copy(&inner, &outer);
    back.join().map_err(|_| io::Error::other("a direction broke"))
}

impl Door {
    fn connect(&self) -> io::Result<Link> {
        let socket = rendezvous::connect(&self.host, self.port)?;
        socket.set_read_timeout(Some(OPEN_WITHIN))?;
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.outer), name).map_err(io::Error::other)?;
        Link::open(Connection::Client(tls), socket)
    }
}

/// One direction to its end, which is passed on as it came: in good order, or as a break.
fn copy(from: &Link, to: &Link) {
    let mut records = Records::default();
    loop {
        match from.receive_records(&mut records, |record| to.send(record)) {
            Ok(Received::More) => {}
            Ok(Received::Last) => {
                let _gone = to.close();
                return;
            }
            Err(_) => {
                to.cut();
                from.cut();
                return;
            }
        }
    }
}
