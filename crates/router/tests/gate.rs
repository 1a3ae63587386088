//! Requests that wait, and what lets them go.

mod kit;

use domain::route::Gate;
use kit::{HOST, House, Process, Wire, app, respond, short_timeouts, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn send_get(house: &House) -> Wire {
    let mut wire = house.connect();
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    wire
}

/// Whether nothing has come for a while.
fn is_waiting(wire: &mut Wire) -> bool {
    wire.stream.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    let silent = wire.head().is_empty();
    wire.stream.set_read_timeout(Some(kit::PATIENCE)).expect("set");
    silent
}

#[test]
fn requests_wait_for_a_starting_app_and_go_when_it_is_up() {
    let house = House::start();
    house.publish(vec![app(Gate::Starting, &[])], Vec::new());
    let mut waiting: Vec<_> = (0..20).map(|_| send_get(&house)).collect();
    let mut upload = house.connect();
    upload.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nabcde").as_bytes());
    assert!(is_waiting(&mut waiting[0]) && is_waiting(&mut upload));
    let process = Process::http(|request| respond(200, &request.body));
    // By the file alone: the router watches it.
    house.write(vec![app(Gate::Running, &[&process])], Vec::new());
    assert!(waiting.iter_mut().all(|wire| wire.response().status() == 200));
    assert_eq!(upload.response().text(), "abcde");
    let lines = house.end();
    assert!(
        lines.iter().all(|line| line.starts_with("at=info method=") && !line.contains("connect=0ms")),
        "{lines:?}"
    );
}

#[test]
fn requests_that_wait_get_what_the_next_table_says() {
    for (gate, code) in [(Gate::Crashed, "H10"), (Gate::Maintenance, "H80")] {
        let house = House::start();
        house.publish(vec![app(Gate::Starting, &[])], Vec::new());
        let mut wire = send_get(&house);
        assert!(is_waiting(&mut wire));
        house.publish(vec![app(gate, &[])], Vec::new());
        assert!(wire.response().text().contains(code));
        let mut wire = send_get(&house);
        assert!(wire.response().text().contains(code));
    }
    let house = House::start();
    house.publish(vec![app(Gate::Starting, &[])], Vec::new());
    let mut wire = send_get(&house);
    assert!(is_waiting(&mut wire));
    house.publish(Vec::new(), Vec::new());
    assert_eq!(wire.response().status(), 404, "the app is gone");
}

#[test]
fn a_crash_is_bridged_until_the_successor_is_routed() {
    let house = House::start();
    let first = Process::http(|_| b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec());
    house.route(&[&first]);
    assert_eq!(house.get("/").status(), 200);
    first.close();
    let mut waiting: Vec<_> = (0..5).map(|_| send_get(&house)).collect();
    assert!(is_waiting(&mut waiting[0]), "nobody is told of the crash while it may be over soon");
    house.publish(vec![app(Gate::Starting, &[])], Vec::new());
    assert!(is_waiting(&mut waiting[1]));
    let second = Process::hello();
    house.route(&[&second]);
    assert!(waiting.iter_mut().all(|wire| wire.response().status() == 200));
    assert_eq!(second.requests(), 5);
}

#[test]
fn a_process_that_refuses_is_passed_over() {
    let house = House::start_with(|settings| settings.timeouts = short_timeouts());
    let (dead, alive) = (Process::hello(), Process::hello());
    dead.close();
    house.route(&[&dead, &alive]);
    for _ in 0..40 {
        assert_eq!(house.get("/").status(), 200);
    }
    assert_eq!(alive.requests(), 40);
}

#[test]
fn a_process_that_hangs_up_on_new_connections_is_passed_over_too() {
    let house = House::start_with(|settings| settings.timeouts = short_timeouts());
    let hangs_up = Process::raw(drop);
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    let good = Process::http(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        respond(200, b"good")
    });
    house.route(&[&hangs_up, &good]);
    // Whether the hang-up comes before or after the request was sent is chance: only the former may be tried again.
    let statuses: Vec<_> = (0..40).map(|_| house.get("/").status()).collect();
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    let good_answers = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(good_answers, served.load(Ordering::SeqCst), "no request was answered twice");
}

#[test]
fn a_client_that_leaves_makes_room() {
    let house = House::start_with(|settings| settings.limits.waiting_per_process = 2);
    house.publish(vec![app(Gate::Starting, &[])], Vec::new());
    let (mut first, second) = (send_get(&house), send_get(&house));
    assert!(is_waiting(&mut first));
    let mut third = send_get(&house);
    assert!(third.response().text().contains("H11"));
    drop(second);
    until("there is room again", || is_waiting(&mut send_get(&house)));
}
