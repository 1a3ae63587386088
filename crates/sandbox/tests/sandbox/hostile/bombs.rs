//! Using up what there is. Each bomb goes off in a sandbox, beside a process of another app that is asked all the time; and outside,
//! with nothing to stop it. How long the neighbour takes is printed and judged by nobody: it answers, or it does not.

use crate::limits::Neighbour;
use crate::waiting::until;
use crate::world::{Case, World};
use domain::observed::ProcessState;
use domain::process::Limits;
use sandbox::spec::ProcessSpec;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("c_149_a_neighbour_is_served_during_every_bomb", bombs),
    ("c_142_terminals_have_an_end", terminals),
    ("c_148_what_one_app_uses_up_another_still_has", per_app),
];

const MEGABYTE: u64 = 1024 * 1024;
/// Questions to the neighbour before a bomb, and at least as many while it lasts.
const QUESTIONS: usize = 60;
const PAUSE: Duration = Duration::from_millis(2);
/// What a bomb prints in a sandbox that ends it.
const ENDED: &str = "ended: out of memory";

struct Bomb {
    name: &'static str,
    limits: Limits,
    /// What the program does; `FOLDER` is one to be filled.
    words: &'static str,
    /// How what it prints inside begins, and how it ends: the error.
    inside: (&'static str, &'static str),
    outside: &'static str,
}

const BOMBS: [Bomb; 7] = [
    Bomb {
        name: "processes",
        limits: Limits { processes: 64, ..Limits::DEFAULT },
        words: "fork 200",
        inside: ("took ", " of 200: 11"),
        outside: "took 200 of 200",
    },
    Bomb {
        name: "memory",
        limits: Limits {
            memory_bytes: 32 * MEGABYTE,
            memory_hard_bytes: Some(64 * MEGABYTE),
            ..Limits::DEFAULT
        },
        words: "hold 300",
        inside: (ENDED, ""),
        outside: "ate 300",
    },
    Bomb {
        name: "open files",
        limits: Limits::DEFAULT,
        words: "open 17000",
        inside: ("took 16", " of 17000: 24"),
        outside: "took 17000 of 17000",
    },
    Bomb {
        name: "disk",
        limits: Limits { tmp_bytes: Some(16 * MEGABYTE), ..Limits::DEFAULT },
        words: "fill FOLDER 64",
        inside: ("took 16", " of 64: 28"),
        outside: "took 64 of 64",
    },
    Bomb {
        name: "small files",
        limits: Limits { tmp_bytes: Some(MEGABYTE), ..Limits::DEFAULT },
        words: "files FOLDER 2000",
        inside: ("took ", " of 2000: 28"),
        outside: "took 2000 of 2000",
    },
    Bomb {
        name: "inotify",
        limits: Limits::DEFAULT,
        words: "watch 100000",
        inside: ("took ", " of 100000: 24"),
        outside: "took ",
    },
    Bomb {
        name: "terminals",
        limits: Limits::DEFAULT,
        words: "terminals 200",
        inside: ("took 64 of 200: ", ""),
        outside: "took 200 of 200",
    },
];

fn bombs(world: &World) {
    println!(
        "\n  {:<12} {:<24} {:<24} neighbour (median, worst of N): before; during",
        "bomb", "outside", "inside"
    );
    for bomb in &BOMBS {
        let neighbour = Neighbour::start(world);
        let before = ask(&neighbour, || true);
        let (inside, during) = inside(world, bomb, &neighbour);
        world.remove(neighbour.spec.process);
        let outside = outside(bomb);
        let served = format!("{}; {}", shown(&before), shown(&during));
        println!("  {:<12} {outside:<24} {inside:<24} {served}", bomb.name);
        let (beginning, end) = bomb.inside;
        assert!(inside.starts_with(beginning) && inside.ends_with(end), "{}: {inside}", bomb.name);
        assert!(outside.starts_with(bomb.outside), "{} outside: {outside}", bomb.name);
    }
}

