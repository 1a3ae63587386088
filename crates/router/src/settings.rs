//! What a router is told when it starts. The `cli` crate reads the environment and fills these; nothing here reads it.

use domain::ids::{RouterId, WriterId};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that one router instance needs.
#[derive(Debug)]
pub struct RouterSettings {
    pub router: RouterId,
    /// `DATA/run/router/<router id>`: holds `ctl` and `lock`. Made here if it is missing.
    pub control_dir: PathBuf,
    /// `DATA/routes/table.json`. The folder must exist; the file may come later.
    pub table: PathBuf,
    pub listeners: Vec<ListenerSettings>,
    /// One runtime each.
    pub threads: NonZeroUsize,
    /// One per thread, or none to write no access log.
    pub journals: Vec<JournalSettings>,
    /// Users who may speak to the control socket.
    pub control_uids: Vec<u32>,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub(crate) draining: Draining,
}

/// Where requests come in.
#[derive(Debug)]
pub enum ListenerSettings {
    /// Bind here, once per thread, with `SO_REUSEPORT`.
    Bind(SocketAddr),
    /// Already bound by somebody with the right to (ports below 1024); every thread accepts on a duplicate.
    Inherited(TcpListener),
}

/// Where one thread's access lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    pub writer: WriterId,
    /// `DATA/logs/<writer uuid>`.
    pub dir: PathBuf,
}

/// Whether processes are let go gently. Only the load test that proves the drain's worth turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draining {
    Counted,
    #[cfg(feature = "test-hooks")]
    Ignored,
}

/// How long the router waits for what. The defaults are Heroku's where Heroku has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// A process must accept a connection in this time (H19).
    pub connect: Duration,
    /// From the whole request sent to the response's first byte (H12).
    pub first_byte: Duration,
    /// Without a byte either way: rolling, in requests and responses (H15, H28) and in upgraded connections.
    pub idle: Duration,
    /// A request's head waits this long for a process to start (H20).
    pub boot: Duration,
    /// A request's head waits this long while every process of a running app refuses connections (H19, H21).
    pub unreachable: Duration,
    /// A process that refused a connection is passed over for this long while others are there.
    pub quarantine: Duration,
    /// A client may keep a connection open between requests.
    pub keep_alive: Duration,
    /// A request's head must arrive in this time, counted from its first byte.
    pub head: Duration,
    /// A connection to a process is kept open between requests. Shorter than the 5 s after which Node.js closes it.
    pub pooled: Duration,
    /// A request that must not be repeated takes a kept connection only if it was used within this time.
    pub pooled_fresh: Duration,
    /// A client that asked `Expect: 100-continue` is told to go on after this time if the process says nothing.
    pub expect: Duration,
    /// After the last response on a connection, unread request bytes are taken in for this long, so that the client sees the response.
    pub linger: Duration,
    /// When the router stops: requests in flight may finish in this time.
    pub shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
            boot: Duration::from_secs(75),
            unreachable: Duration::from_secs(30),
            quarantine: Duration::from_secs(5),
            keep_alive: Duration::from_secs(90),
            head: Duration::from_secs(30),
            pooled: Duration::from_secs(4),
            pooled_fresh: Duration::from_secs(1),
            expect: Duration::from_secs(1),
            linger: Duration::from_secs(2),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// How much of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests that may wait for an app, for each of its processes, and for one if it has none (H11 beyond).
    pub waiting_per_process: u32,
    /// Idle connections kept per process and thread.
    pub pooled_per_process: usize,
    /// Client connections per thread; more wait in the listener's queue.
    pub connections_per_thread: usize,
    /// Processes tried in one round before the request waits.
    pub processes_tried: usize,
}

impl Limits {
    /// How many requests may wait for an app that has `processes` routed (H11 beyond): never fewer than one process's share.
    pub(crate) fn waiting(&self, processes: usize) -> u32 {
        let processes = u32::try_from(processes.max(1)).unwrap_or(u32::MAX);
        self.waiting_per_process.saturating_mul(processes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting_per_process: 50,
            pooled_per_process: 32,
            connections_per_thread: 16_384,
            processes_tried: 10,
        }
    }
}

impl RouterSettings {
    /// Settings with Heroku's timeouts, one thread, no access log and no one allowed at the control socket.
    pub fn new(router: RouterId, control_dir: PathBuf, table: PathBuf) -> Self {
        Self {
            router,
            control_dir,
            table,
            listeners: Vec::new(),
            threads: NonZeroUsize::MIN,
            journals: Vec::new(),
            control_uids: Vec::new(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            draining: Draining::Counted,
        }
    }

    /// Makes this router let go of processes at once: kept connections stay open, nothing counts as in flight. For the test that
    /// must then see failed requests.
    #[cfg(feature = "test-hooks")]
    pub fn without_draining(mut self) -> Self {
        self.draining = Draining::Ignored;
        self
    }
}
