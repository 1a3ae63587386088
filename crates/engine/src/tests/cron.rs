//! Recurring commands against a clock that is stopped and moved by hand: each instant at most once, whatever happens between.

use super::*;
use crate::error::Kind;
use crate::ops::apps::{AppPatch, Maintenance};
use crate::ops::cron;
use crate::ops::cron::CronInfo;
use crate::ops::formation::ProcessTarget;
use domain::app_json::AppJson;
use domain::app_json::cron::{Concurrency, CronEntry};
use domain::ids::CronId;
use domain::job::JobState;
use domain::process::ExitStatus;
use domain::time::{WallMillis, in_words};
use store::tables::cron::{HistoryRow, RunOutcome};

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

pub(super) fn wall(text: &str) -> WallMillis {
    WallMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64)
}

pub(super) fn entry(command: &str, schedule: &str, concurrency: Concurrency) -> CronEntry {
    CronEntry::checked(command, schedule, None, concurrency).unwrap()
}

pub(super) fn app_json(text: &str) -> AppJson {
    AppJson::parse(text.as_bytes()).unwrap()
}

/// An app that serves, at this time of a clock that stands still.
pub(super) fn deployed_at(now: &str) -> (World, AppId, AppRef) {
    deployed_in(World::start(), now)
}

pub(super) fn deployed_in(world: World, now: &str) -> (World, AppId, AppRef) {
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.clock.stop();
    world.clock.set_wall(wall(now));
    (world, id, app)
}

pub(super) fn added_with(
    world: &World,
    app: &AppRef,
    command: &str,
    schedule: &str,
    concurrency: Concurrency,
) -> CronInfo {
    cron::add(&world.engine, &world.admin, app, entry(command, schedule, concurrency)).unwrap()
}

pub(super) fn added(world: &World, app: &AppRef, command: &str, schedule: &str) -> CronId {
    added_with(world, app, command, schedule, Concurrency::Allow).row.id
}

/// Lets the driver look, and waits until it has done so with the clock as it is now.
pub(super) fn look(world: &World) {
    let passes = world.backend.passes();
    world.engine.0.work.ring();
    world.until("the driver has looked", || {
        (world.backend.passes() > passes + 1).then_some(()).or_else(|| {
            world.engine.0.work.ring();
            None
        })
    });
}

pub(super) fn to(world: &World, now: &str) {
    world.clock.set_wall(wall(now));
    look(world);
}

pub(super) fn history(world: &World, app: &AppRef) -> Vec<HistoryRow> {
    cron::history(&world.engine, &world.admin, app, None).unwrap()
}

/// Newest first: `2026-01-01 00:10:00 UTC started`.
pub(super) fn told(world: &World, app: &AppRef) -> Vec<String> {
    let row = |row: HistoryRow| {
        let due = row.run.due_at.map_or_else(|| "by hand".to_owned(), in_words);
        match row.run.outcome {
            RunOutcome::Started { .. } => format!("{due} started"),
            RunOutcome::Skipped { reason } => format!("{due} skipped: {reason}"),
            RunOutcome::Missed { count } => format!("{due} missed {count}"),
        }
    };
    history(world, app).into_iter().map(row).collect()
}

pub(super) fn state(row: &HistoryRow) -> JobState {
    row.job.as_ref().unwrap().job.state.clone()
}

pub(super) fn until_ended(world: &World, app: &AppRef) {
    world.until("the newest run ends", || state(&history(world, app)[0]).has_ended().then_some(()));
}

