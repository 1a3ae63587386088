//! The control socket, and how the life of a router is seen from outside.

mod kit;

use domain::ids::RouterId;
use domain::observed::ObservedRouter;
use kit::{House, PATIENCE, Process, app, draining, until};
use router::client::{self, ControlError};
use router::{Activity, Router, RouterError, RouterSettings};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

fn root(house: &House) -> std::path::PathBuf {
    house.dir.path().join("run/router")
}

#[test]
fn status_tells_the_table_and_what_is_held() {
    let house = House::start();
    let report = house.status();
    assert_eq!((report.status.router, report.status.loaded), (RouterId::from_u128(7), None));
    assert_eq!((report.activity, report.refused, report.status.held.len()), (Activity::Serving, None, 0));
    let (a, b, c) = (Process::hello(), Process::hello(), Process::hello());
    let generation = house.publish(vec![app(domain::route::Gate::Running, &[&a, &b])], vec![draining(&c)]);
    let status = house.status().status;
    assert_eq!(status.loaded, Some(generation));
    let held: Vec<_> = status.held.iter().map(|held| (held.process, held.routed, held.in_flight)).collect();
    assert_eq!(held, [(a.id, true, 0), (b.id, true, 0), (c.id, false, 0)]);
}

#[test]
fn a_bad_table_leaves_the_good_one_in_force_and_is_told() {
    let house = House::start();
    let process = Process::hello();
    let generation = house.route(&[&process]);
    for (text, reason) in [("{", "cannot be understood"), (r#"{"format":9}"#, "has format 9")] {
        house.write_text(text);
        let report = client::load(&house.control(), PATIENCE).expect("an answer");
        assert!(report.refused.as_ref().is_some_and(|refused| refused.contains(reason)), "{report:?}");
        assert_eq!(report.status.loaded, Some(generation));
        assert_eq!(house.get("/").status(), 200);
    }
    let next = house.route(&[&process]);
    assert!(next > generation);
    assert_eq!(house.status().refused, None);
}

#[test]
fn a_table_is_noticed_without_a_nudge() {
    let house = House::start();
    let generation = house.write(Vec::new(), Vec::new());
    until("it is loaded", || house.status().status.loaded == Some(generation));
}

#[test]
fn only_those_who_may_are_answered() {
    let house = House::start_with(|settings| settings.control_uids = vec![12_345_678]);
    let refused = client::status(&house.control(), PATIENCE);
    assert!(matches!(refused, Err(ControlError::Answer { .. } | ControlError::Io { .. })), "{refused:?}");
    let observed = client::observe(&root(&house), PATIENCE).expect("observed");
    assert_eq!(observed, [ObservedRouter::Silent], "alive, and not speaking to us");
}

fn converse(house: &House, line: &[u8]) -> String {
    let mut stream = UnixStream::connect(house.control().join("ctl")).expect("connected");
    stream.write_all(line).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    answer
}

#[test]
fn nonsense_gets_an_answer_and_does_no_harm() {
    let house = House::start();
    let cases = [
        ("{}\n", "cannot be understood"),
        ("\n", "cannot be understood"),
        ("{\"format\":1,\"request\":\"explode\"}\n", "cannot be understood"),
        ("{\"format\":2,\"request\":\"status\"}\n", "control format 1, not 2"),
    ];
    for (line, reason) in cases {
        let answer = converse(&house, line.as_bytes());
        assert!(answer.contains("\"error\"") && answer.contains(reason), "{line}: {answer}");
    }
    assert!(converse(&house, &[b'x'; 100_000][..1024]).contains("error"));
    // Connections that say nothing do not keep others out for long.
    let silent: Vec<_> = (0..8).map(|_| UnixStream::connect(house.control().join("ctl"))).collect();
    assert_eq!(house.status().activity, Activity::Serving);
    drop(silent);
}

#[test]
fn drain_ends_the_router_in_order() {
    let house = House::start();
    let (control, root) = (house.control(), root(&house));
    assert_eq!(client::living(&root).expect("listed"), vec![control.clone()]);
    let report = client::drain(&control, PATIENCE).expect("an answer");
    assert_eq!(report.activity, Activity::Draining);
    house.end();
    assert!(!control.exists(), "nothing is left behind");
    assert_eq!(client::observe(&root, PATIENCE).expect("observed"), []);
}

#[test]
fn life_is_the_lock_and_nothing_else() {
    let house = House::start();
    let root = root(&house);
    let [ObservedRouter::Answered(status)] = &client::observe(&root, PATIENCE).expect("observed")[..] else {
        panic!("it answers")
    };
    assert_eq!(status.router, RouterId::from_u128(7));
    // The remains of one that was killed: files, and no lock held.
    let dead = root.join("00000000-0000-0000-0000-000000000008");
    std::fs::create_dir(&dead).expect("made");
    assert_eq!(client::observe(&root, PATIENCE).expect("observed").len(), 1);
    std::fs::write(dead.join("lock"), "").expect("written");
    assert_eq!(client::observe(&root, PATIENCE).expect("observed").len(), 1);
    // One that lives and has no ears.
    let lock = std::fs::File::open(dead.join("lock")).expect("opened");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let observed = client::observe(&root, Duration::from_millis(200)).expect("observed");
    assert!(observed.contains(&ObservedRouter::Silent) && observed.len() == 2, "{observed:?}");
    assert_eq!(client::observe(Path::new("/nowhere/at/all"), PATIENCE).expect("observed"), []);
}

#[test]
fn a_router_clears_away_what_dead_ones_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("run/router");
    let sibling = |number: u32| root.join(format!("00000000-0000-0000-0000-0000000000{number}"));
    for number in [11, 12] {
        std::fs::create_dir_all(sibling(number)).expect("made");
        std::fs::write(sibling(number).join("lock"), "").expect("written");
    }
    std::fs::write(sibling(11).join("ctl"), "").expect("written");
    std::fs::create_dir(root.join("something-else")).expect("made");
    let alive = std::fs::File::open(sibling(12).join("lock")).expect("opened");
    rustix::fs::flock(&alive, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let house = House::try_start(dir, |_| {}, |settings| settings);
    assert!(!sibling(11).exists(), "dead");
    assert!(sibling(12).exists() && root.join("something-else").exists(), "alive, and not ours");
    assert_eq!(client::living(&root).expect("listed").len(), 2);
    drop(house);
}

#[test]
fn two_routers_do_not_share_an_identity() {
    let house = House::start();
    let mut settings = RouterSettings::new(RouterId::from_u128(7), house.control(), house.routes());
    settings.listeners = vec![router::ListenerSettings::Bind("127.0.0.1:0".parse().expect("an address"))];
    assert!(matches!(Router::start(settings), Err(RouterError::Control(router::FolderError::Held { .. }))));
    assert_eq!(house.status().activity, Activity::Serving, "the first is not harmed");
}

#[test]
fn a_router_starts_while_others_look_at_its_lock() {
    let dir = tempfile::tempdir().expect("a folder");
    let control = dir.path().join("run/router/00000000-0000-0000-0000-000000000007");
    std::fs::create_dir_all(&control).expect("made");
    std::fs::write(control.join("lock"), "").expect("written");
    let lock = std::fs::File::open(control.join("lock")).expect("opened");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockShared).expect("locked");
    let letting_go = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(lock);
    });
    let house = House::try_start(dir, |_| {}, |settings| settings);
    letting_go.join().expect("no panic");
    assert_eq!(house.status().activity, Activity::Serving);
}

#[test]
fn a_deep_data_folder_is_no_obstacle() {
    let dir = tempfile::Builder::new().prefix(&"d".repeat(150)).tempdir().expect("a folder");
    let house = House::try_start(dir, |_| {}, |settings| settings);
    assert_eq!(house.status().activity, Activity::Serving);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings =
        || RouterSettings::new(RouterId::from_u128(1), dir.path().join("ctl"), dir.path().join("table.json"));
    assert!(matches!(Router::start(settings()), Err(RouterError::NoListener)));
    let mut taken = settings();
    let blocker = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    taken.listeners = vec![router::ListenerSettings::Bind(blocker.local_addr().expect("bound"))];
    assert!(matches!(Router::start(taken), Err(RouterError::Listen(_))));
}
