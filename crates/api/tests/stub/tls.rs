//! A TLS server for tests, with a certificate of its own for `localhost`.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

pub type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A server for one connection: its port, its certificate in PEM form, and what `serve` will give.
pub struct TlsServer<T> {
    pub port: u16,
    pub certificate: String,
    pub thread: JoinHandle<T>,
}

pub fn start<T: Send + 'static>(serve: impl FnOnce(Tls) -> T + Send + 'static) -> TlsServer<T> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config =
        builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).expect("a pair");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        serve(StreamOwned::new(ServerConnection::new(Arc::new(config)).expect("a session"), socket))
    });
    TlsServer { port, certificate: cert.pem(), thread }
}

/// A line that ends in CR LF, both included.
pub fn read_line(tls: &mut Tls) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("text")
}

pub fn close(mut tls: Tls) {
    tls.conn.send_close_notify();
    tls.flush().expect("closed");
}
