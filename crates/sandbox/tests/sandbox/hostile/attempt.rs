//! What one attempt is: a small program, `attempt NAME [OBJECT]`, that prints how it went; what must come of it in a sandbox; and
//! how it shows outside that nothing else than the sandbox stands in its way.

use super::scene::Scene;
use std::process::ExitCode;

/// What an attempt prints that had its way.
pub const SUCCEEDED: &str = "succeeded";
/// What shells say of a program that SIGSYS ended.
pub const KILLED_BY_THE_FILTER: &str = "status 159";

/// One attempt.
#[derive(Clone, Copy)]
pub struct Attempt {
    pub name: &'static str,
    /// What an app would gain.
    pub aim: &'static str,
    pub make: fn(&str) -> std::io::Result<()>,
    /// What it is aimed at, inside and outside.
    pub at: fn(&Scene) -> (String, String),
    /// What it must come to inside: one of these.
    pub refused: &'static [&'static str],
    /// Errors that the kernel gives outside only to who has passed the check that stops it inside: where success would harm the
    /// machine, the attempt is made so that it ends with one of these. Empty: it must succeed.
    pub beyond: &'static [&'static str],
    pub ordinary: Ordinary,
    /// Kernels are built without it: outside it may come to one of these, and then proves nothing and does not count.
    pub lacking: &'static [&'static str],
}

/// What comes of an attempt in the form of an ordinary user.
#[derive(Clone, Copy)]
pub enum Ordinary {
    /// The same.
    Alike,
    /// One of these.
    Refused(&'static [&'static str]),
    /// One of these where the kernel has Landlock scopes, else it succeeds.
    ByLandlock(&'static [&'static str]),
    /// It succeeds: that form does not protect against it, which `docs/explanation/isolation.md` and `dozen doctor` say.
    Open,
}

impl Attempt {
    /// Refused with EPERM; needs no object; succeeds outside.
    pub const fn new(name: &'static str, aim: &'static str, make: fn(&str) -> std::io::Result<()>) -> Self {
        Self {
            name,
            aim,
            make,
            at: |_| (String::new(), String::new()),
            refused: &["EPERM"],
            beyond: &[],
            ordinary: Ordinary::Alike,
            lacking: &[],
        }
    }

    pub const fn refused(self, refused: &'static [&'static str]) -> Self {
        Self { refused, ..self }
    }

    pub const fn beyond(self, beyond: &'static [&'static str]) -> Self {
        Self { beyond, ..self }
    }

    pub const fn at(self, at: fn(&Scene) -> (String, String)) -> Self {
        Self { at, ..self }
    }

    pub const fn ordinary(self, ordinary: Ordinary) -> Self {
        Self { ordinary, ..self }
    }

    pub const fn may_lack(self, lacking: &'static [&'static str]) -> Self {
        Self { lacking, ..self }
    }
}

/// Makes the attempt that is named, in this process.
pub fn make(words: &[&str]) -> ExitCode {
    let (name, object) = match words {
        [name] => (name, ""),
        [name, object] => (name, *object),
        _ => return ExitCode::from(64),
    };
    let Some(attempt) = super::all().find(|attempt| attempt.name == *name) else {
        return ExitCode::from(64);
    };
    println!("{}", told((attempt.make)(object)));
    ExitCode::SUCCESS
}

/// The name of the error, or its text where the kernel gave none.
fn told(outcome: std::io::Result<()>) -> String {
    match outcome {
        Ok(()) => SUCCEEDED.to_owned(),
        Err(error) => error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |code| format!("{:?}", nix::errno::Errno::from_raw(code))),
    }
}
