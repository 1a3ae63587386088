//! The launcher: who may ask, what it refuses, and that nobody needs it once a process runs.

use crate::waiting::until;
use crate::world::{APP, Case, ENVIRONMENT, World, app_id, pause};
use domain::observed::ProcessState;
use domain::process::ExitStatus;
use domain::time::BootId;
use sandbox::client::{ClientError, Launcher};
use sandbox::control;
use sandbox::environment::SealedEnvironment;
use sandbox::network::{self, NetworkSettings, RulesState};
use sandbox::protocol::{ListenerName, RefusalReason};
use sandbox::spec::{Kind, Network, Passed, ProcessSpec, Stdio, Toolchain};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;

pub const CASES: &[Case] = &[
    ("processes_live_through_the_death_of_the_launcher", death_of_the_launcher),
    ("the_death_of_the_template_costs_nothing", death_of_the_template),
    ("a_second_launcher_ends_with_a_reason", second_launcher),
    ("a_slot_and_a_job_have_one_living_process", rivals),
    ("an_older_server_is_refused", fencing),
    ("what_is_not_as_it_should_be_is_refused", refusals),
    ("strangers_reach_neither_launcher_nor_shim", strangers),
    ("removal_waits_for_the_end_and_leaves_nothing", removal),
    ("networks_of_living_processes_stay", networks),
    ("without_its_network_a_process_does_not_start", no_network),
    ("many_at_once", many),
    ("packet_rules_come_back", rules),
    ("what_a_power_cut_left_of_a_start_is_removed", power_cut),
];

fn power_cut(world: &World) {
    let [emptied, unreadable] = [0xdead_0001, 0xdead_0002].map(domain::ids::ProcessId::from_u128);
    world.kill_launcher();
    for (process, spec) in [(emptied, ""), (unreadable, "{")] {
        let folder = world.data.process(process);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("spec.json"), spec).unwrap();
        std::fs::write(folder.join("lock"), "").unwrap();
    }
    world.restart_launcher();
    assert!(!world.data.process(emptied).exists(), "nobody can have started what has no spec");
    let kept = world.data.process(unreadable);
    assert!(kept.exists(), "what cannot be understood is somebody else's");
    std::fs::remove_dir_all(kept).unwrap();
}

/// Until they are back nothing keeps apps apart, so nobody else's clean-up may last.
fn rules(world: &World) {
    let network = network::Network::new(NetworkSettings::new(world.data.networks()));
    assert_eq!(network.rules_state().unwrap(), RulesState::InForce);
    network.uninstall().unwrap();
    assert_eq!(network.rules_state().unwrap(), RulesState::Differ);
    until("the rules are in force again", || {
        (network.rules_state().unwrap() == RulesState::InForce).then_some(())
    });
}

fn reason(outcome: Result<impl std::fmt::Debug, ClientError>) -> RefusalReason {
    match outcome {
        Err(error) => error.refusal().unwrap_or_else(|| panic!("no refusal: {error:?}")),
        Ok(answer) => panic!("not refused: {answer:?}"),
    }
}

fn environment() -> SealedEnvironment {
    SealedEnvironment::seal(ENVIRONMENT).unwrap()
}

fn death_of_the_launcher(world: &World) {
    let web = world.web(
        "trap 'echo stopped; exit 0' TERM; /.dozen/dozen inside listen 0.0.0.0:7200 & \
         while :; do sleep 0.05; done",
        7200,
    );
    world.start(&web);
    world.kill_launcher();
    world.until_up(web.process);
    assert!(std::net::TcpStream::connect(web.endpoint.unwrap().0).is_ok());
    assert!(matches!(Launcher::connect(&world.data.launcher_socket()), Err(ClientError::Away { .. })));
    world.restart_launcher();
    assert_eq!(world.connect().status().unwrap().live_shims, 1);
    let rival = ProcessSpec { process: world.next_process(), ..web.clone() };
    assert_eq!(reason(world.connect().spawn(&rival, &environment(), &[])), RefusalReason::Busy);
    world.kill_launcher();
    control::stop(&world.data, web.process).unwrap();
    let ended = world.until_ended(web.process);
    assert_eq!((ended.exit.status, ended.exit.stop_requested), (ExitStatus::Code(0), true));
    assert!(ended.lines.stdout().contains(&"stopped".to_owned()));
    world.restart_launcher();
    world.remove(web.process);
}

