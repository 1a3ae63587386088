//! Each of Heroku's codes: what brings it about, what the client gets, which line is left.

mod kit;

use domain::route::Gate;
use kit::{HOST, House, Process, app, respond, routed, short_timeouts, until};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// What one request got, and the line it left.
struct Outcome {
    response: kit::Response,
    line: String,
}

fn house() -> House {
    House::start_with(|settings| settings.timeouts = short_timeouts())
}

fn ask_in(house: House, request: &str) -> Outcome {
    let mut wire = house.connect();
    wire.send(request.as_bytes());
    let response = wire.response();
    drop(wire);
    let mut lines = house.end();
    assert_eq!(lines.len(), 1, "{lines:?}");
    Outcome { response, line: lines.remove(0) }
}

fn get() -> String {
    format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// With every figure that the clock or chance decides taken out.
fn steady(line: &str) -> String {
    let fields = line.split(' ').map(|field| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        match name {
            "connect" | "service" if !value.is_empty() => format!("{name}=[ms]"),
            "request_id" if value.len() == 36 => format!("{name}=[uuid]"),
            "dyno" if !value.is_empty() => format!("{name}=web.[n]"),
            _ => field.to_owned(),
        }
    });
    fields.collect::<Vec<_>>().join(" ")
}

fn check(outcome: &Outcome, status: u16, expected: &str) {
    assert_eq!(outcome.response.status(), status, "{:?}", outcome.response);
    assert_eq!(steady(&outcome.line), expected);
    let code = expected.split("code=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a code");
    assert!(outcome.response.text().contains(code), "the page names the code: {:?}", outcome.response.text());
}

const NOBODY: &str =
    "method=GET path=\"/x\" host=app.test request_id=[uuid] fwd=\"127.0.0.1\" dyno= connect= service=";
const SOMEBODY: &str =
    "method=GET path=\"/x\" host=app.test request_id=[uuid] fwd=\"127.0.0.1\" dyno=web.[n]";
const END: &str = "protocol=http1.1 tls=false";

#[test]
fn closed_gates_answer_at_once() {
    let cases = [
        (Gate::Crashed, "at=error code=H10 desc=\"App crashed\"", 503),
        (Gate::NoWeb, "at=error code=H14 desc=\"No web processes running\"", 503),
        (Gate::Maintenance, "at=info code=H80 desc=\"Maintenance mode\"", 503),
        (Gate::Blank, "at=info code=H81 desc=\"Blank app\"", 502),
    ];
    for (gate, what, status) in cases {
        let house = house();
        house.publish(vec![app(gate, &[])], Vec::new());
        check(&ask_in(house, &get()), status, &format!("{what} {NOBODY} status={status} bytes= {END}"));
    }
}

#[test]
fn h11_when_too_many_wait() {
    let house = House::start_with(|settings| settings.limits.waiting_per_process = 3);
    house.publish(vec![app(Gate::Starting, &[])], Vec::new());
    let mut wires: Vec<_> = (0..6).map(|_| house.connect()).collect();
    for wire in &mut wires {
        wire.send(get().as_bytes());
        wire.stream.set_nonblocking(true).expect("set");
    }
    // Which of them found no room is chance; how many is not.
    let process = Process::hello();
    until("all were seen", || {
        let turned_away = wires.iter().filter(|wire| wire.stream.peek(&mut [0]).is_ok()).count();
        turned_away == 3
    });
    wires.iter().for_each(|wire| wire.stream.set_nonblocking(false).expect("set"));
    house.route(&[&process]);
    let statuses: Vec<_> = wires.iter_mut().map(|wire| wire.response().status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
    let lines = house.end();
    let h11 = format!("at=error code=H11 desc=\"Backlog too deep\" {NOBODY} status=503 bytes= {END}");
    assert_eq!(lines.iter().filter(|line| steady(line) == h11).count(), 3, "{lines:?}");
}

#[test]
fn h12_when_the_first_byte_is_late() {
    let house = house();
    let process = Process::raw(|mut wire| drop(wire.rest()));
    house.route(&[&process]);
    let line = format!(
        "at=error code=H12 desc=\"Request timeout\" {SOMEBODY} connect=[ms] service=[ms] status=503 bytes=0 {END}"
    );
    check(&ask_in(house, &get()), 503, &line);
}

#[test]
fn h13_when_the_process_closes_without_an_answer() {
    let house = house();
    let process = Process::raw(|mut wire| drop(wire.head()));
    house.route(&[&process]);
    let line = format!(
        "at=error code=H13 desc=\"Connection closed without response\" {SOMEBODY} connect=[ms] service=[ms] status=503 bytes=0 {END}"
    );
    check(&ask_in(house, &get()), 503, &line);
}

#[test]
fn h15_when_a_response_stops_in_its_middle() {
    let house = house();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        wire.head();
    });
    house.route(&[&process]);
    let Outcome { response, line } = ask_in(house, &get());
    assert_eq!((response.status(), response.text().as_str()), (200, "abc"), "cut, not completed");
    assert_eq!(
        steady(&line),
        format!(
            "at=error code=H15 desc=\"Idle connection\" {SOMEBODY} connect=[ms] service=[ms] status=200 bytes=3 {END}"
        )
    );
}

