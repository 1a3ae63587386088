//! A server that has been taken over: it is who it says, so the launcher and the shims hear it. Whatever it sends, they answer or
//! close, live on, keep nothing open and leave nothing behind; and there are things that it cannot get.

use super::blows::{self, Blow, Told};
use crate::life::shim_pid;
use crate::waiting::until;
use crate::world::{APP, Case, ENVIRONMENT, World, app_id};
use domain::ids::{BuildId, ProcessId};
use domain::observed::ProcessState;
use domain::process::ExitStatus;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use sandbox::control;
use sandbox::environment::SealedEnvironment;
use sandbox::launcher::DEFAULT_SERVER_UID;
use sandbox::protocol::Request;
use sandbox::run_folder;
use sandbox::spec::{Kind, ProcessSpec};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::Path;

pub const CASES: &[Case] = &[
    ("the_launcher_stands_against_any_message", any_message),
    ("the_launcher_refuses_what_no_server_may_have", demands),
    ("links_in_folders_of_the_server_lead_nowhere", links),
    ("the_launcher_outlives_a_flood", flood),
    ("a_shim_stands_against_any_message", any_message_to_a_shim),
    ("a_sandbox_that_does_not_answer_costs_its_shim_nothing", deaf_sandbox),
];

/// Messages of each property.
const MESSAGES: u32 = 250;

/// What a launcher holds and what lies around it.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    pid: u32,
    descriptors: usize,
    children: usize,
    entries: BTreeSet<String>,
    groups: usize,
}

impl Holdings {
    fn of(world: &World) -> Self {
        let status = world.connect().status().unwrap();
        let folders = ["run/p", "run/build", "run/net", "cache"];
        let entries = folders.into_iter().flat_map(|folder| names(&world.data.root().join(folder)));
        Self {
            pid: status.pid,
            descriptors: names(Path::new(&format!("/proc/{}/fd", status.pid))).len(),
            children: children(status.pid),
            entries: entries.collect(),
            groups: world.groups().list().unwrap().len(),
        }
    }
}

/// What a process has open.
fn open_files(pid: i32) -> Vec<String> {
    let folder = format!("/proc/{pid}/fd");
    let target = |name: String| std::fs::read_link(format!("{folder}/{name}")).unwrap_or_default();
    names(Path::new(&folder)).into_iter().map(|name| target(name).to_string_lossy().into_owned()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn children(pid: u32) -> usize {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(path).unwrap_or_default().split_whitespace().count()
}

fn any_message(world: &World) {
    let taken = world.beside(&[]);
    taken.connect().create_network(app_id(APP), APP).unwrap();
    assert!(taken.run_line("true").exit.status.is_success(), "the template runs");
    let before = Holdings::of(&taken);
    let specs: Vec<ProcessSpec> = (0..8).map(|_| taken.spec("true")).collect();
    // Spawns are the largest part of what a launcher does, and have ids of their own.
    let spawns =
        specs.iter().map(|spec| serde_json::to_value(&Request::Spawn { spec: spec.clone() }).unwrap());
    let requests: Vec<Value> = blows::requests(&specs[0]).into_iter().chain(spawns).collect();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(MESSAGES) });
    let tally = RefCell::new(BTreeMap::<String, u32>::new());
    let outcome = runner.run(&blows::any_blow(requests), |blow| {
        let told = strike_launcher(&taken, &blow);
        *tally.borrow_mut().entry(told.word()).or_default() += 1;
        if matches!(told, Told::Nothing) {
            return Err(TestCaseError::fail("neither answered nor closed"));
        }
        let alive = taken.connect().status().is_ok_and(|status| status.pid == before.pid);
        if alive { Ok(()) } else { Err(TestCaseError::fail("the launcher is gone")) }
    });
    let started = names(&taken.data.processes()).len();
    println!("answers of the launcher: {:?}, {started} processes started", tally.borrow());
    assert!(tally.borrow().len() >= 4, "messages of every kind");
    clean_up(&taken, &before);
    until("nothing more is held than before", || (Holdings::of(&taken) == before).then_some(()));
    outcome.unwrap();
    assert_eq!(taken.end(), [""; 0]);
}

