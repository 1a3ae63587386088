//! Memory, processes, files.

use crate::world::{Case, World};
use domain::process::{ExitStatus, Limits};
use sandbox::spec::ProcessSpec;

pub const CASES: &[Case] = &[
    ("beyond_its_memory_a_process_is_killed_and_the_exit_says_why", memory),
    ("beyond_its_process_count_forks_fail", processes),
    ("rlimits_are_lowered", rlimits),
    ("tmp_counts_as_memory_and_ends_at_the_limit", tmp),
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
