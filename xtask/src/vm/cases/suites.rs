//! Our own test programs on this kernel: what the host of the build cannot show, with its mixture of control groups.

use super::{Bench, Seen, expect};
use crate::test::count::Count;
use std::time::Duration;

/// Some hundred processes, each started in a sandbox, on an emulated processor.
const LIMIT: Duration = Duration::from_secs(1_500);

pub fn cgroup(bench: &mut Bench) -> Seen {
    suite(bench, "cgroup")
}

pub fn network(bench: &mut Bench) -> Seen {
    suite(bench, "network")
}

pub fn sandbox(bench: &mut Bench) -> Seen {
    suite(bench, "sandbox")
}

fn suite(bench: &mut Bench, name: &str) -> Seen {
    let script = format!(
        "mkdir -p /var/tmp/suite && cd /var/tmp/suite && /payload/test-{name} --test-threads=1 --show-output 2>&1"
    );
    let (code, output) = bench.try_run(&script, LIMIT)?;
    let count = Count::read(output.as_bytes(), |_| {});
    // The machine has everything that a test may ask for, so one that does not run shows nothing.
    expect(code == 0 && count.passed > 0 && count.failed + count.skipped == 0, || {
        format!("ended with {code}, {count}\n{}", failures(&output))
    })?;
    Ok(vec![count.to_string()])
}

/// The end of what it printed, and which tests failed.
fn failures(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.ends_with("... ok")).collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}
