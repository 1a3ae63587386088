//! The long life of processes: rolling replacement, cycling, and releases that crash too often.

use super::*;
use crate::ops::formation;
use domain::app_json::AppJson;
use domain::desired::Strategy;
use domain::formation::FormationUpdate;
use domain::ids::ProcessId;
use domain::observed::ObservedProcess;
use domain::process::ExitStatus;
use domain::trial::CrashBudget;

const DAY_SECONDS: u64 = 24 * 3600;
/// A day, the most that is added to it, and some more.
const LONG_MILLIS: u64 = (DAY_SECONDS + 217 * 60) * 1000;

fn scale(world: &World, app: &AppRef, name: &str, quantity: &str) {
    let (process_type, quantity) = (name.parse().unwrap(), Some(quantity.parse().unwrap()));
    let update = FormationUpdate { process_type, quantity, size: None };
    formation::patch(&world.engine, &world.admin, app, &[update]).unwrap();
}

fn living(world: &World, app: AppId) -> Vec<ObservedProcess> {
    let all = world.backend.observed().processes;
    all.into_iter().filter(|process| process.app == app && process.state.is_live()).collect()
}

fn up(world: &World, app: AppId, count: usize) -> Vec<ProcessId> {
    world.until(&format!("{count} are up"), || {
        let up: Vec<_> = living(world, app).into_iter().filter(|process| process.state.is_up()).collect();
        (up.len() == count).then(|| up.iter().map(|process| process.process).collect())
    })
}

fn rolling(types: &[&str], max_in_flight: u32) -> AppJson {
    let strategy = Strategy::Rolling { max_in_flight };
    let strategies = types.iter().map(|name| (name.parse().unwrap(), strategy)).collect();
    AppJson { strategies, ..AppJson::default() }
}

/// Crashes whatever lives, one after another, until so many crashes are recorded.
fn crash(world: &World, app: AppId, times: u32) {
    for _ in 0..times {
        let victim = world.until("one lives", || {
            world.clock.advance_millis(1_000);
            world.backend.cannot_start(None);
            up_one(world, app)
        });
        world.backend.end(victim, ExitStatus::Code(1));
        world.until("its end is seen", || {
            let gone = living(world, app).iter().all(|process| process.process != victim);
            gone.then_some(())
        });
    }
}

fn up_one(world: &World, app: AppId) -> Option<ProcessId> {
    living(world, app).iter().find(|process| process.state.is_up()).map(|process| process.process)
}

fn description(world: &World, app: &AppRef, release: &ReleaseRef) -> String {
    ops::releases::info(&world.engine, &world.admin, app, release).unwrap().release.description
}

fn budget(crashes: u32) -> impl Fn(&mut Settings) {
    move |settings| settings.bounds.crash_budget = Some(CrashBudget { crashes, seconds: 3600 })
}

/// Pushes a release that serves and one whose processes will be crashed.
fn two_releases(world: &World) -> (AppId, AppRef) {
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.set(&app, "GREETING", Some("old")).unwrap();
    world.ended(&app, &ReleaseRef::Head);
    world.push(&app, 2);
    world.until_running(id, &["web.1 v3"]);
    (id, app)
}

#[test]
fn c_52_a_release_of_a_type_that_rolls_replaces_all_of_it_in_the_end() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.procfile(&[("web", "serve"), ("worker", "work")]);
    world.builder.app_json(rolling(&["web", "worker"], 1));
    world.push(&app, 1);
    scale(&world, &app, "web", "2");
    scale(&world, &app, "worker", "3");
    up(&world, id, 5);
    world.push(&app, 2);
    world.until_running(id, &["web.1 v2", "web.2 v2", "worker.1 v2", "worker.2 v2", "worker.3 v2"]);
}

#[test]
fn c_54_a_release_that_crashes_beyond_the_budget_is_rolled_back_once_by_the_system() {
    let world = World::start_with(budget(2));
    let (id, app) = two_releases(&world);
    crash(&world, id, 2);
    world.until_running(id, &["web.1 v3"]);
    assert_eq!(world.statuses(&app).len(), 3, "two crashes are borne");
    crash(&world, id, 1);
    world.until("the release before it serves again", || (world.current(&app) == Some(4)).then_some(()));
    world.until_running(id, &["web.1 v4"]);
    assert_eq!(description(&world, &app, &ReleaseRef::Head), "Rollback to v2: v3 crashed 3 times");
    let lines = world.log.lines(id);
    let told =
        "api: Release v3 crashed 3 times within 60 minutes of its promotion, more than 2: rolling back to v2";
    assert!(lines.contains(&told.to_owned()), "{lines:#?}");
    assert!(lines.contains(&"api: Release v4 created by the system".to_owned()), "{lines:#?}");
    let info = ops::releases::info(&world.engine, &world.admin, &app, &ReleaseRef::Head).unwrap();
    assert_eq!(info.release.actor, None);
    // What was put in its place is not given up in turn.
    crash(&world, id, 6);
    assert_eq!(world.statuses(&app).len(), 4);
}

