//! Accepting, queueing, failing, watching.

use super::*;
use crate::builds::{Output, output};
use crate::error::Kind;

fn all_output(world: &World, build: BuildId) -> String {
    let mut reader = output(&world.engine, build).unwrap();
    let mut text = String::new();
    loop {
        match reader.next(PATIENCE) {
            Output::Text(part) => text.push_str(&part),
            Output::End => return text,
            Output::Quiet => panic!("no end after {text}"),
        }
    }
}

#[test]
fn one_runs_one_waits_a_third_takes_the_place_of_the_waiting_one() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.builder.hold();
    let builds: Vec<_> = [1, 2, 3].iter().map(|n| world.accept(&app, &commit_of(*n))).collect();
    assert_eq!(world.built(builds[1]), BuildStatus::Superseded);
    assert!(all_output(&world, builds[1]).contains("A newer deploy took the place of this build"));
    let mut live = output(&world.engine, builds[0]).unwrap();
    assert!(matches!(live.next(PATIENCE), Output::Text(text) if text.contains("Building")));
    assert_eq!(crate::builds::wait(&world.engine, builds[0], Duration::from_millis(1)).unwrap(), None);
    world.builder.let_go();
    assert!(matches!(world.built(builds[0]), BuildStatus::Succeeded { .. }));
    assert!(matches!(world.built(builds[2]), BuildStatus::Succeeded { .. }));
    assert_eq!(world.builder.begun(), [commit_of(1).to_string(), commit_of(3).to_string()]);
    // Output is the same live and kept; the trees are gone.
    let mut rest = String::from("-----> Building\n");
    while let Output::Text(text) = live.next(PATIENCE) {
        rest.push_str(&text);
    }
    assert_eq!(rest, "-----> Building\n-----> Built\n-----> Released v1\n");
    world.until("the output is stored", || (all_output(&world, builds[0]) == rest).then_some(()));
    for build in builds {
        world.until("its tree is gone", || {
            (!crate::builds::source_folder(&world.engine, build).exists()).then_some(())
        });
    }
    let all = ops::builds::list(&world.engine, &world.admin, &app).unwrap();
    let words: Vec<_> = all.iter().map(|info| info.build.status.api_word()).collect();
    assert_eq!(words, ["succeeded", "failed", "succeeded"]);
    assert_eq!(all[0].user.as_ref().unwrap().email.as_str(), "admin@example.com");
}

#[test]
fn a_failed_build_says_why_and_makes_no_release() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.fail(Some("no Procfile was found"));
    let build = world.accept(&app, &commit_of(1));
    assert_eq!(world.built(build), BuildStatus::Failed { reason: "no Procfile was found".into() });
    assert!(all_output(&world, build).ends_with(" !     Build failed: no Procfile was found\n"));
    assert!(world.statuses(&app).is_empty());
    assert!(world.log.lines(id).contains(&"api: Build failed: no Procfile was found".to_owned()));
    world.builder.fail(None);
    world.builder.panic_next();
    let build = world.accept(&app, &commit_of(2));
    assert_eq!(world.built(build), BuildStatus::Failed { reason: "the builder broke down".into() });
    assert_eq!(world.push(&app, 3).status, ReleaseStatus::Succeeded);
}

#[test]
fn a_build_can_be_cancelled_while_it_runs_and_while_it_waits() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.builder.hold();
    let (running, waiting) = (world.accept(&app, &commit_of(1)), world.accept(&app, &commit_of(2)));
    for build in [waiting, running] {
        ops::builds::cancel(&world.engine, &world.admin, &app, build).unwrap();
        assert_eq!(world.built(build), BuildStatus::Failed { reason: "it was cancelled".into() });
    }
    let missing = ops::builds::info(&world.engine, &world.admin, &app, BuildId::from_u128(5)).unwrap_err();
    assert_eq!((missing.kind(), missing.resource()), (Kind::NotFound, Some("build")));
}

#[test]
fn builds_of_different_apps_run_side_by_side_up_to_the_limit() {
    let world = World::start();
    let apps: Vec<_> = ["one", "two", "three"].iter().map(|name| world.app(name).1).collect();
    world.builder.hold();
    let builds: Vec<_> = apps.iter().zip(1..).map(|(app, n)| world.accept(app, &commit_of(n))).collect();
    world.until("two run", || (world.builder.begun().len() == 2).then_some(()));
    let mut third = output(&world.engine, builds[2]).unwrap();
    assert!(matches!(third.next(PATIENCE), Output::Text(text) if text.contains("Waiting for another build")));
    world.builder.let_go();
    for build in builds {
        assert!(matches!(world.built(build), BuildStatus::Succeeded { .. }));
    }
}