#[test]
fn h17_when_the_answer_is_not_http() {
    for bytes in [
        &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let house = house();
        let process = Process::raw(move |mut wire| {
            wire.head();
            wire.send(bytes);
            wire.head();
        });
        house.route(&[&process]);
        let line = format!(
            "at=error code=H17 desc=\"Poorly formatted HTTP response\" {SOMEBODY} connect=[ms] service=[ms] status=503 bytes=0 {END}"
        );
        check(&ask_in(house, &get()), 503, &line);
    }
}

#[test]
fn h18_when_the_process_breaks_off() {
    let house = house();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    });
    house.route(&[&process]);
    let Outcome { response, line } = ask_in(house, &get());
    assert_eq!((response.status(), response.text().as_str()), (200, "abc[broken off]"));
    let what = "sock=backend at=error code=H18 desc=\"Server Request Interrupted\"";
    assert_eq!(
        steady(&line),
        format!("{what} {SOMEBODY} connect=[ms] service=[ms] status=200 bytes=3 {END}")
    );
    let house = self::house();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nContent-");
    });
    house.route(&[&process]);
    let line = format!("{what} {SOMEBODY} connect=[ms] service=[ms] status=503 bytes=0 {END}");
    check(&ask_in(house, &get()), 503, &line);
}

/// An address where connections are neither accepted nor refused: a listener whose queue is full.
fn deaf() -> (TcpListener, SocketAddr, Vec<socket2::Socket>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("bound");
    socket.listen(0).expect("listens");
    let listener: TcpListener = socket.into();
    let address = listener.local_addr().expect("bound");
    let fill = (0..4).map(|_| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("set");
        socket.connect(&address.into()).ok();
        socket
    });
    let fill = fill.collect();
    (listener, address, fill)
}

#[test]
fn h19_when_the_process_does_not_accept_in_time() {
    let house = house();
    let (_listener, address, _fill) = deaf();
    let mut route = app(Gate::Running, &[]);
    route.processes.push(routed(1, address));
    house.publish(vec![route], Vec::new());
    let line = format!(
        "at=error code=H19 desc=\"Backend connection timeout\" {SOMEBODY} connect=[ms] service= status=503 bytes= {END}"
    );
    check(&ask_in(house, &get()), 503, &line);
}

#[test]
fn h20_when_the_app_does_not_start_in_time() {
    let house = house();
    house.publish(vec![app(Gate::Starting, &[])], Vec::new());
    let line = format!("at=error code=H20 desc=\"App boot timeout\" {NOBODY} status=503 bytes= {END}");
    check(&ask_in(house, &get()), 503, &line);
}

#[test]
fn h21_when_every_process_refuses() {
    let house = house();
    let process = Process::hello();
    house.route(&[&process]);
    process.close();
    let line = format!(
        "at=error code=H21 desc=\"Backend connection refused\" {SOMEBODY} connect=[ms] service= status=503 bytes= {END}"
    );
    check(&ask_in(house, &get()), 503, &line);
}

