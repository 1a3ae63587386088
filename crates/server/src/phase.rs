//! What the process of a release phase prints: its lines in the app's log.

use crate::ports::{Follow, LogFeed, LogHub, LogQuery, LogSource};
use domain::ids::{AppId, JobId};
use engine::{Context, Engine, Error, ops};

/// Lines of a release phase that are given at most.
const MAX_LINES: usize = 10_000;

/// What the phase's process is called in the log: `release.3`. `None` before it has started.
pub(crate) fn name(engine: &Engine, app: AppId, job: JobId) -> Result<Option<String>, Error> {
    let context = Context::system("release-output");
    let phase = ops::processes::info(engine, &context, &app.into(), &job.into())?;
    Ok(phase.process.map(|_| phase.name))
}

/// Its lines, from the first on.
pub(crate) fn open(logs: &dyn LogHub, app: AppId, name: String) -> Result<Box<dyn LogFeed>, String> {
    logs.open(&LogQuery {
        app,
        lines: MAX_LINES,
        follow: Follow::GoOn,
        name: Some(name),
        process_type: None,
        source: Some(LogSource::App),
        process: None,
        after: None,
    })
}
