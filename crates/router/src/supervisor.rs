//! A router as a whole: starts the threads, loads tables, answers on the control socket, ends in order.
//!
//! The supervisor is one task; it alone owns the [`Loader`]. Requests never wait for it: it can be slow, the threads go on.

use crate::access_log::buffer::Buffer;
use crate::access_log::sink::Sink;
use crate::balance::Random;
use crate::control::wire::{Activity, Report};
use crate::control::{self, ControlFolder, FolderError, Question};
use crate::listen::{ListenError, Listeners};
use crate::load::{Loader, Refreshed};
use crate::settings::RouterSettings;
use crate::shared::{Shared, Stage};
use crate::watch::FolderWatch;
use crate::worker::{self, WorkerParts};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// The table's file is looked at this often even if nothing was heard of it.
const RESYNC: Duration = Duration::from_secs(5);
/// Control requests that may wait for the supervisor.
const QUESTIONS: usize = 16;

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
        let supervisor = Supervisor::prepare(settings)?;
        let (addresses, shared) = (supervisor.addresses.clone(), Arc::clone(&supervisor.shared));
        let thread = std::thread::Builder::new()
            .name("router".into())
            .spawn(move || supervisor.run(Signals::Ignored))
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
    Supervisor::prepare(settings)?.run(Signals::Obeyed)
}

enum Signals {
    Obeyed,
    Ignored,
}

/// How a thread ended: sent by the thread itself, or on its behalf if it panics.
struct Farewell {
    index: usize,
    result: Option<io::Result<()>>,
    sender: mpsc::UnboundedSender<(usize, Option<io::Result<()>>)>,
}

impl Farewell {
    fn after(mut self, parts: WorkerParts) {
        self.result = Some(worker::run(parts));
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Nobody is left to listen only when the supervisor itself is gone.
        self.sender.send((self.index, self.result.take())).ok();
    }
}

struct Supervisor {
    shared: Arc<Shared>,
    loader: Loader,
    addresses: Vec<SocketAddr>,
    folder: ControlFolder,
    control: std::os::unix::net::UnixListener,
    control_uids: Vec<u32>,
    table_folder: PathBuf,
    sink: Option<Sink>,
    listeners: Vec<Vec<std::net::TcpListener>>,
}

impl Supervisor {
    /// Everything that can fail, before anything is accepted. The lock comes before the first look at a table.
    fn prepare(settings: RouterSettings) -> Result<Self, RouterError> {
        let threads = settings.threads.get();
        let journals = settings.journals.len();
        if settings.listeners.is_empty() {
            return Err(RouterError::NoListener);
        }
        if journals != 0 && journals != threads {
            return Err(RouterError::JournalCount { threads, journals });
        }
        let folder = ControlFolder::take(&settings.control_dir)?;
        control::remove_dead_siblings(&settings.control_dir);
        let control = folder.listen()?;
        let sink = Sink::start(&settings.journals)?;
        let listeners = Listeners::open(settings.listeners, threads)?;
        let shared = Shared::new(threads, settings.timeouts, settings.limits, settings.draining);
        let shared = Arc::new(shared);
        let table_folder = settings.table.parent().unwrap_or(Path::new(".")).to_owned();
        let mut loader = Loader::new(settings.router, settings.table, Arc::clone(&shared));
        loader.refresh();
        Ok(Self {
            shared,
            loader,
            addresses: listeners.addresses,
            folder,
            control,
            control_uids: settings.control_uids,
            table_folder,
            sink,
            listeners: listeners.by_thread,
        })
    }

