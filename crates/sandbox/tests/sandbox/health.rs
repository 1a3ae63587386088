//! Health checks of real processes: up when the app says so, out of the routes and back, ended when it is not well.

use crate::waiting::until;
use crate::world::{Case, World};
use domain::app_json::health::{CheckKind, HealthCheck, Probe};
use domain::observed::ProcessState;
use domain::process::ExitStatus;
use sandbox::spec::{HELPER_PATH, ProcessSpec};

pub const CASES: &[Case] = &[
    ("health: up when every startup check has passed", startup_decides),
    ("health: a start whose check fails ends with its reason", startup_fails),
    ("health: a worker may have startup checks as well", worker_startup),
    ("health: readiness goes and comes back", readiness_changes),
    ("health: liveness ends the process", liveness_ends),
    ("health: a stop on request is no failed check", stop_wins),
];

fn check(kind: CheckKind, attempts: u32) -> HealthCheck {
    HealthCheck {
        name: format!("{}-1", kind.as_word()),
        kind,
        probe: Probe::Http {
            path: "/health".to_owned(),
            port: None,
            headers: vec![],
            content: Some("well".to_owned()),
        },
        attempts,
        timeout_seconds: 5,
        wait_seconds: 1,
        initial_delay_seconds: 0,
    }
}

/// A web process whose answer its standard commands decide about: `answer` is what it begins with, `then` runs beside it.
fn web(world: &World, port: u16, begin: &str, then: &str, checks: Vec<HealthCheck>) -> ProcessSpec {
    let line = format!(
        "answer() {{ printf '%s\\nall is %s\\n' \"$1\" \"$2\" >/tmp/new; mv /tmp/new /tmp/answer; }}; {begin}; \
         {HELPER_PATH} inside serve 0.0.0.0:{port} /tmp/answer & {then}; wait"
    );
    ProcessSpec { health_checks: checks, ..world.web(&line, port) }
}

fn startup_decides(world: &World) {
    let spec = web(world, 6101, "true", "sleep 1; answer '200 OK' well", vec![check(CheckKind::Startup, 60)]);
    world.start(&spec);
    world.until_line(spec.process, "serving on");
    assert_eq!(world.state(spec.process), Some(ProcessState::Starting), "it accepts and is not well");
    world.until_up(spec.process);
    stop_and_remove(world, &spec);
}

fn startup_fails(world: &World) {
    let spec = web(world, 6102, "true", "true", vec![check(CheckKind::Startup, 2)]);
    world.start(&spec);
    let ended = world.until_ended(spec.process);
    let failed = ended.exit.failed_check.expect("a failed check");
    assert!(!ended.exit.stop_requested, "nobody asked for its end");
    assert_eq!((failed.kind, failed.name.as_str(), failed.attempts), (CheckKind::Startup, "startup-1", 2));
    assert!(
        failed.problem.starts_with("GET http://")
            && failed.problem.ends_with(":6102/health: 503 Not Yet: soon"),
        "{failed}"
    );
    let told = ended.lines.platform();
    let told: Vec<&str> = told.iter().map(String::as_str).skip(1).collect();
    let reason = format!("Stopping this process: its {failed}");
    assert_eq!(
        told,
        [
            reason.as_str(),
            "Stopping all processes with SIGTERM",
            "Process exited with status 143",
            "State changed from starting to crashed"
        ]
    );
    world.remove(spec.process);
}

fn worker_startup(world: &World) {
    let uptime = HealthCheck { probe: Probe::Uptime { seconds: 1 }, ..check(CheckKind::Startup, 1) };
    let spec = ProcessSpec { health_checks: vec![uptime], ..world.spec("echo here; sleep 1000") };
    world.start(&spec);
    world.until_line(spec.process, "here");
    assert_eq!(world.state(spec.process), Some(ProcessState::Starting));
    world.until_up(spec.process);
    stop_and_remove(world, &spec);
}

fn readiness_changes(world: &World) {
    let then = "sleep 2; answer '500 Oh' bad; sleep 3; answer '200 OK' well";
    let spec = web(world, 6103, "answer '200 OK' well", then, vec![check(CheckKind::Readiness, 1)]);
    world.start(&spec);
    world.until_up(spec.process);
    until("it is not ready", || {
        matches!(world.state(spec.process), Some(ProcessState::Unready { .. })).then_some(())
    });
    until("it is ready again", || {
        matches!(world.state(spec.process), Some(ProcessState::Up { .. })).then_some(())
    });
    let told = world.lines(spec.process).platform();
    let routes: Vec<&String> = told.iter().filter(|line| line.contains("routes")).collect();
    assert_eq!(routes.len(), 2, "each change once: {told:#?}");
    assert!(
        routes[0].contains("out of the routes") && routes[0].ends_with("500 Oh: all is bad"),
        "{told:#?}"
    );
    assert!(routes[1].contains("back into the routes"), "{told:#?}");
    stop_and_remove(world, &spec);
}

fn liveness_ends(world: &World) {
    let then = "sleep 1; answer '200 OK' sick";
    let spec = web(world, 6104, "answer '200 OK' well", then, vec![check(CheckKind::Liveness, 2)]);
    world.start(&spec);
    let ended = world.until_ended(spec.process);
    let failed = ended.exit.failed_check.expect("a failed check");
    assert_eq!(ended.exit.status, ExitStatus::Signal(15));
    assert!(failed.problem.contains("200 OK: all is sick; its body does not hold \"well\""), "{failed}");
    let told = ended.lines.platform();
    assert_eq!(told.last().map(String::as_str), Some("State changed from up to crashed"), "{told:#?}");
    world.remove(spec.process);
}

fn stop_wins(world: &World) {
    let then = "trap 'sleep 1; exit 0' TERM";
    let spec = web(world, 6105, "true", then, vec![check(CheckKind::Startup, 1000)]);
    world.start(&spec);
    world.until_line(spec.process, "serving on");
    sandbox::control::stop(&world.data, spec.process).unwrap();
    let ended = world.until_ended(spec.process);
    assert!(ended.exit.stop_requested && ended.exit.failed_check.is_none(), "{:?}", ended.exit);
    world.remove(spec.process);
}

fn stop_and_remove(world: &World, spec: &ProcessSpec) {
    sandbox::control::stop(&world.data, spec.process).unwrap();
    world.until_ended(spec.process);
    world.remove(spec.process);
}
