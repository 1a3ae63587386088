//! One-off processes: attached and detached, their ends, and that none ever starts twice.

use super::*;
use crate::error::Kind;
use crate::ops::processes::ProcessWord;
use crate::ops::run::{self, NewRun};
use crate::ports::{Attached, Facts, JobStarted, NotCommitted};
use crate::reference::ProcessRef;
use domain::ids::{JobId, ProcessId};
use domain::job::{JobState, JobStreams};
use domain::process::ExitStatus;

fn new_run(command: &str, streams: JobStreams) -> NewRun {
    NewRun { command: command.to_owned(), env: Vec::new(), streams, size: None, time_to_live_seconds: None }
}

fn deployed() -> (World, AppId, AppRef) {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.procfile(&[("web", "serve"), ("task", "exit 4")]);
    world.push(&app, 1);
    (world, id, app)
}

#[test]
fn a_detached_job_runs_once_and_its_exit_code_is_kept() {
    let (world, _, app) = deployed();
    let info = run::create(&world.engine, &world.admin, &app, new_run("task", JobStreams::Log)).unwrap();
    assert_eq!((info.name.as_str(), info.command.as_str()), ("run.1", "exit 4"));
    let state = run::wait_ended(&world.engine, info.job.unwrap(), PATIENCE).unwrap().unwrap();
    assert!(matches!(state, JobState::Ended { status: ExitStatus::Code(4), .. }), "{state:?}");
    for name in ["run.1".to_owned(), info.id.to_string()] {
        let found = ops::processes::info(&world.engine, &world.admin, &app, &ProcessRef::new(&name)).unwrap();
        assert_eq!((found.state, found.exit), (ProcessWord::Complete, Some(ExitStatus::Code(4))), "{name}");
    }
    let second = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Log)).unwrap();
    assert_eq!(second.name, "run.2");
}

#[test]
fn an_attached_job_starts_when_its_caller_comes() {
    let (world, _, app) = deployed();
    let info = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Pipes)).unwrap();
    let job = info.job.unwrap();
    let why = ops::processes::info(&world.engine, &world.admin, &app, &job.into()).unwrap().why.unwrap();
    assert!(why.contains("when its caller attaches"), "{why}");
    let passes = world.backend.passes();
    world.set(&app, "WAKE", Some("1")).unwrap();
    world.until("some passes go by", || (world.backend.passes() > passes + 2).then_some(()));
    assert_eq!(run::wait_ended(&world.engine, job, Duration::from_millis(1)).unwrap(), None);
    assert!(matches!(run::attach(&world.engine, job, PATIENCE).unwrap(), Attached::Pipes { .. }));
    run::resize(&world.engine, job, 80, 24).unwrap();
    run::hang_up(&world.engine, job).unwrap();
    let state = run::wait_ended(&world.engine, job, PATIENCE).unwrap().unwrap();
    assert!(matches!(state, JobState::Ended { status: ExitStatus::Signal(15), .. }), "{state:?}");
}

#[test]
fn who_attaches_is_told_why_nothing_can_be_started() {
    let (world, _, app) = deployed();
    world.backend.cannot_start(Some("the sandbox lacks the layer seccomp"));
    let info = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Pipes)).unwrap();
    let error = run::attach(&world.engine, info.job.unwrap(), Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.message(), "The process cannot be started: the sandbox lacks the layer seccomp");
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[test]
fn a_job_that_nobody_comes_for_is_cancelled() {
    let (world, _, app) = deployed();
    let info = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Pipes)).unwrap();
    world.clock.advance_millis(6 * 60 * 1000);
    world.backend.cannot_start(None);
    let state = run::wait_ended(&world.engine, info.job.unwrap(), PATIENCE).unwrap().unwrap();
    assert_eq!(state, JobState::NeverStarted);
    assert_eq!(run::attach(&world.engine, info.job.unwrap(), PATIENCE).unwrap_err().kind(), Kind::Conflict);
}

#[test]
fn a_job_can_be_stopped_and_a_restart_refuses_it() {
    let (world, _, app) = deployed();
    let info = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Log)).unwrap();
    let target = ops::formation::ProcessTarget::One(ProcessRef::new("run.1"));
    let refused = ops::formation::restart(&world.engine, &world.admin, &app, &target).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    world.until("it runs", || {
        let found =
            ops::processes::info(&world.engine, &world.admin, &app, &info.job.unwrap().into()).unwrap();
        (found.state == ProcessWord::Up).then_some(())
    });
    ops::formation::stop(&world.engine, &world.admin, &app, &target).unwrap();
    assert!(run::wait_ended(&world.engine, info.job.unwrap(), PATIENCE).unwrap().is_some());
}

#[test]
fn a_started_job_whose_process_vanished_is_lost_and_never_started_again() {
    let (mut world, _, app) = deployed();
    let info = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Log)).unwrap();
    let job = info.job.unwrap();
    world.until("it runs", || {
        let found = ops::processes::info(&world.engine, &world.admin, &app, &job.into()).unwrap();
        (found.state == ProcessWord::Up).then_some(())
    });
    world.engine.shutdown();
    world.backend.forget_all();
    world.clock.reboot();
    world.reopen();
    let state = run::wait_ended(&world.engine, job, PATIENCE).unwrap().unwrap();
    assert!(matches!(state, JobState::Lost { .. }), "{state:?}");
    world.until("web is back", || (world.running(info.app).len() == 1).then_some(()));
    let found = ops::processes::info(&world.engine, &world.admin, &app, &job.into()).unwrap();
    assert_eq!((found.state, found.exit), (ProcessWord::Lost, None));
}

#[test]
fn a_start_is_committed_once() {
    let (world, _, app) = deployed();
    world.backend.cannot_start(Some("not now"));
    let info = run::create(&world.engine, &world.admin, &app, new_run("work", JobStreams::Log)).unwrap();
    let job = info.job.unwrap();
    let facts = crate::driver::facts_of(&world.engine);
    let (first, second) = (ProcessId::from_u128(1), ProcessId::from_u128(2));
    assert_eq!(facts.commit(JobStarted { job, process: first }), Ok(()));
    let again = facts.commit(JobStarted { job, process: second });
    assert_eq!(again, Err(NotCommitted::AlreadyStarted { job, process: first }));
    let unknown = JobId::from_u128(3);
    assert_eq!(
        facts.commit(JobStarted { job: unknown, process: second }),
        Err(NotCommitted::NotWanted { job: unknown })
    );
}

#[test]
fn what_cannot_run_is_refused() {
    let world = World::start();
    let (_, app) = world.app("hello");
    let refused = |run| run::create(&world.engine, &world.admin, &app, run).unwrap_err();
    assert!(refused(new_run("bash", JobStreams::Log)).message().contains("no release that serves"));
    for command in ["", "  ", "a\0b", &"x".repeat(9000)] {
        assert_eq!(refused(new_run(command, JobStreams::Log)).kind(), Kind::Invalid, "{command:?}");
    }
    let env = vec![("A".parse().unwrap(), Secret::new("x".repeat(17_000)))];
    assert_eq!(refused(NewRun { env, ..new_run("work", JobStreams::Log) }).kind(), Kind::Invalid);
}
