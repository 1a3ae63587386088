//! What is done now and then: jobs that nobody came for, builds that were cut off, rows that have served their time. What fails is
//! told and tried again when it is due next; no app waits for it.

use crate::builds;
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::ops::sources::{self, Leftovers};
use domain::time::{BootMillis, WallMillis};

/// A held job waits this long for its caller.
const HELD_LIMIT_MILLIS: u64 = 5 * 60 * 1000;
/// Time between two rounds.
const ROUND_MILLIS: u64 = 30 * 1000;
/// Time between two deletions of old rows.
const PRUNE_MILLIS: u64 = 60 * 60 * 1000;
/// How long ends of processes can be looked up.
const EXITS_KEPT_MILLIS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Removed recurring commands that are forgotten at once.
const FORGOTTEN_AT_ONCE: u32 = 5;

/// When it was done last.
#[derive(Default)]
pub(super) struct Housekeeping {
    round: Option<BootMillis>,
    pruned: Option<BootMillis>,
}

/// Something to do, and what it looks after.
type Chore = (&'static str, fn(&Engine) -> Result<(), Error>);

const EVERY_ROUND: &[Chore] = &[
    ("builds that were cut off", |engine| builds::fail_orphans(engine).map(drop)),
    ("jobs that nobody came for", cancel_held),
    ("uploads whose time is over", sources::close_expired),
    ("recurring commands that were removed", forget_removed_commands),
];
const EVERY_PRUNING: &[Chore] = &[
    ("rows that have served their time", prune),
    ("uploads of nobody", |engine| sources::remove_leftovers(engine, Leftovers::Closed)),
];

impl Housekeeping {
    pub(super) fn before_pass(&mut self, engine: &Engine) {
        let now = engine.boot();
        if is_due(self.round, now, ROUND_MILLIS) {
            self.round = Some(now);
            do_all(engine, EVERY_ROUND);
        }
        if is_due(self.pruned, now, PRUNE_MILLIS) {
            self.pruned = Some(now);
            do_all(engine, EVERY_PRUNING);
        }
    }
}

fn do_all(engine: &Engine, chores: &[Chore]) {
    for (what, chore) in chores {
        if let Err(error) = chore(engine) {
            tracing::warn!(what, error = domain::cause::chain(&error), "not looked after; it is tried again");
        }
    }
}

fn is_due(last: Option<BootMillis>, now: BootMillis, every: u64) -> bool {
    last.is_none_or(|last| now.millis_since(last) >= every)
}

fn cancel_held(engine: &Engine) -> Result<(), Error> {
    let now = engine.now();
    let before = WallMillis(now.0.saturating_sub(HELD_LIMIT_MILLIS));
    engine.write_quietly(|writer| Ok(writer.cancel_held_jobs(before, now).map(drop)?))
}

fn forget_removed_commands(engine: &Engine) -> Result<(), Error> {
    let before = WallMillis(engine.now().0.saturating_sub(EXITS_KEPT_MILLIS));
    engine.write_quietly(|writer| Ok(writer.prune_removed_cron_entries(before, FORGOTTEN_AT_ONCE)?))
}

fn prune(engine: &Engine) -> Result<(), Error> {
    let now = engine.now();
    engine.write_quietly(|writer| {
        writer.forget_answers_before(WallMillis(now.0.saturating_sub(idempotency::WINDOW_MILLIS)))?;
        writer.forget_exits_before(WallMillis(now.0.saturating_sub(EXITS_KEPT_MILLIS)))?;
        writer.delete_expired_tokens(now)?;
        Ok(())
    })
}
