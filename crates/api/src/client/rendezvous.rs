//! Talking to an attached process: `rendezvous://HOST:PORT/SECRET`.
//!
//! TLS at once, the secret, the server's greeting, then bytes both ways: in [`Mode::Dozen`] as [`crate::frame`]s, in
//! [`Mode::Heroku`] raw. The two directions are held by two threads.

use super::link::{Link, Received};
use super::{ClientError, Trust};
use crate::frame::{self, Channel, Decoder, Frame, FrameError, GREETING, WindowSize};
use rustls::{ClientConnection, Connection};
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the greeting. What the process waits for afterwards has no limit here.
const GREETING_TIMEOUT: Duration = Duration::from_secs(60);
/// Silence after which the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// What ends the input in Heroku's form.
const END_OF_TRANSMISSION: u8 = 0x04;

/// In which form to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Frames: every byte passes, channels stay apart, the exit code comes last.
    Dozen,
    /// Raw, as Heroku's client: channels merged, 0x04 ends the input, no exit code.
    Heroku,
}

/// Why an attached process cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum RendezvousError {
    #[error("\"{shown}\" is not an address of an attached process: expected rendezvous://HOST:PORT/SECRET")]
    BadUrl { shown: String },
    #[error("the roots of trust cannot be used")]
    Trust(#[source] Box<ClientError>),
    #[error("cannot connect to {host}:{port}")]
    Connect { host: String, port: u16, source: io::Error },
    #[error("no secure connection to {host}:{port}")]
    Tls { host: String, port: u16, source: io::Error },
    #[error("{host}:{port} did not greet as an attached process does")]
    Greeting { host: String, port: u16, source: io::Error },
    #[error("the connection to the process broke off")]
    Broken(#[from] io::Error),
    #[error("the server sent what cannot be understood")]
    Frame(#[from] FrameError),
}

/// A parsed `attach_url`. The secret shows nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct AttachUrl {
    host: String,
    port: u16,
    secret: String,
}

impl FromStr for AttachUrl {
    type Err = RendezvousError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_attach_url(text).ok_or_else(|| {
            let shown = text.rfind('/').map_or(text, |end| &text[..end]);
            RendezvousError::BadUrl { shown: shown.chars().take(100).collect() }
        })
    }
}

fn parse_attach_url(text: &str) -> Option<AttachUrl> {
    let (authority, secret) = text.strip_prefix("rendezvous://")?.split_once('/')?;
    let (host, port) = authority.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'?';
    let fine = !host.is_empty() && !secret.is_empty() && secret.bytes().all(plain);
    fine.then_some(AttachUrl { host: host.to_owned(), port: port.parse().ok()?, secret: secret.to_owned() })
}

/// The way to the process. Dropping it closes nothing; [`Output`] tells when all is over.
#[derive(Clone)]
pub struct Input {
    shared: Arc<Link>,
    mode: Mode,
}

/// The way from the process.
pub struct Output {
    shared: Arc<Link>,
    mode: Mode,
    decoder: Decoder,
    /// Bytes that came right behind the greeting.
    early: Vec<u8>,
    over: bool,
}

/// Connects and waits for the greeting.
///
/// # Errors
/// The server cannot be reached, is not trusted, or does not know the secret.
pub fn attach(url: &AttachUrl, trust: &Trust, mode: Mode) -> Result<(Input, Output), RendezvousError> {
    let (host, port) = (url.host.clone(), url.port);
    let socket = connect(&host, port).map_err(|source| RendezvousError::Connect {
        host: host.clone(),
        port,
        source,
    })?;
    socket.set_read_timeout(Some(GREETING_TIMEOUT))?;
    let config = trust.rustls_config().map_err(|error| RendezvousError::Trust(Box::new(error)))?;
    let tls_error = |source| RendezvousError::Tls { host: host.clone(), port, source };
    let name = ServerName::try_from(host.clone()).map_err(|error| tls_error(io::Error::other(error)))?;
    let tls = ClientConnection::new(config, name).map_err(|error| tls_error(io::Error::other(error)))?;
    let shared = Arc::new(Link::open(Connection::Client(tls), socket).map_err(tls_error)?);
    let (early, received) = greet(&shared, url, mode).map_err(|source| RendezvousError::Greeting {
        host: host.clone(),
        port,
        source,
    })?;
    shared.socket.set_read_timeout(None)?;
    let input = Input { shared: Arc::clone(&shared), mode };
    Ok((input, Output { shared, mode, decoder: Decoder::default(), early, over: received == Received::Last }))
}

