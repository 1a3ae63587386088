//! Formation, restart, stop, crashes, and what `ps` shows.

use super::*;
use crate::doubles::Passes;
use crate::error::Kind;
use crate::ops::features::Switch;
use crate::ops::formation::{self, ProcessTarget};
use crate::ops::processes::ProcessWord;
use crate::reference::ProcessRef;
use domain::feature::Feature;
use domain::formation::{FormationUpdate, Size};
use domain::ids::ProcessId;
use domain::process::ExitStatus;
use domain::size::SizeRules;

fn scale(
    world: &World,
    app: &AppRef,
    name: &str,
    quantity: &str,
) -> Result<Vec<formation::FormationRow>, crate::Error> {
    let (process_type, quantity) = (name.parse().unwrap(), Some(quantity.parse().unwrap()));
    formation::patch(
        &world.engine,
        &world.admin,
        app,
        &[FormationUpdate { process_type, quantity, size: None }],
    )
}

fn processes(world: &World, id: AppId) -> Vec<(String, ProcessId)> {
    let observed = world.backend.observed();
    let living = observed.processes.iter().filter(|process| process.app == id && process.state.is_live());
    let mut all: Vec<_> = living.map(|process| (process.purpose.display_name(), process.process)).collect();
    all.sort();
    all
}

#[test]
fn scaling_starts_and_stops_and_is_kept_over_releases() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.procfile(&[("web", "serve"), ("worker", "work")]);
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    let rows = scale(&world, &app, "worker", "+2").unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.process_type.as_str(), row.quantity)).collect::<Vec<_>>(),
        [("web", 1), ("worker", 2)]
    );
    world.until_running(id, &["web.1 v1", "worker.1 v1", "worker.2 v1"]);
    assert!(
        world
            .log
            .lines(id)
            .contains(&"api: Scaled to worker@2:Standard-1X by user admin@example.com".to_owned())
    );
    // A release without workers keeps their row for the one that has them again.
    world.builder.procfile(&[("web", "serve")]);
    world.push(&app, 2);
    world.until_running(id, &["web.1 v2"]);
    assert_eq!(formation::list(&world.engine, &world.admin, &app).unwrap().len(), 1);
    assert_eq!(scale(&world, &app, "worker", "1").unwrap_err().kind(), Kind::Invalid);
    world.builder.procfile(&[("web", "serve"), ("worker", "work")]);
    world.push(&app, 3);
    world.until_running(id, &["web.1 v3", "worker.1 v3", "worker.2 v3"]);
    scale(&world, &app, "web", "0").unwrap();
    world.until_running(id, &["worker.1 v3", "worker.2 v3"]);
}

#[test]
fn c_51_restart_replaces_all_a_type_or_one() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    scale(&world, &app, "web", "3").unwrap();
    world.until_running(id, &["web.1 v1", "web.2 v1", "web.3 v1"]);
    let replaced = |target: &ProcessTarget, which: [bool; 3]| {
        world.until("three run", || (processes(&world, id).len() == 3).then_some(()));
        let before = processes(&world, id);
        world.clock.advance_millis(10);
        formation::restart(&world.engine, &world.admin, &app, target).unwrap();
        world.until("the right ones are new", || {
            let after = processes(&world, id);
            if after.len() != 3 {
                return None;
            }
            let changed: Vec<_> = before.iter().zip(&after).map(|(old, new)| old.1 != new.1).collect();
            (changed == which).then_some(())
        });
    };
    replaced(&ProcessTarget::One(ProcessRef::new("web.2")), [false, true, false]);
    replaced(&ProcessTarget::Type("web".parse().unwrap()), [true, true, true]);
    let third = world.until("ps shows the third", || {
        let shown =
            ops::processes::info(&world.engine, &world.admin, &app, &ProcessRef::new("web.3")).ok()?;
        shown
            .process
            .filter(|process| processes(&world, id).get(2).is_some_and(|(_, third)| third == process))
    });
    replaced(&ProcessTarget::One(third.into()), [false, false, true]);
    replaced(&ProcessTarget::All, [true, true, true]);
    for (target, kind) in [("web.4", Kind::NotFound), ("db.1", Kind::NotFound), ("web", Kind::NotFound)] {
        let target = ProcessTarget::One(ProcessRef::new(target));
        assert_eq!(formation::restart(&world.engine, &world.admin, &app, &target).unwrap_err().kind(), kind);
    }
}

