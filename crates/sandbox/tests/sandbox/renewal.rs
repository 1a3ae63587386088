//! A shim goes on as another build of the program: the same process, the same child, the same log; and whatever goes wrong, the app
//! does not notice.

use crate::waiting::until;
use crate::world::{Case, World, pause};
use domain::ids::ProcessId;
use domain::observed::ProcessState;
use domain::process::{ExitStatus, StopPolicy};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::process::{Pid, Signal};
use sandbox::build_id;
use sandbox::control;
use sandbox::environment::SealedEnvironment;
use sandbox::renewal::{self, RenewalError};
use sandbox::spec::ProcessSpec;
use std::fs::File;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub const CASES: &[Case] = &[
    ("c_150_a_shim_goes_on_as_another_build_and_the_app_does_not_notice", goes_on),
    ("c_151_a_stop_is_carried_on_by_the_new_program", stop_under_way),
    ("a_process_that_is_not_up_yet_is_carried_on", starting),
    ("c_152_what_cannot_take_over_is_refused_and_the_old_shim_goes_on", unfit_programs),
    ("c_152_a_program_that_fails_to_take_over_gives_way_to_the_old_one", gives_way),
    ("the_launcher_alone_says_what_a_shim_executes", strangers),
    ("a_shim_killed_while_it_is_renewed_leaves_nothing", killed),
];

/// Enough to hit it before, in and after each of its steps.
const KILLS: u32 = 12;
/// The mark of a program that fails on purpose.
const FAILING: &str = "fails-to-take-over";

/// This very program with another build's id, at a path of its own.
fn other_build(world: &World, name: &str) -> PathBuf {
    let digits = build_id::own();
    let id: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let mut bytes = std::fs::read("/proc/self/exe").unwrap();
    let found: Vec<usize> = memchr_all(&bytes, &id);
    assert!(!found.is_empty(), "the program holds its id");
    found.into_iter().for_each(|at| bytes[at] ^= 0xff);
    let path = world.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn memchr_all(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let begins = bytes.iter().enumerate().filter(|(_, byte)| **byte == wanted[0]);
    begins.map(|(at, _)| at).filter(|at| bytes[*at..].starts_with(wanted)).collect()
}

fn start(world: &World, spec: &ProcessSpec) -> u32 {
    let environment = SealedEnvironment::seal(crate::world::ENVIRONMENT).unwrap();
    world.connect().spawn(spec, &environment, &[]).unwrap()
}

/// As often as it takes: a process that is just being started cannot be handed on.
fn renew(world: &World, process: ProcessId) {
    until("the shim is renewed", || match renewal::renew(&mut world.connect(), process) {
        Ok(()) => Some(()),
        Err(RenewalError::NotNow { .. }) => None,
        Err(error) => panic!("{}", domain::cause::chain(&error)),
    });
}

/// What must be the same before and after.
#[derive(Debug, PartialEq)]
struct Identity {
    children: String,
    status: Vec<String>,
    namespaces: Vec<PathBuf>,
    groups: String,
    /// What is open, by what it is.
    descriptors: Vec<String>,
    owner: u32,
}

impl Identity {
    fn of(pid: u32) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        let kept = ["Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "SigBlk", "SigIgn"];
        let status = read("status");
        let status =
            status.lines().filter(|line| kept.iter().any(|kept| line.starts_with(kept))).map(str::to_owned);
        let link = |path: String| std::fs::read_link(path).unwrap();
        let mut descriptors: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten()
            .filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()))
            // The room for the exit is taken a second after the start; segments come and go.
            .filter(|name| !name.ends_with(".exit.reserved") && !name.ends_with(".seg"))
            .collect();
        descriptors.sort();
        Self {
            children: read(&format!("task/{pid}/children")),
            status: status.collect(),
            namespaces: ["net", "mnt", "pid", "user"]
                .map(|name| link(format!("/proc/{pid}/ns/{name}")))
                .into(),
            groups: read("cgroup"),
            descriptors,
            // Root's if nobody else may look into its memory.
            owner: std::fs::metadata(format!("/proc/{pid}/fd")).unwrap().uid(),
        }
    }
}

fn build_of(world: &World, process: ProcessId) -> String {
    control::about(&world.data, process).unwrap().build
}

