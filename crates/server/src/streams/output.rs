//! The output of builds and of release phases as plain text, from its beginning, until it ends.

use super::{Gone, PLAIN, Pen, answer, sheet};
use crate::http::blocking;
use crate::http::error::Refusal;
use crate::ports::{Follow, LogFeed, LogNext, LogQuery, LogSource};
use crate::state::State;
use api::error::ErrorId;
use axum::response::Response;
use domain::ids::{AppId, BuildId, JobId, ReleaseId};
use engine::builds::{Output, OutputReader};
use engine::{Context, Engine, Progress, builds, ops};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

const LOOK: Duration = Duration::from_secs(1);
/// Clients give up after 60 s of silence; Heroku sends a NUL, which terminals do not show.
const HEARTBEAT: Duration = Duration::from_secs(25);
const BEAT: &str = "\0";
/// Lines of a release phase that are given at most.
const MAX_LINES: usize = 10_000;

pub async fn of_build(
    state: &State,
    build: BuildId,
    place: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let engine = state.engine.clone();
    let output = blocking(move || builds::output(&engine, build)).await?;
    let (pen, body) = sheet(place);
    let shutdown = state.shutdown.clone();
    state.tasks.spawn_blocking(move || copy_build(output, &pen, &shutdown));
    Ok(answer(PLAIN, body))
}

fn copy_build(mut output: OutputReader, pen: &Pen, shutdown: &CancellationToken) {
    let mut spoken = Instant::now();
    while !shutdown.is_cancelled() {
        let written = match output.next(LOOK) {
            Output::End => return,
            Output::Text(text) => {
                spoken = Instant::now();
                pen.write(text)
            }
            Output::Quiet => beat(pen, &mut spoken),
        };
        if matches!(written, Err(Gone)) {
            return;
        }
    }
}

fn beat(pen: &Pen, spoken: &mut Instant) -> Result<(), Gone> {
    if pen.pieces.is_closed() {
        return Err(Gone);
    }
    if spoken.elapsed() < HEARTBEAT {
        return Ok(());
    }
    *spoken = Instant::now();
    pen.write(BEAT)
}

pub async fn of_release(
    state: &State,
    app: AppId,
    release: ReleaseId,
    job: JobId,
    place: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let name = phase_name(state, app, job).await?;
    let query = LogQuery {
        app,
        lines: MAX_LINES,
        follow: Follow::GoOn,
        name: Some(name),
        process_type: None,
        source: Some(LogSource::App),
        after: None,
    };
    let logs = state.logs.clone();
    let opened =
        tokio::task::spawn_blocking(move || logs.open(&query)).await.map_err(|_| Refusal::internal())?;
    let feed = opened.map_err(|reason| Refusal::new(ErrorId::Unavailable, reason))?;
    let (pen, body) = sheet(place);
    let (engine, shutdown) = (state.engine.clone(), state.shutdown.clone());
    state.tasks.spawn_blocking(move || copy_release(&engine, release, feed, &pen, &shutdown));
    Ok(answer(PLAIN, body))
}

/// What the phase's process is called in the log; 404 before it has started, as Heroku answers.
async fn phase_name(state: &State, app: AppId, job: JobId) -> Result<String, Refusal> {
    let engine = state.engine.clone();
    let context = Context::system("release-output");
    let phase = blocking(move || ops::processes::info(&engine, &context, &app.into(), &job.into())).await?;
    let waiting = || Refusal::not_found("stream", "The release phase has not started yet.");
    phase.process.map(|_| phase.name).ok_or_else(waiting)
}

/// The phase's lines until its release is settled and the log has nothing more to give.
fn copy_release(
    engine: &Engine,
    release: ReleaseId,
    mut feed: Box<dyn LogFeed>,
    pen: &Pen,
    shutdown: &CancellationToken,
) {
    let mut spoken = Instant::now();
    while !shutdown.is_cancelled() {
        let settled = is_settled(engine, release);
        let written = match feed.next(LOOK) {
            LogNext::End => return,
            LogNext::Lines(records) => {
                spoken = Instant::now();
                pen.write(records.iter().map(|record| format!("{}\n", record.message)).collect::<String>())
            }
            LogNext::Quiet if settled => return,
            LogNext::Quiet => beat(pen, &mut spoken),
        };
        if matches!(written, Err(Gone)) {
            return;
        }
    }
}

/// Also if it is gone with its app.
fn is_settled(engine: &Engine, release: ReleaseId) -> bool {
    let looked = engine::follow(engine, release).and_then(|mut follow| {
        loop {
            match follow.next(Duration::ZERO)? {
                Progress::Line(_) => {}
                other @ (Progress::Quiet | Progress::End(_)) => return Ok(other),
            }
        }
    });
    !matches!(looked, Ok(Progress::Quiet | Progress::Line(_)))
}
