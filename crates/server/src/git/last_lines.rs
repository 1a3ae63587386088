//! What the process said for which a release failed: the end of its log, for the person who pushed.

use crate::ports::{Follow, LogNext, LogQuery, LogRecord};
use crate::state::State;
use domain::ids::ReleaseId;
use std::time::Duration;

/// Lines that are shown at most.
const LAST_LINES: usize = 20;
/// How long the log is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Nothing if that cannot be told: the release's reason follows in any case.
pub async fn read(state: &State, release: ReleaseId) -> String {
    let (engine, logs) = (state.engine.clone(), state.logs.clone());
    let read = move || {
        let (app, process) = engine::find_culprit(&engine, release).ok().flatten()?;
        let query = LogQuery {
            app,
            lines: LAST_LINES,
            follow: Follow::Stop,
            name: None,
            process_type: None,
            source: None,
            process: Some(process),
            after: None,
        };
        match logs.open(&query).ok()?.next(LOOK) {
            LogNext::Lines(records) => Some(quote(&records)),
            LogNext::Quiet | LogNext::End => None,
        }
    };
    tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default()
}

/// Pure: lines of a log within a push's output.
fn quote(records: &[LogRecord]) -> String {
    let lines = records.iter().map(|record| format!("       {}\n", record.line));
    format!("\n       The last lines of its log:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_quoted_as_they_stand_in_the_log() {
        let record = |line: &str| LogRecord { cursor: "1".into(), line: line.into(), message: line.into() };
        let text = quote(&[record("t app[web.1]: one"), record("t heroku[web.1]: two")]);
        assert_eq!(
            text,
            "\n       The last lines of its log:\n       t app[web.1]: one\n       t heroku[web.1]: two\n"
        );
    }
}