fn strike_launcher(world: &World, blow: &Blow) -> Told {
    let socket = blows::connect_as(DEFAULT_SERVER_UID, &world.data.launcher_socket());
    if blow.greets {
        blows::say(socket.as_fd(), br#"{"format":1,"request":{"hello":{"incarnation":1}}}"#, &[]);
        assert!(matches!(blows::hear(socket.as_fd()), Told::Answer(_)), "greeted");
    }
    blows::strike(socket, blow)
}

/// Processes that were started after all end, well or badly, and every trace of them can be removed.
fn clean_up(world: &World, before: &Holdings) {
    for name in names(&world.data.processes()) {
        let process: ProcessId = name.parse().unwrap();
        let state = until("it has ended", || {
            let _ = control::kill(&world.data, process);
            let observed = run_folder::observe(&world.data, process, &world.boot).unwrap().unwrap();
            matches!(observed.state, ProcessState::Exited(_) | ProcessState::Lost).then_some(observed.state)
        });
        assert!(matches!(state, ProcessState::Exited(_)), "a shim has died: {name}");
        world.remove(process);
    }
    for name in names(&world.data.build_works()) {
        world.connect().remove_build(name.parse().unwrap()).unwrap();
    }
    for name in names(&world.data.caches()) {
        world.connect().remove_cache(name.parse().unwrap()).unwrap();
    }
    for name in names(&world.data.networks()).into_iter().filter(|name| !before.entries.contains(name)) {
        world.connect().remove_network(name.parse().unwrap()).unwrap();
    }
}

/// One demand, and why it is refused.
fn demands(world: &World) {
    let living = world.spec("sleep 600");
    world.start(&living);
    world.until_up(living.process);
    let good = serde_json::to_value(&Request::Spawn { spec: world.spec("true") }).unwrap();
    let with = |path: &str, value: Value| {
        let mut request = good.clone();
        *request.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        request
    };
    let slug = "/spawn/spec/kind/process/slug";
    let table = [
        ("a user beyond the range", with("/spawn/spec/app_index", json!(50_000)), "invalid"),
        ("a user beyond all", with("/spawn/spec/app_index", json!(u32::MAX)), "invalid"),
        ("root's user by overflow", with("/spawn/spec/app_index", json!(4_294_967_296_u64)), "invalid"),
        ("the host's network", with("/spawn/spec/network", json!("host")), "invalid"),
        ("a path as a process", with("/spawn/spec/process", json!("../../etc/cron.d/x")), "invalid"),
        ("a path as an app", with("/spawn/spec/app", json!("../../../tmp")), "invalid"),
        ("a path as a slug", with(slug, json!("sha256:../../../../etc")), "invalid"),
        ("a slug that is not there", with(slug, json!(format!("sha256:{}", "00".repeat(32)))), "not_found"),
        ("a living process's id", with("/spawn/spec/process", json!(living.process)), "busy"),
        ("a living process's place", with("/spawn/spec/kind", json!(living.kind)), "busy"),
        ("an older boot", with("/spawn/spec/boot_id", json!("of yesterday")), "invalid"),
        ("a folder as a toolchain", with("/spawn/spec/toolchain", json!("/root")), "invalid"),
        (
            "to pass descriptors that are not there",
            with("/spawn/spec/stdio", json!({"passed": "four"})),
            "invalid",
        ),
        ("no limit of memory", with("/spawn/spec/limits/memory_bytes", json!(0)), "invalid"),
        ("no limit of processes", with("/spawn/spec/limits/processes", json!(0)), "invalid"),
        (
            "a line of its own in the log's head",
            with("/spawn/spec/display_name", json!("web.1\nroot")),
            "invalid",
        ),
        ("a living process removed", json!({"process_remove": {"process": living.process}}), "busy"),
        ("a folder removed as a process", json!({"process_remove": {"process": ".."}}), "invalid"),
        ("a folder removed as a build", json!({"build_remove": {"build": "../../ledger"}}), "invalid"),
        ("a folder removed as a cache", json!({"cache_remove": {"app": "/etc"}}), "invalid"),
        ("the network of a living app removed", json!({"network_remove": {"app": living.app}}), "busy"),
        (
            "a network beyond the range",
            json!({"network_create": {"app": app_id(9), "index": u32::MAX}}),
            "failed",
        ),
        ("a listener that is not Dozen's", json!({"listeners": {"name": "telnet"}}), "invalid"),
        ("the end of the launcher", json!("shutdown"), "invalid"),
        ("a request that does not exist", json!({"execute": {"path": "/bin/sh"}}), "invalid"),
        ("to be an older server", json!({"hello": {"incarnation": 0}}), "fenced"),
    ];
    let environment = SealedEnvironment::seal(ENVIRONMENT).unwrap();
    println!("\n  {:<40} refused as", "a server that was taken over demands");
    for (what, request, expected) in table {
        let socket = blows::connect_as(DEFAULT_SERVER_UID, &world.data.launcher_socket());
        greet(world, socket.as_fd());
        let message = json!({"format": 1, "request": request}).to_string();
        blows::say(socket.as_fd(), message.as_bytes(), &[environment.as_fd()]);
        let reason = match blows::hear(socket.as_fd()) {
            Told::Answer(answer) => answer["response"]["Err"]["reason"].as_str().map(str::to_owned),
            Told::Closed | Told::Nothing => None,
        };
        println!("  {what:<40} {}", reason.as_deref().unwrap_or("NOT REFUSED"));
        assert_eq!(reason.as_deref(), Some(expected), "{what}");
    }
    world.remove(living.process);
}

/// By the incarnation that the world's own connections have.
fn greet(world: &World, socket: std::os::fd::BorrowedFd<'_>) {
    let incarnation = world.connect().status().unwrap().highest_incarnation;
    let greeting = json!({"format": 1, "request": {"hello": {"incarnation": incarnation}}});
    blows::say(socket, greeting.to_string().as_bytes(), &[]);
    assert!(matches!(blows::hear(socket), Told::Answer(_)), "greeted");
}

/// The folders that belong to the server hold what it likes. Each link leads to something: outside it is followed.
fn links(world: &World) {
    let goal = world.path().join("goal");
    std::fs::create_dir_all(&goal).unwrap();
    std::fs::write(goal.join("secret"), "the host's own").unwrap();
    let slug: domain::names::SlugId = format!("sha256:{}", "7c".repeat(32)).parse().unwrap();
    let build = BuildId::from_u128(0xb111d);
    for link in [world.data.slug_tree(&slug), world.data.build_source(build)] {
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&goal, &link).unwrap();
        assert!(std::fs::read(link.join("secret")).is_ok(), "outside");
    }
    let spec = world.spec("cat /app/secret /src/secret 2>/dev/null");
    let purpose = spec.purpose().unwrap().clone();
    let kinds = [Kind::Process { purpose, slug: slug.clone() }, Kind::Build { build }];
    let outcomes = || {
        let run = |kind: &Kind| {
            let spec = ProcessSpec { process: world.next_process(), kind: kind.clone(), ..spec.clone() };
            world.run(&spec).exit.status
        };
        kinds.each_ref().map(run)
    };
    assert_eq!(outcomes(), [ExitStatus::NotStarted, ExitStatus::NotStarted]);
    for link in [world.data.slug_tree(&slug), world.data.build_source(build)] {
        std::fs::remove_file(&link).unwrap();
        std::fs::create_dir(&link).unwrap();
        std::fs::copy(goal.join("secret"), link.join("secret")).unwrap();
    }
    // Each finds one of the two files.
    assert_eq!(outcomes(), [ExitStatus::Code(1), ExitStatus::Code(1)], "the links alone were in the way");
    world.connect().remove_build(build).unwrap();
    // A process's folder is the server's as well: what it leads to stays, and what is in place of its lock holds nobody up.
    let ended = world.spec("true");
    world.start(&ended);
    world.until_ended(ended.process);
    let folder = world.data.process(ended.process);
    std::os::unix::fs::symlink(&goal, folder.join("way-out")).unwrap();
    std::fs::remove_file(folder.join("lock")).unwrap();
    nix::unistd::mkfifo(&folder.join("lock"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(world.connect().status().is_ok());
    world.remove(ended.process);
    assert!(!folder.exists() && goal.join("secret").exists());
}

/// More connections than are kept, and more questions than answers are read.
fn flood(world: &World) {
    let before = Holdings::of(world);
    let path = world.data.launcher_socket();
    let mut all: Vec<_> = (0..80).map(|_| blows::connect_as(DEFAULT_SERVER_UID, &path)).collect();
    let status = br#"{"format":1,"request":"status"}"#;
    let answers = all.iter().filter(|socket| {
        blows::say(socket.as_fd(), status, &[]);
        matches!(blows::hear(socket.as_fd()), Told::Answer(_))
    });
    let answered = answers.count();
    assert!((1..64).contains(&answered), "{answered} of 80");
    assert!(world.connect().status().is_ok(), "there is a place left for root");
    all.truncate(1);
    for _ in 0..2_000 {
        blows::say_if_there_is_room(all[0].as_fd(), status);
    }
    drop(all);
    until("it holds no more than before", || (Holdings::of(world) == before).then_some(()));
}

fn any_message_to_a_shim(world: &World) {
    let spec = world.web("exec /.dozen/dozen inside listen 0.0.0.0:7300", 7300);
    world.start(&spec);
    world.until_up(spec.process);
    let shim = shim_pid(world, &spec);
    let descriptors = || open_files(shim.as_raw_nonzero().get());
    // The last that it opens is room for the record of its end.
    let before = until("it has opened all that it needs", || {
        Some(descriptors()).filter(|open| open.iter().any(|file| file.ends_with(".exit.reserved")))
    });
    let socket = world.data.process(spec.process).join("ctl");
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(MESSAGES) });
    let outcome = runner.run(&blows::any_blow(blows::control_requests()), |blow| {
        let told = blows::strike(blows::connect_as(DEFAULT_SERVER_UID, &socket), &blow);
        if matches!(told, Told::Nothing) {
            return Err(TestCaseError::fail("neither answered nor closed"));
        }
        match world.state(spec.process) {
            Some(ProcessState::Up { .. }) => Ok(()),
            other => Err(TestCaseError::fail(format!("{other:?}"))),
        }
    });
    outcome.unwrap();
    until("it holds no more than before", || (descriptors().len() <= before.len()).then_some(()));
    control::stop(&world.data, spec.process).unwrap();
    assert_eq!(world.until_ended(spec.process).exit.status, ExitStatus::Signal(15));
    world.remove(spec.process);
}

