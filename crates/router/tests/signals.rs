//! A router as a process of its own, ended by a signal. The process is this test's own program, told to be a router.

mod kit;

use domain::ids::RouterId;
use domain::route::Gate;
use kit::{HOST, PATIENCE, Process, Wire, app, respond, until};
use router::{ListenerSettings, RouterSettings};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DIR: &str = "ROUTER_TEST_DIR";
const ADDRESS: &str = "ROUTER_TEST_ADDRESS";

/// Not a test: what the child runs. Without a parent's word it does nothing.
#[test]
fn be_a_router_if_told_to() {
    let Ok(dir) = std::env::var(DIR).map(PathBuf::from) else { return };
    let address = std::env::var(ADDRESS).expect("set by the parent");
    let mut settings =
        RouterSettings::new(RouterId::from_u128(1), dir.join("control"), dir.join("table.json"));
    settings.listeners = vec![ListenerSettings::Bind(address.parse().expect("an address"))];
    router::run(settings).expect("an orderly end");
}

struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn sigterm_lets_requests_finish_and_then_ends_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("bound");
    let go_on = Arc::new(AtomicBool::new(false));
    let wait = Arc::clone(&go_on);
    let process = Process::http(move |_| {
        until("the router was told to stop", || wait.load(Ordering::SeqCst));
        respond(200, b"finished")
    });
    let table = domain::route::RouteTable {
        apps: vec![app(Gate::Running, &[&process])],
        ..domain::route::RouteTable::empty(domain::route::Generation { epoch: 1, counter: 1 })
    };
    std::fs::write(dir.path().join("table.json"), serde_json::to_string(&table).expect("it serialises"))
        .expect("written");
    let mut child = Command::new(std::env::current_exe().expect("known"));
    child.args(["--exact", "be_a_router_if_told_to"]).env(DIR, dir.path()).env(ADDRESS, address.to_string());
    let mut child = Reaped(child.spawn().expect("started"));
    until("it listens", || std::net::TcpStream::connect(address).is_ok());
    let mut wire = Wire::connect(address);
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    until("the request is under way", || process.requests() == 1);
    kill_process(Pid::from_child(&child.0), Signal::TERM).expect("sent");
    until("it does not accept any more", || std::net::TcpStream::connect(address).is_err());
    assert!(child.0.try_wait().expect("known").is_none(), "it waits for what is in flight");
    go_on.store(true, Ordering::SeqCst);
    assert_eq!(wire.response().text(), "finished");
    let mut status = None;
    until("it has ended", || {
        status = child.0.try_wait().expect("known");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{status:?} {PATIENCE:?}");
    assert!(!dir.path().join("control").exists(), "nothing is left behind");
}