#[test]
fn c_80_a_command_of_app_json_runs_when_it_is_due_and_keeps_its_history() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.clock.stop();
    world.clock.set_wall(wall("2026-01-01T00:00:30Z"));
    world.builder.app_json(app_json(r#"{"cron": [{"command": "exit 3", "schedule": "*/10 * * * *"}]}"#));
    world.push(&app, 1);
    let [info] = &cron::list(&world.engine, &world.admin, &app).unwrap()[..] else { panic!("one") };
    assert_eq!(info.next_runs[..2], [wall("2026-01-01T00:10:00Z"), wall("2026-01-01T00:20:00Z")]);
    to(&world, "2026-01-01T00:09:59Z");
    assert_eq!(told(&world, &app), [""; 0]);
    to(&world, "2026-01-01T00:10:00Z");
    until_ended(&world, &app);
    assert_eq!(told(&world, &app), ["2026-01-01 00:10:00 UTC started"]);
    let run = &history(&world, &app)[0];
    assert!(matches!(state(run), JobState::Ended { status: ExitStatus::Code(3), .. }), "{run:?}");
    let job = &run.job.as_ref().unwrap().job;
    assert_eq!((job.display_name().as_str(), job.actor), ("cron.1", None));
    let found =
        ops::processes::info(&world.engine, &world.admin, &app, &crate::ProcessRef::new("cron.1")).unwrap();
    assert_eq!((found.process_type.as_str(), found.exit), ("cron", Some(ExitStatus::Code(3))));
    let lines = world.log.lines(id);
    assert!(
        lines.contains(&"api: Starting process cron.1 with command `exit 3` by the system".to_owned()),
        "{lines:#?}"
    );
}

#[test]
fn c_81_an_instant_that_a_clock_shows_twice_runs_once() {
    let (world, _, app) = deployed_at("2026-10-25T00:00:00Z");
    let berlin =
        CronEntry::checked("exit 0", "30 2 * * *", Some("Europe/Berlin"), Concurrency::Allow).unwrap();
    cron::add(&world.engine, &world.admin, &app, berlin).unwrap();
    for now in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"] {
        to(&world, now);
        assert_eq!(told(&world, &app), ["2026-10-25 00:30:00 UTC started"], "at {now}");
    }
    // In spring there is no half past two.
    let (world, _, app) = deployed_at("2026-03-29T00:00:00Z");
    let berlin =
        CronEntry::checked("exit 0", "30 2 * * *", Some("Europe/Berlin"), Concurrency::Allow).unwrap();
    cron::add(&world.engine, &world.admin, &app, berlin).unwrap();
    for now in ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"] {
        to(&world, now);
        assert_eq!(told(&world, &app), ["2026-03-29 01:00:00 UTC started"], "at {now}");
    }
}

#[test]
fn c_82_of_missed_runs_the_latest_is_started_and_the_others_are_told() {
    let (mut world, id, app) = deployed_at("2026-01-01T00:00:30Z");
    added(&world, &app, "exit 0", "* * * * *");
    world.engine.shutdown();
    world.clock.advance_millis(HOUR);
    world.reopen();
    look(&world);
    let expected = ["2026-01-01 01:00:00 UTC started", "2026-01-01 00:01:00 UTC missed 59"];
    assert_eq!(told(&world, &app), expected);
    let lines = world.log.lines(id);
    let missed = "api: Missed 59 runs of `exit 0`, the first due at 2026-01-01 00:01:00 UTC,";
    assert!(lines.iter().any(|line| line.starts_with(missed)), "{lines:#?}");
    world.restart();
    look(&world);
    assert_eq!(told(&world, &app), expected, "another start starts nothing again");
}

#[test]
fn a_run_that_is_too_late_is_not_started() {
    let (world, _, app) = deployed_at("2026-01-01T05:00:00Z");
    added(&world, &app, "exit 0", "0 6 * * *");
    to(&world, "2026-01-01T06:05:01Z");
    assert_eq!(told(&world, &app), ["2026-01-01 06:00:00 UTC missed 1"]);
    to(&world, "2026-01-02T06:05:00Z");
    assert_eq!(told(&world, &app)[0], "2026-01-02 06:00:00 UTC started", "five minutes are not");
}