#[test]
fn c_44_a_stopped_process_stays_down_until_restart_scale_or_release() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    scale(&world, &app, "web", "2").unwrap();
    world.until_running(id, &["web.1 v1", "web.2 v1"]);
    let second = ProcessTarget::One(ProcessRef::new("web.2"));
    let stop = || {
        formation::stop(&world.engine, &world.admin, &app, &second).unwrap();
    };
    stop();
    world.until_running(id, &["web.1 v1"]);
    world.until("ps shows one up and one stopped", || {
        let shown = ops::processes::list(&world.engine, &world.admin, &app).unwrap();
        let words: Vec<_> = shown.iter().map(|info| (info.name.as_str(), info.state)).collect();
        (words == [("web.1", ProcessWord::Up), ("web.2", ProcessWord::Stopped)]).then_some(())
    });
    formation::restart(&world.engine, &world.admin, &app, &second).unwrap();
    world.until_running(id, &["web.1 v1", "web.2 v1"]);
    stop();
    world.until_running(id, &["web.1 v1"]);
    scale(&world, &app, "web", "2").unwrap();
    world.until_running(id, &["web.1 v1", "web.2 v1"]);
    stop();
    world.until_running(id, &["web.1 v1"]);
    world.push(&app, 2);
    world.until_running(id, &["web.1 v2", "web.2 v2"]);
}

#[test]
fn c_50_a_crash_is_recorded_told_and_restarted_with_back_off() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    world.clock.stop();
    let first = processes(&world, id)[0].1;
    world.backend.end(first, ExitStatus::Code(1));
    let second = world.until("it is started again at once", || {
        processes(&world, id).first().map(|(_, process)| *process).filter(|process| *process != first)
    });
    let ended = ops::processes::info(&world.engine, &world.admin, &app, &first.into()).unwrap();
    assert_eq!((ended.state, ended.exit), (ProcessWord::Crashed, Some(ExitStatus::Code(1))));
    world.backend.end(second, ExitStatus::Signal(9));
    world.until("ps shows the crash and the pause", || {
        let shown = ops::processes::list(&world.engine, &world.admin, &app).unwrap();
        let crashed = shown.into_iter().find(|info| info.state == ProcessWord::Crashed)?;
        crashed.why.filter(|why| why.contains("crashed 2 times"))
    });
    assert_eq!(world.current(&app), Some(1), "a crash after promotion switches nothing back");
    world.clock.advance_millis(10_000);
    world.backend.cannot_start(None);
    world.until_running(id, &["web.1 v1"]);
}

#[test]
fn a_backend_that_panics_is_tried_again() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.backend.panic_next();
    assert_eq!(world.push(&app, 1).status, ReleaseStatus::Succeeded);
    world.until_running(id, &["web.1 v1"]);
}

#[test]
fn a_destroyed_app_leaves_nothing_running_and_its_number_is_not_reused() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    let first = ops::apps::info(&world.engine, &world.admin, &app).unwrap().app.index;
    ops::apps::destroy(&world.engine, &world.admin, &app).unwrap();
    world.until("all of it is gone", || {
        let observed = world.backend.observed();
        let left =
            observed.processes.iter().any(|process| process.app == id) || observed.networks.contains(&id);
        (!left).then_some(())
    });
    let (_, again) = world.app("hello");
    let second = ops::apps::info(&world.engine, &world.admin, &again).unwrap().app.index;
    assert!(second > first, "{first} then {second}");
}

#[test]
fn the_driver_comes_to_rest() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    let still = world.until("two looks in a row find the same number of passes", || {
        let before = world.backend.passes();
        std::thread::sleep(Duration::from_millis(300));
        (world.backend.passes() == before).then_some(before)
    });
    assert!(still < 60, "{still} passes for one deploy");
}

/// A first deploy that failed is no reason to say that there is no such process type: the next release has it.
#[test]
fn types_of_a_failed_first_deploy_can_be_scaled() {
    let world = World::start();
    let (_, app) = world.app("hello");
    let early = scale(&world, &app, "web", "2").unwrap_err();
    assert!(early.message().contains("no process types yet"), "{early}");
    world.set(&app, "A", Some("1")).unwrap();
    world.ended(&app, &ReleaseRef::Head);
    world.builder.procfile(&[("web", "crash")]);
    let failed = world.push(&app, 1);
    assert!(matches!(failed.status, ReleaseStatus::Failed { .. }), "{failed:?}");
    let rows = scale(&world, &app, "web", "2").unwrap();
    assert_eq!(rows.iter().map(|row| row.quantity).collect::<Vec<_>>(), [2]);
    let unknown = scale(&world, &app, "worker", "1").unwrap_err();
    assert!(unknown.message().ends_with("its Procfile has: web."), "{unknown}");
}