/// Root's child of the launcher that all shims are clones of.
fn template_of(world: &World) -> Option<rustix::process::Pid> {
    let launcher = world.connect().status().unwrap().pid;
    let is_template = |folder: &std::path::Path| {
        let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
        let arguments = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        status.contains(&format!("PPid:\t{launcher}\n"))
            && status.contains("Uid:\t0\t")
            && arguments.ends_with(b"shim\0")
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found = entries.filter(|entry| is_template(&entry.path()));
    rustix::process::Pid::from_raw(found.next()?.file_name().to_str()?.parse().ok()?)
}

fn death_of_the_template(world: &World) {
    let before = world.spec("echo here; sleep 600");
    world.start(&before);
    world.until_line(before.process, "here");
    let template = template_of(world).unwrap();
    assert_ne!(Some(template), Some(crate::life::shim_pid(world, &before)));
    rustix::process::kill_process(template, rustix::process::Signal::KILL).unwrap();
    until("it has gone", || (template_of(world) != Some(template)).then_some(()));
    assert!(world.run_line("true").exit.status.is_success());
    assert!(template_of(world).is_some_and(|new| new != template));
    assert!(matches!(world.state(before.process), Some(ProcessState::Up { .. })));
    world.remove(before.process);
}

fn second_launcher(world: &World) {
    let root = world.data.root().to_str().unwrap();
    let group = format!("dozen-test-{}-second", std::process::id());
    let mut second = std::process::Command::new("/proc/self/exe");
    let second = second.args(["launcher", root]).env("GROUP", group).output().unwrap();
    let text = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(75));
    assert!(
        text.contains("another launcher holds") && text.contains("serves this data folder already"),
        "{text}"
    );
    assert!(world.connect().status().is_ok(), "the first one is not disturbed");
}

fn rivals(world: &World) {
    let first = world.spec("sleep 600");
    world.start(&first);
    let second = ProcessSpec { process: world.next_process(), ..first.clone() };
    assert_eq!(reason(world.connect().spawn(&second, &environment(), &[])), RefusalReason::Busy);
    assert_eq!(reason(world.connect().spawn(&first, &environment(), &[])), RefusalReason::Busy);
    assert_eq!(world.state(second.process), None);
    control::kill(&world.data, first.process).unwrap();
    world.until_ended(first.process);
    until("the place is free", || world.connect().spawn(&second, &environment(), &[]).ok());
    world.remove(first.process);
    world.remove(second.process);
}

fn fencing(world: &World) {
    let mut old = world.connect_as(10);
    assert!(old.remove_cache(app_id(APP)).is_ok());
    let mut new = world.connect_as(11);
    assert_eq!(reason(old.remove_cache(app_id(APP))), RefusalReason::Fenced);
    assert_eq!(reason(old.spawn(&world.spec("true"), &environment(), &[])), RefusalReason::Fenced);
    assert!(new.remove_cache(app_id(APP)).is_ok());
    let mut late = Launcher::connect(&world.data.launcher_socket()).unwrap();
    assert_eq!(reason(late.hello(10)), RefusalReason::Fenced);
    assert!(late.hello(11).is_ok() && late.remove_cache(app_id(APP)).is_ok());
    let mut rude = Launcher::connect(&world.data.launcher_socket()).unwrap();
    assert_eq!(reason(rude.remove_cache(app_id(APP))), RefusalReason::Invalid);
}

fn refusals(world: &World) {
    let good = world.spec("true");
    let no_slug: domain::names::SlugId = format!("sha256:{}", "00".repeat(32)).parse().unwrap();
    let purpose = good.purpose().unwrap().clone();
    for (spec, expected) in [
        (ProcessSpec { boot_id: BootId("another".to_owned()), ..good.clone() }, RefusalReason::Invalid),
        (ProcessSpec { app_index: 50_000, ..good.clone() }, RefusalReason::Invalid),
        (ProcessSpec { display_name: "a\nb".to_owned(), ..good.clone() }, RefusalReason::Invalid),
        (ProcessSpec { network: Network::Host, ..good.clone() }, RefusalReason::Invalid),
        (ProcessSpec { stdio: Stdio::Passed(Passed::Three), ..good.clone() }, RefusalReason::Invalid),
        (
            ProcessSpec { kind: Kind::Process { purpose, slug: no_slug }, ..good.clone() },
            RefusalReason::NotFound,
        ),
    ] {
        assert_eq!(reason(world.connect().spawn(&spec, &environment(), &[])), expected, "{spec:?}");
        assert_eq!(world.state(spec.process), None);
    }
    assert_eq!(reason(world.connect().listeners(ListenerName::Https)), RefusalReason::NotFound);
    assert_eq!(good.toolchain, None::<Toolchain>);
    assert_not_sealed_is_refused(world, &good);
}

