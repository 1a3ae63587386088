//! Memory, processes, files. Each attempt to use up a thing is also made with room for it, where it must succeed; and while it
//! is made without, a process of another app answers.

use crate::waiting::until;
use crate::world::{Case, OTHER_APP, World, app_id};
use domain::process::{ExitStatus, Limits};
use domain::usage::Usage;
use sandbox::control;
use sandbox::network::AppRange;
use sandbox::spec::{ProcessSpec, Samples};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const MEGABYTE: u64 = 1024 * 1024;
/// Longest that a neighbour may take for an answer: a bound that only a fault reaches.
const ANSWER: Duration = Duration::from_secs(20);

pub const CASES: &[Case] = &[
    ("beyond_its_memory_a_process_is_killed_and_the_exit_says_why", memory),
    ("beyond_its_process_count_forks_fail", processes),
    ("rlimits_are_lowered", rlimits),
    ("tmp_counts_as_memory_and_ends_at_the_limit", tmp),
    ("c_60_above_the_quota_a_process_is_told_so_and_goes_on", above_the_quota),
    ("c_61_a_memory_bomb_ends_itself_alone", memory_bomb),
    ("c_62_a_worker_that_runs_out_of_memory_is_told_and_the_rest_goes_on", worker_out_of_memory),
    ("c_63_samples_are_told_to_who_asked", samples),
    ("c_64_a_fork_bomb_is_refused_processes", fork_bomb),
    ("c_65_a_full_tmp_is_refused_room", tmp_bomb),
    ("c_65_a_tmp_full_of_files_is_refused_more", file_bomb),
    ("c_66_open_files_end_at_the_limit", descriptor_bomb),
    ("c_67_what_a_process_uses_is_told_to_who_asks", usage),
    ("c_68_without_a_memory_controller_nothing_is_pretended", unmeasured),
];

fn with_limits(world: &World, limits: Limits, line: &str) -> ProcessSpec {
    ProcessSpec { limits, ..world.spec(line) }
}

fn memory(world: &World) {
    let limits = Limits { memory_bytes: 64 * 1024 * 1024, ..Limits::DEFAULT };
    let ended = world.run(&with_limits(world, limits, "exec /.dozen/dozen inside eat 200"));
    assert_eq!(
        (ended.exit.status, ended.exit.out_of_memory),
        (ExitStatus::Signal(9), true),
        "{:?}",
        ended.lines.all()
    );
    let platform = ended.lines.platform();
    assert!(platform.contains(&"Error R15 (Memory quota vastly exceeded)".to_owned()), "{platform:?}");
    assert!(
        platform.contains(&"Out of memory: the kernel killed a process at the hard limit of 64M".to_owned()),
        "{platform:?}"
    );
    let within = world.run(&with_limits(world, limits, "exec /.dozen/dozen inside eat 20"));
    assert_eq!((within.exit.status, within.exit.out_of_memory), (ExitStatus::Code(0), false));
    assert_eq!(within.lines.stdout(), ["ate 20"]);
}

fn processes(world: &World) {
    let line = "for i in $(seq 40); do sleep 600 & done 2>/dev/null; jobs -r | wc -l; exec true";
    let limited = world.run(&with_limits(world, Limits { processes: 20, ..Limits::DEFAULT }, line));
    let free = world.run(&with_limits(world, Limits { processes: 200, ..Limits::DEFAULT }, line));
    assert_eq!(free.lines.stdout(), ["40"]);
    // Bash gives up when it cannot fork, or counts fewer: in no case do all forty run.
    let counted: u32 = limited.lines.stdout().first().map_or(0, |line| line.parse().unwrap());
    assert!(counted < 20, "{counted}");
}

fn rlimits(world: &World) {
    let ended = world.run_line("ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -Su");
    let numbers: Vec<u64> =
        ended.lines.stdout().iter().map(|line| line.parse().unwrap_or(u64::MAX)).collect();
    assert!(
        numbers[0] <= 16_384 && numbers[1] <= 65_536 && numbers[2] == 0 && numbers[3] <= 32_768,
        "{numbers:?}"
    );
}

