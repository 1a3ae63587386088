//! What a push tells of its release: what it waits for, what its release phase prints, how it ends. Decides nothing.

use super::desk::Voice;
use super::last_lines;
use super::push::Push;
use super::wire::WireError;
use crate::phase;
use crate::ports::{LogFeed, LogHub, LogNext, LogRecord};
use crate::state::State;
use domain::ids::{AppId, JobId, ReleaseId};
use domain::release::ReleaseStatus;
use engine::{Engine, Error, PHASE_RUNS, Progress, ops};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long one look at a release lasts.
const LOOK: Duration = Duration::from_secs(1);
/// The same while there may be lines of its phase, too.
const SHORT_LOOK: Duration = Duration::from_millis(100);
/// How long the lines of a phase that has ended may be on their way, and how long they may be copied.
const LAST_LINES: Duration = Duration::from_millis(500);
const LAST_LINES_LIMIT: Duration = Duration::from_secs(10);
/// A text goes to the hook once it is longer; a line has 10,000 bytes at most.
const TEXT_BYTES: usize = 32 * 1024;
/// Texts on their way to a hook.
const TEXTS: usize = 16;
/// A release that is not settled by then is no longer followed; it goes on.
const FOLLOWED: Duration = Duration::from_secs(2 * 60 * 60);

pub async fn follow(
    state: &State,
    push: &Push,
    release: ReleaseId,
    voice: &mut Voice,
) -> Result<(), WireError> {
    let (texts, mut relayed) = mpsc::channel(TEXTS);
    let mut teller = Teller {
        engine: state.engine.clone(),
        logs: state.logs.clone(),
        app: push.app,
        release,
        phase: Phase::Unknown,
        heading: Heading::Due,
        texts,
    };
    let following = tokio::task::spawn_blocking(move || teller.tell());
    loop {
        match state.shutdown.run_until_cancelled(relayed.recv()).await {
            Some(Some(text)) => voice.text(text).await?,
            Some(None) => break,
            None => return voice.text(last_words(None, &push.url)).await,
        }
    }
    match following.await {
        Ok(Ok(ended)) => {
            if let Some(ReleaseStatus::Failed { .. }) = &ended {
                voice.text(last_lines::read(state, release).await).await?;
            }
            voice.text(last_words(ended.as_ref(), &push.url)).await
        }
        Ok(Err(error)) => voice.say(&format!(" !     {}", error.message())).await,
        Err(_) => {
            voice.say(" !     The release could not be followed; dozen releases tells how it ends.").await
        }
    }
}

/// The person who pushed has gone.
struct Gone;

struct Teller {
    engine: Engine,
    logs: Arc<dyn LogHub>,
    app: AppId,
    release: ReleaseId,
    phase: Phase,
    heading: Heading,
    texts: mpsc::Sender<String>,
}

/// What is known of the release's phase.
enum Phase {
    Unknown,
    /// It has none, or its lines cannot be read.
    Absent,
    Waiting(JobId),
    Runs(Box<dyn LogFeed>),
}

/// Whether it has been told that the phase runs. A short one may be over before the release is seen to be in it.
enum Heading {
    Due,
    Told,
}