/// Asks until `over`, and so often at least. How long each answer took, in order of length.
fn ask(neighbour: &Neighbour, mut over: impl FnMut() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while took.len() < QUESTIONS || !over() {
        let start = Instant::now();
        neighbour.answers();
        took.push(start.elapsed());
        std::thread::sleep(PAUSE);
    }
    took.sort();
    took
}

fn shown(took: &[Duration]) -> String {
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    format!("{:.2} ms, {:.2} ms of {}", millis(median), millis(worst), took.len())
}

fn inside(world: &World, bomb: &Bomb, neighbour: &Neighbour) -> (String, Vec<Duration>) {
    let words = bomb.words.replace("FOLDER", "/tmp");
    let line = format!("exec /.dozen/dozen inside {words}");
    let spec = ProcessSpec { limits: bomb.limits, ..world.spec(&line) };
    world.start(&spec);
    let mut told = None;
    let took = ask(neighbour, || {
        told = told.take().or_else(|| outcome(world, &spec));
        told.is_some()
    });
    world.remove(spec.process);
    (told.unwrap(), took)
}

/// What it has said, or how it has ended.
fn outcome(world: &World, spec: &ProcessSpec) -> Option<String> {
    match world.state(spec.process) {
        Some(ProcessState::Exited(exit)) if exit.out_of_memory => Some(ENDED.to_owned()),
        Some(ProcessState::Exited(exit)) => Some(format!("ended: {:?}", exit.status)),
        _ => world.lines(spec.process).stdout().into_iter().next(),
    }
}

/// The same on the host, with as many open files as the machine gives. Everything that it started ends with it.
fn outside(bomb: &Bomb) -> String {
    let folder = tempfile::tempdir().unwrap();
    let words = bomb.words.replace("FOLDER", folder.path().to_str().unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n $(ulimit -Hn); exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    command.arg("inside").args(words.split(' ')).process_group(0).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
    line.trim().to_owned()
}

fn terminals(world: &World) {
    let spec = world.spec("/.dozen/dozen inside terminals 64 & exec /.dozen/dozen inside terminals 1");
    world.start(&spec);
    let mut told = until("both have said", || {
        let lines = world.lines(spec.process).stdout();
        (lines.len() == 2).then_some(lines)
    });
    told.sort();
    world.remove(spec.process);
    let taken: u32 = told.iter().map(|line| line.split(' ').nth(1).unwrap().parse::<u32>().unwrap()).sum();
    assert_eq!(taken, 64, "{told:?}");
}

/// The kernel counts these for the whole machine or for each user: while one app holds all that it can get, another gets its own.
/// Two processes of one user outside do not.
fn per_app(world: &World) {
    let hog = world.spec("/.dozen/dozen inside watch 100000 & exec /.dozen/dozen inside terminals 200");
    world.start(&hog);
    until("both are used up", || (world.lines(hog.process).stdout().len() == 2).then_some(()));
    let other = ProcessSpec {
        app: crate::world::app_id(crate::world::OTHER_APP),
        app_index: crate::world::OTHER_APP,
        ..world.spec("/.dozen/dozen inside watch 8 & exec /.dozen/dozen inside terminals 8")
    };
    world.start(&other);
    let told = until("the other has its own", || {
        let lines = world.lines(other.process).stdout();
        (lines.len() == 2).then_some(lines)
    });
    assert_eq!(told, ["took 8 of 8", "took 8 of 8"]);
    world.remove(hog.process);
    world.remove(other.process);
    assert_eq!(second_of_one_user(), "took 0 of 8: 24");
}

/// On the host, as nobody: what is left of inotify while another process of the same user holds all of it.
fn second_of_one_user() -> String {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = place.path().join("program");
    std::fs::copy("/proc/self/exe", &program).unwrap();
    let start = |count: &str| {
        let mut command = Command::new(&program);
        let nobody = 65_534;
        command.args(["inside", "watch", count]).uid(nobody).gid(nobody).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (child, line)
    };
    let (mut first, _) = start("100000");
    let (mut second, line) = start("8");
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    line.trim().to_owned()
}
