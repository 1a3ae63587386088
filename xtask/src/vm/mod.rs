//! `cargo xtask test --vm`: a virtual machine like our users' (Debian 12, its own kernel, systemd, control groups of version 2 alone), and
//! in it what they do: install, push, restart, upgrade, reboot, pull the plug, uninstall.
//!
//! ```text
//! image (kept between runs) -copy-> disk -> qemu, without the host's help for virtual machines <- agent <- steps
//! payload: dozen, an app, test programs -> second disk, read-only
//! ```
//!
//! Nothing of the host is touched but the target folder; the machine has no way out of itself.

mod agent;
mod cases;
mod image;
mod load;
mod machine;
mod payload;
mod report;

use crate::{install, shell};
use anyhow::{Context, Result, bail};
use machine::Machine;
use report::Report;
use std::process::ExitCode;

/// Programs that the machine is made and run with, and their packages.
const NEEDED: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("debootstrap", "debootstrap"),
    ("mke2fs", "e2fsprogs"),
    ("git", "git"),
    ("strip", "binutils"),
];

pub fn run(words: &[String]) -> Result<ExitCode> {
    if !install::is_root() {
        bail!("making a machine's disk needs root\n  hint: sudo -E cargo xtask test --vm");
    }
    if !cfg!(target_arch = "x86_64") {
        bail!("the virtual machine is one of x86_64");
    }
    install::ensure_all(NEEDED)?;
    let chosen: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let mut report = Report::new();
    let outcome = run_all(&mut report, &chosen);
    if let Err(error) = &outcome {
        println!("the run ends here: {error:#}");
    }
    Ok(report.end(cases::ALL.len()))
}

fn run_all(report: &mut Report, chosen: &[&str]) -> Result<()> {
    let folder = shell::target().join("vm");
    let image = report.prepare("image", || image::ensure(&folder))?;
    let payload = report.prepare("payload", || payload::make(&folder))?;
    let machine = report.prepare("disk", || Machine::make(&folder, &image, &payload))?;
    let mut bench = cases::Bench::new(machine);
    for case in cases::ALL {
        let wanted = chosen.is_empty() || case.always || chosen.contains(&case.name);
        if !wanted {
            continue;
        }
        let passed = report.case(case.name, || (case.run)(&mut bench));
        if !passed {
            println!("{}", bench.last_words());
        }
        if !passed && case.always {
            return Err(anyhow::anyhow!("nothing else can be tried after {} has failed", case.name));
        }
    }
    bench.end().context("cannot end the machine")
}
