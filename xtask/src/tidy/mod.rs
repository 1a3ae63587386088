//! Checks of the source that the compiler does not make. Each rule names the file and what to do.

mod features;
mod layers;
mod sizes;
mod words;

use crate::shell;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// One broken rule.
pub struct Finding {
    pub place: String,
    pub what: String,
}

/// A file of the repository, by its path from the root.
pub struct Source {
    pub path: String,
    pub text: String,
}

pub fn run() -> Result<ExitCode> {
    let root = shell::root();
    let sources = read_sources(&root)?;
    let mut findings = layers::check(&sources);
    findings.extend(sizes::check(&sources));
    findings.extend(words::check(&sources));
    findings.extend(features::check(&sources));
    for finding in &findings {
        println!("{}: {}", finding.place, finding.what);
    }
    println!("tidy: {} files, {} findings", sources.len(), findings.len());
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every text file that git knows or would add.
fn read_sources(root: &Path) -> Result<Vec<Source>> {
    let mut list = Command::new("git");
    list.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let names = shell::capture(&mut list)?;
    let read = |name: &str| {
        let path: PathBuf = root.join(name);
        std::fs::read_to_string(path).ok().map(|text| Source { path: name.to_owned(), text })
    };
    Ok(names.lines().filter_map(read).collect())
}
