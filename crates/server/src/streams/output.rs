//! The output of builds and of release phases as plain text, from its beginning, until it ends.

use super::right::Leash;
use super::{Gone, PLAIN, Pen, answer, sheet};
use crate::http::blocking;
use crate::http::error::Refusal;
use crate::phase;
use crate::places::Place;
use crate::ports::{LogFeed, LogNext};
use crate::state::State;
use api::error::ErrorId;
use axum::response::Response;
use domain::ids::{AccountId, AppId, BuildId, JobId, ReleaseId};
use engine::builds::{Output, OutputReader};
use engine::{Engine, Progress, builds};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_secs(1);
/// Clients give up after 60 s of silence; Heroku sends a NUL, which terminals do not show.
const HEARTBEAT: Duration = Duration::from_secs(25);
const BEAT: &str = "\0";

pub async fn of_build(
    state: &State,
    build: BuildId,
    leash: Leash,
    place: Place<AccountId>,
) -> Result<Response, Refusal> {
    let engine = state.engine.clone();
    let output = blocking(move || builds::output(&engine, build)).await?;
    let (pen, body) = sheet(place);
    state.tasks.spawn_blocking(move || copy_build(output, &pen, leash));
    Ok(answer(PLAIN, body))
}

fn copy_build(mut output: OutputReader, pen: &Pen, mut leash: Leash) {
    let mut spoken = Instant::now();
    while leash.holds() {
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
    leash: Leash,
    place: Place<AccountId>,
) -> Result<Response, Refusal> {
    let engine = state.engine.clone();
    let name = blocking(move || phase::name(&engine, app, job)).await?;
    let waiting = || Refusal::not_found("stream", "The release phase has not started yet.");
    let name = name.ok_or_else(waiting)?;
    let logs = state.logs.clone();
    let opened = tokio::task::spawn_blocking(move || phase::open(&*logs, app, name)).await;
    let feed = opened
        .map_err(|_| Refusal::internal())?
        .map_err(|reason| Refusal::new(ErrorId::Unavailable, reason))?;
    let (pen, body) = sheet(place);
    state.tasks.spawn_blocking(move || copy_release(release, feed, &pen, leash));
    Ok(answer(PLAIN, body))
}

/// The phase's lines until its release is settled and the log has nothing more to give.
fn copy_release(release: ReleaseId, mut feed: Box<dyn LogFeed>, pen: &Pen, mut leash: Leash) {
    let mut spoken = Instant::now();
    while leash.holds() {
        let settled = is_settled(&leash.engine, release);
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