fn numbers(world: &World, process: ProcessId) -> Vec<String> {
    world.lines(process).stdout()
}

fn goes_on(world: &World) {
    let spec = world.spec(
        "trap 'echo told; exit 3' TERM; printf 'half a '; n=0; \
         while :; do n=$((n+1)); if [ $n = 40 ]; then echo line; fi; echo \"error $n\" >&2; sleep 0.02; done",
    );
    let pid = start(world, &spec);
    world.until_up(spec.process);
    let own = build_of(world, spec.process);
    assert_eq!(own, build_id::own());
    pause();
    let before = Identity::of(pid);
    let newer = other_build(world, "newer");
    world.kill_launcher();
    world.restart_launcher_as(&newer);
    for _ in 0..5 {
        renew(world, spec.process);
    }
    let renewed = build_of(world, spec.process);
    assert!(renewed != own && renewed.len() == own.len(), "{renewed}");
    assert_eq!(world.connect().status().unwrap().build, renewed);
    assert!(matches!(world.state(spec.process), Some(ProcessState::Up { .. })));
    until("it writes again", || {
        let seen = world.lines(spec.process).of(journal::Stream::Stderr).len();
        pause();
        (world.lines(spec.process).of(journal::Stream::Stderr).len() > seen.max(60)).then_some(())
    });
    assert_eq!(Identity::of(pid), before);
    // And back, as after an upgrade that was taken back.
    world.kill_launcher();
    world.restart_launcher();
    renew(world, spec.process);
    assert_eq!(build_of(world, spec.process), own);
    control::stop(&world.data, spec.process).unwrap();
    let ended = world.until_ended(spec.process);
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Code(3), true));
    assert_eq!(numbers(world, spec.process), ["half a line", "told"]);
    let mut errors = ended.lines.of(journal::Stream::Stderr);
    // The shell's own word on its `sleep`, which got the signal as well.
    errors.retain(|line| line != "Terminated");
    let counted = (1..=errors.len()).map(|number| format!("error {number}"));
    assert!(errors.iter().eq(counted.collect::<Vec<_>>().iter()), "{errors:?}");
    let starts = ended.lines.platform().iter().filter(|line| line.starts_with("Starting")).count();
    assert_eq!(starts, 1, "{:?}", ended.lines.platform());
    world.remove(spec.process);
}

fn stop_under_way(world: &World) {
    let stop = StopPolicy { grace_seconds: 2, ..StopPolicy::APP };
    let spec = ProcessSpec { stop, ..world.spec("trap 'echo deaf' TERM; while :; do sleep 0.05; done") };
    start(world, &spec);
    world.until_up(spec.process);
    control::stop(&world.data, spec.process).unwrap();
    world.until_line(spec.process, "deaf");
    renew(world, spec.process);
    let ended = world.until_ended(spec.process);
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Signal(9), true));
    let platform = ended.lines.platform();
    assert!(platform.iter().any(|line| line.starts_with("Error R12")), "{platform:?}");
    assert_eq!(ended.lines.stdout(), ["deaf"], "the signal is not sent again");
    world.remove(spec.process);
}

fn starting(world: &World) {
    let port = 7310;
    let spec = world.web("", port);
    let address = spec.endpoint.unwrap();
    let line = format!("sleep 1; exec /.dozen/dozen inside listen {address}");
    let spec = ProcessSpec { command: sandbox::spec::Command::shell(&line), ..spec };
    start(world, &spec);
    renew(world, spec.process);
    assert_eq!(world.state(spec.process), Some(ProcessState::Starting));
    world.until_up(spec.process);
    world.remove(spec.process);
}