pub(super) fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sends the secret and takes the greeting. Gives what came behind it.
fn greet(shared: &Link, url: &AttachUrl, mode: Mode) -> io::Result<(Vec<u8>, Received)> {
    let hello = match mode {
        Mode::Dozen => format!("{}?{}\r\n", url.secret, frame::MODE_QUERY),
        Mode::Heroku => format!("{}\r\n", url.secret),
    };
    shared.send(hello.as_bytes())?;
    let mut bytes = Vec::new();
    let mut received = Received::More;
    while bytes.len() < GREETING.len() && GREETING.starts_with(&bytes) {
        if received == Received::Last {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        received = shared.receive(&mut bytes)?;
    }
    match bytes.strip_prefix(GREETING) {
        Some(early) => Ok((early.to_vec(), received)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the server sent something else")),
    }
}

impl Input {
    /// Sends bytes to the process's input. Waits while the process does not read.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self.mode {
            Mode::Heroku => self.shared.send(bytes),
            Mode::Dozen => {
                let mut frames = Vec::with_capacity(bytes.len() + 16);
                frame::encode_bytes(Channel::Input, bytes, &mut frames);
                self.shared.send(&frames)
            }
        }
    }

    /// Tells that the client's terminal has another size now. Heroku's form knows no such thing.
    ///
    /// # Errors
    /// The connection broke.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        match self.mode {
            Mode::Heroku => Ok(()),
            Mode::Dozen => {
                let mut frames = Vec::new();
                frame::encode_resize(size, &mut frames);
                self.shared.send(&frames)
            }
        }
    }

    /// Leaves at once: [`Output`] then tells that the connection broke.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Ends the process's input.
    ///
    /// # Errors
    /// The connection broke.
    pub fn end(&self) -> io::Result<()> {
        match self.mode {
            Mode::Heroku => self.shared.send(&[END_OF_TRANSMISSION]),
            Mode::Dozen => {
                let mut frames = Vec::new();
                frame::encode_input_end(&mut frames);
                self.shared.send(&frames)
            }
        }
    }
}

impl Output {
    /// The next frame; `None` when the server has closed the connection as it should.
    ///
    /// # Errors
    /// The connection was cut, or what came is no frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, RendezvousError> {
        loop {
            if let Some(frame) = self.pending()? {
                return Ok(Some(frame));
            }
            if self.over {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            self.over = self.shared.receive(&mut bytes)? == Received::Last;
            self.early = bytes;
        }
    }

    fn pending(&mut self) -> Result<Option<Frame>, FrameError> {
        let bytes = std::mem::take(&mut self.early);
        match self.mode {
            Mode::Heroku => Ok((!bytes.is_empty()).then_some(Frame::Output(bytes))),
            Mode::Dozen => {
                if !bytes.is_empty() {
                    self.decoder.push(&bytes);
                }
                self.decoder.next_frame()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in "(rendezvous://)?[a-z0-9:\\[\\]/?]{0,30}|.{0,40}") {
            if let Ok(url) = text.parse::<AttachUrl>() {
                proptest::prop_assert!(!url.secret.contains(['\r', '\n', '?']));
            }
        }
    }

    #[test]
    fn reads_addresses_and_hides_secrets() {
        for (text, host, port) in [
            ("rendezvous://localhost:8443/abc", "localhost", 8443),
            ("rendezvous://[::1]:8443/abc", "::1", 8443),
        ] {
            let url = AttachUrl::from_str(text).expect(text);
            assert_eq!((url.host.as_str(), url.port, url.secret.as_str()), (host, port, "abc"));
        }
        for text in [
            "",
            "rendezvous://h/s",
            "rendezvous://h:1",
            "rendezvous://h:1/",
            "https://h:1/s",
            "rendezvous://h:1/s?x",
            "rendezvous://:1/s\r\n",
        ] {
            let error = AttachUrl::from_str(text).err().expect(text);
            assert!(!error.to_string().contains("/s"), "{error}");
        }
    }
}
