//! A router as a whole: what can fail is done first, then the threads start, and at the end everything is put away in order.

use crate::access_log::buffer::Buffer;
use crate::access_log::sink::Sink;
use crate::balance::Random;
use crate::control::{self, ControlFolder, FolderError};
use crate::listen::{ListenError, Listeners};
use crate::load::Loader;
use crate::settings::RouterSettings;
use crate::shared::{Shared, Stage};
use crate::supervisor::{QUESTIONS, Signals, Supervisor};
use crate::watch::FolderWatch;
use crate::worker::{self, WorkerParts};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Why a router cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    #[error("the router has no listener")]
    NoListener,
    #[error("{journals} journals were given for {threads} threads")]
    JournalCount { threads: usize, journals: usize },
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Control(#[from] FolderError),
    #[error("cannot open the access log")]
    AccessLog(#[from] journal::OpenError),
    #[error("cannot watch the folder of the route table {}", path.display())]
    Watch { path: PathBuf, source: io::Error },
    #[error("the system gives no random numbers: {reason}")]
    Random { reason: String },
    #[error("cannot start a thread")]
    Spawn { source: io::Error },
    #[error("cannot start the supervisor's runtime")]
    Runtime { source: io::Error },
    #[error("thread {index} ended with an error")]
    Thread { index: usize, source: io::Error },
    #[error("thread {index} has panicked")]
    Panicked { index: usize },
}

/// A router that runs on threads of its own, for programs that do more than route.
#[derive(Debug)]
pub struct Router {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), RouterError>>,
}

impl Router {
    /// Starts a router. It takes no signals; end it with [`Router::stop`].
    pub fn start(settings: RouterSettings) -> Result<Self, RouterError> {
        let prepared = Prepared::new(settings)?;
        let (addresses, shared) = (prepared.addresses.clone(), Arc::clone(&prepared.shared));
        let thread = std::thread::Builder::new()
            .name("router".into())
            .spawn(move || prepared.run(Signals::Ignored))
            .map_err(|source| RouterError::Spawn { source })?;
        Ok(Self { addresses, shared, thread })
    }

    /// Where it listens, in the order of the settings.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no new connections, and lets what is in flight finish within [`crate::Timeouts::shutdown`].
    pub fn stop(&self) {
        self.shared.stage.send_if_modified(|stage| {
            let serving = *stage == Stage::Serving;
            *stage = (*stage).max(Stage::Stopping);
            serving
        });
    }

    /// Waits for the router's end.
    pub fn join(self) -> Result<(), RouterError> {
        self.thread.join().unwrap_or(Err(RouterError::Panicked { index: usize::MAX }))
    }
}

/// Runs a router on this thread until SIGTERM or SIGINT, or `drain` on the control socket.
pub fn run(settings: RouterSettings) -> Result<(), RouterError> {
    run_telling(settings, || {})
}

/// The same, and calls `ready` once it has loaded its table and listens.
pub fn run_telling(settings: RouterSettings, ready: impl FnOnce()) -> Result<(), RouterError> {
    let prepared = Prepared::new(settings)?;
    ready();
    prepared.run(Signals::Obeyed)
}

/// How a thread ended; no result is a panic.
pub(crate) type Ended = (usize, Option<io::Result<()>>);

/// How a thread ended: sent by the thread itself, or on its behalf if it panics.
struct Farewell {
    index: usize,
    result: Option<io::Result<()>>,
    sender: mpsc::Sender<Ended>,
}

impl Farewell {
    fn after(mut self, parts: WorkerParts) {
        self.result = Some(worker::run(parts));
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // One place a thread, so there is room; nobody is left to listen only when the supervisor itself is gone.
        self.sender.try_send((self.index, self.result.take())).ok();
    }
}

/// A router about to start.
struct Prepared {
    shared: Arc<Shared>,
    loader: Loader,
    addresses: Vec<SocketAddr>,
    folder: ControlFolder,
    control: std::os::unix::net::UnixListener,
    control_uids: Vec<u32>,
    watch: FolderWatch,
    sink: Option<Sink>,
    listeners: Vec<Vec<TcpListener>>,
}