fn tmp(world: &World) {
    let limits = Limits { memory_bytes: 32 * 1024 * 1024, ..Limits::DEFAULT };
    let line = "head -c 200000000 /dev/zero > /tmp/large; stat -c %s /tmp/large";
    let ended = world.run(&with_limits(world, limits, line));
    let size: u64 = ended.lines.stdout().first().map_or(0, |line| line.parse().unwrap());
    assert!(ended.exit.out_of_memory || size <= limits.memory_bytes, "{size} bytes, {:?}", ended.exit);
}

/// A process of another app that answers whoever connects, while `attack` goes on.
pub struct Neighbour {
    pub spec: ProcessSpec,
    address: SocketAddr,
}

impl Neighbour {
    pub fn start(world: &World) -> Self {
        let address = SocketAddr::from((AppRange::DEFAULT.address_of(OTHER_APP).unwrap(), 8080));
        let line = format!("exec /.dozen/dozen inside listen {address}");
        let spec = ProcessSpec { app: app_id(OTHER_APP), app_index: OTHER_APP, ..world.spec(&line) };
        world.start(&spec);
        world.until_line(spec.process, "listening");
        Self { spec, address }
    }

    /// Asks, and hears the end of the answer.
    pub fn answers(&self) {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER).unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    }
}

/// Starts an attack and lets the neighbour answer until the attack has said, or come to, what `over` looks for.
fn beside_a_neighbour<T>(
    world: &World,
    attack: &ProcessSpec,
    mut over: impl FnMut(&World, &ProcessSpec) -> Option<T>,
) -> T {
    let neighbour = Neighbour::start(world);
    world.start(attack);
    let mut answers = 0;
    let result = until("the attack is over", || {
        neighbour.answers();
        answers += 1;
        over(world, attack)
    });
    neighbour.answers();
    assert!(answers > 0);
    world.remove(attack.process);
    world.remove(neighbour.spec.process);
    result
}

/// The first line of its own that begins so.
fn line(world: &World, spec: &ProcessSpec, beginning: &str) -> Option<String> {
    world.lines(spec.process).stdout().into_iter().find(|line| line.starts_with(beginning))
}

fn took(world: &World, limits: Limits, what: &str) -> String {
    let attack = with_limits(world, limits, &format!("exec /.dozen/dozen inside {what}"));
    beside_a_neighbour(world, &attack, |world, attack| line(world, attack, "took"))
}

/// How many it got, and why no more.
fn refused(told: &str) -> (u32, i32) {
    let words: Vec<&str> = told.split([' ', ':']).filter(|word| !word.is_empty()).collect();
    (words[1].parse().unwrap(), words.get(4).map_or(0, |errno| errno.parse().unwrap()))
}

fn above_the_quota(world: &World) {
    let limits =
        Limits { memory_bytes: 32 * MEGABYTE, memory_hard_bytes: Some(256 * MEGABYTE), ..Limits::DEFAULT };
    let below = with_limits(world, limits, "exec /.dozen/dozen inside hold 4");
    let above = with_limits(world, limits, "exec /.dozen/dozen inside hold 64");
    // The first look at the lower one comes before that at the higher one.
    world.start(&below);
    world.until_line(below.process, "ate");
    world.start(&above);
    world.until_line(above.process, "ate");
    // The first looks may come while it still eats.
    let (platform, running) = until("it is told", || {
        let platform = world.lines(above.process).platform();
        let at = platform
            .iter()
            .position(|line| line.starts_with("Process running mem=6") && line.contains("M(2"))?;
        (platform.len() > at + 1).then_some((platform, at))
    });
    assert!(platform[running].ends_with("%)"), "{platform:?}");
    assert_eq!(platform[running + 1], "Error R14 (Memory quota exceeded)");
    assert!(!platform.iter().any(|line| line.contains("sample#")), "{platform:?}");
    let quiet = world.lines(below.process).platform();
    assert!(!quiet.iter().any(|line| line.contains("R14") || line.contains("mem=")), "{quiet:?}");
    assert!(matches!(world.state(above.process), Some(domain::observed::ProcessState::Up { .. })));
    world.remove(above.process);
    world.remove(below.process);
}

