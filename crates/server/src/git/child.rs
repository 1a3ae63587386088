//! A git child that serves one request: limits, feeding, draining, end.
//!
//! A push is drained to its end whether or not its client listens: the child must never wait for somebody who is gone. A fetch
//! whose client is gone is ended.

use super::body::GitBody;
use super::command::{GitTool, Service, Step};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

/// Pieces of an answer that wait for a client.
const ANSWER_PIECES: usize = 64;
const PIECE: usize = 16 * 1024;
/// A client that takes nothing for so long counts as gone.
const DEAF: Duration = Duration::from_secs(30);
/// A client over SSH that sends nothing for so long has nothing more to send: what it leaves open holds a place that others want.
/// Before the first byte of a large pack comes, the client computes it.
const SILENT: Duration = Duration::from_secs(10 * 60);
/// A push may wait for a build that waits for a build; a fetch is only as slow as its client.
const PUSH_LIMIT: Duration = Duration::from_secs(6 * 60 * 60);
const FETCH_LIMIT: Duration = Duration::from_secs(60 * 60);
/// An advertisement is answered from a few files.
const ADVERTISE_LIMIT: Duration = Duration::from_secs(60);
const MAX_ADVERTISEMENT: u64 = 64 * 1024 * 1024;
const UPKEEP_LIMIT: Duration = Duration::from_secs(20 * 60);
/// What shells call the end by SIGKILL.
const KILLED: u32 = 137;
/// Bytes of git's standard error that are kept for our log.
const MAX_COMPLAINT: u64 = 4 * 1024;

/// Limits of each process of a child: a hostile pack may use up its own, and nothing else.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::As, 4 * 1024 * 1024 * 1024),
    (Resource::Core, 0),
    (Resource::Cpu, 20 * 60),
    (Resource::Fsize, 2 * 1024 * 1024 * 1024),
    (Resource::Nofile, 1024),
];

/// What is to be served.
pub struct Request<'a> {
    pub tool: &'a GitTool,
    pub service: Service,
    pub repository: &'a Path,
    /// The checked `Git-Protocol` header.
    pub protocol: Option<&'a str>,
    /// Further variables: a push's secret and socket.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Service {
    /// How long a child may take in all.
    const fn limit(self) -> Duration {
        match self {
            Self::ReceivePack => PUSH_LIMIT,
            Self::UploadPack => FETCH_LIMIT,
        }
    }
}

impl Request<'_> {
    fn spawn(&self, step: Step) -> io::Result<Child> {
        let mut command = Command::new(&self.tool.program);
        command
            .args(self.tool.service_arguments(self.service, step, self.repository))
            .env_clear()
            .envs(self.tool.environment())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(self.protocol.map(|value| ("GIT_PROTOCOL", value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        limit(&child)?;
        Ok(child)
    }

    /// The refs that there are.
    pub async fn advertise(&self) -> io::Result<Vec<u8>> {
        let mut child = self.spawn(Step::Advertise)?;
        drop(child.stdin.take());
        let mut answer = Vec::new();
        let read = async {
            if let Some(stdout) = child.stdout.take() {
                stdout.take(MAX_ADVERTISEMENT).read_to_end(&mut answer).await?;
            }
            child.wait().await
        };
        let status = tokio::time::timeout(ADVERTISE_LIMIT, read).await??;
        if status.success() { Ok(answer) } else { Err(io::Error::other(format!("git {}", status))) }
    }

    /// Serves a connection to its end, and gives the code that git ended with. Whoever outlives the client must run it: a push
    /// goes on without one.
    pub async fn converse(
        &self,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin,
        errors: impl AsyncWrite + Unpin,
    ) -> io::Result<u32> {
        let mut child = self.spawn(Step::Converse)?;
        let (Some(to_git), Some(from_git), Some(complaints)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("git has no streams"));
        };
        let feeding = feed(input, to_git);
        let answering = async {
            let (heard, ()) =
                tokio::join!(pass_on(from_git, output, self.service), pass_complaints(complaints, errors));
            if heard == Heard::Nobody && self.service == Service::UploadPack {
                end_group(&child);
            }
            child.wait().await
        };
        let served = async {
            tokio::pin!(feeding, answering);
            let mut fed = false;
            loop {
                tokio::select! {
                    ended = &mut answering => return ended,
                    () = &mut feeding, if !fed => fed = true,
                }
            }
        };
        let status = tokio::time::timeout(self.service.limit(), served).await;
        let status = status.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(KILLED))
    }

    /// Starts the exchange. The future is the exchange itself, to be run to its end by whoever outlives the client.
    pub fn serve(
        &self,
        body: GitBody,
        first: Option<Bytes>,
        preface: Option<Vec<u8>>,
    ) -> io::Result<(Body, impl Future<Output = ()> + Send + 'static)> {
        let child = self.spawn(Step::Serve)?;
        let (answer, pieces) = mpsc::channel::<Result<Bytes, io::Error>>(ANSWER_PIECES);
        if let Some(preface) = preface {
            // The queue is empty yet, so there is room.
            let _room = answer.try_send(Ok(preface.into()));
        }
        let exchange = Exchange { child, answer, service: self.service };
        let pieces = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
        Ok((Body::from_stream(pieces), exchange.run(body, first)))
    }
}

/// Packs a repository's files if they have become too many. Safe beside pushes and fetches.
pub async fn keep_up(tool: &GitTool, repository: &Path) {
    let mut command = Command::new(&tool.program);
    command
        .args(tool.upkeep_arguments(repository))
        .env_clear()
        .envs(tool.environment())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(UPKEEP_LIMIT, command.status()).await {
        Ok(Ok(status)) if status.success() => {}
        other => tracing::warn!(repository = %repository.display(), ?other, "a repository's upkeep failed"),
    }
}

