//! Running a build's step in the sandbox: spawn, pass its output on, read its result, and know how it ended.
//!
//! The step gets an empty standard input, one pipe for output and errors, and as descriptor 3 a pipe for its result, which a
//! thread of ours extracts while it is written. Everything ends: the sandbox by its own time limit, else by ours, and reading the
//! pipes soon after the sandbox, whoever else may hold them open: a build can hand them to a process of its app.

use crate::cancel::CancelToken;
use crate::output::{Lines, Printer};
use blobs::tree::{ExtractError, Limits, TreeSummary, extract};
use domain::ids::{BuildId, ProcessId};
use domain::observed::ProcessState;
use domain::process::Exit;
use domain::time::BootId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::Timespec;
use sandbox::client::{ClientError, Launcher};
use sandbox::control;
use sandbox::environment::{EnvironmentError, SealedEnvironment};
use sandbox::layout::DataFolder;
use sandbox::protocol::RefusalReason;
use sandbox::run_folder::{self, RunFolderError};
use sandbox::spec::ProcessSpec;
use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How often a cancellation and the clock are looked at while nothing is printed.
const TICK: Duration = Duration::from_millis(100);
/// How often the run folder is looked at after the output has ended.
const EXIT_TICK: Duration = Duration::from_millis(5);
/// What the sandbox may take longer than its time limit before it is killed from here.
const TIME_LIMIT_SLACK: Duration = Duration::from_secs(30);
/// Longest wait for the end of a sandbox that was killed.
const KILL_WAIT: Duration = Duration::from_secs(30);
/// Longest wait for a shim that has written its exit to end.
const LET_GO_WAIT: Duration = Duration::from_secs(5);
/// How long its pipes are read once a step has ended. What it left in them is read in a moment; what comes after is not its own.
const PIPES_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether a step whose output is still open has ended.
const END_LOOK: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 64 * 1024;
/// Anybody may open the pipes by `/dev/stdout` and `/dev/stderr`: inside only the build's own uid can reach them.
const PIPE_MODE: Mode = Mode::from_raw_mode(0o666);