fn memory_bomb(world: &World) {
    let small =
        Limits { memory_bytes: 32 * MEGABYTE, memory_hard_bytes: Some(64 * MEGABYTE), ..Limits::DEFAULT };
    let attack = with_limits(world, small, "exec /.dozen/dozen inside hold 300");
    let exit = beside_a_neighbour(world, &attack, |world, attack| match world.state(attack.process) {
        Some(domain::observed::ProcessState::Exited(exit)) => Some(exit),
        _ => None,
    });
    assert_eq!((exit.status, exit.out_of_memory), (ExitStatus::Signal(9), true));
    let large = with_limits(world, Limits::DEFAULT, "exec /.dozen/dozen inside eat 300");
    assert_eq!(world.run(&large).lines.stdout(), ["ate 300"]);
}

/// The kernel kills the largest, and who started it may go on; that is no end for want of memory.
fn worker_out_of_memory(world: &World) {
    let limits = Limits { memory_bytes: 64 * MEGABYTE, ..Limits::DEFAULT };
    let spec = with_limits(world, limits, "/.dozen/dozen inside hold 300; echo worker $?; sleep 600 & wait");
    world.start(&spec);
    assert_eq!(world.until_line(spec.process, "worker"), "worker 137");
    let told = until("it is told", || {
        world.lines(spec.process).platform().into_iter().find(|line| line.starts_with("Error R15"))
    });
    assert_eq!(told, "Error R15 (Memory quota vastly exceeded)");
    assert!(matches!(world.state(spec.process), Some(domain::observed::ProcessState::Up { .. })));
    let usage = control::usage(&world.data, spec.process).unwrap();
    assert_eq!(usage.oom_kills, Some(1));
    world.remove(spec.process);
}

fn samples(world: &World) {
    let spec = ProcessSpec { samples: Samples::Told, ..world.spec("exec sleep 600") };
    world.start(&spec);
    let told = until("two samples are told", || {
        let told = world.lines(spec.process).platform();
        let told: Vec<String> = told.into_iter().filter(|line| line.contains("sample#")).collect();
        (told.len() >= 2).then_some(told)
    });
    let source = format!("source=worker.1 dyno=heroku.{}.{} sample#", spec.app, spec.process);
    assert!(told.iter().all(|line| line.starts_with(&source)), "{told:?}");
    for name in ["memory_total=", "memory_rss=", "memory_cache=0.00MB", "memory_swap=0.00MB"] {
        assert!(told[0].contains(&format!("sample#{name}")), "{name}: {told:?}");
    }
    for name in ["load_avg_1m=0.", "load_avg_5m=0.", "load_avg_15m=0."] {
        assert!(told[1].contains(&format!("sample#{name}")), "{name}: {told:?}");
    }
    world.remove(spec.process);
}

fn fork_bomb(world: &World) {
    let (count, errno) = refused(&took(world, Limits { processes: 64, ..Limits::DEFAULT }, "fork 200"));
    assert!((50..64).contains(&count) && errno == libc::EAGAIN, "{count}: {errno}");
    let free = took(world, Limits { processes: 400, ..Limits::DEFAULT }, "fork 200");
    assert_eq!(free, "took 200 of 200");
}

fn tmp_bomb(world: &World) {
    for folder in ["/tmp", "/dev/shm"] {
        let line_of_shell = format!(
            "head -c 100000000 /dev/zero > {folder}/x; echo ended $? $(stat -c %s {folder}/x); sleep 600 & wait"
        );
        let fill = |tmp_bytes: u64| {
            let limits = Limits { tmp_bytes: Some(tmp_bytes), ..Limits::DEFAULT };
            let attack = with_limits(world, limits, &line_of_shell);
            beside_a_neighbour(world, &attack, |world, attack| line(world, attack, "ended"))
        };
        assert_eq!(fill(16 * MEGABYTE), format!("ended 1 {}", 16 * MEGABYTE), "{folder}");
        assert_eq!(fill(128 * MEGABYTE), "ended 0 100000000", "{folder}");
    }
}

