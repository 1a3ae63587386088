//! How a router lets go of a process without losing a request, and how others can know that it has.
//!
//! Each process has one [`Door`], shared by all threads and kept across table swaps: an in-flight count and a `CLOSED` bit in **one**
//! atomic word. A request must [`Door::enter`] before it chooses a connection, and holds its [`Permit`] until the last byte of the
//! exchange, the tunnel of an upgraded connection included. When a table is loaded, the loader (one task, see [`crate::load`])
//!
//! 1. opens the doors of the processes that the new table routes,
//! 2. swaps the table,
//! 3. closes the doors of the processes that the new table does not route,
//! 4. tells the threads, each of which drops its idle connections behind closed doors and acknowledges,
//! 5. and only when all have acknowledged does `status` report the table's generation as loaded.
//!
//! **Claim.** If `status` says that generation G is loaded, G does not route P, and P has 0 in flight, then no byte of a request will be
//! sent to P any more, unless a later table routes P again.
//!
//! **Argument.** `status` reads P's word after step 3 of loading G, and saw (CLOSED, 0). The word is one variable, so all its changes have
//! one order, whatever the threads' caches do. A request that enters P does so by one atomic add on that word. If the add comes before
//! the read in that order, then its matching subtraction does too, since the count was 0: that request is over. If it comes after the
//! read, it finds CLOSED set, since only step 1 of a later load clears it: `enter` takes its add back, returns `None` and the request
//! looks into the current table again. No reasoning about two variables is needed, and a thread with an old table in its hands cannot do
//! harm. The short count of a request that is turned away can make `status` read 1 for a moment, never 0 wrongly.
//!
//! A connection that is still being set up, or a pooled one that is being taken, belongs to a request that has entered. An idle pooled
//! connection carries no request; step 4 closes it so that the process can end without a peer and its endpoint can be reused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const CLOSED: u32 = 1 << 31;

/// The way into one process. Padded, so that two processes' counters never share a cache line (128 bytes: lines are fetched in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Door {
    word: AtomicU32,
    /// Pooled connections without a request, over all threads.
    idle: AtomicU32,
    /// Tells doors apart, also of the same process at different times.
    key: DoorKey,
}

/// Names a door for as long as the router lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DoorKey(u64);

/// Makes doors with distinct keys.
#[derive(Debug, Default)]
pub(crate) struct DoorMaker {
    made: AtomicU64,
}

impl DoorMaker {
    /// A new door, open.
    pub(crate) fn make(&self) -> Arc<Door> {
        let key = DoorKey(self.made.fetch_add(1, Ordering::Relaxed));
        Arc::new(Door { word: AtomicU32::new(0), idle: AtomicU32::new(0), key })
    }
}

impl Door {
    pub(crate) const fn key(&self) -> DoorKey {
        self.key
    }

    /// Counts one request in, or says that the process takes no new ones.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Permit> {
        let before = self.word.fetch_add(1, Ordering::SeqCst);
        let permit = Permit { door: Arc::clone(self) };
        (before & CLOSED == 0).then_some(permit)
    }

    pub(crate) fn open(&self) {
        self.word.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn close(&self) {
        self.word.fetch_or(CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::SeqCst) & CLOSED != 0
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.word.load(Ordering::SeqCst) & !CLOSED
    }

    pub(crate) fn idle(&self) -> u32 {
        self.idle.load(Ordering::SeqCst)
    }

    /// A connection went to a pool.
    pub(crate) fn idle_begins(&self) {
        self.idle.fetch_add(1, Ordering::SeqCst);
    }

    /// A connection left a pool.
    pub(crate) fn idle_ends(&self) {
        self.idle.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One request's presence behind a door; dropping it is leaving.
#[derive(Debug)]
pub(crate) struct Permit {
    door: Arc<Door>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.door.word.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_closed_door_lets_nobody_in_and_counts_those_inside() {
        let door = DoorMaker::default().make();
        let inside = door.enter().expect("open");
        door.close();
        assert!(door.enter().is_none());
        assert_eq!((door.in_flight(), door.is_closed()), (1, true));
        drop(inside);
        assert_eq!((door.in_flight(), door.is_closed()), (0, true));
        door.open();
        assert!(door.enter().is_some());
    }

    /// Once (closed, 0) was read, nobody is inside until the door is opened again: the claim of this module, tried by force.
    #[test]
    fn nobody_is_inside_after_closed_and_zero_was_seen() {
        let door = DoorMaker::default().make();
        let (inside, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (door, inside, stop) = (Arc::clone(&door), Arc::clone(&inside), Arc::clone(&stop));
                std::thread::spawn(move || {
                    let mut entered = 0u64;
                    while !stop.load(Ordering::Relaxed) {
                        if let Some(_permit) = door.enter() {
                            inside.fetch_add(1, Ordering::SeqCst);
                            entered += 1;
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                    entered
                })
            })
            .collect();
        for _ in 0..300 {
            door.close();
            while door.in_flight() != 0 {
                std::thread::yield_now();
            }
            for _ in 0..50 {
                assert_eq!(inside.load(Ordering::SeqCst), 0, "a request is inside a drained process");
            }
            door.open();
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        let entered: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        assert!(entered > 0, "the test did nothing");
    }
}
