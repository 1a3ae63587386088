//! The Rust step: copy the source, build it, hand out the binaries.

use super::cache::{Cache, Found};
use super::cargo::{self, Binaries};
use super::index::Index;
use super::{Places, ProcfileThere, say, sync};
use crate::native::rust::TARGET;
use blobs::tree::{PackError, Packer};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::SystemTime;

const INDEX: &str = "source.index";
/// Folder of the binaries in the result, which becomes `target/` of the slug.
const RELEASE: &str = "release";
/// Where linkers are looked for, and what rustc calls.
const LINKER_FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
const LINKER: &str = "cc";
const TOOLCHAIN_FILES: [&str; 2] = ["rust-toolchain.toml", "rust-toolchain"];

/// Why the step failed. Printed by the step itself as its last line.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("the build cache could not be used")]
    Cache(#[source] io::Error),
    #[error("the source could not be copied into the work folder")]
    Copy(#[source] io::Error),
    #[error("cargo could not be run")]
    Cargo(#[source] io::Error),
    #[error("cargo build failed with {status}")]
    Build { status: ExitStatus },
    #[error(
        "there is no Procfile, and this source makes {}. Fix: add a Procfile with a line such as \"web: ./target/release/NAME\"", several(.names)
    )]
    NoProcfile { names: Vec<String> },
    #[error(
        "there is no C linker (cc) on this server. Fix: install one, on Debian with `apt-get install gcc libc6-dev`"
    )]
    NoLinker,
    #[error("the binary \"{path}\" could not be read")]
    Binary {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the descriptor of the result could not be opened")]
    Result(#[source] io::Error),
    #[error("the result could not be handed out")]
    Pack(#[from] PackError),
}

fn several(names: &[String]) -> String {
    match names {
        [] => "no binary".to_owned(),
        several => format!("several binaries ({})", several.join(", ")),
    }
}

pub(super) fn build(
    places: &Places,
    procfile: ProcfileThere,
    result: &mut dyn Write,
    output: &mut (dyn Write + Send),
) -> Result<(), StepError> {
    let (cache, found) = Cache::begin(&places.cache).map_err(StepError::Cache)?;
    tell_cache(output, found);
    let built = build_with(places, procfile, &cache, result, output);
    // Whatever it came to, it ended by itself.
    cache.end().map_err(StepError::Cache)?;
    built
}

fn tell_cache(output: &mut dyn Write, found: Found) {
    match found {
        Found::Kept => say::heading(output, "Restoring the build cache"),
        Found::Empty => say::heading(output, "No build cache yet: everything is compiled this once"),
        Found::Wiped => {
            say::heading(output, "The build before did not end by itself: starting from an empty cache")
        }
    }
}

fn build_with(
    places: &Places,
    procfile: ProcfileThere,
    cache: &Cache,
    result: &mut dyn Write,
    output: &mut (dyn Write + Send),
) -> Result<(), StepError> {
    if !LINKER_FOLDERS.iter().any(|folder| Path::new(folder).join(LINKER).exists()) {
        return Err(StepError::NoLinker);
    }
    copy_source(places, cache, output)?;
    if procfile == ProcfileThere::No {
        require_one_binary(places, cache)?;
    }
    let version = cargo::version(places).map_err(StepError::Cargo)?;
    say::heading(output, &format!("Compiling with {version}"));
    say::detail(output, "cargo build --release --locked");
    tell_ignored_toolchain(places, output);
    let (binaries, status) = cargo::build(places, cache, output).map_err(StepError::Cargo)?;
    if !status.success() {
        return Err(StepError::Build { status });
    }
    hand_out(&binaries, result)
}

fn copy_source(places: &Places, cache: &Cache, output: &mut dyn Write) -> Result<(), StepError> {
    let index = cache.path(INDEX);
    let (copied, next) =
        sync::copy(&places.source, &places.work, &[TARGET], &Index::read(&index), SystemTime::now())
            .map_err(StepError::Copy)?;
    next.write(&index).map_err(StepError::Cache)?;
    say::detail(output, &format!("{} of {} source files are new or changed", copied.changed, copied.files));
    if places.source.join(TARGET).exists() {
        say::warning(output, "The folder target/ of the repository is ignored: it is where cargo builds");
    }
    Ok(())
}

/// Asked before minutes of compiling rather than after.
fn require_one_binary(places: &Places, cache: &Cache) -> Result<(), StepError> {
    match cargo::planned_binaries(places, cache).map_err(StepError::Cargo)? {
        Some(names) if names.len() != 1 => Err(StepError::NoProcfile { names }),
        Some(_) | None => Ok(()),
    }
}

fn tell_ignored_toolchain(places: &Places, output: &mut dyn Write) {
    if let Some(name) = TOOLCHAIN_FILES.iter().find(|name| places.source.join(name).exists()) {
        say::warning(output, &format!("{name} is not followed: this server has one toolchain"));
    }
}

fn hand_out(binaries: &Binaries, result: &mut dyn Write) -> Result<(), StepError> {
    let mut packer = Packer::new(result);
    packer.folder(RELEASE)?;
    for (name, path) in binaries {
        let mut file = File::open(path).map_err(|source| StepError::Binary { path: path.clone(), source })?;
        packer.file(&format!("{RELEASE}/{name}"), &mut file)?;
    }
    packer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests;
