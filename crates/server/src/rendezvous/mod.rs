//! Attached processes: a client that was given a secret connects, says it, and from then on talks to the process's standard
//! streams over TLS. Two forms, chosen by the client's query: Heroku's raw one and our framed one (`api::frame`).
//!
//! The greeting is a TLS record of its own, because Heroku's client throws its first record away whole. An orderly end is a TLS
//! close; a client that leaves before the process has ended hangs up on it.

mod bridge;
mod descriptor;
mod exit_marker;
mod input;
mod inward;
mod output;
mod outward;

pub use exit_marker::{ExitMarker, split_command};
pub use input::EndRule;

use crate::secrets::{SecretError, SecretTable};
use api::frame::{GREETING, MODE_QUERY, encode_exit_code, encode_notice};
use bridge::{Ended, Form, Streams};
use domain::ids::JobId;
use domain::job::JobState;
use engine::{Engine, ops};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// From `POST /apps/:app/dynos` to the client's connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// Secrets that wait for their client at once.
const MAX_WAITING: usize = 256;
/// From the client's connection to the start of the process: the machine may be full for a while.
const START_WITHIN: Duration = Duration::from_secs(120);
/// From the end of the output to the end of the job as the ledger records it.
const END_WITHIN: Duration = Duration::from_secs(60);

/// What Heroku's client is told of a command that could not be run, as `dozen run` ends then.
const NOT_RUN: u8 = 125;

/// What a secret leads to.
#[derive(Debug, Clone, Copy)]
pub struct Meeting {
    pub job: JobId,
    pub end_rule: EndRule,
    pub exit_marker: ExitMarker,
}

/// The meetings that were promised.
pub struct Rendezvous {
    engine: Engine,
    meetings: SecretTable<Meeting>,
}

impl Rendezvous {
    pub fn new(engine: Engine) -> Self {
        Self { engine, meetings: SecretTable::new("attached processes", MAX_WAITING, CONNECT_WITHIN) }
    }

    /// A secret for one connection within [`CONNECT_WITHIN`].
    pub fn promise(&self, meeting: Meeting) -> Result<String, SecretError> {
        self.meetings.insert(meeting)
    }

    /// Serves a connection that said a secret, to its end.
    pub async fn connect<S>(&self, secret: &str, query: &str, mut stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let Some(meeting) = self.meetings.take(secret) {
            let form = if query == MODE_QUERY { Form::Framed } else { Form::Raw(meeting.end_rule) };
            match self.meet(meeting, form, &mut stream).await {
                Ok(Ended::Output) => {}
                Ok(Ended::Client) => self.hang_up(meeting.job).await,
                Err(error) => {
                    tracing::debug!(job = %meeting.job, %error, "an attached connection broke");
                    self.hang_up(meeting.job).await;
                }
            }
        }
        let _closed = stream.shutdown().await;
    }

    async fn meet<S>(&self, meeting: Meeting, form: Form, stream: &mut S) -> io::Result<Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        stream.write_all(GREETING).await?;
        stream.flush().await?;
        let (engine, job) = (self.engine.clone(), meeting.job);
        let attached = blocking(move || ops::run::attach(&engine, job, START_WITHIN)).await?;
        let streams = match attached {
            Ok(attached) => Streams::new(attached)?,
            Err(error) => {
                let sentences =
                    std::iter::once(error.message()).chain(error.hints().iter().map(String::as_str));
                tell(stream, form, &sentences.collect::<Vec<_>>().join("\n")).await?;
                if form != Form::Framed {
                    say_exit(stream, form, meeting.exit_marker, NOT_RUN).await?;
                }
                return Ok(Ended::Client);
            }
        };
        let ended = bridge::converse(stream, streams, form).await?;
        if ended == Ended::Output && (form == Form::Framed || meeting.exit_marker == ExitMarker::Wanted) {
            self.tell_exit(meeting, form, stream).await?;
        }
        Ok(ended)
    }

    /// The exit code, if it becomes known; without it our client asks the API, and Heroku's says that there was none.
    async fn tell_exit<S>(&self, meeting: Meeting, form: Form, stream: &mut S) -> io::Result<()>
    where
        S: AsyncWrite + Unpin,
    {
        let engine = self.engine.clone();
        let state = blocking(move || ops::run::wait_ended(&engine, meeting.job, END_WITHIN)).await?;
        if let Ok(Some(JobState::Ended { status, .. })) = state {
            say_exit(stream, form, meeting.exit_marker, status.shell_code()).await?;
        }
        Ok(())
    }

    async fn hang_up(&self, job: JobId) {
        let engine = self.engine.clone();
        let hung_up = blocking(move || ops::run::hang_up(&engine, job)).await;
        if let Err(error) = hung_up {
            tracing::warn!(%job, %error, "a job whose client left could not be stopped");
        }
    }
}

/// Sentences of the platform in place of a process's output.
async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, form: Form, text: &str) -> io::Result<()> {
    let bytes = match form {
        Form::Raw(_) => text.lines().map(|line| format!(" !    {line}\r\n")).collect::<String>().into_bytes(),
        Form::Framed => {
            let mut bytes = Vec::new();
            encode_notice(text, &mut bytes);
            bytes
        }
    };
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// The exit code in the form that the client reads, if it reads any.
async fn say_exit<S>(stream: &mut S, form: Form, marker: ExitMarker, code: u8) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let bytes = match (form, marker) {
        (Form::Raw(_), ExitMarker::Unwanted) => return Ok(()),
        (Form::Raw(_), ExitMarker::Wanted) => exit_marker::render(code).into_bytes(),
        (Form::Framed, _) => {
            let mut bytes = Vec::new();
            encode_exit_code(code, &mut bytes);
            bytes
        }
    };
    stream.write_all(&bytes).await?;
    stream.flush().await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
