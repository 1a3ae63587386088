//! Connections that change their protocol.

mod kit;

use kit::{HOST, House, Process, Wire, draining, respond, short_timeouts, until};
use std::time::Duration;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Switches, then sends back whatever comes, and its end.
fn echo() -> Process {
    Process::raw(|mut wire| {
        let head = wire.head();
        assert!(head.to_ascii_lowercase().contains("connection: upgrade\r\nupgrade: websocket"), "{head}");
        wire.send(SWITCH);
        let mut other = wire.stream.try_clone().expect("cloned");
        std::io::copy(&mut other, &mut wire.stream).ok();
        wire.end_sending();
    })
}

fn switched(house: &House) -> Wire {
    let mut wire = house.connect();
    wire.send(ASK.as_bytes());
    let response = wire.response();
    assert_eq!((response.status(), response.header("upgrade")), (101, Some("websocket")), "{response:?}");
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    wire
}

#[test]
fn bytes_go_both_ways_until_both_have_ended() {
    let house = House::start();
    let process = echo();
    house.route(&[&process]);
    let mut wire = switched(&house);
    for round in 0..100 {
        let message = format!("message {round} \0\r\n\r\n");
        wire.send(message.as_bytes());
        assert_eq!(wire.exactly(message.len()), message.as_bytes());
    }
    assert_eq!(house.in_flight(&process), 1, "a tunnel keeps its process busy");
    wire.end_sending();
    assert!(wire.is_closed());
    until("the process is free", || house.in_flight(&process) == 0);
    let lines = house.end();
    assert!(lines[0].starts_with("at=info method=GET path=\"/chat\""), "{lines:?}");
    assert!(lines[0].contains(" status=101 bytes=1590 "), "{lines:?}");
}

#[test]
fn each_side_may_end_first() {
    let house = House::start();
    let process = Process::raw(|mut wire| {
        wire.head();
        // Speaks first, in one piece with the switch, and ends its side.
        wire.send(&[SWITCH, b"last words"].concat());
        wire.end_sending();
        assert_eq!(wire.rest(), b"still listening");
    });
    house.route(&[&process]);
    let mut wire = switched(&house);
    assert_eq!(wire.rest(), b"last words");
    wire.send(b"still ");
    std::thread::sleep(Duration::from_millis(50));
    wire.send(b"listening");
    wire.end_sending();
    until("the process is free", || house.in_flight(&process) == 0);
}

#[test]
fn a_client_that_speaks_too_early_is_heard() {
    let house = House::start();
    let process = echo();
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(format!("{ASK}early bird").as_bytes());
    assert_eq!(wire.response().status(), 101);
    assert_eq!(wire.exactly(10), b"early bird");
}

#[test]
fn an_upgrade_that_is_declined_is_an_ordinary_request() {
    let house = House::start();
    let process = Process::http(|request| respond(200, request.path().as_bytes()));
    house.route(&[&process]);
    let mut wire = house.connect();
    for _ in 0..3 {
        // The next request comes along: it must wait until the answer to this one is known.
        wire.send(format!("{ASK}GET /next HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
        assert_eq!(wire.response().text(), "/chat");
        assert_eq!(wire.response().text(), "/next");
    }
}

#[test]
fn http2_is_not_smuggled_in() {
    let house = House::start();
    let process = Process::http(|request| respond(200, request.head.as_bytes()));
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(ASK.replace("websocket", "h2c").replace("Sec-WebSocket-Key", "HTTP2-Settings").as_bytes());
    let seen = wire.response().text().to_ascii_lowercase();
    assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
}

#[test]
fn an_idle_tunnel_is_closed() {
    let house = House::start_with(|settings| settings.timeouts = short_timeouts());
    let process = echo();
    house.route(&[&process]);
    let mut wire = switched(&house);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(300));
        wire.send(b"x");
        assert_eq!(wire.exactly(1), b"x", "it lives while something moves");
    }
    assert!(wire.is_closed());
    let lines = house.end();
    assert!(
        lines[0].starts_with("at=error code=H15 desc=\"Idle connection\" method=GET path=\"/chat\""),
        "{lines:?}"
    );
}

#[test]
fn a_tunnel_outlives_its_route() {
    let house = House::start();
    let (old, new) = (echo(), Process::hello());
    house.route(&[&old]);
    let mut wire = switched(&house);
    house.publish(vec![kit::app(domain::route::Gate::Running, &[&new])], vec![draining(&old)]);
    assert_eq!(house.get("/").status(), 200);
    wire.send(b"still here");
    assert_eq!(wire.exactly(10), b"still here");
    assert_eq!(house.in_flight(&old), 1);
    drop(wire);
    until("the old process is free", || house.in_flight(&old) == 0);
}
