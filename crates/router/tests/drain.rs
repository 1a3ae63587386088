//! The promise of draining: once the router says that a process is not routed and has nothing in flight, it may be killed, and no request
//! notices. Tried under load, with tables swapped as fast as the drain allows.

mod kit;

use kit::{HOST, House, Process, Wire, app, draining, respond, short_timeouts, until};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CLIENTS: usize = 8;

/// What the clients saw.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    failed: AtomicUsize,
    stop: AtomicBool,
}

/// Asks until told to stop: on kept connections and new ones, quick answers and slow ones, with bodies and without.
fn ask_on(address: SocketAddr, tally: &Tally, client: usize) {
    let mut kept = None::<Wire>;
    for round in client.. {
        if tally.stop.load(Ordering::SeqCst) {
            return;
        }
        let mut wire = kept.take().unwrap_or_else(|| Wire::connect(address));
        let path = if round % 7 == 0 { "/slow" } else { "/quick" };
        let request = match round % 3 {
            0 => format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nabcde"),
            _ => format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        };
        wire.send(request.as_bytes());
        let response = wire.response();
        let good = response.status() == 200 && response.text() == path;
        let counter = if good { &tally.answered } else { &tally.failed };
        counter.fetch_add(1, Ordering::SeqCst);
        kept = (round % 2 == 0 && good).then_some(wire);
    }
}

fn process() -> Process {
    Process::http(|request| {
        if request.path() == "/slow" {
            std::thread::sleep(Duration::from_millis(60));
        }
        respond(200, request.path().as_bytes())
    })
}

/// Replaces processes under load; each is killed as soon as the router says that it may be. Returns (answered, failed).
fn replace_under_load(house: &House, swaps: usize) -> (usize, usize) {
    let tally = Arc::new(Tally::default());
    let mut routed: VecDeque<Process> = (0..3).map(|_| process()).collect();
    house.route(&routed.iter().collect::<Vec<_>>());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (tally, address) = (Arc::clone(&tally), house.address);
            std::thread::spawn(move || ask_on(address, &tally, client))
        })
        .collect();
    for _ in 0..swaps {
        let old = routed.pop_front().expect("three");
        routed.push_back(process());
        let apps = vec![app(domain::route::Gate::Running, &routed.iter().collect::<Vec<_>>())];
        let generation = house.write(apps, vec![draining(&old)]);
        until("the old process is drained", || {
            let status = house.status().status;
            let held = status.held.iter().find(|held| held.process == old.id);
            status.loaded >= Some(generation) && held.is_none_or(|held| !held.routed && held.in_flight == 0)
        });
        old.kill();
    }
    tally.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("no panic");
    }
    (tally.answered.load(Ordering::SeqCst), tally.failed.load(Ordering::SeqCst))
}

#[test]
fn no_request_is_lost_when_drained_processes_are_killed() {
    let house = House::start();
    let (answered, failed) = replace_under_load(&house, 60);
    assert!(answered > 500, "there was load: {answered}");
    assert_eq!(failed, 0, "of {answered}");
    let lines = house.end();
    assert!(lines.iter().all(|line| line.starts_with("at=info ")), "{lines:?}");
    assert_eq!(lines.len(), answered, "each request left its line");
}

/// The same without draining must lose requests: else the test above shows nothing.
#[cfg(feature = "test-hooks")]
#[test]
fn requests_are_lost_without_draining() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::try_start(
        dir,
        |settings| settings.timeouts = short_timeouts(),
        router::RouterSettings::without_draining,
    );
    let (answered, failed) = replace_under_load(&house, 60);
    assert!(failed > 0, "of {answered}");
}

#[test]
fn idle_connections_to_an_unrouted_process_are_closed() {
    let house = House::start();
    let (old, new) = (Process::raw(serve_and_wait_for_the_end), Process::hello());
    house.route(&[&old]);
    for _ in 0..4 {
        assert_eq!(house.get("/").status(), 200);
    }
    assert!(ENDED.load(Ordering::SeqCst) < old.connections(), "they are kept while the process is routed");
    house.route(&[&new]);
    until("the process sees the end of every connection", || {
        ENDED.load(Ordering::SeqCst) == old.connections()
    });
    assert_eq!(house.status().status.held.len(), 1);
}

static ENDED: AtomicUsize = AtomicUsize::new(0);

fn serve_and_wait_for_the_end(mut wire: Wire) {
    while !wire.head().is_empty() {
        wire.send(&respond(200, b"kept"));
    }
    ENDED.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_long_answer_is_finished_by_a_process_that_is_not_routed_any_more() {
    let house = House::start_with(|settings| settings.timeouts.idle = short_timeouts().idle);
    let go_on = Arc::new(AtomicBool::new(false));
    let wait = Arc::clone(&go_on);
    let old = Process::raw(move |mut wire| {
        wire.head();
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlong\r\n");
        while !wait.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(100));
            wire.send(b"1\r\n.\r\n");
        }
        wire.send(b"4\r\ndone\r\n0\r\n\r\n");
    });
    let new = Process::hello();
    house.route(&[&old]);
    let mut wire = house.connect();
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    wire.head();
    house.route(&[&new]);
    for _ in 0..10 {
        assert!(house.get("/").text().starts_with("hello"), "new requests go to the new process");
        assert_eq!(house.in_flight(&old), 1);
    }
    go_on.store(true, Ordering::SeqCst);
    let text = String::from_utf8(wire.chunked()).expect("text");
    assert!(text.starts_with("long") && text.ends_with("done"), "{text}");
    until("it is free", || house.in_flight(&old) == 0);
}

#[test]
fn an_upload_under_way_counts_until_its_last_byte() {
    let house = House::start();
    let (old, new) = (Process::http(|request| respond(200, &request.body)), Process::hello());
    house.route(&[&old]);
    let mut wire = house.connect();
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 6\r\n\r\nabc").as_bytes());
    until("the upload is under way", || house.in_flight(&old) == 1);
    house.route(&[&new]);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(house.in_flight(&old), 1);
    wire.send(b"def");
    assert_eq!(wire.response().text(), "abcdef");
    until("it is free", || house.in_flight(&old) == 0);
}
