//! What becomes of a release, told line by line to someone who waits: what it waits for and how it ended.

use crate::engine::Engine;
use crate::error::Error;
use crate::ops::releases::waits;
use domain::ids::{AppId, ProcessId, ReleaseId};
use domain::observed::ProcessState;
use domain::process::{Exit, Purpose};
use domain::release::{Release, ReleaseStatus};
use domain::serving::is_served_by;
use std::time::{Duration, Instant};

/// What is told while a release phase runs. A short one may be over before anybody looks.
pub const PHASE_RUNS: &str = "Running release phase";

/// How long to wait, after a promotion, until routers have taken the table that leads to the release.
const VISIBLE_WAIT: Duration = Duration::from_secs(10);

/// Ends of processes among which the culprit is looked for.
const RECENT_EXITS: usize = 50;

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// One line for people.
    Line(String),
    /// Nothing new within the time.
    Quiet,
    /// It serves, has failed or was superseded: nothing more will come.
    End(ReleaseStatus),
}

/// Someone who waits for a release. Dropping it changes nothing.
pub struct Follow {
    engine: Engine,
    release: ReleaseId,
    told: Vec<String>,
    /// What has been told last: a change of what it waits for is news, its repetition is not.
    last: Option<String>,
    /// When it was first seen as promoted.
    promoted: Option<Instant>,
}

/// Begins with what is to be told now.
pub fn follow(engine: &Engine, release: ReleaseId) -> Result<Follow, Error> {
    let follow = Follow { engine: engine.clone(), release, told: Vec::new(), last: None, promoted: None };
    follow.read()?;
    Ok(follow)
}

/// The process for which a release failed, as far as it can be told, with its app: whose last lines people want to see.
pub fn find_culprit(engine: &Engine, release: ReleaseId) -> Result<Option<(AppId, ProcessId)>, Error> {
    let status = engine.status();
    let is_slot = |purpose: &Purpose| match purpose {
        Purpose::Slot { release: of, .. } => *of == release,
        // What a release phase prints is told while it runs.
        Purpose::Job { .. } => false,
    };
    let of_release = status.observed.processes.iter().filter(|process| is_slot(&process.purpose));
    let seen = of_release.filter_map(|process| Some((blame(&process.state)?, process.app, process.process)));
    if let Some((_, app, process)) = seen.min() {
        return Ok(Some((app, process)));
    }
    engine.read(|reader| {
        let Some(row) = reader.release(release)? else { return Ok(None) };
        let ended = reader.exits_of(row.app, RECENT_EXITS)?;
        let of_release = ended.iter().filter(|ended| is_slot(&ended.purpose));
        let by_itself = of_release.filter_map(|ended| {
            let exit = ended.exit.as_ref().filter(|exit| !exit.stop_requested)?;
            Some((exit.failed_check.is_none(), ended))
        });
        // Of those that ended alike the newest, which comes first.
        let culprit = by_itself.min_by_key(|(unchecked, _)| *unchecked);
        Ok(culprit.map(|(_, ended)| (ended.app, ended.process)))
    })
}

/// How likely it is that a release failed for a process in this state; the least is the likeliest.
const fn blame(state: &ProcessState) -> Option<u8> {
    match state {
        ProcessState::Exited(Exit { failed_check: Some(_), .. }) => Some(0),
        ProcessState::Exited(Exit { stop_requested: false, .. }) => Some(1),
        ProcessState::Starting => Some(2),
        ProcessState::Stopping { .. } => Some(3),
        ProcessState::Exited(_) => Some(4),
        ProcessState::Lost => Some(5),
        ProcessState::Up { .. } | ProcessState::Unready { .. } => None,
    }
}

impl Follow {
    /// The next thing to tell, waiting for it at most so long.
    pub fn next(&mut self, at_most: Duration) -> Result<Progress, Error> {
        let deadline = Instant::now() + at_most;
        loop {
            let seen = self.engine.changed().rings();
            let release = self.read()?;
            if release.status.is_final() && self.is_visible(&release) {
                return Ok(Progress::End(release.status));
            }
            if let Some(line) = self.news(&release) {
                return Ok(Progress::Line(line));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Progress::Quiet);
            }
            self.engine.changed().wait_past(seen, left);
        }
    }

    /// Whether a promoted release can be seen by requests, too. Waited for within bounds: who was told "it serves" and asks at once
    /// should meet it, but a router that is away must not hold the word back for ever.
    fn is_visible(&mut self, release: &Release) -> bool {
        if release.status != ReleaseStatus::Succeeded {
            return true;
        }
        let since = *self.promoted.get_or_insert_with(Instant::now);
        let status = self.engine.status();
        is_served_by(&status.observed, release.app, release.id) || since.elapsed() > VISIBLE_WAIT
    }

    fn read(&self) -> Result<Release, Error> {
        let found = self.engine.read(|reader| Ok(reader.release(self.release)?))?;
        found.ok_or_else(|| Error::not_found("release", "The release is gone: its app was destroyed."))
    }

    fn news(&mut self, release: &Release) -> Option<String> {
        let stage = match &release.status {
            ReleaseStatus::Pending => None,
            ReleaseStatus::PhaseRunning => Some(PHASE_RUNS.to_owned()),
            ReleaseStatus::Starting => Some("Starting processes".to_owned()),
            ReleaseStatus::Succeeded | ReleaseStatus::Failed { .. } | ReleaseStatus::Superseded => None,
        };
        if let Some(stage) = stage.filter(|stage| !self.told.contains(stage)) {
            self.told.push(stage.clone());
            return Some(stage);
        }
        let status = self.engine.status();
        let waits = waits(&status.report, self.release).map(|why| format!("Waiting: {why}"));
        if waits.is_some() && waits != self.last {
            self.last.clone_from(&waits);
            return waits;
        }
        None
    }
}
