//! Standard descriptors that are held for who attaches, and ones that came with the request.

use crate::waiting::until;
use crate::world::{Case, World};
use domain::process::ExitStatus;
use sandbox::control::{self, Attached, ControlError};
use sandbox::spec::{Held, Passed, ProcessSpec, Stdio, WindowSize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

pub const CASES: &[Case] = &[
    ("held_pipes_are_handed_out_once", held_pipes),
    ("output_of_a_short_process_waits_for_who_attaches_late", late_attach),
    ("a_held_terminal_is_a_terminal", held_terminal),
    ("passed_descriptors_are_the_processes_own", passed),
    ("what_cannot_start_is_told_on_the_passed_error_stream", passed_not_started),
    ("binary_data_passes_unchanged", binary),
];

fn held(world: &World, held: Held, line: &str) -> ProcessSpec {
    ProcessSpec { stdio: Stdio::Held(held), ..world.spec(line) }
}

fn attach_pipes(world: &World, spec: &ProcessSpec) -> [File; 3] {
    let attached = until("it can be attached to", || control::attach(&world.data, spec.process).ok());
    let Attached::Pipes { input, output, error } = attached else { panic!("no pipes: {attached:?}") };
    [input, output, error].map(File::from)
}

fn read_all(mut file: File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

fn held_pipes(world: &World) {
    let spec = held(world, Held::Pipes, "echo begin; cat; echo end >&2; echo again > /dev/stdout; exit 4");
    world.start(&spec);
    let [mut input, output, error] = attach_pipes(world, &spec);
    assert!(matches!(control::attach(&world.data, spec.process), Err(ControlError::Refused { .. })));
    input.write_all(b"through\n").unwrap();
    drop(input);
    assert_eq!(read_all(output), "begin\nthrough\nagain\n");
    assert_eq!(read_all(error), "end\n");
    let ended = world.until_ended(spec.process);
    assert_eq!(ended.exit.status, ExitStatus::Code(4));
    assert_eq!(ended.lines.stdout(), [""; 0], "held output is not the log's");
    world.remove(spec.process);
}

fn late_attach(world: &World) {
    let spec = held(world, Held::Pipes, "echo quick");
    world.start(&spec);
    world.until_ended(spec.process);
    let [input, output, _error] = attach_pipes(world, &spec);
    drop(input);
    assert_eq!(read_all(output), "quick\n");
    world.remove(spec.process);
}

fn held_terminal(world: &World) {
    let size = WindowSize { rows: 33, columns: 99 };
    let line = "tty; stty size; id -u > /dev/tty; read answer; echo got $answer; \
                trap 'stty size; exit 6' WINCH; echo waiting; while :; do sleep 0.05; done";
    let spec = held(world, Held::Terminal(size), line);
    world.start(&spec);
    let attached = until("it can be attached to", || control::attach(&world.data, spec.process).ok());
    let Attached::Terminal(master) = attached else { panic!("no terminal: {attached:?}") };
    let mut terminal = File::from(master);
    terminal.write_all(b"typed\n").unwrap();
    let mut seen = String::new();
    read_until(&mut terminal, &mut seen, "waiting");
    for expected in ["/dev/pts/0", "33 99", "2000006", "got typed"] {
        assert!(seen.contains(expected), "{expected}: {seen}");
    }
    control::set_terminal_size(terminal.as_fd(), WindowSize { rows: 20, columns: 70 }).unwrap();
    read_until(&mut terminal, &mut seen, "20 70");
    assert_eq!(world.until_ended(spec.process).exit.status, ExitStatus::Code(6));
    world.remove(spec.process);
    let hung_up =
        held(world, Held::Terminal(size), "trap 'exit 8' HUP; echo x; while :; do sleep 0.05; done");
    world.start(&hung_up);
    let attached = until("it can be attached to", || control::attach(&world.data, hung_up.process).ok());
    let Attached::Terminal(master) = attached else { panic!("no terminal: {attached:?}") };
    let mut terminal = File::from(master);
    read_until(&mut terminal, &mut String::new(), "x");
    drop(terminal);
    assert_eq!(world.until_ended(hung_up.process).exit.status, ExitStatus::Code(8), "hanging up is noticed");
    world.remove(hung_up.process);
}

fn read_until(terminal: &mut File, seen: &mut String, word: &str) {
    let mut bytes = [0; 1024];
    while !seen.contains(word) {
        let count = terminal.read(&mut bytes).unwrap();
        assert!(count > 0, "ended before {word:?}: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

fn pipe() -> (File, OwnedFd) {
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (File::from(reading), writing)
}

fn passed(world: &World) {
    for (passed, line) in
        [(Passed::Three, "cat; echo e >&2"), (Passed::Four, "cat; echo e >&2; echo extra >&3")]
    {
        let spec = ProcessSpec {
            stdio: Stdio::Passed(passed),
            ..world.spec(&format!("{line}; ls -l /proc/self/fd | wc -l"))
        };
        let (input_end, input) = pipe();
        let ((output, output_end), (error, error_end), (extra, extra_end)) = (pipe(), pipe(), pipe());
        let ends = [input_end.as_fd(), output_end.as_fd(), error_end.as_fd(), extra_end.as_fd()];
        let count = if passed == Passed::Four { 4 } else { 3 };
        world.start_with(&spec, &ends[..count]);
        File::from(input).write_all(b"in and out\n").unwrap();
        drop((input_end, output_end, error_end, extra_end));
        // `ls` has one descriptor more than its parent, and prints one line of its own.
        assert_eq!(read_all(output), format!("in and out\n{}\n", count + 2));
        assert_eq!(read_all(error), "e\n");
        assert_eq!(read_all(extra), if passed == Passed::Four { "extra\n" } else { "" });
        assert!(world.until_ended(spec.process).exit.status.is_success());
        world.remove(spec.process);
    }
}

fn passed_not_started(world: &World) {
    let spec = world.spec("");
    let spec = ProcessSpec {
        stdio: Stdio::Passed(Passed::Three),
        command: sandbox::spec::Command { argv: vec!["/nothing".to_owned()], shown: "/nothing".to_owned() },
        ..spec
    };
    let null = File::open("/dev/null").unwrap();
    let (error, error_end) = pipe();
    world.start_with(&spec, &[null.as_fd(), null.as_fd(), error_end.as_fd()]);
    drop(error_end);
    assert_eq!(
        read_all(error),
        "Process could not be started: could not start \"/nothing\": could not execute /nothing: No such file or directory (os error 2)\n"
    );
    assert_eq!(world.until_ended(spec.process).exit.status, ExitStatus::NotStarted);
    world.remove(spec.process);
}

fn binary(world: &World) {
    let spec = held(world, Held::Pipes, "cat");
    world.start(&spec);
    let [mut input, mut output, _error] = attach_pipes(world, &spec);
    let sent: Vec<u8> =
        (0..1_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || input.write_all(&copy).unwrap());
    let mut received = Vec::new();
    output.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    world.until_ended(spec.process);
    world.remove(spec.process);
}
