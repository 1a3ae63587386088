//! Requests and responses pass both ways, whole, streaming, as they are.

mod kit;

use kit::{BodyRule, HOST, House, PATIENCE, Process, Wire, respond, until};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const MEGA: usize = 1024 * 1024;

/// Bytes that show where they belong.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7 + at % 251) as u8).collect()
}

#[test]
fn a_request_is_forwarded_and_answered() {
    let house = House::start();
    let process = Process::hello();
    house.route(&[&process]);
    let response = house.get("/");
    assert_eq!((response.status(), response.text().starts_with("hello from")), (200, true), "{response:?}");
    assert_eq!(response.header("via"), Some("1.1 dozen"));
    assert_eq!(house.connect_and_ask("nobody.test").status(), 404);
}

impl House {
    fn connect_and_ask(&self, host: &str) -> kit::Response {
        let mut wire = self.connect();
        wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        wire.response()
    }
}

#[test]
fn the_process_sees_the_routers_headers() {
    let house = House::start();
    let process = Process::http(|request| respond(200, request.head.as_bytes()));
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(
        format!(
            "GET http://{HOST}:80/a%20b?c HTTP/1.1\r\nHost: ignored.test\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: x-gone\r\n\
             X-Gone: 1\r\nAccept: */*\r\nX-Request-Id: 01234567-89ab-4cde-8f01-23456789abcd\r\n\r\n"
        )
        .as_bytes(),
    );
    let seen = wire.response().text();
    let port = house.address.port().to_string();
    let mut lines: Vec<_> = seen.lines().filter(|line| !line.starts_with("X-Request-Start")).collect();
    lines[1..].sort_unstable();
    insta::assert_snapshot!(lines.join("\n").replace(&port, "[port]"));
    let start = seen.lines().find_map(|line| line.strip_prefix("X-Request-Start: ")).expect("it is there");
    assert_eq!((start.len(), start.parse::<u64>().is_ok()), (13, true), "{start}");
}

#[test]
fn connections_are_kept_on_both_sides() {
    let house = House::start_with(|settings| settings.threads = 1.try_into().expect("one"));
    let process = Process::hello();
    house.route(&[&process]);
    let mut wire = house.connect();
    for _ in 0..50 {
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
        assert_eq!(wire.response().status(), 200);
    }
    for _ in 0..5 {
        assert_eq!(house.get("/").status(), 200);
    }
    assert_eq!((process.requests(), process.connections()), (55, 1));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let house = House::start();
    let process = Process::http(|request| respond(200, request.path().as_bytes()));
    house.route(&[&process]);
    let mut wire = house.connect();
    let many: String = (0..30).map(|i| format!("GET /{i} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).collect();
    wire.send(many.as_bytes());
    for i in 0..30 {
        assert_eq!(wire.response().text(), format!("/{i}"));
    }
}

#[test]
fn twenty_megabytes_stream_up_and_down() {
    let house = House::start();
    let process = Process::http(|request| respond(200, &request.body));
    house.route(&[&process]);
    let body = pattern(20 * MEGA);
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut wire = house.connect();
    wire.send(head.as_bytes());
    wire.send(&body);
    assert!(wire.response().body == body, "by length");

    let mut wire = house.connect();
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes());
    for chunk in body.chunks(100_000) {
        wire.send(format!("{:x};ext=1\r\n", chunk.len()).as_bytes());
        wire.send(chunk);
        wire.send(b"\r\n");
    }
    wire.send(b"0\r\nTrailer: dropped\r\n\r\n");
    assert!(wire.response().body == body, "by chunks");
}

#[test]
fn a_chunked_response_stays_one_and_arrives_as_it_is_made() {
    let house = House::start();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nfirst\r\n");
        // The second half is made only when the client has seen the first.
        wire.head();
        wire.send(b"6\r\nsecond\r\n0\r\nX: y\r\n\r\n");
        wire.head();
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    // The second request's head is what the process takes for the signal.
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes());
    let head = wire.head();
    assert!(head.contains("Transfer-Encoding: chunked") && !head.contains("Trailer"), "{head}");
    assert_eq!(wire.exactly(10), b"5\r\nfirst\r\n");
    wire.send(b"4\r\n\r\n\r\n\r\n0\r\n\r\n");
    assert_eq!(wire.chunked(), b"second");
}

