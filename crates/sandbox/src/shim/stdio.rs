//! The app's standard descriptors: made, taken from the request, or left to the sandbox; and their other ends.

use super::orders::UserIds;
use crate::inside::{Descriptors, InsideError, InsideStdio};
use crate::spec::{Held, Passed, Stdio};
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::pipe::PipeFlags;
use std::os::fd::OwnedFd;

/// Both sides.
pub struct Made {
    pub inside: InsideStdio,
    pub outside: Outside,
}

/// What the shim keeps.
#[derive(Debug)]
pub enum Outside {
    /// Read ends, not blocking.
    Journal {
        output: OwnedFd,
        error: OwnedFd,
    },
    /// Until somebody attaches.
    Pipes {
        input: OwnedFd,
        output: OwnedFd,
        error: OwnedFd,
    },
    /// Made inside; the sandbox sends the master.
    TerminalToCome,
    Terminal(OwnedFd),
    /// For the reason if the app cannot be started: the caller reads there and nowhere else.
    Passed {
        error: OwnedFd,
    },
    /// Handed out; the shim keeps nothing, so that hanging up is noticed.
    HandedOut,
}

/// Pipes are given to the app's uid, without which it could not open `/dev/stdout`.
pub fn make(stdio: Stdio, app: UserIds, passed: Vec<OwnedFd>) -> Result<Made, InsideError> {
    match stdio {
        Stdio::Journal => journal(app),
        Stdio::Held(Held::Pipes) => held_pipes(app),
        Stdio::Held(Held::Terminal(size)) => {
            Ok(Made { inside: InsideStdio::Terminal(size), outside: Outside::TerminalToCome })
        }
        Stdio::Passed(count) => given(count, app, passed),
    }
}

fn journal(app: UserIds) -> Result<Made, InsideError> {
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(InsideError::at("open /dev/null"))?;
    let (output, inside_output) = pipe(app)?;
    let (error, inside_error) = pipe(app)?;
    for end in [&output, &error] {
        rustix::fs::fcntl_setfl(end, OFlags::NONBLOCK).map_err(InsideError::at("prepare a pipe"))?;
    }
    let inside = Descriptors { input: null, output: inside_output, error: inside_error, extra: None };
    Ok(Made { inside: InsideStdio::Given(inside), outside: Outside::Journal { output, error } })
}

fn held_pipes(app: UserIds) -> Result<Made, InsideError> {
    let (inside_input, input) = pipe(app)?;
    let (output, inside_output) = pipe(app)?;
    let (error, inside_error) = pipe(app)?;
    let inside = Descriptors { input: inside_input, output: inside_output, error: inside_error, extra: None };
    Ok(Made { inside: InsideStdio::Given(inside), outside: Outside::Pipes { input, output, error } })
}

fn given(count: Passed, app: UserIds, passed: Vec<OwnedFd>) -> Result<Made, InsideError> {
    for descriptor in &passed {
        give_pipe_to(descriptor, app)?;
    }
    let wrong = || InsideError::new("take the passed descriptors", "their number is not as announced");
    let mut passed = passed.into_iter();
    let mut next = || passed.next().ok_or_else(wrong);
    let (input, output, error) = (next()?, next()?, next()?);
    let extra = match count {
        Passed::Three => None,
        Passed::Four => Some(next()?),
    };
    let own = error.try_clone().map_err(InsideError::at("copy a descriptor"))?;
    let inside = Descriptors { input, output, error, extra };
    Ok(Made { inside: InsideStdio::Given(inside), outside: Outside::Passed { error: own } })
}

/// Read end and write end.
fn pipe(app: UserIds) -> Result<(OwnedFd, OwnedFd), InsideError> {
    let (reading, writing) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(InsideError::at("make a pipe"))?;
    give_pipe_to(&writing, app)?;
    Ok((reading, writing))
}

/// Only pipes: whatever else the caller passes stays its own.
fn give_pipe_to(descriptor: &OwnedFd, app: UserIds) -> Result<(), InsideError> {
    let stat = rustix::fs::fstat(descriptor).map_err(InsideError::at("look at a descriptor"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Ok(());
    }
    rustix::fs::fchown(descriptor, Some(Uid::from_raw(app.uid)), Some(Gid::from_raw(app.gid)))
        .map_err(InsideError::at("give a pipe to the app"))
}
