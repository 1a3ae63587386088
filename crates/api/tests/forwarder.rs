//! The door on this machine, before a TLS server made here.

#[path = "stub/tls.rs"]
mod tls;

use api::client::forwarder::{Forwarder, ForwarderError};
use api::client::rendezvous::{self, AttachUrl, Mode};
use api::client::{ServerUrl, Trust};
use api::frame::{Frame, GREETING};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use tls::{close, read_line};

fn address(port: u16) -> ServerUrl {
    format!("https://localhost:{port}").parse().expect("an address")
}

/// The host's names and its trust do for the client what the server's do for the door; every byte passes, and the end in good order.
#[test]
fn a_client_that_trusts_the_door_talks_to_the_server() {
    let server = tls::start(|mut tls| {
        assert_eq!(read_line(&mut tls), "secret\r\n");
        for piece in [GREETING, &[7; 100_000], b"bye"] {
            tls.write_all(piece).and_then(|()| tls.flush()).expect("written");
        }
        close(tls);
    });
    let trust = Trust::from_pem("server", server.certificate.as_bytes()).expect("a certificate");
    let door = Forwarder::open(&address(server.port), &trust, |_| {}).expect("open");
    let url: AttachUrl = format!("rendezvous://{}/secret", door.address()).parse().expect("an address");
    assert!(
        rendezvous::attach(&url, &trust, Mode::Heroku).is_err(),
        "the server's certificate is not the door's"
    );
    let door_trust = Trust::from_pem("door", door.authority().as_bytes()).expect("a certificate");
    let (_input, mut output) = rendezvous::attach(&url, &door_trust, Mode::Heroku).expect("attached");
    let mut bytes = Vec::new();
    while let Some(frame) = output.next_frame().expect("a whole connection") {
        let Frame::Output(more) = frame else { panic!("{frame:?}") };
        bytes.extend(more);
    }
    server.thread.join().expect("the server is content");
    assert_eq!((bytes.len(), bytes.ends_with(b"\x07bye")), (100_003, true));
}

/// A server that the door does not trust gets nothing.
#[test]
fn a_server_that_is_not_trusted_gets_no_byte() {
    let server = tls::start(|mut tls| tls.read(&mut [0]).map_err(|_| ()));
    let other = tls::start(|_| ());
    let trust = Trust::from_pem("other", other.certificate.as_bytes()).expect("a certificate");
    let door = Forwarder::open(&address(server.port), &trust, |_| {}).expect("open");
    let url: AttachUrl = format!("rendezvous://{}/secret", door.address()).parse().expect("an address");
    let door_trust = Trust::from_pem("door", door.authority().as_bytes()).expect("a certificate");
    assert!(rendezvous::attach(&url, &door_trust, Mode::Heroku).is_err());
    assert_eq!(server.thread.join().expect("it ended"), Err(()));
    drop(TcpStream::connect(("127.0.0.1", other.port)));
}

fn ask_proxy(door: &Forwarder, head: &str) -> String {
    let mut stream = TcpStream::connect(door.address()).expect("connected");
    stream.write_all(head.as_bytes()).expect("asked");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("answered");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_proxy_leads_to_the_server_and_nowhere_else() {
    let server = tls::start(|_| ());
    let trust = Trust::from_pem("server", server.certificate.as_bytes()).expect("a certificate");
    let refused = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&refused);
    let note = move |host: &str| told.lock().expect("no holder panics").push(host.to_owned());
    let door = Forwarder::open(&address(server.port), &trust, note).expect("open");
    for (target, answer) in [
        (format!("localhost:{}", server.port), "HTTP/1.1 200"),
        (door.address().to_string(), "HTTP/1.1 200"),
        ("api.metrics.heroku.com:443".to_owned(), "HTTP/1.1 403"),
        (format!("127.0.0.2:{}", server.port), "HTTP/1.1 403"),
    ] {
        assert_eq!(
            ask_proxy(&door, &format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n")),
            answer,
            "{target}"
        );
    }
    assert_eq!(ask_proxy(&door, "GET http://telex.heroku.com/ HTTP/1.1\r\n\r\n"), "HTTP/1.1 403");
    let refused = refused.lock().expect("no holder panics").clone();
    assert_eq!(refused[0], "api.metrics.heroku.com:443");
    assert_eq!(refused.len(), 3);
}

#[test]
fn a_server_without_encryption_is_not_led_to() {
    let url: ServerUrl = "http://localhost:1".parse().expect("an address");
    let error = Forwarder::open(&url, &Trust::System, |_| {}).expect_err("refused");
    assert!(matches!(error, ForwarderError::PlainHttp { .. }), "{error}");
}
