//! Answers in pieces, in time and out of it, and what checks make of them.

use super::*;
use crate::spec::tests::example;
use domain::endpoint::Endpoint;
use rustix::event::{PollFd, poll};
use std::io::{Read, Write};
use std::net::TcpListener;

const NOT_YET: &str = "HTTP/1.1 503 Not Yet\r\nContent-Length: 5\r\n\r\nsoon\n";

fn check(kind: CheckKind, probe: Probe) -> HealthCheck {
    HealthCheck {
        name: kind.as_word().to_owned(),
        kind,
        probe,
        attempts: 2,
        timeout_seconds: 5,
        wait_seconds: 3,
        initial_delay_seconds: 1,
    }
}

fn http(kind: CheckKind) -> HealthCheck {
    check(kind, Probe::Http { path: "/h".to_owned(), port: None, headers: vec![], content: None })
}

fn health(endpoint: SocketAddr, checks: Vec<HealthCheck>) -> Health {
    Health::new(&ProcessSpec { endpoint: Some(Endpoint(endpoint)), health_checks: checks, ..example(1) })
}

/// A server that gives these answers, one a connection, each after the request has come whole.
fn answering(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            assert!(request.starts_with(b"GET /h HTTP/1.1\r\nHost: 127.0.0.1:"));
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// Turns the loop until nothing is under way any more, at a time that stands still.
fn settle(health: &mut Health, now: BootMillis) -> Vec<Change> {
    let mut changes = health.tick(now);
    loop {
        let Some(place) = until_ready(health) else { return changes };
        changes.extend(health.advance(place, now, &mut [0; 100]));
    }
}

/// The place of the check whose socket is ready first.
fn until_ready(health: &Health) -> Option<usize> {
    let (place, socket, flags) = health.sockets().next()?;
    poll(&mut [PollFd::new(socket, flags)], None).unwrap();
    Some(place)
}

#[test]
fn a_start_is_over_when_every_startup_check_has_passed() {
    let address = answering(&[NOT_YET, "HTTP/1.1 200 OK\r\n\r\n"]);
    let listening = check(CheckKind::Startup, Probe::Listening { port: Some(address.port()) });
    let uptime = check(CheckKind::Startup, Probe::Uptime { seconds: 4 });
    let mut health = health(address, vec![http(CheckKind::Startup), uptime]);
    health.accepts(BootMillis(0), BootMillis(0));
    assert_eq!(health.due_at(), Some(BootMillis(1_000)), "the initial delay");
    assert_eq!(settle(&mut health, BootMillis(999)), []);
    assert_eq!(settle(&mut health, BootMillis(1_000)), []);
    assert_eq!(health.due_at(), Some(BootMillis(4_000)), "the wait after the first failure");
    assert!(!health.has_started());
    assert_eq!(settle(&mut health, BootMillis(4_000)), [Change::Started]);
    assert!(health.has_started() && health.due_at().is_none());
    let second = TcpListener::bind(address.to_string().replace("127.0.0.1", "127.0.0.2")).unwrap();
    let mut connects = self::health(second.local_addr().unwrap(), vec![listening]);
    connects.accepts(BootMillis(0), BootMillis(0));
    assert_eq!(settle(&mut connects, BootMillis(1_000)), [Change::Started]);
}

#[test]
fn a_startup_check_that_fails_is_told_once_with_what_was_asked() {
    let address = answering(&[NOT_YET, NOT_YET]);
    let mut health = health(address, vec![http(CheckKind::Startup)]);
    health.accepts(BootMillis(0), BootMillis(0));
    assert_eq!(settle(&mut health, BootMillis(1_000)), []);
    let changes = settle(&mut health, BootMillis(4_000));
    let [Change::Failed(failed)] = changes.as_slice() else { panic!("it failed: {changes:?}") };
    assert_eq!(
        failed.to_string(),
        format!(
            "startup check \"startup\" failed 2 times in a row: GET http://{address}/h: 503 Not Yet: soon"
        )
    );
    assert_eq!(health.due_at(), None);
}

#[test]
fn nobody_there_and_nobody_answering_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut deaf = health(address, vec![HealthCheck { attempts: 1, ..http(CheckKind::Liveness) }]);
    deaf.up(BootMillis(0), BootMillis(500));
    assert_eq!(deaf.tick(BootMillis(1_000)), []);
    let place = until_ready(&deaf).unwrap();
    assert_eq!(deaf.advance(place, BootMillis(1_001), &mut [0; 100]), None);
    assert_eq!(deaf.tick(BootMillis(5_999)), []);
    let told = format!("{:?}", deaf.tick(BootMillis(6_000)));
    assert!(told.contains("/h: no answer within 5 s"), "{told}");
    drop(listener);
    let mut absent = health(address, vec![HealthCheck { attempts: 1, ..http(CheckKind::Liveness) }]);
    absent.up(BootMillis(0), BootMillis(500));
    let told = format!("{:?}", settle(&mut absent, BootMillis(1_000)));
    assert!(told.contains("/h: connection refused"), "{told}");
}

#[test]
fn readiness_changes_are_told_once_each() {
    const GOOD: &str = "HTTP/1.1 200 OK\r\n\r\n";
    const BAD: &str = "HTTP/1.1 500 Oh\r\n\r\n";
    let mut health = health(answering(&[GOOD, BAD, BAD, BAD, GOOD, GOOD]), vec![http(CheckKind::Readiness)]);
    health.up(BootMillis(0), BootMillis(2_000));
    let mut told = Vec::new();
    for turn in 0..6 {
        told.push(settle(&mut health, BootMillis(2_000 + turn * 3_000)).into_iter().next());
    }
    assert!(matches!(told[2], Some(Change::Unready(_))), "{told:?}");
    assert_eq!(told[4], Some(Change::Ready { name: "readiness".to_owned() }));
    assert_eq!([&told[0], &told[1], &told[3], &told[5]], [&None; 4]);
    health.end();
    assert_eq!((health.due_at(), health.sockets().count()), (None, 0));
}

/// It has to fit into what is kept free for the end of a process, whatever an app answers and a path holds.
#[test]
fn a_problem_is_told_within_its_bound() {
    let check = |path: String| {
        let probe = Probe::Http { path, port: None, headers: vec![], content: None };
        Check::new(super::tests::check(CheckKind::Startup, probe), "127.0.0.1:80".parse().ok())
    };
    let (long, wide) = ("/".repeat(2048), "\u{1f600}".repeat(600));
    for (path, outcome) in [(&long, &wide), (&"/h".to_owned(), &wide), (&long, &"404 Not Found".to_owned())] {
        let told = check(path.clone()).problem(outcome);
        assert!(told.len() <= MAX_PROBLEM_BYTES && told.starts_with("GET http://127.0.0.1:80/"), "{told}");
    }
    let whole = check(long).problem("404 Not Found");
    assert!(whole.ends_with("...: 404 Not Found"), "{whole}");
    assert_eq!(check("/h".to_owned()).problem("404"), "GET http://127.0.0.1:80/h: 404");
}