#[test]
fn c_83_a_clock_that_is_put_back_runs_nothing_twice() {
    let (mut world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    added(&world, &app, "exit 0", "*/10 * * * *");
    to(&world, "2026-01-01T00:10:01Z");
    let once = ["2026-01-01 00:10:00 UTC started"];
    assert_eq!(told(&world, &app), once);
    to(&world, "2026-01-01T00:09:00Z");
    to(&world, "2026-01-01T00:10:01Z");
    assert_eq!(told(&world, &app), once);
    to(&world, "2026-01-01T00:05:00Z");
    world.restart();
    to(&world, "2026-01-01T00:10:30Z");
    assert_eq!(told(&world, &app), once);
    to(&world, "2026-01-01T00:20:00Z");
    assert_eq!(told(&world, &app)[0], "2026-01-01 00:20:00 UTC started");
    // Ten years ahead and back: the schedule goes on where the clock is.
    to(&world, "2036-01-01T00:00:30Z");
    to(&world, "2026-01-01T00:21:00Z");
    to(&world, "2026-01-01T00:30:00Z");
    let all = told(&world, &app);
    assert_eq!(all[0], "2026-01-01 00:30:00 UTC started");
    assert_eq!(all[1], "2036-01-01 00:00:00 UTC started");
    let missed = |row: &HistoryRow| matches!(row.run.outcome, RunOutcome::Missed { .. });
    let begun = history(&world, &app).into_iter().filter(|row| !missed(row)).map(|row| row.run.due_at);
    let begun: Vec<_> = begun.collect();
    assert_eq!(begun.iter().collect::<std::collections::BTreeSet<_>>().len(), begun.len(), "{all:#?}");
    // Also when what was run in those years is so long ago that its row is gone.
    let (world, _, app) =
        deployed_in(World::start_with(|settings| settings.cron_runs_kept = 3), "2026-01-01T00:00:30Z");
    added(&world, &app, "exit 0", "*/10 * * * *");
    for now in ["2036-01-01T00:00:30Z", "2036-01-01T00:10:30Z", "2026-01-01T00:01:00Z"] {
        to(&world, now);
    }
    for hour in 1..4 {
        for minute in ["00", "10", "20", "30", "40", "50"] {
            let due = format!("2026-01-01 0{hour}:{minute}:00");
            to(&world, &format!("{}Z", due.replace(' ', "T")));
            assert_eq!(told(&world, &app)[0], format!("{due} UTC started"));
        }
    }
    assert!(told(&world, &app).len() <= 3);
    for again in
        ["2026-01-01T00:55:00Z", "2026-01-01T01:00:00Z", "2036-01-01T00:05:00Z", "2036-01-01T00:10:00Z"]
    {
        let before = told(&world, &app);
        to(&world, again);
        let new =
            told(&world, &app).into_iter().filter(|row| !before.contains(row) && row.ends_with("started"));
        assert_eq!(new.collect::<Vec<_>>(), [""; 0], "{again} was dealt with, though its row is gone");
    }
}

#[test]
fn c_84_concurrency_is_allowed_forbidden_or_replaces() {
    let (world, id, app) = deployed_at("2026-01-01T00:00:30Z");
    let jobs = |world: &World| {
        let observed = world.backend.observed();
        let jobs =
            observed.processes.iter().filter(|p| p.app == id && matches!(p.purpose, Purpose::Job { .. }));
        let mut names: Vec<_> =
            jobs.filter(|p| p.state.is_live()).map(|p| p.purpose.display_name()).collect();
        names.sort();
        names
    };
    let until = |names: &[&str]| world.until(&format!("{names:?}"), || (jobs(&world) == names).then_some(()));
    let remove =
        |info: &CronInfo| cron::remove(&world.engine, &world.admin, &app, Some(info.row.id)).unwrap();
    let allow = added_with(&world, &app, "work", "* * * * *", Concurrency::Allow);
    to(&world, "2026-01-01T00:01:00Z");
    until(&["cron.1"]);
    to(&world, "2026-01-01T00:02:00Z");
    until(&["cron.1", "cron.2"]);
    remove(&allow);
    let forbid = added_with(&world, &app, "work", "* * * * *", Concurrency::Forbid);
    to(&world, "2026-01-01T00:03:00Z");
    until(&["cron.1", "cron.2", "cron.3"]);
    to(&world, "2026-01-01T00:04:00Z");
    assert_eq!(told(&world, &app)[0], "2026-01-01 00:04:00 UTC skipped: the run before it has not ended");
    until(&["cron.1", "cron.2", "cron.3"]);
    let refused = cron::run_now(&world.engine, &world.admin, &app, Some(forbid.row.id)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    remove(&forbid);
    added_with(&world, &app, "work", "* * * * *", Concurrency::Replace);
    to(&world, "2026-01-01T00:05:00Z");
    until(&["cron.1", "cron.2", "cron.3", "cron.4"]);
    to(&world, "2026-01-01T00:06:00Z");
    until(&["cron.1", "cron.2", "cron.3", "cron.5"]);
    let lines = world.log.lines(id);
    assert!(lines.iter().any(|line| {
        line.contains("Skipped the run of `work` due at 2026-01-01 00:04:00 UTC: the run before")
    }));
}

#[test]
fn one_that_runs_beside_others_waits_for_no_end() {
    let (world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    added(&world, &app, "stubborn", "* * * * *");
    to(&world, "2026-01-01T00:01:00Z");
    let is_live = |name: &str| {
        let observed = world.backend.observed();
        observed.processes.iter().any(|p| p.purpose.display_name() == name && p.state.is_live())
    };
    world.until("cron.1 runs", || is_live("cron.1").then_some(()));
    let first = crate::ProcessRef::new("cron.1");
    ops::formation::stop(&world.engine, &world.admin, &app, &ProcessTarget::One(first)).unwrap();
    to(&world, "2026-01-01T00:02:00Z");
    world.until("cron.2 runs", || is_live("cron.2").then_some(()));
    assert!(is_live("cron.1"), "it goes on though it was stopped");
    to(&world, "2026-01-01T00:03:00Z");
    assert_eq!(told(&world, &app)[0], "2026-01-01 00:03:00 UTC started");
}

#[test]
fn one_that_replaces_waits_for_the_end_of_the_last() {
    let (world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    world.backend.cannot_start(Some("not now"));
    added_with(&world, &app, "exit 0", "* * * * *", Concurrency::Replace);
    to(&world, "2026-01-01T00:01:00Z");
    to(&world, "2026-01-01T00:02:00Z");
    world.until("the first is given up", || {
        (state(&history(&world, &app)[1]) == JobState::NeverStarted).then_some(())
    });
    world.backend.cannot_start(None);
    until_ended(&world, &app);
    assert!(matches!(state(&history(&world, &app)[0]), JobState::Ended { .. }));
    // Where all may run, one that cannot start yet is followed by none.
    world.backend.cannot_start(Some("not now"));
    let (_, other) = world.app("other");
    world.backend.cannot_start(None);
    world.push(&other, 2);
    world.backend.cannot_start(Some("not now"));
    added(&world, &other, "exit 0", "* * * * *");
    to(&world, "2026-01-01T00:03:00Z");
    to(&world, "2026-01-01T00:04:00Z");
    assert_eq!(
        told(&world, &other)[0],
        "2026-01-01 00:04:00 UTC skipped: the run before it waits to be started"
    );
}

#[test]
fn c_85_without_a_release_nothing_runs_and_that_is_told() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.clock.stop();
    world.clock.set_wall(wall("2026-01-01T00:00:30Z"));
    let entry = added(&world, &app, "exit 0", "* * * * *");
    to(&world, "2026-01-01T00:01:00Z");
    assert_eq!(told(&world, &app), ["2026-01-01 00:01:00 UTC skipped: no release of the app serves"]);
    assert!(world.log.lines(id).iter().any(|line| line.contains("no release of the app serves")));
    let refused = cron::run_now(&world.engine, &world.admin, &app, Some(entry)).unwrap_err();
    assert!(refused.hints()[0].contains("git push"), "{refused}");
    // Maintenance turns requests away and nothing else.
    world.push(&app, 1);
    let patch = AppPatch { maintenance: Some(Maintenance::On), ..AppPatch::default() };
    ops::apps::update(&world.engine, &world.admin, &app, &patch).unwrap();
    to(&world, "2026-01-01T00:02:00Z");
    assert_eq!(told(&world, &app)[0], "2026-01-01 00:02:00 UTC started");
    let run = cron::run_now(&world.engine, &world.admin, &app, Some(entry)).unwrap();
    assert_eq!((run.run.due_at, run.command.as_str()), (None, "exit 0"));
    assert_eq!(run.job.unwrap().job.actor, Some(account(&world.admin)));
}

#[test]
fn c_86_entries_of_app_json_follow_the_release_that_serves() {
    let (world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    let all = || {
        let list = cron::list(&world.engine, &world.admin, &app).unwrap();
        list.into_iter().map(|info| (info.row.entry.schedule.to_string(), info.row.id)).collect::<Vec<_>>()
    };
    let kept = added(&world, &app, "exit 0", "@weekly");
    world.builder.app_json(app_json(r#"{"cron": [{"command": "exit 0", "schedule": "@daily"}]}"#));
    world.push(&app, 2);
    let daily = all()[1].1;
    assert_eq!(all(), [("@weekly".to_owned(), kept), ("@daily".to_owned(), daily)]);
    let refused = cron::remove(&world.engine, &world.admin, &app, Some(daily)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    world.builder.app_json(app_json(r#"{"cron": [{"command": "exit 0", "schedule": "@hourly"}]}"#));
    world.push(&app, 3);
    assert_eq!(all(), [("@weekly".to_owned(), kept), ("@hourly".to_owned(), daily)]);
    world.builder.app_json(AppJson::default());
    world.push(&app, 4);
    assert_eq!(all(), [("@weekly".to_owned(), kept)]);
    // The file of a release that does not serve says nothing.
    world.builder.app_json(app_json(r#"{"cron": [{"command": "exit 0", "schedule": "@monthly"}]}"#));
    world.builder.procfile(&[("web", "serve"), ("release", "exit 1")]);
    assert!(matches!(world.push(&app, 5).status, ReleaseStatus::Failed { .. }));
    assert_eq!(all(), [("@weekly".to_owned(), kept)]);
    cron::remove(&world.engine, &world.admin, &app, Some(kept)).unwrap();
    assert_eq!(all(), []);
    assert_eq!(
        cron::remove(&world.engine, &world.admin, &app, Some(kept)).unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(cron::remove(&world.engine, &world.admin, &app, None).unwrap_err().kind(), Kind::NotFound);
}

/// Copies the ledger after each transaction of what is done: where they lie, and how many.
fn copied(world: &World, what: impl FnOnce()) -> (PathBuf, u64) {
    let folder = world.folder.path().join("copies");
    let taken = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (target, counter) = (folder.clone(), taken.clone());
    *world.engine.0.after_commit.lock().unwrap() = Some(Box::new(move |store| {
        let n = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        store.backup(&target.join(n.to_string()).join("ledger/ledger.db")).unwrap();
    }));
    what();
    *world.engine.0.after_commit.lock().unwrap() = None;
    let taken = taken.load(std::sync::atomic::Ordering::SeqCst);
    assert!(taken >= 3, "the run, its start and its end are transactions: {taken}");
    (folder, taken)
}

/// A server that goes on from a copy, in a world where nothing runs.
fn reopened(world: &World, folder: &Path, n: u64) -> (Engine, Arc<MemoryBackend>) {
    let ports = Ports {
        log: world.log.clone(),
        repositories: world.repositories.clone(),
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(200 + u128::from(n))),
    };
    let engine = Engine::open(settings(&folder.join(n.to_string()), |_| {}), &KEY, ports).unwrap();
    let backend =
        Arc::new(MemoryBackend::new(world.clock.clone(), engine.environment(), 200 + u128::from(n)));
    engine.start(Workers { backend: backend.clone(), builder: world.builder.clone() }).unwrap();
    (engine, backend)
}

#[test]
fn every_cut_between_two_transactions_starts_a_run_at_most_once() {
    let (world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    added(&world, &app, "exit 0", "0 * * * *");
    let (folder, taken) = copied(&world, || {
        to(&world, "2026-01-01T01:00:00Z");
        until_ended(&world, &app);
    });
    let mut ends = Vec::new();
    for n in 0..taken {
        let (engine, backend) = reopened(&world, &folder, n);
        let rows = || cron::history(&engine, &world.admin, &app, None).unwrap();
        // A copy of before the run begins it itself.
        let has_ended = |rows: &Vec<_>| rows.first().is_some_and(|row| state(row).has_ended());
        let all = world.until("the run has ended", || Some(rows()).filter(has_ended));
        assert_eq!(all.len(), 1, "copy {n}: {all:?}");
        let observed = backend.observed();
        let begun = observed.processes.iter().filter(|p| matches!(p.purpose, Purpose::Job { .. })).count();
        let lost = matches!(state(&all[0]), JobState::Lost { .. });
        assert!(begun <= usize::from(!lost), "copy {n}: begun {begun} times, lost: {lost}");
        ends.push((begun, lost));
        engine.shutdown();
    }
    assert!(ends.contains(&(0, true)), "cut between its start and its process, it is lost: {ends:?}");
}

/// The same, and the servers that go on come hours later: at none of the cuts is the run still begun.
#[test]
fn after_every_cut_a_late_server_begins_nothing() {
    let (world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    added(&world, &app, "exit 0", "0 1 * * *");
    let (folder, taken) = copied(&world, || {
        to(&world, "2026-01-01T01:00:00Z");
        until_ended(&world, &app);
    });
    world.clock.advance_millis(9 * HOUR);
    let mut told = Vec::new();
    for n in 0..taken {
        let (engine, backend) = reopened(&world, &folder, n);
        let rows = || cron::history(&engine, &world.admin, &app, None).unwrap();
        let is_over = |row: &HistoryRow| row.job.as_ref().is_none_or(|job| job.job.state.has_ended());
        let all =
            world.until("the run is over", || Some(rows()).filter(|rows| rows.first().is_some_and(is_over)));
        assert_eq!(all.len(), 1, "copy {n}: {all:?}");
        let observed = backend.observed();
        assert!(!observed.processes.iter().any(|p| matches!(p.purpose, Purpose::Job { .. })), "copy {n}");
        told.push(matches!(all[0].run.outcome, RunOutcome::Missed { .. }));
        engine.shutdown();
    }
    assert!(told.iter().filter(|missed| **missed).count() >= 1, "before its start it is missed: {told:?}");
}