/// Questions wait for a sandbox that was stopped from outside; a few, and then no more.
fn deaf_sandbox(world: &World) {
    let spec = world.web("exec /.dozen/dozen inside listen 0.0.0.0:7400", 7400);
    world.start(&spec);
    world.until_up(spec.process);
    let shim = shim_pid(world, &spec).as_raw_nonzero();
    let init = std::fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    let init = rustix::process::Pid::from_raw(init.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::STOP).unwrap();
    let path = world.data.process(spec.process).join("ctl");
    let question = br#"{"format":1,"request":"diagnose"}"#;
    let mut refused = 0;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let socket = blows::connect_as(DEFAULT_SERVER_UID, &path);
        blows::say(socket.as_fd(), question, &[]);
        // Answered at once, or not before the sandbox does.
        match blows::hear_soon(socket.as_fd()) {
            Told::Answer(_) | Told::Closed => refused += 1,
            Told::Nothing => waiting.push(socket),
        }
    }
    let held = names(Path::new(&format!("/proc/{shim}/fd"))).len();
    println!("{} wait, {refused} were refused, {held} descriptors", waiting.len());
    assert!(held < 60 && refused >= 80, "{held} descriptors, {refused} refused");
    rustix::process::kill_process(init, rustix::process::Signal::CONT).unwrap();
    assert!(waiting.iter().all(|socket| matches!(blows::hear(socket.as_fd()), Told::Answer(_))));
    world.remove(spec.process);
}
