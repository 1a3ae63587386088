//! Memory of processes, as the kernel accounts for it (`smaps_rollup`).

use anyhow::{Context, Result};

/// The kernel's figure of what a process has for itself alone, in KiB; clean pages of its program included.
pub fn private_kib(pid: u32) -> Result<f64> {
    Ok(sum(&read(pid)?, "Private_"))
}

/// What some processes have together and nobody else has, in KiB. A process and its clone share pages that count as private for
/// neither; each one's share of anonymous pages adds up to all of them.
pub fn private_together_kib(pids: &[u32]) -> Result<f64> {
    pids.iter().map(|pid| read(*pid).map(|text| sum(&text, "Pss_Anon") + sum(&text, "Private_Clean"))).sum()
}

/// Millions of bytes.
pub fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}

fn read(pid: u32) -> Result<String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

fn sum(text: &str, beginning: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_beginning_add_up() {
        let text = "Pss_Anon:            4 kB\nShared_Clean:     2000 kB\nPrivate_Clean:      24 kB\nPrivate_Dirty:      100 kB\n";
        assert!((sum(text, "Private_") - 124.0).abs() < f64::EPSILON);
        assert!((sum(text, "Pss_Anon") - 4.0).abs() < f64::EPSILON);
    }
}