#[test]
fn h24_when_the_router_ends_first() {
    let house = house();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while wire.stream.write_all(b"1\r\nx\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(get().as_bytes());
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    let lines = house.end();
    assert!(lines[0].starts_with("at=error code=H24 desc=\"Forced close\" method=GET"), "{lines:?}");
    assert!(lines[0].contains(" status= bytes="), "{lines:?}");
}

#[test]
fn h25_when_a_response_is_risky() {
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1024 * 1024));
    let cases = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_owned(),
            "invalid content length",
        ),
        (large, "oversized header"),
    ];
    for (bytes, what) in cases {
        let house = house();
        let process = Process::raw(move |mut wire| {
            wire.head();
            wire.stream.write_all(bytes.as_bytes()).ok();
            wire.head();
        });
        house.route(&[&process]);
        let line = format!(
            "at=error code=H25 desc=\"HTTP restriction: {what}\" {SOMEBODY} connect=[ms] service=[ms] status=502 bytes=0 {END}"
        );
        check(&ask_in(house, &get()), 502, &line);
    }
}

#[test]
fn h26_when_the_request_is_at_fault() {
    let post = |rest: &str| format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\n{rest}");
    let cases = [
        (post("Expect: a-miracle\r\nContent-Length: 1\r\n\r\n"), "unsupported expect header value", 417),
        (post("Connection: ,\r\n\r\n"), "bad header", 400),
        (post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), "ambiguous content length", 400),
    ];
    for (request, cause, status) in cases {
        let house = house();
        let process = Process::hello();
        house.route(&[&process]);
        let line = format!(
            "at=error code=H26 desc=\"Request Error\" cause=\"{cause}\" {NOBODY} status={status} bytes= {END}"
        );
        check(&ask_in(house, &request), status, &line.replace("GET", "POST"));
        assert_eq!(process.connections(), 0);
    }
}

#[test]
fn h26_when_a_chunk_is_bad() {
    let house = house();
    let process = Process::http(|_| respond(200, b"never"));
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(
        format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            .as_bytes(),
    );
    until("the request is under way", || process.requests() == 1);
    wire.send(b"nonsense\r\n");
    let response = wire.response();
    let line = house.end().remove(0);
    let expected = format!(
        "at=error code=H26 desc=\"Request Error\" cause=\"bad chunk\" {SOMEBODY} connect=[ms] service=[ms] status=400 bytes=0 {END}"
    );
    check(&Outcome { response, line }, 400, &expected.replace("GET", "POST"));
}

#[test]
fn h27_when_the_client_leaves() {
    let house = house();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        assert!(wire.is_closed(), "the process hears of it");
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(get().as_bytes());
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    drop(wire);
    until("the request is over", || house.in_flight(&process) == 0);
    let line = house.end().remove(0);
    let what = "sock=client at=warning code=H27 desc=\"Client Request Interrupted\"";
    assert_eq!(
        steady(&line),
        format!("{what} {SOMEBODY} connect=[ms] service=[ms] status=499 bytes=3 {END}")
    );
}

#[test]
fn h28_when_the_client_takes_nothing() {
    let house = house();
    let process = Process::raw(|mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65536], b"\r\n"].concat();
        while wire.stream.write_all(&chunk).is_ok() {}
    });
    house.route(&[&process]);
    let mut wire = house.connect();
    wire.send(get().as_bytes());
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    until("the router gives up", || house.in_flight(&process) == 0);
    drop(wire);
    let line = house.end().remove(0);
    assert!(line.starts_with("at=warning code=H28 desc=\"Client Connection Idle\" method=GET"), "{line}");
    assert!(line.contains(" status=499 "), "{line}");
}

#[test]
fn h99_when_there_is_no_table_yet() {
    let house = house();
    let response = house.get("/");
    assert_eq!((response.status(), response.text().contains("H99")), (503, true));
    assert_eq!(house.end(), Vec::<String>::new(), "there is no app whose log it could go to");
}

#[test]
fn an_ordinary_request_leaves_an_ordinary_line() {
    let house = house();
    let process = Process::http(|_| respond(404, b"not here"));
    house.route(&[&process]);
    let request =
        format!("GET /x?q=1 HTTP/1.1\r\nHost: {HOST}:8080\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\r\n\r\n");
    let Outcome { line, .. } = ask_in(house, &request);
    let who = "method=GET path=\"/x?q=1\" host=app.test request_id=[uuid] fwd=\"9.9.9.9,8.8.8.8,127.0.0.1\" dyno=web.[n]";
    assert_eq!(steady(&line), format!("at=info {who} connect=[ms] service=[ms] status=404 bytes=8 {END}"));
}
