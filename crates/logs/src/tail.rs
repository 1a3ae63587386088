//! A tail: an app's lines as they come. [`Tail`] is the reader's end, [`Delivery`] the hub's.

use crate::cursor::Cursor;
use crate::line::{Line, OrderKey};
use crate::merge::{Merge, Next};
use crate::settings::{MAX_COUNTED_LINES, SLOW_READER_SECONDS, TAIL_BUFFER_LINES};
use domain::time::BootMillis;
use journal::Stamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How often a search for the lines that a slow reader missed goes on without having found one more.
const COUNT_ROUNDS: usize = 100;
/// Lines given to one tail before others have their turn.
const LINES_PER_TURN: usize = 256;

/// Where a tail begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the last so many lines that the filter wants.
    Last(usize),
    /// After a position that an earlier tail or line had.
    After(Cursor),
}

/// What both ends see.
#[derive(Debug, Default)]
struct Shared {
    /// The hub found the buffer full and wants to hear when there is room.
    full: AtomicBool,
    /// The line to end with, if the reader was too slow.
    farewell: Mutex<Option<Line>>,
}

/// A reader's end. Dropping it ends the tail.
pub struct Tail {
    lines: mpsc::Receiver<Box<Line>>,
    cursor: Cursor,
    shared: Arc<Shared>,
    wake_hub: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Tail {
    /// The next line; nothing once the tail has ended, because the hub closed or because the reader was too slow (then the last line
    /// told how many lines it missed). Safe to cancel.
    pub async fn next(&mut self) -> Option<Line> {
        let line = self.lines.recv().await;
        self.take(line)
    }

    /// As [`Tail::next`], for threads without a runtime.
    pub fn blocking_next(&mut self) -> Option<Line> {
        let line = self.lines.blocking_recv();
        self.take(line)
    }

    /// A line that is at hand now. Nothing does not mean the end.
    pub fn try_next(&mut self) -> Option<Line> {
        match self.lines.try_recv() {
            Ok(line) => self.take(Some(line)),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => self.take(None),
        }
    }

    fn take(&mut self, line: Option<Box<Line>>) -> Option<Line> {
        if self.lines.len() <= TAIL_BUFFER_LINES / 2 && self.shared.full.swap(false, Ordering::SeqCst) {
            (self.wake_hub)();
        }
        let farewell = || self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner).take();
        match line {
            Some(line) => {
                self.cursor.advance(line.key);
                Some(*line)
            }
            None => farewell(),
        }
    }

    /// The position after the last line taken: `Start::After` it gives what follows, from this server or a later one.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.lines.close();
        (self.wake_hub)();
    }
}

/// The hub's end.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub merge: Merge,
    lines: mpsc::Sender<Box<Line>>,
    shared: Arc<Shared>,
    /// The line that did not fit.
    pending: Option<Box<Line>>,
    /// Since when no line could be given, and the time of the first that could not.
    stuck_since: Option<(BootMillis, u64)>,
    last: OrderKey,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more to do at once.
    More,
    /// Nothing to do before that moment.
    Wait(BootMillis),
    /// Nothing to do until a writer writes.
    Idle,
    /// Nobody reads any more.
    ReaderGone,
    /// The reader was too slow and has been let go.
    ReaderTooSlow,
}

/// Makes the two ends of a tail.
pub(crate) fn tail(merge: Merge, wake_hub: Arc<dyn Fn() + Send + Sync>) -> (Tail, Delivery) {
    let (sender, receiver) = mpsc::channel(TAIL_BUFFER_LINES);
    let shared = Arc::new(Shared::default());
    let cursor = merge.start().clone();
    let tail = Tail { lines: receiver, cursor, shared: Arc::clone(&shared), wake_hub };
    let delivery =
        Delivery { merge, lines: sender, shared, pending: None, stuck_since: None, last: OrderKey::START };
    (tail, delivery)
}

impl Delivery {
    /// Gives the reader what is due.
    pub fn turn(&mut self, now: Stamp) -> Turn {
        for _ in 0..LINES_PER_TURN {
            let line = match self.pending.take() {
                Some(line) => line,
                None => match self.merge.next(now) {
                    Next::Line(line) => line,
                    Next::At(at) => return self.unless_closed(Turn::Wait(at)),
                    Next::StillReading => return self.unless_closed(Turn::More),
                    Next::Nothing => return self.unless_closed(Turn::Idle),
                },
            };
            let key = line.key;
            match self.give(line) {
                Ok(()) => {
                    self.last = key;
                    self.stuck_since = None;
                }
                Err(TrySendError::Closed(_)) => return Turn::ReaderGone,
                Err(TrySendError::Full(line)) => return self.stuck(line, now),
            }
        }
        Turn::More
    }

    /// Tries again after asking to be woken: the reader may have made room between the two, and would not wake us then.
    fn give(&self, line: Box<Line>) -> Result<(), TrySendError<Box<Line>>> {
        match self.lines.try_send(line) {
            Err(TrySendError::Full(line)) => {
                self.shared.full.store(true, Ordering::SeqCst);
                self.lines.try_send(line)
            }
            given => given,
        }
    }

    fn unless_closed(&self, turn: Turn) -> Turn {
        if self.lines.is_closed() { Turn::ReaderGone } else { turn }
    }

    /// The buffer is full: waits for the reader, but not for ever.
    fn stuck(&mut self, line: Box<Line>, now: Stamp) -> Turn {
        let (since, since_micros) = *self.stuck_since.get_or_insert((now.boot, line.wall_micros));
        self.pending = Some(line);
        let patience_ends = since.plus_seconds(SLOW_READER_SECONDS);
        if now.boot < patience_ends {
            return Turn::Wait(patience_ends);
        }
        let missed = self.count_missed(now);
        let farewell = Line::tells_slow_reader(self.last, self.merge.app(), now, missed, since_micros);
        *self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner) = Some(farewell);
        Turn::ReaderTooSlow
    }

    /// The lines that the reader would have been given next.
    fn count_missed(&mut self, now: Stamp) -> u64 {
        let mut missed = u64::from(self.pending.take().is_some());
        let mut rounds = 0;
        while missed < MAX_COUNTED_LINES && rounds < COUNT_ROUNDS {
            match self.merge.next(now) {
                Next::Line(_) => missed += 1,
                Next::StillReading => rounds += 1,
                Next::At(_) | Next::Nothing => break,
            }
        }
        missed
    }
}
