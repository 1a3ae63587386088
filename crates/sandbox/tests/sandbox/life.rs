//! Start, readiness, stop and end of a process.

use crate::waiting::until;
use crate::world::{Case, World};
use domain::ids::JobId;
use domain::observed::ProcessState;
use domain::plan::StopReason;
use domain::process::{BootDiagnosis, ExitStatus, JobKind, Purpose, StopPolicy, StopTarget};
use rustix::process::{Pid, Signal};
use sandbox::control::{self, ControlError};
use sandbox::spec::{Command, Kind, ProcessSpec};
use std::path::Path;

pub const CASES: &[Case] = &[
    ("exit_codes_and_signals_are_told", exits),
    ("c_20_lines_arrive_in_the_journal_with_the_platforms", lines),
    ("what_cannot_be_executed_is_told_with_its_reason", not_executable),
    ("c_40_signals_reach_grandchildren", grandchildren),
    ("a_stop_to_the_leader_spares_its_children", leader_only),
    ("c_42_the_deaf_are_killed_after_the_grace", deaf),
    ("a_stop_right_after_the_start_is_a_stop", early_stop),
    ("a_kill_ends_everything_at_once", kill),
    ("orphans_are_reaped", orphans),
    ("the_end_of_the_first_process_is_the_end_of_all", end_of_all),
    ("ready_when_it_accepts", ready),
    ("the_three_diagnoses", diagnoses),
    ("a_time_limit_stops", time_limit),
    ("a_run_folder_that_vanishes_does_not_hurt_the_app", vanished_folder),
    ("the_death_of_the_shim_is_the_death_of_the_app", dead_shim),
];

fn exits(world: &World) {
    for (line, expected) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 7", ExitStatus::Code(7)),
        ("exit 255", ExitStatus::Code(255)),
        ("kill -TERM $$", ExitStatus::Signal(15)),
        ("kill -KILL $$", ExitStatus::Signal(9)),
        ("kill -SEGV $$", ExitStatus::Signal(11)),
    ] {
        let ended = world.run_line(line);
        let exit = ended.exit;
        assert_eq!(
            (exit.status, exit.stop_requested, exit.out_of_memory),
            (expected, false, false),
            "{line}: {:?}",
            ended.lines.all()
        );
    }
}

fn lines(world: &World) {
    let ended = world.run_line("echo one; echo two >&2; printf 'three\\r\\nlast without newline'; exit 3");
    assert_eq!(ended.lines.stdout(), ["one", "three", "last without newline"], "{:?}", ended.lines.all());
    assert_eq!(ended.lines.of(journal::Stream::Stderr), ["two"]);
    assert_eq!(
        ended.lines.platform(),
        [
            "Starting process with command `echo one; echo two >&2; printf 'three\\r\\nlast without newline'; exit 3`",
            "State changed from starting to up",
            "Process exited with status 3",
            "State changed from up to crashed",
        ]
    );
    assert!(ended.lines.all().len() == 8, "{:?}", ended.lines.all());
    let many = world.run_line("seq 1 20000; head -c 25000 /dev/zero | tr '\\0' x");
    let stdout = many.lines.stdout();
    assert_eq!(stdout.len(), 20_003);
    assert!(stdout[..20_000].iter().zip(1..).all(|(line, number)| *line == number.to_string()));
    assert_eq!(stdout[20_000..].iter().map(String::len).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
}

fn not_executable(world: &World) {
    for (argv, reason) in [
        (vec!["/app/nothing"], "could not execute /app/nothing: No such file or directory"),
        (vec!["/app/greeting"], "could not execute /app/greeting: Permission denied"),
        (vec!["no-such-program"], "could not find the program \"no-such-program\" along PATH"),
    ] {
        let argv: Vec<String> = argv.into_iter().map(str::to_owned).collect();
        let spec = ProcessSpec { command: Command { shown: argv[0].clone(), argv }, ..world.spec("") };
        let ended = world.run(&spec);
        assert_eq!(ended.exit.status, ExitStatus::NotStarted);
        let platform = ended.lines.platform().join("\n");
        assert!(platform.contains(reason), "{platform}");
    }
}

fn job(world: &World, line: &str) -> ProcessSpec {
    let spec = world.spec(line);
    let job = JobId::from_uuid(*spec.process.as_uuid());
    let purpose = Purpose::Job {
        release: spec.purpose().unwrap().release(),
        job,
        job_kind: JobKind::OneOff,
        number: 9,
    };
    ProcessSpec {
        kind: Kind::Process { purpose, slug: world.slug.clone() },
        display_name: "run.9".to_owned(),
        ..spec
    }
}

fn grandchildren(world: &World) {
    let line = "trap 'echo parent got it; wait; exit 5' TERM; \
                (trap 'echo child got it; wait; exit 0' TERM; (trap 'echo grandchild got it; exit 0' TERM; echo deep; \
                while :; do sleep 0.05; done) & echo middle; wait; while :; do sleep 0.05; done) & \
                echo ready; wait; while :; do sleep 0.05; done";
    let spec = world.spec(line);
    world.start(&spec);
    for word in ["ready", "middle", "deep"] {
        world.until_line(spec.process, word);
    }
    control::stop(&world.data, spec.process).unwrap();
    let ended = world.until_ended(spec.process);
    let stdout = ended.lines.stdout();
    for who in ["parent", "child", "grandchild"] {
        assert!(stdout.contains(&format!("{who} got it")), "{stdout:?}");
    }
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Code(5), true));
    let platform = ended.lines.platform();
    assert_eq!(
        &platform[2..],
        [
            "State changed from up to down",
            "Stopping all processes with SIGTERM",
            "Process exited with status 5",
        ]
    );
    assert!(matches!(control::stop(&world.data, spec.process), Err(ControlError::Gone { .. })));
    world.remove(spec.process);
}