impl Teller {
    /// `None`: it had not ended when nobody listened any more, or after very long.
    fn tell(&mut self) -> Result<Option<ReleaseStatus>, Error> {
        let mut follow = engine::follow(&self.engine, self.release)?;
        let begun = Instant::now();
        while begun.elapsed() < FOLLOWED {
            let look = if matches!(self.phase, Phase::Runs(_)) { SHORT_LOOK } else { LOOK };
            let progress = follow.next(look)?;
            self.look_for_phase()?;
            let told = match progress {
                Progress::Line(line) => self.copy_phase(LAST_LINES).and_then(|()| self.say_stage(&line)),
                Progress::Quiet => self.copy_phase(Duration::ZERO),
                Progress::End(status) => {
                    let _gone_or_not = self.copy_phase(LAST_LINES);
                    return Ok(Some(status));
                }
            };
            if told.is_err() || self.texts.is_closed() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn say(&self, text: String) -> Result<(), Gone> {
        self.texts.blocking_send(text).map_err(|_| Gone)
    }

    fn say_stage(&mut self, line: &str) -> Result<(), Gone> {
        if line == PHASE_RUNS {
            return self.say_heading();
        }
        self.say(format!("-----> {line}\n"))
    }

    fn say_heading(&mut self) -> Result<(), Gone> {
        match std::mem::replace(&mut self.heading, Heading::Told) {
            Heading::Due => self.say(format!("-----> {PHASE_RUNS}\n")),
            Heading::Told => Ok(()),
        }
    }

    fn look_for_phase(&mut self) -> Result<(), Error> {
        if matches!(self.phase, Phase::Unknown) {
            let job = ops::releases::phase_job(&self.engine, self.release)?;
            self.phase = job.map_or(Phase::Absent, Phase::Waiting);
        }
        if let Phase::Waiting(job) = self.phase
            && let Some(name) = phase::name(&self.engine, self.app, job)?
        {
            self.phase = phase::open(&*self.logs, self.app, name).map_or(Phase::Absent, Phase::Runs);
        }
        Ok(())
    }

    /// The phase's lines that are there; with a time, also those that come until there was none for so long.
    fn copy_phase(&mut self, quiet: Duration) -> Result<(), Gone> {
        let begun = Instant::now();
        while let Some(records) = self.next_lines(quiet) {
            self.say_heading()?;
            render_lines(&records).into_iter().try_for_each(|text| self.say(text))?;
            // Somebody who writes without end is told of on the next look.
            if quiet.is_zero() || begun.elapsed() > LAST_LINES_LIMIT {
                break;
            }
        }
        Ok(())
    }

    fn next_lines(&mut self, at_most: Duration) -> Option<Vec<LogRecord>> {
        let Phase::Runs(feed) = &mut self.phase else { return None };
        match feed.next(at_most) {
            LogNext::Lines(records) => Some(records),
            LogNext::Quiet | LogNext::End => None,
        }
    }
}

/// Pure: lines for a terminal, in pieces that a hook takes. What an app writes is cleaned as what its build writes.
fn render_lines(records: &[LogRecord]) -> Vec<String> {
    let mut texts = vec![String::new()];
    for record in records {
        if texts.last().is_some_and(|text| text.len() > TEXT_BYTES) {
            texts.push(String::new());
        }
        if let Some(text) = texts.last_mut() {
            let clean = record.message.chars().filter(|c| !c.is_control() || *c == '\t');
            text.extend("       ".chars().chain(clean).chain(['\n']));
        }
    }
    texts
}

/// Pure: how a push's output closes.
fn last_words(status: Option<&ReleaseStatus>, url: &str) -> String {
    match status {
        Some(ReleaseStatus::Succeeded) => format!("       {url} deployed to Dozen\n"),
        Some(ReleaseStatus::Failed { reason }) => {
            format!("\n !     Release failed: {reason}\n !     The release before it goes on serving.\n")
        }
        Some(ReleaseStatus::Superseded) => {
            "\n !     A newer release took its place before it served.\n".to_owned()
        }
        Some(ReleaseStatus::Pending | ReleaseStatus::PhaseRunning | ReleaseStatus::Starting) | None => {
            "       The release goes on; dozen releases tells how it ends.\n".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::MAX_PAYLOAD;
    use super::*;

    #[test]
    fn lines_are_clean_and_go_in_pieces_that_a_hook_takes() {
        let record = |message: &str| LogRecord {
            cursor: String::new(),
            line: String::new(),
            message: message.to_owned(),
        };
        assert_eq!(render_lines(&[record("a\tb\u{1b}[31mc\r"), record("")]), ["       a\tb[31mc\n       \n"]);
        let many = vec![record(&"x".repeat(10_000)); 500];
        let texts = render_lines(&many);
        assert_eq!(texts.iter().map(|text| text.lines().count()).sum::<usize>(), 500);
        assert!(
            texts.iter().all(|text| text.len() < MAX_PAYLOAD / 10),
            "each is far below what a message may be"
        );
    }

    #[test]
    fn last_words_tell_the_end() {
        let url = "http://hello.localhost:8080/";
        assert_eq!(
            last_words(Some(&ReleaseStatus::Succeeded), url),
            format!("       {url} deployed to Dozen\n")
        );
        let failed = last_words(Some(&ReleaseStatus::Failed { reason: "web.1 crashed".into() }), url);
        assert!(failed.contains("web.1 crashed") && failed.contains("goes on serving"));
        for status in [None, Some(ReleaseStatus::Starting), Some(ReleaseStatus::Superseded)] {
            assert!(!last_words(status.as_ref(), url).contains("deployed"));
        }
    }
}