fn file_bomb(world: &World) {
    let make = |tmp_bytes| {
        let limits = Limits { tmp_bytes: Some(tmp_bytes), ..Limits::DEFAULT };
        took(world, limits, "files /tmp 2000")
    };
    let (count, errno) = refused(&make(MEGABYTE));
    assert!((400..=512).contains(&count) && errno == libc::ENOSPC, "{count}: {errno}");
    assert_eq!(make(16 * MEGABYTE), "took 2000 of 2000");
}

fn descriptor_bomb(world: &World) {
    let (count, errno) = refused(&took(world, Limits::DEFAULT, "open 20000"));
    assert!((16_000..16_384).contains(&count) && errno == libc::EMFILE, "{count}: {errno}");
    // It may raise the limit for itself, up to the second one or what the machine allows.
    let line_of_shell = "ulimit -n $(ulimit -Hn) && exec /.dozen/dozen inside open 17000";
    let spec = world.spec(line_of_shell);
    let raised = beside_a_neighbour(world, &spec, |world, spec| line(world, spec, "took"));
    assert_eq!(raised, "took 17000 of 17000");
    let beyond = "ulimit -n $(($(ulimit -Hn) + 1)) 2>/dev/null; echo $?";
    assert_eq!(world.run_line(beyond).lines.stdout(), ["1"]);
}

fn usage(world: &World) {
    let limits = Limits { cpu_millicores: Some(900), tmp_bytes: Some(32 * MEGABYTE), ..Limits::DEFAULT };
    let line_of_shell = "head -c 9000000 /dev/zero > /tmp/x; exec /.dozen/dozen inside hold 40";
    let spec = with_limits(world, limits, line_of_shell);
    world.start(&spec);
    world.until_line(spec.process, "ate");
    let used: Usage = control::usage(&world.data, spec.process).unwrap();
    let memory = used.memory.unwrap();
    assert_eq!(used.limits, limits);
    assert!((40 * MEGABYTE..80 * MEGABYTE).contains(&memory.rss_bytes), "{used:?}");
    assert!((8_900_000..10_000_000).contains(&memory.cache_bytes), "{used:?}");
    assert!(used.memory_peak_bytes.unwrap() >= memory.rss_bytes, "{used:?}");
    assert!(used.cpu_micros.unwrap() > 0 && used.oom_kills == Some(0), "{used:?}");
    // The init and the process.
    assert_eq!(used.processes, Some(2), "{used:?}");
    world.remove(spec.process);
    control::usage(&world.data, spec.process).unwrap_err();
}

/// As on a machine whose kernel counts no memory: it is said, and no number is made up.
fn unmeasured(world: &World) {
    let layer = "cgroup_memory";
    let weak = world.beside(&[("MASK", layer), ("ALLOW", layer)]);
    weak.connect().create_network(app_id(crate::world::APP), crate::world::APP).unwrap();
    let spec = ProcessSpec { samples: Samples::Told, ..weak.spec("exec sleep 600") };
    weak.start(&spec);
    weak.until_up(spec.process);
    let used = control::usage(&weak.data, spec.process).unwrap();
    assert_eq!((used.memory, used.memory_peak_bytes, used.oom_kills), (None, None, None));
    assert!(used.cpu_micros.is_some() && used.processes == Some(2), "{used:?}");
    let told = until("it is told", || {
        weak.lines(spec.process).platform().into_iter().find(|line| line.starts_with("Memory cannot"))
    });
    assert!(told.contains("dozen doctor"), "{told}");
    let samples = weak.lines(spec.process).platform();
    assert!(!samples.iter().any(|line| line.contains("sample#memory")), "{samples:?}");
    assert_eq!(weak.end(), [""; 0]);
}
