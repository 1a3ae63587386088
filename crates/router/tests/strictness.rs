//! What two programs could read differently is refused before any process sees a byte of it.

mod kit;

use kit::{HOST, House, Process, respond, short_timeouts};
use std::io::Write;
use std::time::Duration;

/// The request, its expected status, and why.
type Row = (String, u16, &'static str);

/// Bodies whose end could be told in two ways.
fn doubtful_bodies() -> Vec<Row> {
    let host = format!("Host: {HOST}\r\n");
    let post = |headers: &str, body: &str| format!("POST / HTTP/1.1\r\n{host}{headers}\r\n{body}");
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";
    vec![
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", smuggled), 400, "length and encoding"),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", smuggled), 400, "encoding and length"),
        (post("Content-Length: 5\r\nContent-Length: 6\r\n", smuggled), 400, "two lengths"),
        (post("Content-Length: 5\r\nContent-Length: 5\r\n", smuggled), 400, "two equal lengths"),
        (post("Content-Length: 5, 5\r\n", smuggled), 400, "a list of lengths"),
        (post("Content-Length: +5\r\n", smuggled), 400, "a signed length"),
        (post("Content-Length: -1\r\n", smuggled), 400, "a negative length"),
        (post("Content-Length: 0x5\r\n", smuggled), 400, "a hexadecimal length"),
        (post("Content-Length: 5 \t5\r\n", smuggled), 400, "a length with a space"),
        (post("Content-Length:\r\n", smuggled), 400, "an empty length"),
        (post("Content-Length: 99999999999999999999\r\n", smuggled), 400, "a length beyond numbers"),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", smuggled),
            400,
            "two encodings",
        ),
        (post("Transfer-Encoding: gzip, chunked\r\n", smuggled), 400, "another encoding"),
        (post("Transfer-Encoding: xchunked\r\n", smuggled), 400, "an unknown encoding"),
        (post("Transfer-Encoding: \"chunked\"\r\n", smuggled), 400, "a quoted encoding"),
        (post("Transfer-Encoding: chunked, identity\r\n", smuggled), 400, "identity"),
        (post("Transfer-Encoding : chunked\r\n", smuggled), 400, "a space before the colon"),
        (post("X: y\r\n Transfer-Encoding: chunked\r\n", smuggled), 400, "a folded line"),
        (post(" Transfer-Encoding: chunked\r\n", smuggled), 400, "a folded first line"),
        (post("Transfer-Encoding:\u{b}chunked\r\n", smuggled), 400, "a vertical tab"),
        (post("Trans\u{0}fer-Encoding: chunked\r\n", smuggled), 400, "a NUL in a name"),
        (post("X: a\u{0}b\r\n", ""), 400, "a NUL in a value"),
        (post("X: a\rY: b\r\n", ""), 400, "a bare CR"),
        (post("X: a\nTransfer-Encoding: chunked\r\n", smuggled), 400, "a bare LF"),
        (post(": empty\r\n", ""), 400, "a header without a name"),
        (post("no colon\r\n", ""), 400, "a header without a colon"),
        (
            format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n{smuggled}"),
            400,
            "chunks in HTTP/1.0",
        ),
    ]
}

