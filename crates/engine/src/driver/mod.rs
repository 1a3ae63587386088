//! The one loop: read what is desired, let the backend take one pass towards it, record what came of it, wait.
//!
//! It waits for the ledger to change, the backend to wake, the time that the plan names, or [`RESYNC`]; whatever it was, it looks
//! at everything anew. Only the driver writes status. An error makes it try again later and is told; nothing makes it stop but the
//! server's end.

mod budget;
mod cron;
mod desired;
mod diagnosis;
mod housekeeping;
mod placements;
mod record;

use crate::engine::Engine;
use crate::error::Error;
use crate::ports::{Facts, JobStarted, NotCommitted, Status};
pub(crate) use cron::{Schedules, give_up_late};
use diagnosis::Diagnoses;
use domain::job::JobState;
use domain::time::{BootMillis, WallMillis};
use domain::transition::transitions;
use housekeeping::Housekeeping;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Longest time between two looks.
const RESYNC: Duration = Duration::from_secs(30);
/// Waits after a failed pass grow from here ...
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// ... to here.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Passes in a row without a wait, after which there is one: a rule that never comes to rest shall not burn a core.
const EAGER_PASSES: u32 = 64;
const EAGER_PAUSE: Duration = Duration::from_millis(50);

/// Runs until the engine is shut down.
pub(crate) fn run(engine: &Engine) {
    let mut driver = Driver::default();
    while !engine.is_stopping() {
        let seen = engine.0.work.rings();
        let outcome = catch_unwind(AssertUnwindSafe(|| driver.pass(engine)));
        let rest = match outcome {
            Ok(Ok(next)) => driver.rest_after(engine, next),
            Ok(Err(error)) => driver.retry_after(&error),
            Err(_) => driver.retry_after(&Error::internal("a pass of the driver panicked")),
        };
        engine.0.news.ring();
        match rest {
            Rest::UntilRing(at_most) => engine.0.work.wait_past(seen, at_most),
            Rest::Pause(pause) => engine.0.work.wait_past(engine.0.work.rings(), pause),
        };
    }
}

/// How the loop rests.
enum Rest {
    /// A ring since the pass began ends it at once.
    UntilRing(Duration),
    /// Rings of the past do not count: something failed or never settles.
    Pause(Duration),
}

/// What a pass leaves for the next.
struct Next {
    wake_at: Option<BootMillis>,
    /// When the next recurring command is due.
    due_at: Option<WallMillis>,
    /// The backend could not do everything.
    troubled: bool,
    /// Facts were recorded: the next pass sees another desired state.
    recorded: bool,
}

#[derive(Default)]
struct Driver {
    failures: u32,
    eager: u32,
    diagnoses: Diagnoses,
    housekeeping: Housekeeping,
    schedules: Schedules,
    told_errors: Vec<String>,
}

impl Driver {
    fn pass(&mut self, engine: &Engine) -> Result<Next, Error> {
        let workers = engine.0.workers.get().ok_or_else(|| Error::internal("the engine was not started"))?;
        self.housekeeping.before_pass(engine);
        let due_at = self.schedules.before_pass(engine);
        let now = engine.boot();
        let desired = desired::read(engine, &engine.status().observed)?;
        let status = workers.backend.reconcile(&desired, &EngineFacts(engine));
        let facts = transitions(&desired, &status.observed, now);
        let mut recorded = record::advance(engine)?;
        for fact in facts {
            recorded |= record::record(engine, &mut self.diagnoses, &status, fact)?;
        }
        give_up_late(engine);
        self.diagnoses.tell(engine, &status);
        placements::record(engine, &desired, &status.observed)?;
        self.tell_errors(&status);
        let next = Next { wake_at: status.wake_at, due_at, troubled: !status.errors.is_empty(), recorded };
        engine.set_status(Arc::new(status));
        Ok(next)
    }

    fn rest_after(&mut self, engine: &Engine, next: Next) -> Rest {
        self.failures = if next.troubled { self.failures.saturating_add(1) } else { 0 };
        if next.recorded {
            self.eager += 1;
            return if self.eager > EAGER_PASSES {
                Rest::Pause(EAGER_PAUSE)
            } else {
                Rest::UntilRing(Duration::ZERO)
            };
        }
        self.eager = 0;
        let until_wake = next.wake_at.map(|at| Duration::from_millis(at.millis_since(engine.boot())));
        let until_due = next.due_at.map(|at| Duration::from_millis(at.0.saturating_sub(engine.now().0)));
        let retry = next.troubled.then(|| retry_wait(self.failures));
        let waits = [Some(RESYNC), until_wake, until_due, retry];
        Rest::UntilRing(waits.into_iter().flatten().min().unwrap_or(RESYNC))
    }

    fn retry_after(&mut self, error: &Error) -> Rest {
        self.failures = self.failures.saturating_add(1);
        tracing::error!(error = %domain::cause::chain(error), failures = self.failures, "a pass of the driver failed");
        Rest::Pause(retry_wait(self.failures))
    }

    /// Each message once, for as long as it lasts.
    fn tell_errors(&mut self, status: &Status) {
        let messages: Vec<_> = status.errors.iter().map(|error| error.message.clone()).collect();
        for message in messages.iter().filter(|message| !self.told_errors.contains(message)) {
            tracing::warn!(%message, "the backend could not do everything");
        }
        self.told_errors = messages;
    }
}

fn retry_wait(failures: u32) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LAST_RETRY)
}

#[cfg(test)]
pub(crate) fn facts_of(engine: &Engine) -> impl Facts + '_ {
    EngineFacts(engine)
}

/// The one call back from a pass.
struct EngineFacts<'a>(&'a Engine);

impl Facts for EngineFacts<'_> {
    fn commit(&self, started: JobStarted) -> Result<(), NotCommitted> {
        let JobStarted { job, process } = started;
        // Not through `Engine::write`: this pass knows of it, nobody needs to be woken.
        let committed = self.0.write_quietly(|writer| {
            let row = writer.job(job)?;
            let may_start = row.as_ref().is_some_and(|row| cron::may_start(self.0, row));
            if may_start && writer.start_job(job, process, self.0.now())? {
                return Ok(Ok(()));
            }
            let refused = match row.map(|row| row.job.state) {
                Some(JobState::Started { process }) => NotCommitted::AlreadyStarted { job, process },
                Some(
                    JobState::Waiting
                    | JobState::Ended { .. }
                    | JobState::Lost { .. }
                    | JobState::NeverStarted,
                )
                | None => NotCommitted::NotWanted { job },
            };
            Ok(Err(refused))
        });
        committed.unwrap_or_else(|error: Error| Err(NotCommitted::Ledger(domain::cause::chain(&error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_grow_to_a_bound() {
        let waits: Vec<_> =
            [1, 2, 3, 8, 40].map(retry_wait).into_iter().map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 30_000, 30_000]);
    }
}