#[test]
fn of_old_releases_none_but_the_one_to_go_back_to_is_read() {
    let world = World::start_with(budget(1));
    let (id, app) = two_releases(&world);
    let raw = rusqlite::Connection::open(world.ledger()).unwrap();
    raw.execute_batch(
        "DROP TRIGGER releases_are_immutable; UPDATE releases SET app_json = '{' WHERE version = 1",
    )
    .unwrap();
    crash(&world, id, 2);
    world.until("the release before it serves again", || (world.current(&app) == Some(4)).then_some(()));
    // With a newer release none at all.
    let world = World::start_with(budget(1));
    let (id, app) = two_releases(&world);
    world.builder.procfile(&[("web", "crash")]);
    assert!(matches!(world.push(&app, 3).status, ReleaseStatus::Failed { .. }));
    let raw = rusqlite::Connection::open(world.ledger()).unwrap();
    raw.execute_batch(
        "DROP TRIGGER releases_are_immutable; UPDATE releases SET app_json = '{' WHERE version < 3",
    )
    .unwrap();
    crash(&world, id, 5);
    assert_eq!(world.current(&app), Some(3));
}

#[test]
fn c_54_a_newer_release_even_a_failed_one_forbids_the_rollback() {
    let world = World::start_with(budget(1));
    let (id, app) = two_releases(&world);
    world.builder.procfile(&[("web", "crash")]);
    assert!(matches!(world.push(&app, 3).status, ReleaseStatus::Failed { .. }));
    crash(&world, id, 5);
    assert_eq!((world.statuses(&app).len(), world.current(&app)), (4, Some(3)));
}

#[test]
fn without_a_budget_or_an_earlier_release_nothing_is_rolled_back() {
    let world = World::start();
    let (id, app) = two_releases(&world);
    crash(&world, id, 6);
    assert_eq!(world.statuses(&app).len(), 3);
    let world = World::start_with(budget(0));
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    up(&world, id, 1);
    crash(&world, id, 4);
    assert_eq!(world.statuses(&app).len(), 1);
}

#[test]
fn crashes_after_the_first_minutes_do_not_count() {
    let world = World::start_with(budget(1));
    let (id, app) = two_releases(&world);
    world.clock.advance_millis(3600 * 1000);
    crash(&world, id, 5);
    assert_eq!(world.statuses(&app).len(), 3);
}

/// What somebody stopped by hand is not started by a release that nobody asked for.
#[test]
fn c_54_a_rollback_by_the_system_leaves_stopped_processes_stopped() {
    let world = World::start_with(budget(0));
    let (id, app) = two_releases(&world);
    scale(&world, &app, "web", "2");
    up(&world, id, 2);
    let second = formation::ProcessTarget::One(crate::reference::ProcessRef::new("web.2"));
    formation::stop(&world.engine, &world.admin, &app, &second).unwrap();
    world.until_running(id, &["web.1 v3"]);
    crash(&world, id, 1);
    world.until("the rollback serves", || (world.current(&app) == Some(4)).then_some(()));
    world.until_running(id, &["web.1 v4"]);
}

#[test]
fn c_53_old_processes_are_cycled_and_that_is_no_crash() {
    let world = World::start_with(|settings| settings.bounds.cycle_after_seconds = Some(DAY_SECONDS));
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    scale(&world, &app, "web", "2");
    let before = up(&world, id, 2);
    world.clock.advance_millis(LONG_MILLIS);
    world.backend.cannot_start(None);
    let after = world.until("both are new", || {
        let now = living(&world, id);
        let new = now.iter().filter(|process| process.state.is_up() && !before.contains(&process.process));
        (new.count() == 2).then(|| now.iter().map(|process| process.process).collect::<Vec<_>>())
    });
    let shown = ops::processes::list(&world.engine, &world.admin, &app).unwrap();
    assert!(shown.iter().all(|info| info.why.is_none()), "{shown:?}");
    let lines = world.log.lines(id);
    assert!(!lines.iter().any(|line| line.contains("R10")), "{lines:#?}");
    world.backend.cannot_start(None);
    assert_eq!(up(&world, id, 2), after, "new ones stay");
}

#[test]
fn c_53_processes_live_on_where_cycling_is_off() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    let before = up(&world, id, 1);
    world.clock.advance_millis(LONG_MILLIS * 10);
    let passes = world.backend.passes();
    world.backend.cannot_start(None);
    world.until("it was looked at", || (world.backend.passes() > passes + 1).then_some(()));
    assert_eq!(up(&world, id, 1), before);
}

#[test]
fn c_43_scaling_down_takes_the_newest_places() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    scale(&world, &app, "web", "4");
    let before = up(&world, id, 4);
    scale(&world, &app, "web", "2");
    world.until_running(id, &["web.1 v1", "web.2 v1"]);
    assert!(up(&world, id, 2).iter().all(|process| before.contains(process)), "the others were left alone");
}