/// Heads that could be for somebody else, or are none.
fn doubtful_heads() -> Vec<Row> {
    let host = format!("Host: {HOST}\r\n");
    let post = |headers: &str, body: &str| format!("POST / HTTP/1.1\r\n{host}{headers}\r\n{body}");
    let get = |line: &str, headers: &str| format!("{line}\r\n{headers}\r\n");
    vec![
        (get("GET / HTTP/1.1", &format!("{host}Host: other.test\r\n")), 400, "two hosts"),
        (get("GET / HTTP/1.1", &format!("{host}{host}")), 400, "two equal hosts"),
        (get("GET / HTTP/1.1", ""), 400, "no host"),
        (get("GET / HTTP/1.0", ""), 400, "no host in HTTP/1.0"),
        (get("GET / HTTP/1.1", "Host:\r\n"), 400, "an empty host"),
        (get("GET / HTTP/1.1", "Host: app.test/x\r\n"), 400, "a host with a path"),
        (get("GET / HTTP/1.1", "Host: user@app.test\r\n"), 400, "a host with a user"),
        (get("GET / HTTP/1.1", "Host: app.test, other\r\n"), 400, "a list of hosts"),
        (get("GET / HTTP/1.1", "Host: app.test:port\r\n"), 400, "a host with a bad port"),
        (get("GET http://user@app.test/ HTTP/1.1", &host), 400, "a target with a user"),
        (get("GET app.test HTTP/1.1", &host), 400, "an authority as target"),
        (get("GET  / HTTP/1.1", &host), 400, "two spaces"),
        (get("GET /a b HTTP/1.1", &host), 400, "a space in the target"),
        (get("GET\t/ HTTP/1.1", &host), 400, "a tab"),
        (get("GET /#fragment HTTP/1.1", &host), 400, "a fragment"),
        (get("GET * HTTP/1.1", &host), 400, "an asterisk without OPTIONS"),
        (get("G(T / HTTP/1.1", &host), 400, "a method that is no token"),
        (get("CONNECT app.test:80 HTTP/1.1", &host), 405, "CONNECT"),
        (get("GET / HTTP/2.0", &host), 505, "HTTP/2 in clear text"),
        (get("GET / http/1.1", &host), 400, "a version in lower case"),
        (get("GET /", &host), 400, "HTTP/0.9"),
        (format!("GET / HTTP/1.1\n{host}\n"), 400, "bare LFs"),
        (format!("\r\n\r\n\r\nGET / HTTP/1.1\r\n{host}\r\n"), 400, "empty lines first"),
        (format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(9000)), 400, "a long request line"),
        (get("GET / HTTP/1.1", &format!("{host}X: {}\r\n", "a".repeat(9000))), 400, "a long header"),
        (get("GET / HTTP/1.1", &format!("{host}{}: x\r\n", "a".repeat(1001))), 400, "a long name"),
        (get("GET / HTTP/1.1", &format!("{host}{}", "X: y\r\n".repeat(1001))), 400, "many headers"),
        (get("GET / HTTP/1.1", &format!("{host}Connection: a b\r\n")), 400, "a bad connection option"),
        (post("Expect: 200-ok\r\nContent-Length: 1\r\n", ""), 417, "another expectation"),
        (get("PRI * HTTP/2.0", ""), 505, "the preface of HTTP/2"),
        ("\u{16}\u{3}\u{1}\u{2}\n".to_owned(), 400, "the beginning of TLS"),
    ]
}

#[test]
fn the_table_of_what_is_refused() {
    let house = House::start_with(|settings| settings.timeouts.linger = Duration::from_millis(50));
    let process = Process::hello();
    house.route(&[&process]);
    let table = [doubtful_bodies(), doubtful_heads()].concat();
    assert!(table.len() >= 20);
    for (request, status, why) in &table {
        let mut wire = house.connect();
        wire.send(request.as_bytes());
        let response = wire.response();
        assert_eq!(response.status(), *status, "{why}: {request:?} {response:?}");
        assert!(wire.is_closed(), "nothing may follow: {why}");
    }
    assert_eq!(process.connections(), 0, "no process may hear of any of it");
    let lines = house.end();
    assert!(lines.iter().all(|line| line.contains("code=H26")), "{lines:?}");
}

