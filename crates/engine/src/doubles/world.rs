//! Clock, randomness, log and repositories from memory.

use crate::ports::{AppLog, Clock, LogLine, Random, RefMove, Repositories, RepositoryError};
use domain::ids::{AppId, Ids};
use domain::names::CommitId;
use domain::time::{BootId, BootMillis, WallMillis};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs as time does, can be put forward, and can be stopped.
pub struct TestClock {
    start: Instant,
    stopped_at: Mutex<Option<u64>>,
    ahead_millis: AtomicU64,
    /// What the wall clock is ahead of the other by people's doing.
    wall_ahead_millis: AtomicI64,
    boot: Mutex<u64>,
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            stopped_at: Mutex::new(None),
            ahead_millis: AtomicU64::new(1_000_000),
            wall_ahead_millis: AtomicI64::new(0),
            boot: Mutex::new(1),
        }
    }
}

impl TestClock {
    pub fn advance_millis(&self, millis: u64) {
        self.ahead_millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// From now on only [`TestClock::advance_millis`] moves it.
    pub fn stop(&self) {
        *lock(&self.stopped_at) = Some(self.start.elapsed().as_millis() as u64);
    }

    /// Sets the wall clock, forth or back; the other goes on as it did.
    pub fn set_wall(&self, wall: WallMillis) {
        let ahead = wall.0 as i64 - (1_700_000_000_000 + self.millis()) as i64;
        self.wall_ahead_millis.store(ahead, Ordering::SeqCst);
    }

    /// Another boot of the machine.
    pub fn reboot(&self) {
        *lock(&self.boot) += 1;
    }

    fn millis(&self) -> u64 {
        let runs = self.start.elapsed().as_millis() as u64;
        lock(&self.stopped_at).unwrap_or(runs) + self.ahead_millis.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn wall(&self) -> WallMillis {
        let wall = 1_700_000_000_000 + self.millis();
        WallMillis(wall.saturating_add_signed(self.wall_ahead_millis.load(Ordering::SeqCst)))
    }

    fn boot(&self) -> BootMillis {
        BootMillis(self.millis())
    }

    fn boot_id(&self) -> BootId {
        BootId(format!("boot-{}", lock(&self.boot)))
    }
}

/// The same bytes for the same seed.
pub struct SeededRandom(Mutex<Ids>);

impl SeededRandom {
    pub fn new(seed: u128) -> Self {
        Self(Mutex::new(Ids::seeded(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut ids = lock(&self.0);
        for part in bytes.chunks_mut(16) {
            part.copy_from_slice(&ids.next_uuid().as_bytes()[..part.len()]);
        }
    }
}

/// Keeps every line.
#[derive(Default)]
pub struct MemoryLog(Mutex<Vec<(AppId, LogLine)>>);

impl MemoryLog {
    /// `api: text`, in order.
    pub fn lines(&self, app: AppId) -> Vec<String> {
        let all = lock(&self.0);
        all.iter()
            .filter(|(of, _)| *of == app)
            .map(|(_, line)| format!("{}: {}", line.name, line.text))
            .collect()
    }
}

impl AppLog for MemoryLog {
    fn append(&self, app: AppId, line: LogLine) {
        lock(&self.0).push((app, line));
    }
}

/// Refs and objects, without git.
#[derive(Default)]
pub struct MemoryRepositories {
    heads: Mutex<BTreeMap<AppId, CommitId>>,
    objects: Mutex<BTreeSet<(AppId, CommitId)>>,
    removed: Mutex<BTreeSet<AppId>>,
}

impl MemoryRepositories {
    /// As if a push had brought them.
    pub fn add_objects(&self, app: AppId, commit: &CommitId) {
        lock(&self.objects).insert((app, commit.clone()));
    }

    pub fn is_removed(&self, app: AppId) -> bool {
        lock(&self.removed).contains(&app)
    }
}

impl Repositories for MemoryRepositories {
    fn head_of(&self, app: AppId) -> Result<Option<CommitId>, RepositoryError> {
        Ok(lock(&self.heads).get(&app).cloned())
    }

    fn set_ref_if_objects_present(&self, app: AppId, commit: &CommitId) -> Result<RefMove, RepositoryError> {
        if !lock(&self.objects).contains(&(app, commit.clone())) {
            return Ok(RefMove::ObjectsMissing);
        }
        let before = lock(&self.heads).insert(app, commit.clone());
        Ok(if before.as_ref() == Some(commit) { RefMove::Unchanged } else { RefMove::Moved })
    }

    fn remove(&self, app: AppId) -> Result<(), RepositoryError> {
        lock(&self.heads).remove(&app);
        lock(&self.removed).insert(app);
        Ok(())
    }
}
