//! The half of a build that runs inside the sandbox, as the app's build uid: `dozen build-step rust with-procfile`, or
//! `dozen build-step install ORDER`.
//!
//! It finds the source read-only at `/src`, an empty work folder at `/app`, the app's cache at `/cache` and the toolchain below
//! `/opt`. It prints whole lines to standard output, writes its result as a tar stream to descriptor 3, and ends with 0 when
//! both are complete. Nothing here is trusted by the other half: it extracts the result as it would any stranger's.

mod cache;
mod cargo;
mod child;
mod index;
mod install;
mod rust;
mod say;
mod spec;
mod sync;

use crate::native::plan::Tool;
use domain::runtime::Language;
use sandbox::spec::{CERTIFICATES_PATH, RUST_PATH, runtime_path};
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The applet's name on the command line.
pub const STEP_COMMAND: &str = "build-step";
/// The step that builds Rust apps.
pub const RUST_STEP: &str = "rust";
/// The step that installs packages of interpreted languages and runs the app's scripts.
pub const INSTALL_STEP: &str = "install";
/// By this variable the step hears of a mirror of crates.io.
pub(crate) const CRATES_MIRROR: &str = "DOZEN_CRATES_MIRROR";
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
    /// What is written here ends with the build.
    pub temporary: PathBuf,
    /// In place of crates.io.
    pub crates_mirror: Option<String>,
}

impl Places {
    pub fn sandbox(toolchain: &str) -> Self {
        Self {
            source: "/src".into(),
            work: "/app".into(),
            cache: "/cache".into(),
            toolchain: toolchain.into(),
            certificates: certificates(),
            temporary: "/tmp".into(),
            crates_mirror: std::env::var(CRATES_MIRROR).ok(),
        }
    }
}

/// Runs the step that the words after `build-step` name. Called once, by the applet; the process ends with what it returns.
pub fn run(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let built = match words.as_slice() {
        [RUST_STEP, procfile] => ProcfileThere::from_word(procfile).map(run_rust_here),
        [INSTALL_STEP, order] => Some(run_install_here(order)),
        _ => None,
    };
    match built {
        None => {
            eprintln!("this is the part of a build that runs inside its sandbox; it is not for use by hand");
            ExitCode::from(EXIT_USAGE)
        }
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            say::failure(&mut std::io::stdout(), &*error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run_rust_here(procfile: ProcfileThere) -> Result<(), Box<dyn Error>> {
    let mut result = open_result().map_err(rust::StepError::Result)?;
    Ok(run_rust(&Places::sandbox(RUST_PATH), procfile, &mut result, &mut std::io::stdout())?)
}

fn run_install_here(order: &str) -> Result<(), Box<dyn Error>> {
    let order = install::parse(order)?;
    let language = match order.tool {
        Tool::Pip { .. } => Language::Python,
        Tool::Npm | Tool::Pnpm | Tool::Yarn | Tool::YarnBerry | Tool::Nothing => Language::Node,
    };
    let places = Places::sandbox(runtime_path(language));
    let mut result = open_result().map_err(InstallError::Result)?;
    Ok(install::install(&places, &order, &mut result, &mut std::io::stdout())?)
}

fn open_result() -> std::io::Result<File> {
    File::options().write(true).open(RESULT_DESCRIPTOR)
}

/// What the machine trusts; without a word from it, what Debian does.
fn certificates() -> PathBuf {
    let bound = PathBuf::from(CERTIFICATES_PATH);
    if bound.exists() { bound } else { "/etc/ssl/certs/ca-certificates.crt".into() }
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

pub use install::InstallError;
pub use rust::StepError;
pub(crate) use spec::{Started, plan_spec};