#[test]
fn a_config_change_during_a_build_is_in_the_builds_release() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.builder.hold();
    let build = world.accept(&app, &commit_of(1));
    world.set(&app, "A", Some("late")).unwrap();
    world.builder.let_go();
    let BuildStatus::Succeeded { release, .. } = world.built(build) else { panic!("the build succeeds") };
    let vars = ops::config::of_release(&world.engine, &world.admin, &app, &ReleaseRef::Id(release)).unwrap();
    assert_eq!(vars.get(&"A".parse().unwrap()).unwrap().expose(), "late");
    assert_eq!(world.ended(&app, &ReleaseRef::Id(release)).version.0, 2);
}

#[test]
fn an_app_that_is_destroyed_takes_its_build_with_it() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.hold();
    let builds = [world.accept(&app, &commit_of(1)), world.accept(&app, &commit_of(2))];
    let mut live = output(&world.engine, builds[0]).unwrap();
    ops::apps::destroy(&world.engine, &world.admin, &app).unwrap();
    while live.next(PATIENCE) != Output::End {}
    assert!(world.repositories.is_removed(id));
    let folder = |build| crate::builds::folder(&world.engine, build);
    assert!(!folder(builds[1]).exists(), "what waited leaves nothing");
    world.until("the tree of what ran is gone", || {
        (!crate::builds::source_folder(&world.engine, builds[0]).exists()).then_some(())
    });
    let gone = crate::builds::accept(
        &world.engine,
        &world.admin,
        &app,
        crate::builds::new_id(&world.engine),
        tree(),
    );
    assert_eq!(gone.unwrap_err().resource(), Some("app"));
}

#[test]
fn folders_that_nobody_knows_are_removed_and_no_others() {
    let world = World::start();
    let (_, app) = world.app("hello");
    let (_, doomed) = world.app("doomed");
    let (kept, gone) = (world.accept(&app, &commit_of(1)), world.accept(&doomed, &commit_of(2)));
    world.built(kept);
    world.built(gone);
    ops::apps::destroy(&world.engine, &world.admin, &doomed).unwrap();
    let folder = |build| crate::builds::folder(&world.engine, build);
    let stray = BuildId::from_u128(77);
    let coming = crate::builds::new_id(&world.engine);
    for build in [stray, coming] {
        std::fs::create_dir_all(folder(build).join("src")).unwrap();
    }
    world.until("they are removed", || {
        crate::builds::remove_strays(&world.engine).unwrap();
        (!folder(gone).exists() && !folder(stray).exists()).then_some(())
    });
    assert!(folder(coming).join("src").exists(), "a tree that is about to be accepted stays");
    assert!(all_output(&world, kept).contains("-----> Built"));
    crate::builds::discard(&world.engine, coming);
    std::fs::create_dir_all(folder(coming)).unwrap();
    assert_eq!(crate::builds::remove_strays(&world.engine).unwrap(), 1, "once given up it is a stray");
}

#[test]
fn an_end_is_recorded_once_whoever_comes_second() {
    let world = World::start();
    let (id, app) = world.app("hello");
    let build = world.accept(&app, &commit_of(1));
    let ended = world.built(build);
    let late = BuildStatus::Failed { reason: "too late".to_owned() };
    crate::builds::end(&world.engine, build, &late).unwrap();
    crate::builds::end(&world.engine, BuildId::from_u128(5), &late).unwrap();
    assert_eq!(ops::builds::info(&world.engine, &world.admin, &app, build).unwrap().build.status, ended);
    assert!(!world.log.lines(id).iter().any(|line| line.contains("too late")));
}

#[test]
fn the_deployed_commit_is_known() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    let deployed = |n| crate::builds::deployed(&world.engine, id, &commit_of(n)).unwrap();
    assert_eq!(deployed(1).unwrap().version.0, 1);
    assert_eq!(deployed(2), None);
    world.push(&app, 2);
    assert_eq!(deployed(1), None, "only the newest counts: pushing an older commit again is a deploy");
}