/// A child before it has read anything starts no process of its own, so limits set now reach all of them.
fn limit(child: &Child) -> io::Result<()> {
    limit_process(child.id().ok_or_else(|| io::Error::other("git has ended already"))?)
}

/// The same for a child that somebody else waits for.
pub fn limit_process(id: u32) -> io::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("git has no process id"))?;
    for (resource, value) in LIMITS {
        prlimit(Some(pid), resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    }
    Ok(())
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

struct Exchange {
    child: Child,
    answer: mpsc::Sender<Result<Bytes, io::Error>>,
    service: Service,
}

impl Exchange {
    async fn run(mut self, body: GitBody, first: Option<Bytes>) {
        let (Some(input), Some(output), Some(complaints)) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
        else {
            return;
        };
        let limit = self.service.limit();
        // A client that is still sending when its answer is complete is cut off by some HTTP/2 libraries, answer and all.
        let unended = self.answer.clone();
        let feeding = async {
            let fed = body.feed(first, input).await;
            drop(unended);
            fed
        };
        let answering = async {
            let (heard, complaint) =
                tokio::join!(drain(output, self.answer, self.service), complaint(complaints));
            if heard == Heard::Nobody && self.service == Service::UploadPack {
                end_group(&self.child);
            }
            match self.child.wait().await {
                Ok(status) if status.success() => {}
                ended => tracing::info!(
                    service = self.service.name(),
                    ?ended,
                    complaint,
                    "git ended with a failure"
                ),
            }
        };
        let work = async { tokio::join!(feeding, answering).0 };
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a git request's body was cut short"),
            Err(_) => {
                tracing::warn!(service = self.service.name(), "a git child took too long and was ended")
            }
        }
    }
}

fn end_group(child: &Child) {
    if let Some(pid) = pid_of(child) {
        let _gone_already = kill_process_group(pid, Signal::KILL);
    }
}

/// Whether a client took the whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Client,
    Nobody,
}

/// Passes the child's output on while somebody takes it. Output of a push is read to its end all the same.
async fn drain(
    mut output: ChildStdout,
    answer: mpsc::Sender<Result<Bytes, io::Error>>,
    service: Service,
) -> Heard {
    let mut answer = Some(answer);
    let mut piece = vec![0; PIECE];
    loop {
        let count = match output.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let Some(client) = &answer else { continue };
        let bytes = Bytes::copy_from_slice(piece.get(..count).unwrap_or_default());
        let taken = tokio::time::timeout(DEAF, client.send(Ok(bytes))).await;
        if matches!(taken, Ok(Ok(()))) {
            continue;
        }
        answer = None;
        if service == Service::UploadPack {
            break;
        }
    }
    if answer.is_some() { Heard::Client } else { Heard::Nobody }
}

/// What a client sends, until it has no more, falls silent, or git takes no more. Dropping git's input tells it so; a git that has
/// read all that it needs does not mind.
async fn feed(mut input: impl AsyncRead + Unpin, mut to_git: impl AsyncWrite + Unpin) {
    let mut piece = vec![0; PIECE];
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(SILENT, input.read(&mut piece)).await {
        if to_git.write_all(piece.get(..count).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

/// Git's answer, while somebody takes it. That of a push is read to its end all the same.
async fn pass_on(mut from_git: ChildStdout, mut output: impl AsyncWrite + Unpin, service: Service) -> Heard {
    let mut heard = Heard::Client;
    let mut piece = vec![0; PIECE];
    loop {
        let count = match from_git.read(&mut piece).await {
            Ok(0) | Err(_) => return heard,
            Ok(count) => count,
        };
        if heard == Heard::Nobody {
            continue;
        }
        let bytes = piece.get(..count).unwrap_or_default();
        let taken = tokio::time::timeout(DEAF, async {
            output.write_all(bytes).await?;
            output.flush().await
        });
        if !matches!(taken.await, Ok(Ok(()))) {
            heard = Heard::Nobody;
            if service == Service::UploadPack {
                return heard;
            }
        }
    }
}

async fn pass_complaints(from: impl AsyncRead + Unpin, mut errors: impl AsyncWrite + Unpin) {
    let text = complaint(from).await;
    if !text.is_empty() {
        let _heard = tokio::time::timeout(DEAF, errors.write_all(format!("{text}\n").as_bytes())).await;
    }
}

/// The beginning of what git says on standard error; the rest is read and dropped.
async fn complaint(mut from: impl AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    let _kept = (&mut from).take(MAX_COMPLAINT).read_to_end(&mut text).await;
    let _dropped = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// By a clock that runs when nothing else does.
    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_no_longer_waited_for() {
        let (mut client, input) = tokio::io::duplex(64);
        let (to_git, mut git) = tokio::io::duplex(64);
        let (begun, slow) = (Instant::now(), SILENT - Duration::from_secs(1));
        let sending = async {
            for word in [b"one", b"two"] {
                client.write_all(word).await.unwrap();
                tokio::time::sleep(slow).await;
            }
            // It stays, and says nothing more.
            std::future::pending::<()>().await
        };
        let reading = async {
            let mut read = Vec::new();
            git.read_to_end(&mut read).await.unwrap();
            read
        };
        let fed = async { tokio::join!(feed(input, to_git), reading).1 };
        let read = tokio::select! {
            read = fed => read,
            () = sending => Vec::new(),
        };
        assert_eq!(read, b"onetwo", "a slow one is heard");
        assert_eq!(begun.elapsed(), slow + SILENT);
    }
}
