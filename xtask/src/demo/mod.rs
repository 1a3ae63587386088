//! Placeholder.
use anyhow::Result; use std::process::ExitCode;
pub fn run(_words: &[String]) -> Result<ExitCode> { anyhow::bail!("not built yet") }
