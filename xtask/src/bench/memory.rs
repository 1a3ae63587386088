//! Memory of processes, as the kernel accounts for it.

use anyhow::{Context, Result};

/// What a process has for itself alone, in KiB: the private lines of `smaps_rollup`, clean pages of its program included.
pub fn private_kib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    Ok(private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum())
}

/// Millions of bytes.
pub fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}