/// The client's own type cannot hold such a descriptor, so the message is made by hand.
fn assert_not_sealed_is_refused(world: &World, spec: &ProcessSpec) {
    let null = File::open("/dev/null").unwrap();
    let socket = world.connect();
    let request = serde_json::json!({"format": 1, "request": {"spawn": {"spec": spec}}});
    let answer = raw_call(socket.as_fd(), &request.to_string(), null.as_raw_fd());
    assert!(answer.contains("\"invalid\"") && answer.contains("sealed"), "{answer}");
    let strange = raw_call(socket.as_fd(), r#"{"format":2,"request":"status"}"#, null.as_raw_fd());
    assert!(strange.contains("format 2 is not known here"), "{strange}");
}

fn raw_call(socket: std::os::fd::BorrowedFd<'_>, text: &str, descriptor: i32) -> String {
    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    // SAFETY: the caller's file is open for the whole call.
    let descriptor = [unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) }];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptor)));
    let parts = [std::io::IoSlice::new(text.as_bytes())];
    rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::empty()).unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let (count, _) = rustix::net::recv(socket, &mut bytes, RecvFlags::empty()).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn strangers(world: &World) {
    let spec = world.spec("sleep 600");
    world.start(&spec);
    until("it listens", || world.data.process(spec.process).join("ctl").exists().then_some(()));
    let ask = |uid: u32, word: &str| {
        let program = std::fs::canonicalize("/proc/self/exe").unwrap();
        let mut command = std::process::Command::new(program);
        command.args(["daemon", word]).arg0("stranger").env("DATA", world.data.root());
        command.env("PROCESS", spec.process.to_string()).uid(uid).gid(uid);
        String::from_utf8_lossy(&command.output().unwrap().stdout).trim().to_owned()
    };
    let server = sandbox::launcher::DEFAULT_SERVER_UID;
    assert_eq!(ask(server, "ask-launcher"), "answered");
    assert_eq!(ask(server, "ask-shim"), "answered");
    for uid in [sandbox::launcher::DEFAULT_ROUTER_UID, 2_000_000 + 2 * APP, 65_534] {
        assert_eq!(ask(uid, "ask-launcher"), "refused", "{uid}");
        assert_eq!(ask(uid, "ask-shim"), "refused", "{uid}");
    }
    world.remove(spec.process);
}

fn removal(world: &World) {
    let spec = world.spec("sleep 600");
    world.start(&spec);
    assert_eq!(reason(world.connect().remove_process(spec.process)), RefusalReason::Busy);
    world.remove(spec.process);
    assert_eq!(world.state(spec.process), None);
    assert!(!world.data.process(spec.process).exists());
    assert!(!world.groups().list().unwrap().contains(&spec.process));
    assert!(world.connect().remove_process(spec.process).is_ok(), "removing again is fine");
    assert!(world.connect().remove_process(world.next_process()).is_ok());
}

fn networks(world: &World) {
    let spec = world.spec("sleep 600");
    world.start(&spec);
    assert_eq!(reason(world.connect().remove_network(app_id(APP))), RefusalReason::Busy);
    world.remove(spec.process);
    world.connect().remove_network(app_id(APP)).unwrap();
    world.connect().create_network(app_id(APP), APP).unwrap();
    world.connect().create_network(app_id(APP), APP).unwrap();
    assert!(world.run_line("true").exit.status.is_success());
}

fn no_network(world: &World) {
    let spec = ProcessSpec { app: app_id(77), app_index: 77, ..world.spec("true") };
    let ended = world.run(&spec);
    assert_eq!(ended.exit.status, ExitStatus::NotStarted);
    let platform = ended.lines.platform().join("\n");
    assert!(platform.contains("could not find the app's network"), "{platform}");
}

fn many(world: &World) {
    let specs: Vec<ProcessSpec> =
        (0..20).map(|number| world.spec(&format!("echo {number}; exit {number}"))).collect();
    let mut launcher = world.connect();
    for spec in &specs {
        launcher.spawn(spec, &environment(), &[]).unwrap();
    }
    for (number, spec) in (0..).zip(&specs) {
        let ended = world.until_ended(spec.process);
        assert_eq!(ended.exit.status, ExitStatus::Code(number));
        assert_eq!(ended.lines.stdout(), [number.to_string()]);
        assert!(matches!(world.state(spec.process), Some(ProcessState::Exited(_))));
        world.remove(spec.process);
    }
    pause();
}