/// Why a step could not be run to an end that says something.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error("the launcher could not start it")]
    Launcher(#[from] ClientError),
    #[error("its environment could not be made")]
    Environment(#[from] EnvironmentError),
    #[error("its run folder could not be read")]
    RunFolder(#[from] RunFolderError),
    #[error("its pipes could not be made or read")]
    Pipe(#[source] io::Error),
    #[error("its sandbox could not be made; the reason is in the lines above")]
    NotStarted,
    #[error("it vanished: its shim ended without a record, or did not end when killed")]
    Lost,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Exited(Exit),
    TimedOut,
    Cancelled,
}

/// What a step came to, and what was extracted of its result.
pub(crate) struct Ran {
    pub(crate) end: End,
    pub(crate) result: Result<TreeSummary, ExtractError>,
}

/// What running needs beside the spec.
pub(crate) struct Step<'a> {
    pub(crate) data: &'a DataFolder,
    pub(crate) spec: &'a ProcessSpec,
    pub(crate) environment: &'a [(String, String)],
    /// Where the result is extracted to.
    pub(crate) result: BorrowedFd<'a>,
    pub(crate) cancel: &'a CancelToken,
}

/// Starts the step and follows it to its end.
pub(crate) fn run(
    step: &Step<'_>,
    launcher: &mut Launcher,
    printer: &mut Printer<'_>,
) -> Result<Ran, ExecuteError> {
    launcher.create_network(step.spec.app, step.spec.app_index)?;
    let environment =
        SealedEnvironment::seal(step.environment.iter().map(|(n, v)| (n.as_str(), v.as_str())))?;
    let input = File::open("/dev/null").map_err(ExecuteError::Pipe)?;
    let (output, output_inside) = pipe()?;
    let (result, result_inside) = pipe()?;
    let inside = [input.as_fd(), output_inside.as_fd(), output_inside.as_fd(), result_inside.as_fd()];
    if let Err(error) = launcher.spawn(step.spec, &environment, &inside) {
        // The answer may have been lost after the deed.
        let _ = control::kill(step.data, step.spec.process);
        return Err(error.into());
    }
    // Ours must close, or the pipes would never end.
    drop((output_inside, result_inside));
    let until = OnceLock::new();
    std::thread::scope(|scope| {
        let mut reader = ResultReader { pipe: result, until: &until };
        let extraction = scope.spawn(move || extract(&mut reader, step.result, &Limits::SOURCE));
        let end = follow(step, &output, printer);
        until.get_or_init(|| read_until(&end));
        let result = extraction.join().expect("extraction does not panic");
        end.map(|end| Ran { end, result })
    })
}

/// Until when a result is read whose step ended so. Of one that was cut, or of which nobody knows whether it lives, none is used.
fn read_until(end: &Result<End, ExecuteError>) -> Instant {
    let now = Instant::now();
    match end {
        Ok(End::Exited(_)) => now + PIPES_WAIT,
        Ok(End::TimedOut | End::Cancelled) | Err(_) => now,
    }
}

/// The result's pipe, which is read as long as the step runs and until the instant that is then named.
struct ResultReader<'a> {
    pipe: OwnedFd,
    until: &'a OnceLock<Instant>,
}

impl io::Read for ResultReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.until.get().is_some_and(|until| Instant::now() >= *until) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if is_readable(&self.pipe, TICK).map_err(io::Error::other)? {
                return Ok(rustix::io::read(&self.pipe, buffer)?);
            }
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), ExecuteError> {
    let failed = |error: Errno| ExecuteError::Pipe(error.into());
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    rustix::fs::fchmod(&write, PIPE_MODE).map_err(failed)?;
    Ok((read, write))
}

/// Why a running step is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    TimedOut,
    Cancelled,
}

/// Watches one step: its output, the clock, the wish to cancel.
struct Watch<'a> {
    step: &'a Step<'a>,
    deadline: Instant,
    /// Set once it has been killed, with the time until which it must have ended.
    cut: Option<(Cut, Instant)>,
    /// When to look again whether it has ended.
    next_look: Instant,
    /// Set once it was seen to have ended: until when its output is read.
    output_until: Option<Instant>,
}

fn follow(step: &Step<'_>, output: &OwnedFd, printer: &mut Printer<'_>) -> Result<End, ExecuteError> {
    let limit = step.spec.time_limit_seconds.map_or(TIME_LIMIT_SLACK, Duration::from_secs);
    let now = Instant::now();
    let deadline = now + limit + TIME_LIMIT_SLACK;
    let mut watch = Watch { step, deadline, cut: None, next_look: now + END_LOOK, output_until: None };
    let followed = watch.pass_output_on(output, printer).and_then(|()| watch.wait_for_exit());
    if followed.is_err() {
        // Whatever went wrong here, the sandbox must not outlive it: the extraction waits for its end.
        let _ = control::kill(step.data, step.spec.process);
    }
    followed
}

