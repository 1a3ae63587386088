//! The hub's thread: waits for writers and readers, feeds the tails, keeps the server's own log, deletes what is old.
//!
//! Without tails it does not listen to writers at all, only looks now and then, so a chatty app costs a hub that nobody asks next to
//! nothing.

use crate::hub::sweep::sweep;
use crate::hub::{Shared, lock};
use crate::index::{Index, News};
use crate::tail::{Delivery, Turn};
use domain::ids::WriterId;
use domain::time::BootMillis;
use journal::{DueSync, Stamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// With tails open, writers are listened to again this long after they were read: many lines then cost one look.
const PAUSE_MILLIS: u64 = 40;
/// How often the index is brought up to date, and the own log synced if due, when nothing else happens.
const REFRESH_MILLIS: u64 = 2_000;
/// How often old segments are looked for.
const SWEEP_MILLIS: u64 = 60_000;

pub(super) struct Worker {
    shared: Arc<Shared>,
    tails: Vec<Delivery>,
    /// A copy of the index's descriptor, to wait for without its lock.
    watch: Option<OwnedFd>,
    refresh_at: BootMillis,
    sweep_at: BootMillis,
    listen_at: BootMillis,
}

impl Worker {
    pub fn new(shared: Arc<Shared>) -> Self {
        let watch = lock(&shared.index).watch_fd().try_clone_to_owned().ok();
        let start = BootMillis(0);
        Self { shared, tails: Vec::new(), watch, refresh_at: start, sweep_at: start, listen_at: start }
    }

    pub fn run(mut self) {
        while !self.shared.closing.load(Ordering::Acquire) {
            let now = (self.shared.clock)();
            let next = self.pass(now);
            self.wait(now.boot, next);
        }
    }

    /// Does everything that is due; gives the moment when something is due next.
    fn pass(&mut self, now: Stamp) -> BootMillis {
        if now.boot >= self.refresh_at || !self.tails.is_empty() {
            self.keep_own(now);
            self.refresh_at = now.boot.plus_millis(REFRESH_MILLIS);
        }
        self.read_news(now);
        if now.boot >= self.sweep_at {
            sweep(&mut lock(&self.shared.index), self.shared.settings.retention, now);
            self.sweep_at = now.boot.plus_millis(SWEEP_MILLIS);
        }
        let tails_due = self.turn_tails(now);
        self.refresh_at.min(self.sweep_at).min(tails_due)
    }

    fn keep_own(&self, now: Stamp) {
        let due = lock(&self.shared.own).as_mut().and_then(|own| own.keep(now));
        if let Some(Err(error)) = due.map(DueSync::run) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot sync the server's own log");
        }
    }

    /// Brings the index up to date and tells the tails.
    fn read_news(&mut self, now: Stamp) {
        let shared = Arc::clone(&self.shared);
        let new_tails = std::mem::take(&mut *lock(&shared.new_tails));
        let mut index = lock(&shared.index);
        index.refresh();
        let news = index.take_news();
        if !news.is_empty() {
            self.listen_at = now.boot.plus_millis(PAUSE_MILLIS);
        }
        for delivery in &mut self.tails {
            tell(delivery, &news, &index);
        }
        for mut delivery in new_tails {
            for writer in index.writers_after(delivery.merge.app(), delivery.merge.start()) {
                begin(&mut delivery, writer, &index);
            }
            self.tails.push(delivery);
        }
    }

    /// Gives every tail its turn; gives the moment when one of them wants the next.
    fn turn_tails(&mut self, now: Stamp) -> BootMillis {
        let mut due = BootMillis(u64::MAX);
        let shared = &self.shared;
        self.tails.retain_mut(|delivery| {
            let turn = delivery.turn(now);
            match turn {
                Turn::More => due = now.boot,
                Turn::Wait(at) => due = due.min(at),
                Turn::Idle => {}
                Turn::ReaderGone | Turn::ReaderTooSlow => {
                    shared.tails.fetch_sub(1, Ordering::Relaxed);
                    shared
                        .slow_readers
                        .fetch_add(usize::from(turn == Turn::ReaderTooSlow), Ordering::Relaxed);
                }
            }
            !matches!(turn, Turn::ReaderGone | Turn::ReaderTooSlow)
        });
        due
    }

    /// Waits until `next`, or until a reader or (while there are tails) a writer has something.
    fn wait(&self, now: BootMillis, next: BootMillis) {
        let listens = !self.tails.is_empty() && now >= self.listen_at;
        let until = if self.tails.is_empty() || listens { next } else { next.min(self.listen_at) };
        let mut descriptors = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        if let Some(watch) = self.watch.as_ref().filter(|_| listens) {
            descriptors.push(PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN));
        }
        let millis = until.millis_since(now).min(REFRESH_MILLIS);
        let timeout =
            Timespec { tv_sec: (millis / 1000) as i64, tv_nsec: (millis % 1000 * 1_000_000) as i64 };
        // Interrupted or failed: the next pass looks for itself.
        let _ = poll(&mut descriptors, Some(&timeout));
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.shared.wake, &mut counter);
    }
}

fn tell(delivery: &mut Delivery, news: &[News], index: &Index) {
    let app = delivery.merge.app();
    for piece in news.iter().filter(|piece| piece.concerns(app)) {
        if delivery.merge.knows(piece.writer) {
            delivery.merge.wake(piece.writer);
        } else {
            begin(delivery, piece.writer, index);
        }
    }
}

fn begin(delivery: &mut Delivery, writer: WriterId, index: &Index) {
    if let Some((position, order_floor)) = index.start_of(writer, delivery.merge.start()) {
        delivery.merge.add(index.folder_of(writer), position, order_floor);
    }
}
