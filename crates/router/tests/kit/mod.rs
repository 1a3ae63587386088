//! A house for router tests: a real router on a port of its own, real processes (small servers in threads), raw sockets as clients.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod client;
mod process;

pub use client::{BodyRule, Response, Wire};
pub use process::{Process, respond};

use domain::endpoint::Endpoint;
use domain::ids::{AppId, ProcessId, RouterId, WriterId};
use domain::route::{AppRoute, DrainingProcess, Gate, Generation, RouteTable, RoutedProcess};
use domain::time::BootMillis;
use journal::{Event, SegmentReader};
use router::{JournalSettings, ListenerSettings, Report, Router, RouterSettings, Timeouts};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Long enough for anything that must happen on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const HOST: &str = "app.test";
pub const APP: AppId = AppId::from_u128(0xa);

/// A running router with its folders.
pub struct House {
    pub dir: tempfile::TempDir,
    router: Option<Router>,
    pub address: SocketAddr,
    generation: AtomicU64,
    threads: usize,
}

/// Everything short, so that what must time out does so soon; long enough not to do so by accident.
pub fn short_timeouts() -> Timeouts {
    let millis = Duration::from_millis;
    Timeouts {
        connect: millis(500),
        first_byte: millis(600),
        idle: millis(700),
        boot: millis(800),
        unreachable: millis(800),
        quarantine: millis(300),
        linger: millis(300),
        shutdown: millis(1500),
        head: millis(700),
        keep_alive: millis(700),
        ..Timeouts::default()
    }
}

impl House {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut RouterSettings)) -> Self {
        Self::try_start(tempfile::tempdir().expect("a folder"), change, |settings| settings)
    }

    pub fn try_start(
        dir: tempfile::TempDir,
        change: impl FnOnce(&mut RouterSettings),
        finish: impl FnOnce(RouterSettings) -> RouterSettings,
    ) -> Self {
        let id = RouterId::from_u128(7);
        let routes = dir.path().join("routes");
        std::fs::create_dir_all(&routes).expect("a folder");
        let mut settings = RouterSettings::new(id, control_dir(dir.path()), routes.join("table.json"));
        settings.threads = NonZeroUsize::new(2).expect("two");
        settings.listeners = vec![ListenerSettings::Bind("127.0.0.1:0".parse().expect("an address"))];
        settings.control_uids = vec![rustix::process::geteuid().as_raw()];
        change(&mut settings);
        let threads = settings.threads.get();
        settings.journals = (0..threads).map(|thread| journal(dir.path(), thread)).collect();
        let router = Router::start(finish(settings)).expect("the router starts");
        let address = router.addresses()[0];
        Self { dir, router: Some(router), address, generation: AtomicU64::new(0), threads }
    }

    pub fn routes(&self) -> PathBuf {
        self.dir.path().join("routes/table.json")
    }

    pub fn control(&self) -> PathBuf {
        control_dir(self.dir.path())
    }

    /// Puts a table in force, and returns once the router says so.
    pub fn publish(&self, apps: Vec<AppRoute>, draining: Vec<DrainingProcess>) -> Generation {
        let generation = self.write(apps, draining);
        let report = router::client::load(&self.control(), PATIENCE).expect("the router answers");
        assert_eq!(report.refused, None);
        assert!(report.status.loaded >= Some(generation), "{report:?}");
        generation
    }

    /// Writes a table and leaves the rest to the router's own watch.
    pub fn write(&self, apps: Vec<AppRoute>, draining: Vec<DrainingProcess>) -> Generation {
        let counter = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        let generation = Generation { epoch: 1, counter };
        let table = RouteTable { apps, draining, ..RouteTable::empty(generation) };
        self.write_text(&serde_json::to_string(&table).expect("it serialises"));
        generation
    }

    pub fn write_text(&self, text: &str) {
        let next = self.routes().with_extension("next");
        std::fs::write(&next, text).expect("written");
        std::fs::rename(next, self.routes()).expect("renamed");
    }

    /// Routes the one app of most tests to these processes.
    pub fn route(&self, processes: &[&Process]) -> Generation {
        self.publish(vec![app(Gate::Running, processes)], Vec::new())
    }

    pub fn status(&self) -> Report {
        router::client::status(&self.control(), PATIENCE).expect("the router answers")
    }

    pub fn in_flight(&self, process: &Process) -> u32 {
        let held = self.status().status.held.into_iter().find(|held| held.process == process.id);
        held.map_or(0, |held| held.in_flight)
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// One request on a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        let mut wire = self.connect();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
        wire.response()
    }

    pub fn router(&self) -> &Router {
        self.router.as_ref().expect("it runs")
    }

    /// Ends the router; returns the access lines, in order of time.
    pub fn end(mut self) -> Vec<String> {
        let router = self.router.take().expect("it runs");
        router.stop();
        router.join().expect("an orderly end");
        let mut lines = Vec::new();
        for thread in 0..self.threads {
            lines.extend(read_lines(self.dir.path(), thread));
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(router) = self.router.take() {
            router.stop();
        }
    }
}

fn control_dir(dir: &Path) -> PathBuf {
    dir.join("run/router/00000000-0000-0000-0000-000000000007")
}

fn journal(dir: &Path, thread: usize) -> JournalSettings {
    let writer = WriterId::from_u128(100 + thread as u128);
    let dir = dir.join("logs").join(writer.to_string());
    std::fs::create_dir_all(&dir).expect("a folder");
    JournalSettings { writer, dir }
}

fn read_lines(dir: &Path, thread: usize) -> Vec<(u64, String)> {
    let JournalSettings { writer, dir } = journal(dir, thread);
    let mut reader = SegmentReader::from_start(dir, writer);
    let mut lines = Vec::new();
    loop {
        match reader.next_event().expect("a readable journal") {
            Event::Frame { frame, .. } => {
                assert_eq!((frame.name, frame.app), ("router", APP));
                let text = String::from_utf8(frame.payload.to_vec()).expect("text");
                lines.push((frame.stamp.wall_micros, text));
            }
            Event::Idle => return lines,
            Event::SegmentEnd { .. } => {}
            other => panic!("damage in the journal: {other:?}"),
        }
    }
}

/// The one app of most tests.
pub fn app(gate: Gate, processes: &[&Process]) -> AppRoute {
    AppRoute {
        app: APP,
        name: "app".parse().expect("a name"),
        hosts: vec![HOST.parse().expect("a host")],
        gate,
        processes: processes.iter().map(|process| process.routed()).collect(),
    }
}

pub fn routed(id: u128, address: SocketAddr) -> RoutedProcess {
    RoutedProcess {
        process: ProcessId::from_u128(id),
        name: format!("web.{id}"),
        endpoint: Endpoint(address),
    }
}

pub fn draining(process: &Process) -> DrainingProcess {
    DrainingProcess { app: APP, process: process.id, endpoint: process.endpoint(), since: BootMillis(0) }
}

/// Waits until something is so; the test fails if it never is.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "never came to be: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