#[test]
fn what_only_looks_odd_is_accepted() {
    let house = House::start();
    let process =
        Process::http(|request| respond(200, request.head.lines().next().unwrap_or_default().as_bytes()));
    house.route(&[&process]);
    let host = format!("Host: {HOST}\r\n");
    let cases = [
        (format!("\r\nGET /one-empty-line HTTP/1.1\r\n{host}\r\n"), "GET /one-empty-line HTTP/1.1"),
        (
            format!("GET /%00?a=<\u{e9} HTTP/1.1\r\n{host}\r\n").replace('<', "%3c"),
            "GET /%00?a=%3c\u{e9} HTTP/1.1",
        ),
        (format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"), "OPTIONS * HTTP/1.1"),
        (format!("GET http://{HOST}?q HTTP/1.1\r\n{host}\r\n"), "GET /?q HTTP/1.1"),
        (format!("GET //double HTTP/1.1\r\n{host}\r\n"), "GET //double HTTP/1.1"),
        (format!("GET /../up HTTP/1.1\r\n{host}\r\n"), "GET /../up HTTP/1.1"),
        (format!("BREW /pot HTTP/1.1\r\n{host}\r\n"), "BREW /pot HTTP/1.1"),
        (format!("POST / HTTP/1.1\r\n{host}transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n"), "POST / HTTP/1.1"),
        ("GET / HTTP/1.1\r\nhOsT:APP.test.:80\r\n\r\n".to_owned(), "GET / HTTP/1.1"),
        (format!("GET / HTTP/1.1\r\n{host}X:\r\nY:\t z \t\r\n\r\n"), "GET / HTTP/1.1"),
    ];
    for (request, line) in cases {
        let mut wire = house.connect();
        wire.send(request.as_bytes());
        let response = wire.response();
        assert_eq!((response.status(), response.text().as_str()), (200, line), "{request:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_in_a_target() {
    let house = House::start();
    let process = Process::hello();
    house.route(&[&process]);
    for target in [&b"/\xff"[..], b"/\xc3", b"/a\x00b", b"/a\x7f", b"/a\x01"] {
        let mut wire = house.connect();
        wire.send(&[b"GET ", target, b" HTTP/1.1\r\nHost: app.test\r\n\r\n"].concat());
        assert_eq!(wire.response().status(), 400, "{target:?}");
    }
    // A value may hold any byte from 128 on (RFC 9110 section 5.5), except where the router has to understand it.
    let mut wire = house.connect();
    wire.send(b"GET / HTTP/1.1\r\nHost: app.test\r\nX: \xff\xfe\r\n\r\n");
    assert_eq!(wire.response().status(), 200);
    assert_eq!(process.requests(), 1);
}

#[test]
fn ten_megabytes_of_headers_cost_nothing_and_get_an_answer() {
    let house = House::start();
    let process = Process::hello();
    house.route(&[&process]);
    let mut wire = house.connect();
    let mut sender = wire.stream.try_clone().expect("cloned");
    let sending = std::thread::spawn(move || {
        sender.write_all(b"GET / HTTP/1.1\r\nHost: app.test\r\n").ok();
        let line = format!("X-Padding: {}\r\n", "a".repeat(1000));
        for _ in 0..10_000 {
            if sender.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    });
    let response = wire.response();
    assert_eq!(response.status(), 400, "{response:?}");
    drop(wire);
    sending.join().expect("no panic");
    assert_eq!((process.connections(), house.get("/").status()), (0, 200));
}

#[test]
fn a_refused_request_keeps_its_place_behind_a_good_one() {
    let house = House::start();
    let process = Process::raw(|mut wire| {
        wire.head();
        std::thread::sleep(Duration::from_millis(100));
        wire.send(&respond(200, b"good"));
        wire.head();
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\nGET / HTTP/1.1\r\nbad header\r\n\r\nGET /").as_bytes(),
    );
    assert_eq!(wire.response().text(), "good");
    assert_eq!(wire.response().status(), 400);
    assert!(wire.is_closed());
}

#[test]
fn clients_that_dawdle_over_a_head_are_let_go() {
    let house = House::start_with(|settings| settings.timeouts = short_timeouts());
    let process = Process::hello();
    house.route(&[&process]);
    let (mut silent, mut slow, mut done) = (house.connect(), house.connect(), house.connect());
    slow.send(b"GET / HTTP/1.1\r\nHo");
    done.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    assert_eq!(done.response().status(), 200);
    assert!(silent.is_closed(), "no request");
    assert!(slow.is_closed(), "half a request");
    assert!(done.is_closed(), "no further request");
    assert_eq!(house.get("/").status(), 200);
}

#[test]
fn a_head_that_comes_byte_by_byte_is_a_head() {
    let house = House::start();
    let process = Process::http(|request| respond(200, &request.body));
    house.route(&[&process]);
    let mut wire = house.connect();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbyte\r\n0\r\n\r\n"
    );
    for byte in request.as_bytes() {
        wire.send(&[*byte]);
    }
    assert_eq!(wire.response().text(), "byte");
}