impl Watch<'_> {
    fn pass_output_on(&mut self, output: &OwnedFd, printer: &mut Printer<'_>) -> Result<(), ExecuteError> {
        let mut lines = Lines::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.check()?;
            if self.is_done_with(output)? {
                lines.end(&mut |line| printer.passed_on(line));
                return Ok(());
            }
            if !is_readable(output, TICK)? {
                continue;
            }
            let read = match rustix::io::read(output, &mut buffer) {
                Err(Errno::INTR) => continue,
                other => other.map_err(|error| ExecuteError::Pipe(error.into()))?,
            };
            if read == 0 {
                lines.end(&mut |line| printer.passed_on(line));
                return Ok(());
            }
            lines.push(&buffer[..read], &mut |line| printer.passed_on(line));
        }
    }

    /// Whether to read no more, though somebody holds the pipe open: the step has ended, and nothing is left of its output.
    fn is_done_with(&mut self, output: &OwnedFd) -> Result<bool, ExecuteError> {
        let now = Instant::now();
        if let Some(until) = self.output_until {
            return Ok(now >= until || !is_readable(output, Duration::ZERO)?);
        }
        if now >= self.next_look {
            self.next_look = now + END_LOOK;
            self.output_until = self.observe_end()?.map(|_ended| now + PIPES_WAIT);
        }
        Ok(false)
    }

    fn wait_for_exit(&mut self) -> Result<End, ExecuteError> {
        loop {
            self.check()?;
            if let Some(end) = self.observe_end()? {
                return Ok(end);
            }
            std::thread::sleep(EXIT_TICK);
        }
    }

    /// Kills the step when it is time to.
    fn check(&mut self) -> Result<(), ExecuteError> {
        let now = Instant::now();
        if let Some((_, ended_by)) = self.cut {
            return if now > ended_by { Err(ExecuteError::Lost) } else { Ok(()) };
        }
        let cut = if self.step.cancel.is_cancelled() {
            Cut::Cancelled
        } else if now > self.deadline {
            Cut::TimedOut
        } else {
            return Ok(());
        };
        // Gone already is as good; anything else shows when it has not ended in time.
        let _ = control::kill(self.step.data, self.step.spec.process);
        self.cut = Some((cut, now + KILL_WAIT));
        Ok(())
    }

    fn observe_end(&self) -> Result<Option<End>, ExecuteError> {
        let spec = self.step.spec;
        let Some(observed) = run_folder::observe(self.step.data, spec.process, &spec.boot_id)? else {
            return Err(ExecuteError::Lost);
        };
        match observed.state {
            ProcessState::Starting
            | ProcessState::Up { .. }
            | ProcessState::Unready { .. }
            | ProcessState::Stopping { .. } => Ok(None),
            ProcessState::Lost => Err(ExecuteError::Lost),
            ProcessState::Exited(exit) => self.judge(exit).map(Some),
        }
    }

    fn judge(&self, exit: Exit) -> Result<End, ExecuteError> {
        match self.cut {
            Some((Cut::Cancelled, _)) => Ok(End::Cancelled),
            Some((Cut::TimedOut, _)) => Ok(End::TimedOut),
            None if exit.status == domain::process::ExitStatus::NotStarted => Err(ExecuteError::NotStarted),
            // Nobody else stops builds: it was the sandbox's own clock.
            None if exit.stop_requested => Ok(End::TimedOut),
            None => Ok(End::Exited(exit)),
        }
    }
}

fn is_readable(fd: &OwnedFd, wait: Duration) -> Result<bool, ExecuteError> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    match poll(&mut fds, Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(ExecuteError::Pipe(error.into())),
    }
}

/// Removes what a step left: its run folder and the build's working folder. Failures cost disk until the next start of the
/// server, which cleans up again.
pub(crate) fn clean(
    launcher: &mut Launcher,
    process: ProcessId,
    build: Option<BuildId>,
) -> Result<(), ClientError> {
    remove_process(launcher, process)?;
    build.map_or(Ok(()), |build| launcher.remove_build(build))
}

/// A shim writes its exit a moment before it lets go: until then it is busy.
fn remove_process(launcher: &mut Launcher, process: ProcessId) -> Result<(), ClientError> {
    let deadline = Instant::now() + LET_GO_WAIT;
    loop {
        match launcher.remove_process(process) {
            Err(error) if error.refusal() == Some(RefusalReason::Busy) && Instant::now() < deadline => {
                std::thread::sleep(EXIT_TICK);
            }
            result => return result,
        }
    }
}

/// This boot's id, for specs and for reading run folders.
pub(crate) fn boot_id() -> Result<BootId, ExecuteError> {
    sandbox::system::boot_id().map_err(ExecuteError::Pipe)
}
