//! `sandbox bench N`: what it costs to start `/bin/true` in a sandbox, against a plain fork and exec. Prints; judges nothing.

use crate::world::{ENVIRONMENT, World};
use domain::observed::ProcessState;
use sandbox::environment::SealedEnvironment;
use sandbox::spec::{Command, Helper, ProcessSpec};
use std::time::{Duration, Instant};

pub fn run(count: u32) {
    let world = World::new();
    start_once(&world);
    let before = world.launcher_cpu();
    let mut walls: Vec<Duration> = (0..count).map(|_| start_once(&world)).collect();
    let cpu = world.launcher_cpu() - before;
    walls.sort();
    println!(
        "sandboxed: {:.2} ms CPU, wall min {:?} median {:?}",
        cpu / f64::from(count),
        walls[0],
        walls[walls.len() / 2]
    );
    let (begun, cpu) = (Instant::now(), children_cpu());
    for _ in 0..count {
        std::process::Command::new("/bin/true").status().unwrap();
    }
    let cpu = (children_cpu() - cpu) / f64::from(count);
    println!("plain: {cpu:.2} ms CPU, wall {:?}", begun.elapsed() / count);
    memory(&world);
    world.end();
}

/// Milliseconds that reaped children of this process have used.
fn children_cpu() -> f64 {
    // SAFETY: fills in a local.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let millis = |time: libc::timeval| time.tv_sec as f64 * 1000.0 + time.tv_usec as f64 / 1000.0;
    millis(usage.ru_utime) + millis(usage.ru_stime)
}

fn start_once(world: &World) -> Duration {
    let command = Command { argv: vec!["/bin/true".to_owned()], shown: "/bin/true".to_owned() };
    let spec = ProcessSpec { command, helper: Helper::Absent, ..world.spec("") };
    let environment = SealedEnvironment::seal(ENVIRONMENT).unwrap();
    let mut launcher = world.connect();
    let begun = Instant::now();
    launcher.spawn(&spec, &environment, &[]).unwrap();
    let wall = loop {
        if matches!(world.state(spec.process), Some(ProcessState::Exited(_))) {
            break begun.elapsed();
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    world.remove(spec.process);
    wall
}

fn memory(world: &World) {
    let spec = world.spec("echo up; sleep 600");
    world.start(&spec);
    world.until_line(spec.process, "up");
    let shim = crate::life::shim_pid(world, &spec).as_raw_nonzero();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let is_child = status.lines().any(|line| line == format!("PPid:\t{shim}"));
        if is_child || entry.file_name().to_string_lossy() == shim.to_string() {
            let rollup = std::fs::read_to_string(entry.path().join("smaps_rollup")).unwrap_or_default();
            let wanted = ["Rss:", "Pss:", "Private_Clean:", "Private_Dirty:"];
            let lines: Vec<_> =
                rollup.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect();
            println!("{}: {}", if is_child { "init" } else { "shim" }, lines.join(" "));
        }
    }
    world.remove(spec.process);
}
