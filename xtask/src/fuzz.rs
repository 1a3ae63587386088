//! `cargo xtask fuzz NAME`: runs a target of `fuzz/` for a while. Needs a nightly toolchain and cargo-fuzz; the corpora are replayed
//! by the ordinary tests without either.

use anyhow::{Context, bail};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Target, and where its corpus lies.
const TARGETS: [(&str, &str); 8] = [
    ("cron", "fuzz/corpus/cron"),
    ("extract", "crates/blobs/tests/corpus/extract"),
    ("heads", "fuzz/corpus/heads"),
    ("launcher", "fuzz/corpus/launcher"),
    ("shim", "fuzz/corpus/shim"),
    ("ssh", "fuzz/corpus/ssh"),
    ("url", "fuzz/corpus/url"),
    ("wire", "fuzz/corpus/wire"),
];
const DEFAULT_SECONDS: u64 = 60;

/// `NAME [SECONDS]`
pub fn run(words: &[String]) -> anyhow::Result<ExitCode> {
    let names = || TARGETS.map(|(name, _)| name).join(", ");
    let Some(name) = words.first() else { bail!("which target? There are: {}", names()) };
    let Some((name, corpus)) = TARGETS.into_iter().find(|(known, _)| known == name) else {
        bail!("there is no target {name}; there are: {}", names())
    };
    let seconds = match words.get(1) {
        Some(text) => text.parse().context("the second word is a number of seconds")?,
        None => DEFAULT_SECONDS,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // New finds go into a folder of their own; what is worth keeping is put into the corpus by hand.
    let finds = root.join("target/fuzz").join(name);
    std::fs::create_dir_all(&finds).with_context(|| format!("making {}", finds.display()))?;
    let status = Command::new("cargo")
        .args(["+nightly", "fuzz", "run", name])
        .arg(&finds)
        .arg(root.join(corpus))
        .args(["--", &format!("-max_total_time={seconds}"), "-rss_limit_mb=2048"])
        .current_dir(&root)
        .status()
        .context("starting cargo fuzz")?;
    if !status.success() {
        bail!(
            "cargo fuzz ended with {status}. It needs: rustup toolchain install nightly, cargo install cargo-fuzz. If it found \
             something, the input lies in fuzz/artifacts/{name}: mend the fault and add the input to {corpus}"
        );
    }
    Ok(ExitCode::SUCCESS)
}