fn leader_only(world: &World) {
    // The leader is ready first: the child begins after that, and tells when it is.
    let line = "trap 'echo leader got it; sleep 0.3; exit 0' TERM; \
                (trap 'echo child got it' TERM; echo child ready; while :; do sleep 0.05; done) & \
                while :; do sleep 0.05; done";
    let stop = StopPolicy { to: StopTarget::Leader, ..StopPolicy::APP };
    let spec = ProcessSpec { stop, ..world.spec(line) };
    world.start(&spec);
    world.until_line(spec.process, "child ready");
    control::stop(&world.data, spec.process).unwrap();
    let stdout = world.until_ended(spec.process).lines.stdout();
    assert!(
        stdout.contains(&"leader got it".to_owned()) && !stdout.contains(&"child got it".to_owned()),
        "{stdout:?}"
    );
    world.remove(spec.process);
}

fn deaf(world: &World) {
    let stop = StopPolicy { grace_seconds: 1, ..StopPolicy::APP };
    let spec = ProcessSpec { stop, ..world.spec("trap '' TERM; echo ready; while :; do sleep 0.05; done") };
    world.start(&spec);
    world.until_line(spec.process, "ready");
    control::stop_because(&world.data, spec.process, StopReason::Cycle).unwrap();
    // The first reason counts.
    control::stop_because(&world.data, spec.process, StopReason::Restart).unwrap();
    assert!(matches!(
        world.state(spec.process),
        Some(ProcessState::Stopping { .. } | ProcessState::Exited(_))
    ));
    let ended = world.until_ended(spec.process);
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Signal(9), true));
    assert_eq!(
        &ended.lines.platform()[2..],
        [
            "Cycling",
            "State changed from up to starting",
            "Stopping all processes with SIGTERM",
            "Error R12 (Exit timeout) -> At least one process failed to exit within 1 seconds of SIGTERM",
            "Stopping remaining processes with SIGKILL",
            "Process exited with status 137",
        ]
    );
    world.remove(spec.process);
}

fn early_stop(world: &World) {
    for _ in 0..10 {
        let spec = world.spec("sleep 600");
        world.start(&spec);
        control::stop(&world.data, spec.process).unwrap();
        let ended = world.until_ended(spec.process);
        assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Signal(15), true));
        world.remove(spec.process);
    }
}

fn kill(world: &World) {
    let spec = world.spec("trap '' TERM; sleep 600 & sleep 600 & echo ready; wait; sleep 600");
    world.start(&spec);
    world.until_line(spec.process, "ready");
    control::kill(&world.data, spec.process).unwrap();
    assert_eq!(world.until_ended(spec.process).exit.status, ExitStatus::Signal(9));
    world.remove(spec.process);
}

fn orphans(world: &World) {
    // Twenty grandchildren whose parents have gone: the init adopts and reaps them.
    let ended = world.run_line(
        "for i in $(seq 20); do (sleep 0.01 &) ; done; sleep 0.5; \
         for s in /proc/[0-9]*/stat; do cut -d' ' -f3 $s; done 2>/dev/null | grep -c Z; echo end",
    );
    assert_eq!(ended.lines.stdout(), ["0", "end"]);
}

fn end_of_all(world: &World) {
    let mark = format!("left-{}", world.next_process());
    let ended = world.run_line(&format!("setsid bash -c 'exec -a {mark} sleep 600' & sleep 0.2; exit 0"));
    assert_eq!(ended.exit.status, ExitStatus::Code(0));
    let shows = |path: &std::path::Path| {
        std::fs::read(path.join("cmdline")).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&mark))
    };
    let left = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| shows(&entry.path()));
    assert!(!left, "a process outlived the end of the first");
}

