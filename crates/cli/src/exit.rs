//! Exit codes, a contract with scripts.

use std::process::ExitCode;

/// How the program ends. `dozen run` ends with the code of the process it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It was done.
    Done,
    /// It was not: wrong usage, a local fault, or a server that could not be reached or understood.
    Failed,
    /// The server refused, with a reason.
    Refused,
    /// `dozen run` could not run or follow the process: Dozen failed, not the command.
    NotRun,
}

/// For the end of `dozen --help`.
pub const HELP: &str = "\
Exit codes:
  0    done
  1    failed: wrong usage, a local fault, or a server that could not be reached
  2    refused by the server, with its reason
  125  `dozen run` could not run or follow the process
  else `dozen run` ends with the exit code of the process (128 + n: ended by signal n; 127: could not be started)";

impl Code {
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::NotRun => 125,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}