    fn run(self, signals: Signals) -> Result<(), RouterError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| RouterError::Runtime { source })?;
        LocalSet::new().block_on(&runtime, self.live(signals))
    }

    async fn live(mut self, signals: Signals) -> Result<(), RouterError> {
        let watch = FolderWatch::new(&self.table_folder)
            .map_err(|source| RouterError::Watch { path: self.table_folder.clone(), source })?;
        let control = tokio::net::UnixListener::from_std(self.control.try_clone().map_err(runtime_error)?);
        let control = control.map_err(runtime_error)?;
        let (question_sender, questions) = mpsc::channel(QUESTIONS);
        let uids = std::mem::take(&mut self.control_uids);
        let control = control::serve(control, uids, Arc::clone(&self.shared), question_sender);
        let control = tokio::task::spawn_local(control);
        let (sender, farewells) = mpsc::unbounded_channel();
        let threads = self.start_threads(&sender)?;
        drop(sender);
        // A table that came between the first look and the watch.
        self.loader.refresh();
        let result = self.supervise(watch, questions, farewells, signals).await;
        control.abort();
        for thread in threads {
            // Its panic, if any, was told by its farewell.
            thread.join().ok();
        }
        if let Some(sink) = self.sink.take() {
            sink.stop();
        }
        drop(self.folder);
        result
    }

    fn start_threads(
        &mut self,
        sender: &mpsc::UnboundedSender<(usize, Option<io::Result<()>>)>,
    ) -> Result<Vec<JoinHandle<()>>, RouterError> {
        let listeners = std::mem::take(&mut self.listeners);
        let start = |(index, listeners): (usize, Vec<std::net::TcpListener>)| {
            let mut seed = [0; 16];
            getrandom::fill(&mut seed).map_err(|error| RouterError::Random { reason: error.to_string() })?;
            let parts = WorkerParts {
                index,
                shared: Arc::clone(&self.shared),
                listeners,
                log: Buffer::new(index, self.sink.as_ref().map(Sink::sender)),
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
            self.shared.stage.send_replace(Stage::Ended);
        }
        started
    }

    async fn supervise(
        &mut self,
        watch: FolderWatch,
        mut questions: mpsc::Receiver<Question>,
        mut farewells: mpsc::UnboundedReceiver<(usize, Option<io::Result<()>>)>,
        signals: Signals,
    ) -> Result<(), RouterError> {
        let mut term = Terminations::new(signals).map_err(runtime_error)?;
        let mut stage = self.shared.stage.subscribe();
        let mut resync = tokio::time::interval(RESYNC);
        let mut deadline = None;
        loop {
            if *stage.borrow_and_update() >= Stage::Stopping && deadline.is_none() {
                tracing::info!("the router takes no new connections and finishes what is in flight");
                deadline = Some(Instant::now() + self.shared.timeouts.shutdown);
            }
            let end = deadline.unwrap_or_else(|| Instant::now() + RESYNC);
            tokio::select! {
                _ = watch.changed() => { self.loader.refresh(); }
                _ = resync.tick() => { self.loader.refresh(); }
                Some(question) = questions.recv() => self.reply(question),
                () = term.recv() => self.stop(),
                _ = stage.changed() => {}
                () = tokio::time::sleep_until(end), if deadline.is_some() => {
                    self.shared.stage.send_replace(Stage::Ended);
                    deadline = Some(Instant::now() + RESYNC);
                }
                farewell = farewells.recv() => match farewell {
                    None => return Ok(()),
                    Some((_, Some(Ok(())))) if self.shared.is_stopping() => {}
                    Some((index, result)) => {
                        self.shared.stage.send_replace(Stage::Ended);
                        return Err(match result {
                            Some(Err(source)) => RouterError::Thread { index, source },
                            Some(Ok(())) | None => RouterError::Panicked { index },
                        });
                    }
                },
            }
        }
    }

    fn stop(&self) {
        self.shared.stage.send_modify(|stage| *stage = (*stage).max(Stage::Stopping));
    }

    fn reply(&mut self, question: Question) {
        // One who asked and left does not need the answer.
        match question {
            Question::Status(reply) => drop(reply.send(self.report())),
            Question::Load(reply) => drop(reply.send(match self.loader.refresh() {
                Refreshed::InForce(serial) => Ok(serial),
                Refreshed::Refused => Err(self.loader.refused().unwrap_or_default().to_owned()),
            })),
            Question::Drain(reply) => {
                self.stop();
                drop(reply.send(self.report()));
            }
        }
    }

    fn report(&mut self) -> Report {
        let serving = *self.shared.stage.borrow() == Stage::Serving;
        let activity = if serving { Activity::Serving } else { Activity::Draining };
        let refused = self.loader.refused().map(str::to_owned);
        Report { status: self.loader.status(), activity, refused }
    }
}

fn runtime_error(source: io::Error) -> RouterError {
    RouterError::Runtime { source }
}

/// The signals that end a router.
struct Terminations {
    signals: Vec<Signal>,
}

impl Terminations {
    fn new(signals: Signals) -> io::Result<Self> {
        let signals = match signals {
            Signals::Obeyed => vec![signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            Signals::Ignored => Vec::new(),
        };
        Ok(Self { signals })
    }

    async fn recv(&mut self) {
        match self.signals.as_mut_slice() {
            [term, interrupt] => {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
}