/// Orders a renewal as the launcher does, with any program. The shim's answer as it came; empty: it hung up.
fn order(socket: &Path, program: &Path) -> String {
    let flags = SocketFlags::CLOEXEC;
    let connection =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::connect(&connection, &SocketAddrUnix::new(socket).unwrap()).unwrap();
    let (own, its) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let program = File::open(program).unwrap();
    let descriptors = [program.as_fd(), its.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let message = IoSlice::new(br#"{"format":1,"request":"renew"}"#);
    rustix::net::sendmsg(&connection, &[message], &mut ancillary, SendFlags::empty()).unwrap();
    drop(its);
    let mut answer = [0; 4096];
    let (_, length) = rustix::net::recv(&own, &mut answer, RecvFlags::empty()).unwrap();
    // Who is refused for what they are is told over their own connection.
    let length = match length {
        0 => rustix::net::recv(&connection, &mut answer, RecvFlags::empty()).unwrap().1,
        length => length,
    };
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The part of this binary that orders as somebody else.
pub fn be_orderer(socket: &str, program: &str) -> ExitCode {
    println!("{}", order(Path::new(socket), Path::new(program)));
    ExitCode::SUCCESS
}

fn unfit_programs(world: &World) {
    let spec = world.spec("n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done");
    let pid = start(world, &spec);
    world.until_line(spec.process, "1");
    let before = Identity::of(pid);
    let text = world.path().join("text");
    File::create(&text).unwrap().write_all(b"no program").unwrap();
    let socket = world.data.process(spec.process).join("ctl");
    let newer = other_build(world, "closed");
    std::fs::set_permissions(&newer, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (program, why) in [
        (Path::new("/bin/true"), "it does not know how (it ended with 0)"),
        (Path::new("/bin/false"), "it does not know how (it ended with 1)"),
        (Path::new("/dev/null"), "a renewal comes with the program"),
        (Path::new("/tmp"), "a renewal comes with the program"),
        (text.as_path(), "it cannot be executed"),
        (newer.as_path(), "it cannot be executed: Permission denied"),
    ] {
        let answer = order(&socket, program);
        assert!(answer.contains(why), "{}: {answer}", program.display());
    }
    let seen = numbers(world, spec.process).len();
    until("it goes on", || (numbers(world, spec.process).len() > seen + 3).then_some(()));
    assert_eq!(Identity::of(pid), before);
    let counted: Vec<String> = (1..=numbers(world, spec.process).len()).map(|n| n.to_string()).collect();
    assert!(numbers(world, spec.process).starts_with(&counted), "no line is missing");
    renew(world, spec.process);
    world.remove(spec.process);
}

fn gives_way(world: &World) {
    let spec = world.spec("n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done");
    let pid = start(world, &spec);
    world.until_line(spec.process, "1");
    let (own, before) = (build_of(world, spec.process), Identity::of(pid));
    let failing = other_build(world, FAILING);
    let answer = order(&world.data.process(spec.process).join("ctl"), &failing);
    assert!(answer.contains("could not take over"), "{answer}");
    assert_eq!(build_of(world, spec.process), own);
    let seen = numbers(world, spec.process).len();
    until("it goes on", || (numbers(world, spec.process).len() > seen + 3).then_some(()));
    assert_eq!(Identity::of(pid), before);
    control::stop(&world.data, spec.process).unwrap();
    let ended = world.until_ended(spec.process);
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Signal(15), true));
    world.remove(spec.process);
}

fn strangers(world: &World) {
    let spec = world.spec("sleep 600");
    start(world, &spec);
    world.until_up(spec.process);
    let socket = world.data.process(spec.process).join("ctl");
    let order_as = |uid: u32| {
        let told = Command::new("/proc/self/exe")
            .args(["order", socket.to_str().unwrap(), "/bin/true"])
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap();
        String::from_utf8_lossy(&told.stdout).into_owned()
    };
    let server = sandbox::launcher::DEFAULT_SERVER_UID;
    assert!(order_as(server).contains("only the launcher may say"), "{}", order_as(server));
    // Root gets as far as the program itself.
    assert!(order_as(0).contains("it does not know how"), "{}", order_as(0));
    world.remove(spec.process);
}

fn killed(world: &World) {
    for round in 0..KILLS {
        let spec = world.spec("sleep 600 & sleep 600");
        let pid = start(world, &spec);
        world.until_up(spec.process);
        let mut launcher = world.connect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(u64::from(round) * 4));
                let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                rustix::process::kill_process(pid, Signal::KILL).unwrap();
            });
            let _ = renewal::renew(&mut launcher, spec.process);
        });
        until("the process is lost", || {
            (world.state(spec.process) == Some(ProcessState::Lost)).then_some(())
        });
        let group = world.groups().group(spec.process);
        until("nothing of it runs", || group.processes().unwrap().is_empty().then_some(()));
        world.remove(spec.process);
    }
}
