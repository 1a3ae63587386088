//! What all threads of a router share: the table in force, who has acknowledged it, and the stage of the router's life. Nothing here
//! is written per request, save the counters behind [`crate::drain::Door`].

use crate::settings::{Draining, Limits, Timeouts};
use crate::table::Snapshot;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, watch};

/// Counts loads: serial 0 is the empty table of the start.
pub(crate) type Serial = u64;

/// Shared by the supervisor and all threads.
#[derive(Debug)]
pub(crate) struct Shared {
    pub table: ArcSwap<Snapshot>,
    /// The serial of the table in force. A subscriber that marks it seen and then loads the table misses no change.
    pub serial: watch::Sender<Serial>,
    pub stage: watch::Sender<Stage>,
    pub timeouts: Arc<Timeouts>,
    pub limits: Limits,
    pub draining: Draining,
    acknowledged: Vec<AtomicU64>,
    acknowledgement: Notify,
}

/// The router's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// No new connections; what is in flight may finish.
    Stopping,
    /// Whatever is left is cut.
    Ended,
}

impl Shared {
    pub(crate) fn new(threads: usize, timeouts: Timeouts, limits: Limits, draining: Draining) -> Self {
        Self {
            table: ArcSwap::from_pointee(Snapshot::empty()),
            serial: watch::Sender::new(0),
            stage: watch::Sender::new(Stage::Serving),
            timeouts: Arc::new(timeouts),
            limits,
            draining,
            acknowledged: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            acknowledgement: Notify::new(),
        }
    }

    /// Thread `index` uses the table of this serial or a later one, and holds no idle connection that it does not route.
    pub(crate) fn acknowledge(&self, index: usize, serial: Serial) {
        self.acknowledged[index].store(serial, Ordering::SeqCst);
        self.acknowledgement.notify_waiters();
    }

    /// The serial that every thread has acknowledged.
    pub(crate) fn acknowledged(&self) -> Serial {
        self.acknowledged.iter().map(|serial| serial.load(Ordering::SeqCst)).min().unwrap_or_default()
    }

    /// Returns once every thread has acknowledged `serial`.
    pub(crate) async fn wait_acknowledged(&self, serial: Serial) {
        loop {
            let mut changed = std::pin::pin!(self.acknowledgement.notified());
            changed.as_mut().enable();
            if self.acknowledged() >= serial {
                return;
            }
            changed.await;
        }
    }

    /// Returns once the router takes no new connections. Holds nothing afterwards: what a watch lends is locked while it is held.
    pub(crate) async fn stopping(&self) {
        let mut stage = self.stage.subscribe();
        // The sender lives in `self`, so this cannot fail.
        stage.wait_for(|stage| *stage >= Stage::Stopping).await.map(drop).unwrap_or_default();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stage.borrow() >= Stage::Stopping
    }

    pub(crate) fn is_ended(&self) -> bool {
        *self.stage.borrow() == Stage::Ended
    }
}
