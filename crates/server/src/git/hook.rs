//! The hook itself: what `pre-receive` and `post-receive` run, a short-lived process of our own binary started by git.
//!
//! It carries lines between git and the server and decides nothing. It waits for the server, never for its own output: a person
//! who stopped reading must not keep a push from ending, so output is written without blocking and, when too much has piled up,
//! dropped and counted.

use super::archive;
use super::hook_output::Output;
use super::wire::{self, Hello, HookKind, Message, TREE_PIECE, TreeEnd, Verdict, WireError};
use crate::short_path::ShortPath;
use domain::names::CommitId;
use rustix::event::{PollFd, PollFlags, poll};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Where the server listens, and which push this is. Set by the server for the git child, inherited by us.
pub const SOCKET_VARIABLE: &str = "DOZEN_HOOK_SOCKET";
pub const PUSH_VARIABLE: &str = "DOZEN_PUSH";

/// Standard input at most: far more than the refs that a push may change, and as JSON within one message.
const MAX_INPUT_BYTES: u64 = 512 * 1024;
/// A write that the server does not take for so long means that it hangs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of git's complaints that are passed on.
const MAX_COMPLAINT: u64 = 4096;

/// Why a hook could not do its work. Its text is shown to the person who pushes.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("{0} is not set: this repository takes pushes through the Dozen server only")]
    NotOurs(&'static str),
    #[error("this push changes too many refs: their names take more than {MAX_INPUT_BYTES} bytes")]
    TooMany,
    #[error("the Dozen server cannot be reached at {path}")]
    Unreachable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the server ended before it had answered; whether the build goes on is told by: dozen builds")]
    ServerLeft,
    #[error("reading the refs of this push")]
    Input(#[source] io::Error),
    #[error("starting git")]
    Git(#[source] io::Error),
}

impl HookKind {
    /// Which hook a program was started as, by the last part of its name; `None` if it is none.
    pub fn from_program(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name()?;
        Self::ALL.into_iter().find(|kind| name == kind.file_name())
    }
}

/// Runs a hook to its end. `lookup` reads the environment.
pub fn run(kind: HookKind, lookup: impl Fn(&str) -> Option<OsString>) -> ExitCode {
    let Ok(mut output) = Output::to_stderr() else { return ExitCode::FAILURE };
    let verdict = converse(kind, lookup, &mut output).unwrap_or_else(|error| {
        output.push(describe(&error).as_bytes());
        Verdict::Refuse
    });
    output.finish();
    match verdict {
        Verdict::Accept => ExitCode::SUCCESS,
        Verdict::Refuse => ExitCode::FAILURE,
    }
}

fn describe(error: &HookError) -> String {
    let mut text = format!(" !     {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text.push('\n');
    text
}

fn converse(
    kind: HookKind,
    lookup: impl Fn(&str) -> Option<OsString>,
    output: &mut Output,
) -> Result<Verdict, HookError> {
    let path = PathBuf::from(lookup(SOCKET_VARIABLE).ok_or(HookError::NotOurs(SOCKET_VARIABLE))?);
    let push = lookup(PUSH_VARIABLE).ok_or(HookError::NotOurs(PUSH_VARIABLE))?;
    let updates = read_updates()?;
    let mut server = connect(&path)?;
    let push = push.to_string_lossy().into_owned();
    send(&mut server, Message::Hello(Hello { format: wire::FORMAT, push, hook: kind, updates }))?;
    loop {
        wait_for_server(&server, output)?;
        match wire::read(&mut server)? {
            Some(Message::Output(text)) => output.push(&text),
            Some(Message::SendTree(commit)) => send_tree(&mut server, &commit)?,
            Some(Message::Verdict(verdict)) => return Ok(verdict),
            Some(Message::Hello(_) | Message::Tree(_) | Message::TreeEnd(_)) | None => {
                return Err(HookError::ServerLeft);
            }
        }
    }
}

fn read_updates() -> Result<Vec<String>, HookError> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_INPUT_BYTES + 1).read_to_string(&mut text).map_err(HookError::Input)?;
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(HookError::TooMany);
    }
    Ok(text.lines().map(str::to_owned).collect())
}

fn connect(path: &Path) -> Result<UnixStream, HookError> {
    let wrong = |source| HookError::Unreachable { path: path.to_owned(), source };
    let short = ShortPath::open(path).map_err(wrong)?;
    let stream = UnixStream::connect(short.path()).map_err(wrong)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(wrong)?;
    Ok(stream)
}

fn send(server: &mut UnixStream, message: Message) -> Result<(), HookError> {
    server.write_all(&message.encode()).map_err(|error| HookError::Wire(WireError::Broken(error)))
}