#[test]
fn a_slow_client_slows_the_process_and_nothing_is_buffered() {
    let house = House::start();
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let process = Process::raw(move |mut wire| {
        wire.head();
        let body = pattern(64 * MEGA);
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        for piece in body.chunks(64 * 1024) {
            if wire.stream.write_all(piece).is_err() {
                return;
            }
            counter.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    let mut seen = 0;
    until("the process is stopped by back-pressure", || {
        std::thread::sleep(Duration::from_millis(100));
        let before = std::mem::replace(&mut seen, written.load(Ordering::SeqCst));
        before > 0 && before == seen
    });
    assert!(seen < 40 * MEGA, "only the kernel's buffers may hold anything, and they hold {seen}");
    assert!(wire.response().body == pattern(64 * MEGA));
}

#[test]
fn responses_without_a_body_have_none() {
    let house = House::start();
    let process = Process::http(|request| match request.path() {
        "/204" => b"HTTP/1.1 204 No Content\r\nX-Here: 1\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n".to_vec(),
        "/0" => respond(200, b""),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec(),
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    let cases = [("HEAD", "/", 200, Some("1234")), ("GET", "/204", 204, None), ("GET", "/304", 304, None)];
    for (method, path, status, length) in cases {
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
        let response = wire.response_to_head();
        assert_eq!(
            (response.status(), response.header("content-length")),
            (status, length),
            "{method} {path}"
        );
    }
    wire.send(format!("GET /0 HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    assert_eq!(wire.response().header("content-length"), Some("0"));
    assert_eq!(process.connections(), 1);
}

#[test]
fn an_old_client_gets_what_it_can_read() {
    let house = House::start();
    let process = Process::http(|request| {
        assert!(request.head.starts_with("GET / HTTP/1.1\r\n"), "processes are always spoken to in HTTP/1.1");
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n".to_vec()
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n").as_bytes());
    let response = wire.response();
    assert_eq!(
        (response.header("transfer-encoding"), response.text().as_str()),
        (None, "old"),
        "{response:?}"
    );
    assert!(wire.is_closed());
}

#[test]
fn a_response_without_a_length_ends_with_the_connection() {
    let house = House::start();
    let process = Process::http(|_| b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end".to_vec());
    house.route(&[&process]);
    assert_eq!(house.get("/").text(), "to the end");
    // And the client's connection outlives the process's.
    let mut wire = house.connect();
    for _ in 0..3 {
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
        assert_eq!(wire.response().text(), "to the end");
    }
}

#[test]
fn one_hundred_continue_comes_from_the_process() {
    let house = House::start();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let process = Process::raw(move |mut wire| {
        let head = wire.head();
        assert!(head.contains("Expect: 100-continue"), "{head}");
        if head.starts_with("PUT /no") {
            wire.send(&respond(403, b"no"));
            wire.head();
            return;
        }
        counter.fetch_add(1, Ordering::SeqCst);
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        let body = wire.exactly(5);
        wire.send(&[b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice(), &body].concat());
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    let put = |path: &str| {
        format!("PUT {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            .into_bytes()
    };
    wire.send(&put("/yes"));
    assert_eq!(wire.head(), "HTTP/1.1 100 Continue");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    wire.send(b"abcde");
    assert_eq!(wire.response().text(), "abcde");
    let mut wire = house.connect();
    wire.send(&put("/no"));
    let refused = wire.any_response(BodyRule::ByHead);
    assert_eq!((refused.status(), refused.text().as_str()), (403, "no"), "no 100 before a refusal");
}

#[test]
fn a_process_that_never_says_continue_gets_the_body_all_the_same() {
    let house = House::start_with(|settings| settings.timeouts.expect = Duration::from_millis(50));
    let process = Process::raw(|mut wire| {
        wire.head();
        let body = wire.exactly(5);
        wire.send(&respond(200, &body));
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    let head = format!("PUT / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    wire.send(head.as_bytes());
    assert_eq!(wire.head(), "HTTP/1.1 100 Continue");
    wire.send(b"abcde");
    assert_eq!(wire.response().text(), "abcde");
}

#[test]
fn early_hints_pass() {
    let house = House::start();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nConnection: x\r\n\r\n");
        // The final response is made only when the hints were seen.
        wire.head();
        wire.send(&respond(200, b"done"));
        wire.head();
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\n").as_bytes());
    let hints = wire.head();
    assert_eq!(hints.to_ascii_lowercase(), "http/1.1 103 early hints\r\nlink: </style.css>");
    wire.send(b"\r\n\r\n");
    assert_eq!(wire.response().text(), "done");
}

#[test]
fn an_answer_before_the_end_of_the_request_reaches_the_client() {
    let house = House::start();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.exactly(1000);
        wire.send(&respond(413, b"too much"));
        // And closes over unread bytes, which resets the connection.
    });
    house.route(&[&process]);
    for round in 0..20 {
        let mut wire = house.connect();
        wire.send(
            format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", 50 * MEGA).as_bytes(),
        );
        let mut sender = wire.stream.try_clone().expect("cloned");
        let sending = std::thread::spawn(move || {
            let body = pattern(MEGA);
            (0..50).all(|_| sender.write_all(&body).is_ok())
        });
        let response = wire.response();
        assert_eq!((response.status(), response.text().as_str()), (413, "too much"), "round {round}");
        drop(wire);
        sending.join().expect("no panic");
    }
}

#[test]
fn a_kept_connection_that_died_costs_nothing() {
    let house = House::start_with(|settings| settings.threads = 1.try_into().expect("one"));
    // Answers once per connection, then closes without a word, a little later.
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(&respond(200, b"once"));
        std::thread::sleep(Duration::from_millis(3));
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    for round in 0..200 {
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
        assert_eq!(wire.response().status(), 200, "round {round}");
        std::thread::sleep(Duration::from_micros(round * 37 % 5000));
    }
}

#[test]
fn a_request_that_must_not_be_repeated_takes_no_closed_connection() {
    let house = House::start_with(|settings| settings.threads = 1.try_into().expect("one"));
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.exactly(3);
        wire.send(&respond(200, b"once"));
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    for round in 1..=50 {
        wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabc").as_bytes());
        assert_eq!(wire.response().status(), 200, "round {round}");
        assert_eq!(process.connections(), round);
        // Long enough for the end of the connection to arrive, whoever looks.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_least_busy_process_gets_the_request() {
    let house = House::start();
    let (busy, free) = (Process::raw(|mut wire| drop(wire.rest())), Process::hello());
    house.route(&[&busy]);
    let mut waiting = house.connect();
    waiting.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    until("the request is in flight", || house.in_flight(&busy) == 1);
    house.route(&[&busy, &free]);
    for _ in 0..20 {
        assert_eq!(house.get("/").status(), 200);
    }
    assert_eq!((free.requests(), busy.connections()), (20, 1));
}

#[test]
fn a_listener_may_be_passed_in() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    let house = House::start_with(|settings| {
        settings.listeners = vec![router::ListenerSettings::Inherited(listener)];
    });
    let process = Process::hello();
    house.route(&[&process]);
    assert_eq!(house.address, address);
    for _ in 0..20 {
        assert_eq!(house.get("/").status(), 200);
    }
}

#[test]
fn a_stopping_router_finishes_what_it_began() {
    let house = House::start();
    let process = Process::raw(|mut wire| {
        wire.head();
        std::thread::sleep(Duration::from_millis(300));
        wire.send(&respond(200, b"finished"));
    });
    house.route(&[&process]);
    let (mut idle, mut busy) = (house.connect(), house.connect());
    busy.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    until("the request is in flight", || house.in_flight(&process) == 1);
    house.router().stop();
    assert!(idle.is_closed(), "a connection without a request is closed");
    let response = busy.response();
    assert_eq!((response.text().as_str(), response.header("connection")), ("finished", Some("close")));
    let address = house.address;
    assert_eq!(house.end().len(), 1);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_client_that_stops_sending_in_a_body_is_let_go() {
    let house = House::start_with(|settings| settings.timeouts = kit::short_timeouts());
    let process = Process::http(|_| respond(200, b"never"));
    house.route(&[&process]);
    let mut wire: Wire = house.connect();
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nabc").as_bytes());
    let mut rest = Vec::new();
    wire.stream.set_read_timeout(Some(PATIENCE)).expect("set");
    wire.stream.read_to_end(&mut rest).expect("closed in order");
    assert!(String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 499"), "{}", String::from_utf8_lossy(&rest));
    let lines = house.end();
    assert!(
        lines[0].starts_with("at=warning code=H28 desc=\"Client Connection Idle\" method=POST"),
        "{lines:?}"
    );
}