/// The limits of a size, as an operator has set them, reach the processes of its type, and what they use is told with them.
#[test]
fn a_size_and_its_rules_become_limits() {
    let rules =
        SizeRules { memory_hard: "150".parse().unwrap(), cpu_millicores: [(Size::Standard2X, 1500)].into() };
    let world = World::start_with(move |settings| settings.sizes = rules.clone());
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    let limits = || {
        let rows = ops::usage::list(&world.engine, &world.admin, &app).unwrap();
        let usage = rows.first()?.usage.as_ref().ok()?;
        assert_eq!(usage.memory.unwrap().total_bytes(), 21 << 20);
        Some(usage.limits)
    };
    let small = world.until("it is measured", limits);
    assert_eq!((small.memory_bytes, small.hard_memory_bytes()), (512 << 20, 768 << 20));
    assert_eq!((small.cpu_millicores, small.tmp_bytes()), (None, 256 << 20));
    let (process_type, size) = ("web".parse().unwrap(), Some(Size::Standard2X));
    world.clock.advance_millis(10);
    let larger = FormationUpdate { process_type, quantity: None, size };
    formation::patch(&world.engine, &world.admin, &app, &[larger]).unwrap();
    let large = world.until("it is larger", || limits().filter(|limits| limits.memory_bytes == 1024 << 20));
    assert_eq!((large.hard_memory_bytes(), large.cpu_millicores), (1536 << 20, Some(1500)));
}

#[test]
fn an_end_for_want_of_memory_is_told_as_one() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    world.clock.stop();
    let first = processes(&world, id)[0].1;
    world.backend.end_out_of_memory(first);
    let second = world.until("it is started again at once", || {
        processes(&world, id).first().map(|(_, process)| *process).filter(|process| *process != first)
    });
    let ended = ops::processes::info(&world.engine, &world.admin, &app, &first.into()).unwrap();
    assert!(ended.out_of_memory && ended.exit == Some(ExitStatus::Signal(9)), "{ended:?}");
    world.backend.end_out_of_memory(second);
    let crashed = world.until("ps shows the crash and why", || {
        let shown = ops::processes::list(&world.engine, &world.admin, &app).unwrap();
        shown.into_iter().find(|info| info.state == ProcessWord::Crashed && info.why.is_some())
    });
    assert!(crashed.out_of_memory, "{crashed:?}");
    assert!(
        crashed.why.as_deref().is_some_and(|why| why.ends_with("its memory ran out (R15)")),
        "{crashed:?}"
    );
}

#[test]
fn a_feature_is_switched_for_processes_to_come() {
    let world = World::start();
    let (id, app) = world.app("hello");
    let on = || world.engine.environment().features(id).unwrap();
    let set = |switch| {
        ops::features::set(&world.engine, &world.admin, &app, Feature::LogRuntimeMetrics, switch).unwrap();
    };
    assert!(on().is_empty());
    set(Switch::On);
    set(Switch::On);
    assert_eq!(on().into_iter().collect::<Vec<_>>(), [Feature::LogRuntimeMetrics]);
    let listed = ops::features::list(&world.engine, &world.admin, &app).unwrap();
    assert!(listed.contains_key(&Feature::LogRuntimeMetrics));
    set(Switch::Off);
    assert!(on().is_empty());
}

#[test]
fn readiness_decides_about_routes_unless_nobody_is_ready() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    scale(&world, &app, "web", "2").unwrap();
    world.until_running(id, &["web.1 v1", "web.2 v1"]);
    let routed = || {
        let table = world.backend.observed().published.unwrap_or_else(|| panic!("a table"));
        let route = table.apps.into_iter().find(|route| route.app == id);
        route.map(|route| route.processes.into_iter().map(|routed| routed.name).collect::<Vec<_>>())
    };
    let until_routed = |names: &[&str]| {
        world.until(&format!("{names:?} are routed"), || (routed()? == names).then_some(()));
    };
    let process = |name: &str| {
        let all = world.backend.observed().processes;
        all.into_iter().find(|found| found.purpose.display_name() == name).unwrap().process
    };
    until_routed(&["web.1", "web.2"]);
    world.backend.set_readiness(process("web.1"), Passes::No);
    until_routed(&["web.2"]);
    world.backend.set_readiness(process("web.2"), Passes::No);
    until_routed(&["web.1", "web.2"]);
    world.until("it is told", || {
        world.log.lines(id).iter().any(|line| line.starts_with("web: No web process passes")).then_some(())
    });
    world.backend.set_readiness(process("web.2"), Passes::Yes);
    until_routed(&["web.2"]);
    world.until("it is told", || {
        world.log.lines(id).iter().any(|line| line.starts_with("web: Requests go to the web")).then_some(())
    });
    let told = world.log.lines(id).iter().filter(|line| line.starts_with("web: ")).count();
    assert_eq!(told, 2, "each change once");
}