fn ready(world: &World) {
    let web = world.web("read line < /tmp/go; exec /.dozen/dozen inside listen 0.0.0.0:7001", 7001);
    let waiting = ProcessSpec {
        command: Command::shell(
            "mkfifo /tmp/go; (sleep 0.3; echo > /tmp/go) & read line < /tmp/go; exec /.dozen/dozen inside listen 0.0.0.0:7001",
        ),
        ..web
    };
    world.start(&waiting);
    until("it runs", || world.state(waiting.process));
    world.until_up(waiting.process);
    let lines = world.lines(waiting.process);
    assert_eq!(lines.stdout(), ["listening on 0.0.0.0:7001"]);
    assert_eq!(lines.platform()[1..], ["State changed from starting to up"]);
    control::stop(&world.data, waiting.process).unwrap();
    world.until_ended(waiting.process);
    world.remove(waiting.process);
    let never = world.web("echo started; sleep 600", 7002);
    world.start(&never);
    world.until_line(never.process, "started");
    assert_eq!(world.state(never.process), Some(ProcessState::Starting));
    world.remove(never.process);
}

fn diagnoses(world: &World) {
    for (port, listen, expected) in [
        (7010, None, BootDiagnosis::NothingBound),
        (7011, Some("0.0.0.0:7019"), BootDiagnosis::OtherPorts(vec![7019])),
        (7012, Some("127.0.0.1:7012"), BootDiagnosis::LoopbackOnly),
        (7013, Some("[::1]:7013"), BootDiagnosis::LoopbackOnly),
    ] {
        let line = match listen {
            Some(address) => format!("exec /.dozen/dozen inside listen {address}"),
            None => "echo listening not; sleep 600".to_owned(),
        };
        // A neighbour in the same network listens where this one should: it must not be taken for it.
        let neighbour = world.spec(&format!("exec /.dozen/dozen inside listen 127.0.0.2:{port}"));
        let web = world.web(&line, port);
        world.start(&neighbour);
        world.start(&web);
        world.until_line(web.process, "listening");
        world.until_line(neighbour.process, "listening");
        assert_eq!(control::diagnose(&world.data, web.process).unwrap(), expected, "{listen:?}");
        assert_eq!(world.state(web.process), Some(ProcessState::Starting));
        world.remove(web.process);
        world.remove(neighbour.process);
    }
    let fine = world.web("exec /.dozen/dozen inside listen 0.0.0.0:7014", 7014);
    world.start(&fine);
    world.until_up(fine.process);
    assert!(matches!(control::diagnose(&world.data, fine.process), Err(ControlError::Refused { .. })));
    world.remove(fine.process);
}

fn time_limit(world: &World) {
    let spec = ProcessSpec { time_limit_seconds: Some(1), ..job(world, "sleep 600") };
    let ended = world.run(&spec);
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Signal(15), true));
    let platform = ended.lines.platform();
    assert_eq!(platform[2], "Time limit of 1 seconds reached");
    assert_eq!(platform.last().map(String::as_str), Some("State changed from up to complete"));
}

fn vanished_folder(world: &World) {
    let spec = world.spec("echo before; trap 'echo after; exit 0' TERM; while :; do sleep 0.05; done");
    world.start(&spec);
    world.until_line(spec.process, "before");
    let shim = shim_pid(world, &spec);
    std::fs::remove_dir_all(world.data.process(spec.process)).unwrap();
    rustix::process::kill_process(shim, Signal::TERM).unwrap();
    world.until_line(spec.process, "after");
    until("the shim has ended", || rustix::process::test_kill_process(shim).err());
    world.remove(spec.process);
}

fn dead_shim(world: &World) {
    let spec = world.spec("echo pid; sleep 600");
    world.start(&spec);
    world.until_line(spec.process, "pid");
    let shim = shim_pid(world, &spec);
    rustix::process::kill_process(shim, Signal::KILL).unwrap();
    until("it counts as lost", || (world.state(spec.process) == Some(ProcessState::Lost)).then_some(()));
    // Its control group empties: nothing goes on unseen.
    world.remove(spec.process);
}

/// The process that holds the run folder's lock, as the kernel tells.
pub fn shim_pid(world: &World, spec: &ProcessSpec) -> Pid {
    use std::os::unix::fs::MetadataExt;
    let identity =
        |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    let lock = identity(&world.data.process(spec.process).join("lock")).unwrap();
    let holds = |folder: &Path| {
        let entries = std::fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
        entries.filter_map(|entry| identity(&entry.path())).any(|held| held == lock)
    };
    until("the shim is found", || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let mut holders = entries.filter(|entry| holds(&entry.path()));
        Pid::from_raw(holders.find_map(|entry| entry.file_name().to_str()?.parse().ok())?)
    })
}
