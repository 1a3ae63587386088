//! The half of a build that runs inside the sandbox, as the app's build uid: `dozen build-step rust with-procfile`.
//!
//! It finds the source read-only at `/src`, an empty work folder at `/app`, the app's cache at `/cache` and the toolchain at
//! `/opt/rust`. It prints whole lines to standard output, writes its result as a tar stream to descriptor 3, and ends with 0 when
//! both are complete. Nothing here is trusted by the other half: it extracts the result as it would any stranger's.

mod cache;
mod cargo;
mod index;
mod rust;
mod say;
mod sync;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The applet's name on the command line.
pub const STEP_COMMAND: &str = "build-step";
/// The step that builds Rust apps.
pub const RUST_STEP: &str = "rust";
/// The descriptor of the result.
pub const RESULT_DESCRIPTOR: &str = "/proc/self/fd/3";
/// Exit status of a step that could not do its work; why is in its output.
pub const EXIT_FAILED: u8 = 1;
/// Exit status of a step that was called wrongly.
pub const EXIT_USAGE: u8 = 64;

/// Whether the app has a Procfile: without one a Rust app must have a single binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcfileThere {
    Yes,
    No,
}

impl ProcfileThere {
    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Yes => "with-procfile",
            Self::No => "without-procfile",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Yes, Self::No].into_iter().find(|one| one.as_word() == word)
    }
}

/// Where things are. In the sandbox always [`Places::sandbox`]; tests use folders of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub source: PathBuf,
    pub work: PathBuf,
    pub cache: PathBuf,
    pub toolchain: PathBuf,
    pub certificates: PathBuf,
}

impl Places {
    pub fn sandbox() -> Self {
        Self {
            source: "/src".into(),
            work: "/app".into(),
            cache: "/cache".into(),
            toolchain: sandbox::spec::RUST_PATH.into(),
            certificates: "/etc/ssl/certs/ca-certificates.crt".into(),
        }
    }
}

/// Runs the step that the words after `build-step` name. Called once, by the applet; the process ends with what it returns.
pub fn run(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let procfile = match words.as_slice() {
        [RUST_STEP, procfile] => ProcfileThere::from_word(procfile),
        _ => None,
    };
    let Some(procfile) = procfile else {
        eprintln!("this is the part of a build that runs inside its sandbox; it is not for use by hand");
        return ExitCode::from(EXIT_USAGE);
    };
    let result = || File::options().write(true).open(RESULT_DESCRIPTOR);
    let built = result()
        .map_err(rust::StepError::Result)
        .and_then(|mut result| run_rust(&Places::sandbox(), procfile, &mut result, &mut std::io::stdout()));
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&mut std::io::stdout(), &error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// The Rust step, wherever its folders are.
pub fn run_rust(
    places: &Places,
    procfile: ProcfileThere,
    result: &mut dyn Write,
    output: &mut (dyn Write + Send),
) -> Result<(), rust::StepError> {
    rust::build(places, procfile, result, output)
}

pub use rust::StepError;
