//! What processes use at this moment: asked of who holds them, each time.

use super::processes::{self, ProcessInfo};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::ports::UsageError;
use crate::reference::AppRef;
use domain::usage::Usage;
use std::time::{Duration, Instant};

/// Longest time for asking all processes of an app; those that are left then are told as not asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that lives, and what it uses or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub process: ProcessInfo,
    pub usage: Result<Usage, UsageError>,
}

/// Those that live when they are asked, in the order of [`processes::list`].
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<Measured>, Error> {
    let mut all = processes::list(engine, context, app)?;
    all.retain(|process| process.process.is_some() && !process.state.has_ended());
    let deadline = Instant::now() + PATIENCE;
    let measure = |process: ProcessInfo| {
        let usage = if Instant::now() < deadline { of(engine, &process) } else { Err(UsageError::NotAsked) };
        Measured { process, usage }
    };
    let ended = |row: &Measured| row.usage == Err(UsageError::Gone);
    Ok(all.into_iter().map(measure).filter(|row| !ended(row)).collect())
}

/// Of one that lives. Whoever could list the process may ask.
pub fn of(engine: &Engine, process: &ProcessInfo) -> Result<Usage, UsageError> {
    let Some(id) = process.process.filter(|_| !process.state.has_ended()) else {
        return Err(UsageError::Gone);
    };
    let workers = engine.0.workers.get();
    let starting = || UsageError::Unreachable("the server is starting".to_owned());
    workers.ok_or_else(starting)?.backend.usage(id)
}
