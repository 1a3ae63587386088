//! [`Hub`]: everything the server asks of logs. One thread does the waiting and feeds all tails; queries run on the thread that asks.

mod own;
mod sweep;
mod worker;

pub use own::OwnLine;

use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::index::{Damage, Index, IndexError};
use crate::line::Line;
use crate::merge::Merge;
use crate::search::last_lines;
use crate::settings::{HubSettings, MAX_QUERY_LINES, MAX_TAILS};
use crate::tail::{Delivery, Start, Tail, tail};
use domain::ids::AppId;
use journal::{OpenError, Stamp};
use own::OwnWriter;
use rustix::event::EventfdFlags;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use worker::Worker;

/// Where the hub reads the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Stamp + Send + Sync>;

/// Why a hub could not be opened, or not serve.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("cannot open the server's own log")]
    OwnWriter(#[from] OpenError),
    #[error("cannot make the hub's wake-up descriptor")]
    Wake { source: rustix::io::Errno },
    #[error("cannot start the hub's thread")]
    Thread { source: std::io::Error },
    #[error("{MAX_TAILS} log tails are open, which is the most at once")]
    TooManyTails,
}

/// What a hub has to tell about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubStatus {
    pub writers: usize,
    pub segments: usize,
    pub bytes: u64,
    pub tails: usize,
    /// Tails that ended because their reader was too slow.
    pub slow_readers: usize,
    pub damage: Damage,
}

/// Serves the lines of all writers below one folder.
pub struct Hub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the hub's thread and its callers share.
struct Shared {
    index: Mutex<Index>,
    own: Mutex<Option<OwnWriter>>,
    /// Tails that the thread has not taken over yet.
    new_tails: Mutex<Vec<Delivery>>,
    tails: AtomicUsize,
    slow_readers: AtomicUsize,
    closing: AtomicBool,
    wake: OwnedFd,
    settings: HubSettings,
    clock: Clock,
}

/// A poisoned lock means that another thread panicked while it held it. The index is only a picture of the disk, and the writer keeps
/// its own invariants between calls, so going on is right.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn wake(&self) {
        // The counter is full only if the thread was woken 2^64 times without running.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Hub {
    /// Opens the hub over `root` (`DATA/logs`, which must exist) and starts its thread.
    pub fn open(root: &Path, settings: HubSettings) -> Result<Self, HubError> {
        Self::open_with_clock(root, settings, Arc::new(Stamp::now))
    }

    /// As [`Hub::open`], with a clock of the caller's.
    pub fn open_with_clock(root: &Path, settings: HubSettings, clock: Clock) -> Result<Self, HubError> {
        let own = OwnWriter::open(root, settings.writer, settings.own_caps)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let shared = Arc::new(Shared {
            index: Mutex::new(Index::open(root)?),
            own: Mutex::new(Some(own)),
            new_tails: Mutex::default(),
            tails: AtomicUsize::new(0),
            slow_readers: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            wake: rustix::event::eventfd(0, flags).map_err(|source| HubError::Wake { source })?,
            settings,
            clock,
        });
        let worker = Worker::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("log-hub".to_owned()).spawn(move || worker.run());
        Ok(Self { shared, thread: Some(thread.map_err(|source| HubError::Thread { source })?) })
    }

    /// Appends a line of the server's own. It is kept, or counted as dropped, when this returns.
    pub fn append(&self, line: &OwnLine<'_>) {
        let now = (self.shared.clock)();
        if let Some(own) = lock(&self.shared.own).as_mut() {
            own.append(line, now);
        }
    }

    /// The last `lines` lines of an app that the filter wants, in order; at most [`MAX_QUERY_LINES`]. Sees every line flushed before
    /// the call. Reads files: call it where blocking is allowed. As the app wrote them: see [`crate::Redactor`].
    pub fn query(&self, app: AppId, filter: &Filter, lines: usize) -> Vec<Line> {
        let candidates = {
            let mut index = lock(&self.shared.index);
            index.refresh();
            if index.has_news() && self.shared.tails.load(Ordering::Relaxed) > 0 {
                self.shared.wake();
            }
            index.candidates(app)
        };
        last_lines(candidates, app, filter, lines.min(MAX_QUERY_LINES))
    }

    /// Follows an app's lines from `start` on, as the app writes them: see [`crate::Redactor`]. Reads files first: call it where
    /// blocking is allowed; reading the tail need not be.
    pub fn tail(&self, app: AppId, filter: Filter, start: Start) -> Result<Tail, HubError> {
        if self.shared.tails.fetch_add(1, Ordering::Relaxed) >= MAX_TAILS {
            self.shared.tails.fetch_sub(1, Ordering::Relaxed);
            return Err(HubError::TooManyTails);
        }
        let cursor = match start {
            Start::After(cursor) => cursor,
            Start::Last(lines) => self.cursor_before_last(app, &filter, lines),
        };
        let shared = Arc::clone(&self.shared);
        let merge = Merge::new(app, filter, cursor);
        let (tail, delivery) = tail(merge, Arc::new(move || shared.wake()));
        lock(&self.shared.new_tails).push(delivery);
        self.shared.wake();
        Ok(tail)
    }

    /// The position before the last so many lines.
    fn cursor_before_last(&self, app: AppId, filter: &Filter, lines: usize) -> Cursor {
        match (lines, self.query(app, filter, lines.max(1)).as_slice()) {
            (_, []) => Cursor::START,
            (0, [.., last]) => Cursor::after(last.key),
            (_, [first, ..]) => Cursor::after(first.key.before()),
        }
    }

    /// Apps that [`Hub::delete_app`] would find something of.
    pub fn apps(&self) -> BTreeSet<AppId> {
        sweep::apps(&mut lock(&self.shared.index))
    }

    /// Deletes an app's own lines, once its processes have ended. Lines in segments shared with other apps (routers', the server's) go
    /// by age.
    pub fn delete_app(&self, app: AppId) {
        sweep::delete_app(&mut lock(&self.shared.index), app);
    }

    /// Counts for `doctor` and metrics.
    pub fn status(&self) -> HubStatus {
        let mut index = lock(&self.shared.index);
        index.refresh();
        let segments = index.writers().flat_map(|(_, segments)| segments);
        let (count, bytes) =
            segments.fold((0, 0), |(count, bytes), segment| (count + 1, bytes + segment.bytes));
        HubStatus {
            writers: index.writers().count(),
            segments: count,
            bytes,
            tails: self.shared.tails.load(Ordering::Relaxed),
            slow_readers: self.shared.slow_readers.load(Ordering::Relaxed),
            damage: index.damage(),
        }
    }
}

/// Ends the thread and all tails (each cleanly), and seals the server's own log.
impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(own) = lock(&self.shared.own).take() {
            own.close((self.shared.clock)());
        }
    }
}