impl Prepared {
    /// The lock comes before the first look at a table, and the watch before it too, so that no change falls between the two.
    fn new(settings: RouterSettings) -> Result<Self, RouterError> {
        check(&settings)?;
        let threads = settings.threads.get();
        let folder = ControlFolder::take(&settings.control_dir)?;
        control::remove_dead_siblings(&settings.control_dir);
        let control = folder.listen()?;
        let sink = Sink::start(&settings.journals)?;
        let listeners = Listeners::open(settings.listeners, threads)?;
        let shared = Shared::new(threads, settings.timeouts, settings.limits, settings.draining);
        let shared = Arc::new(shared);
        let table_folder = settings.table.parent().unwrap_or(Path::new(".")).to_owned();
        let watch = FolderWatch::new(&table_folder)
            .map_err(|source| RouterError::Watch { path: table_folder, source })?;
        let mut loader = Loader::new(settings.router, settings.table, Arc::clone(&shared));
        loader.refresh();
        Ok(Self {
            shared,
            loader,
            addresses: listeners.addresses,
            folder,
            control,
            control_uids: settings.control_uids,
            watch,
            sink,
            listeners: listeners.by_thread,
        })
    }

    fn run(self, signals: Signals) -> Result<(), RouterError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(runtime_error)?;
        LocalSet::new().block_on(&runtime, self.live(signals))
    }

    async fn live(self, signals: Signals) -> Result<(), RouterError> {
        let events = self.watch.listen().map_err(runtime_error)?;
        let control = tokio::net::UnixListener::from_std(self.control).map_err(runtime_error)?;
        let (question_sender, questions) = mpsc::channel(QUESTIONS);
        let control = control::serve(control, self.control_uids, Arc::clone(&self.shared), question_sender);
        let control = tokio::task::spawn_local(control);
        let (sender, farewells) = mpsc::channel(self.listeners.len().max(1));
        let threads = start_threads(self.listeners, &self.shared, self.sink.as_ref(), &sender)?;
        drop(sender);
        let supervisor = Supervisor::new(self.shared, self.loader);
        let result = supervisor.live(events, questions, farewells, signals).await;
        control.abort();
        for thread in threads {
            // Its panic, if any, was told by its farewell.
            thread.join().ok();
        }
        if let Some(sink) = self.sink {
            sink.stop();
        }
        drop(self.folder);
        result
    }
}

fn check(settings: &RouterSettings) -> Result<(), RouterError> {
    let (threads, journals) = (settings.threads.get(), settings.journals.len());
    if settings.listeners.is_empty() {
        return Err(RouterError::NoListener);
    }
    if journals != 0 && journals != threads {
        return Err(RouterError::JournalCount { threads, journals });
    }
    Ok(())
}

/// If one cannot be started, those that were end again.
fn start_threads(
    listeners: Vec<Vec<TcpListener>>,
    shared: &Arc<Shared>,
    sink: Option<&Sink>,
    sender: &mpsc::Sender<Ended>,
) -> Result<Vec<JoinHandle<()>>, RouterError> {
    let start = |(index, listeners)| {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(|error| RouterError::Random { reason: error.to_string() })?;
        let parts = WorkerParts {
            index,
            shared: Arc::clone(shared),
            listeners,
            log: Buffer::new(index, sink.map(Sink::sender)),
            random: Random::seeded(u128::from_ne_bytes(seed)),
        };
        let farewell = Farewell { index, result: None, sender: sender.clone() };
        std::thread::Builder::new()
            .name(format!("router-{index}"))
            .spawn(move || farewell.after(parts))
            .map_err(|source| RouterError::Spawn { source })
    };
    let started: Result<_, _> = listeners.into_iter().enumerate().map(start).collect();
    if started.is_err() {
        shared.stage.send_replace(Stage::Ended);
    }
    started
}

pub(crate) fn runtime_error(source: io::Error) -> RouterError {
    RouterError::Runtime { source }
}