/// Returns when the server has something to say; meanwhile writes pending output as the reader takes it.
fn wait_for_server(server: &UnixStream, output: &mut Output) -> Result<(), HookError> {
    loop {
        output.write_some();
        let mut watched = vec![PollFd::new(server, PollFlags::IN)];
        if output.is_pending() {
            watched.push(PollFd::from_borrowed_fd(output.descriptor(), PollFlags::OUT));
        }
        match poll(&mut watched, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(HookError::Wire(WireError::Broken(error.into()))),
        }
        let ready = watched.first().is_some_and(|fd| !fd.revents().is_empty());
        if ready {
            return Ok(());
        }
    }
}

/// Streams `git archive` of a commit. The objects are still in quarantine, and git has put the way to them into our environment.
fn send_tree(server: &mut UnixStream, commit: &CommitId) -> Result<(), HookError> {
    let error = match object_kind(commit)?.as_str() {
        "commit" if !has_whole_history(commit)? => Some(SHALLOW.to_owned()),
        "commit" => match archive::too_large(Command::new("git"), commit).map_err(HookError::Git)? {
            Some(reason) => Some(reason),
            None => archive(server, commit)?,
        },
        other => Some(format!(
            "the deploy branch needs a commit and got a {other}; push its commit: git push REMOTE NAME^{{commit}}:main"
        )),
    };
    match error {
        Some(text) if text.is_empty() => Ok(()),
        error => send(server, Message::TreeEnd(TreeEnd { error })),
    }
}

fn object_kind(commit: &CommitId) -> Result<String, HookError> {
    let found = Command::new("git").args(["cat-file", "-t", commit.as_str()]).stdin(Stdio::null()).output();
    let found = found.map_err(HookError::Git)?;
    Ok(String::from_utf8_lossy(&found.stdout).trim().to_owned())
}

const SHALLOW: &str = "it comes from a shallow clone, and a part of its history is missing here; fetch the rest with \
    `git fetch --unshallow` and push again";

/// Git itself finds out after this hook that a shallow push cannot be taken, when the build would have been done.
fn has_whole_history(commit: &CommitId) -> Result<bool, HookError> {
    let walk = ["rev-list", "--quiet", commit.as_str(), "--not", "--all"];
    let walked = Command::new("git").args(walk).stdin(Stdio::null()).output().map_err(HookError::Git)?;
    Ok(walked.status.success())
}

/// Sends the tree. Gives git's complaint if it failed, and an empty text if the server interrupted: then it wants no more.
fn archive(server: &mut UnixStream, commit: &CommitId) -> Result<Option<String>, HookError> {
    let mut child = Command::new("git")
        .args(["archive", "--format=tar", commit.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(HookError::Git)?;
    let whole = match child.stdout.take() {
        Some(tree) => copy_tree(tree, server),
        None => Ok(Copied::Whole),
    };
    if !matches!(whole, Ok(Copied::Whole)) {
        let _killed = child.kill();
    }
    let mut complaint = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _read = stderr.take(MAX_COMPLAINT).read_to_string(&mut complaint);
    }
    let status = child.wait().map_err(HookError::Git)?;
    match whole? {
        Copied::Interrupted => Ok(Some(String::new())),
        Copied::Whole if status.success() => Ok(None),
        Copied::Whole => Ok(Some(format!("git archive failed ({status}): {}", complaint.trim()))),
    }
}

enum Copied {
    Whole,
    Interrupted,
}

fn copy_tree(mut tree: impl Read, server: &mut UnixStream) -> Result<Copied, HookError> {
    let mut piece = vec![0; TREE_PIECE];
    loop {
        let count = match tree.read(&mut piece) {
            Ok(0) => return Ok(Copied::Whole),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(HookError::Git(error)),
        };
        if server_speaks(server) {
            return Ok(Copied::Interrupted);
        }
        send(server, Message::Tree(piece.get(..count).unwrap_or_default().to_vec()))?;
    }
}

/// While a tree is sent, the server only speaks to say that it has had enough.
fn server_speaks(server: &UnixStream) -> bool {
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = [PollFd::new(server, PollFlags::IN)];
    matches!(poll(&mut watched, Some(&now)), Ok(count) if count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_chosen_by_the_program_name() {
        for (program, expected) in [
            ("hooks/pre-receive", Some(HookKind::PreReceive)),
            ("/a/b/post-receive", Some(HookKind::PostReceive)),
            ("dozen", None),
            ("/pre-receive/dozen", None),
            ("update", None),
        ] {
            assert_eq!(HookKind::from_program(OsStr::new(program)), expected, "{program}");
        }
    }
}
