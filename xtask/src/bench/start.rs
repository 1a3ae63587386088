//! `bench start`: what starting a sandboxed process costs, against plain fork and exec. The measuring is done by
//! `crates/sandbox/examples/start_cost.rs`, which asks a real launcher of the release build.

use super::rows::{Row, largest, least, median};
use super::{dozen, memory, server};
use crate::shell;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;

/// Starts of each kind.
const COUNT: u32 = 100;
const MEMORY: &str = "/dev/shm";
const GOAL_CPU_MILLIS: f64 = 6.0;
pub const GOAL_SHIM_MEGABYTES: f64 = 1.5;

/// What the measuring program prints. Milliseconds unless the name says otherwise.
#[derive(Deserialize)]
struct Figures {
    until_running: UntilRunning,
    whole_life: WholeLife,
    plain: WholeLife,
    removal_cpu: f64,
    shim_private_kib: Vec<f64>,
    shim_and_init_kib: Vec<f64>,
}

#[derive(Deserialize)]
struct UntilRunning {
    launcher_cpu: Vec<f64>,
    shim_cpu: Vec<f64>,
    init_cpu: Vec<f64>,
    process_cpu: Vec<f64>,
    wall: Vec<f64>,
}

#[derive(Deserialize)]
struct WholeLife {
    cpu: f64,
    wall: Vec<f64>,
}

pub fn run() -> Result<Vec<Row>> {
    let folder = server::folder_in(&parent(), "start")?;
    eprintln!("the data folder is {}", folder.display());
    let mut command = Command::new(shell::target().join("release/examples/start_cost"));
    command.arg(dozen()).arg(folder.join("data")).arg(COUNT.to_string());
    command.env("DOZEN_CGROUP", server::control_group());
    for (setting, port) in
        [("DOZEN_API_LISTEN", server::free_port()?), ("DOZEN_HTTP_LISTEN", server::free_port()?)]
    {
        command.env(setting, format!("127.0.0.1:{port}"));
    }
    let measured = shell::capture(&mut command);
    server::remove_control_groups();
    let log = std::fs::read_to_string(folder.join("data.log")).unwrap_or_default();
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    let text = measured.with_context(|| format!("the launcher said:\n{log}"))?;
    let figures: Figures = serde_json::from_str(&text).context("the measuring program printed no figures")?;
    Ok(render(&figures))
}

/// In memory, unless `TMPDIR` says otherwise: what a file system takes to make a file differs by more than all else together (see
/// `docs/explanation/measurements.md`) and is none of ours.
fn parent() -> PathBuf {
    let memory = PathBuf::from(MEMORY);
    if std::env::var_os("TMPDIR").is_none() && memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn render(figures: &Figures) -> Vec<Row> {
    let start = &figures.until_running;
    let parts = start.launcher_cpu.iter().zip(&start.shim_cpu).zip(&start.init_cpu);
    let sums: Vec<f64> = parts.map(|((launcher, shim), init)| launcher + shim + init).collect();
    let megabytes = |kib: &[f64]| memory::megabytes(median(kib));
    let plain = "plain fork and exec";
    vec![
        Row::goal("start: CPU of launcher, shim and init, median, ms", median(&sums), GOAL_CPU_MILLIS),
        Row::against(
            "start: the same against a whole /bin/true, ms",
            median(&sums),
            plain,
            figures.plain.cpu,
        ),
        Row::alone("start: the same, least, ms", least(&sums)),
        Row::alone("start: of it the launcher and its template, median, ms", median(&start.launcher_cpu)),
        Row::alone("start: of it the shim, median, ms", median(&start.shim_cpu)),
        Row::alone("start: of it the init, median, ms", median(&start.init_cpu)),
        Row::alone("start: the process itself, /bin/sleep, median, ms", median(&start.process_cpu)),
        Row::alone("start: wall until the process runs, median, ms", median(&start.wall)),
        Row::against(
            "/bin/true to its end: CPU of all, mean, ms",
            figures.whole_life.cpu,
            plain,
            figures.plain.cpu,
        ),
        Row::against(
            "/bin/true to its end: wall, median, ms",
            median(&figures.whole_life.wall),
            plain,
            median(&figures.plain.wall),
        ),
        Row::alone("removal of an ended process: CPU of the launcher, mean, ms", figures.removal_cpu),
        Row::goal(
            "shim: private memory, median, MB",
            megabytes(&figures.shim_private_kib),
            GOAL_SHIM_MEGABYTES,
        ),
        Row::alone(
            "shim: private memory, largest, MB",
            memory::megabytes(largest(&figures.shim_private_kib)),
        ),
        Row::goal(
            "shim and init: what nobody else shares, median, MB",
            megabytes(&figures.shim_and_init_kib),
            GOAL_SHIM_MEGABYTES,
        ),
    ]
}
