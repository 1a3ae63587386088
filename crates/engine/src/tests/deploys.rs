//! Push, promotion, failure, rollback, supersession.

use super::*;
use crate::error::Kind;
use crate::follow::{Progress, follow};

#[test]
fn a_push_becomes_a_release_that_serves_and_the_next_one_takes_over() {
    let world = World::start();
    let (id, app) = world.app("hello");
    assert_eq!(world.current(&app), None);
    let first = world.push(&app, 0xa97f_3d42);
    assert_eq!((first.version.0, &first.status), (1, &ReleaseStatus::Succeeded));
    assert_eq!(first.description, "Deploy 00000000");
    world.until_running(id, &["web.1 v1"]);
    let second = world.push(&app, 2);
    assert_eq!((second.version.0, world.current(&app)), (2, Some(2)));
    world.until_running(id, &["web.1 v2"]);
    let table = world.backend.observed().published.unwrap();
    assert_eq!(table.apps[0].hosts, vec!["hello.localhost".parse().unwrap()]);
    assert_eq!(table.apps[0].processes.len(), 1);
    let lines = world.log.lines(id);
    for expected in
        ["api: Build started by user admin@example.com", "api: Release v2 created by user admin@example.com"]
    {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
    assert!(lines.contains(&"api: Release v2 is serving".to_owned()), "{lines:#?}");
}

#[test]
fn a_release_that_does_not_boot_fails_and_the_old_one_serves() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.builder.procfile(&[("web", "crash")]);
    let failed = world.push(&app, 2);
    assert!(
        matches!(&failed.status, ReleaseStatus::Failed { reason } if reason.contains("status 1")),
        "{failed:?}"
    );
    assert_eq!(world.current(&app), Some(1));
    world.until_running(id, &["web.1 v1"]);
    // A config change now takes the slug of the release that did not fail.
    let config = world.set(&app, "A", Some("1")).unwrap();
    assert_eq!(config.artifact.commit, Some(commit_of(1)));
    assert_eq!(world.ended(&app, &ReleaseRef::Head).status, ReleaseStatus::Succeeded);
    assert_eq!(world.current(&app), Some(3));
}

#[test]
fn c_21_a_deaf_web_process_fails_its_release_with_r10() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.procfile(&[("web", "deaf")]);
    let build = world.accept(&app, &commit_of(1));
    world.built(build);
    world.until_running(id, &["web.1 v1"]);
    let why = world.until("ps says why", || {
        ops::processes::list(&world.engine, &world.admin, &app)
            .unwrap()
            .first()
            .and_then(|info| info.why.clone())
    });
    assert!(why.contains("does not accept connections"), "{why}");
    world.clock.advance_millis(61_000);
    world.backend.cannot_start(None);
    let release = world.ended(&app, &ReleaseRef::Head);
    assert!(
        matches!(&release.status, ReleaseStatus::Failed { reason } if reason.contains("R10")),
        "{release:?}"
    );
    let told = world
        .log
        .lines(id)
        .into_iter()
        .filter(|line| line.starts_with("web.1: Error R10 (Boot timeout)"))
        .count();
    assert_eq!(told, 1);
}

#[test]
fn a_failed_startup_check_fails_its_release_at_once_with_its_words() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.builder.procfile(&[("web", "unwell")]);
    let second = world.push(&app, 2);
    let ReleaseStatus::Failed { reason } = &second.status else { panic!("{second:?}") };
    assert_eq!(
        reason,
        "web.1 did not start: its startup check \"startup-1\" failed 3 times in a row: \
         GET http://10.210.0.3:5000/: 503 Not Yet: no database"
    );
    assert_eq!(world.current(&app), Some(1));
    world.until_running(id, &["web.1 v1"]);
    let failed_checks = || {
        let ended = world.engine.read(|reader| Ok(reader.exits_of(id, 10)?)).unwrap();
        let exits = ended.into_iter().filter_map(|row| row.exit);
        exits.filter(|exit| exit.failed_check.is_some()).count()
    };
    world.until("its end is recorded", || (failed_checks() > 0).then_some(()));
    assert_eq!(failed_checks(), 1, "one attempt at starting it");
}

#[test]
fn startup_checks_may_take_longer_than_the_boot_timeout() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.procfile(&[("web", "deaf")]);
    let checks = br#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "initialDelay": 100}]}}"#;
    world.builder.app_json(domain::app_json::AppJson::parse(checks).unwrap());
    let build = world.accept(&app, &commit_of(1));
    world.built(build);
    world.until_running(id, &["web.1 v1"]);
    world.clock.advance_millis(100_000);
    world.backend.cannot_start(None);
    let why = world.until("ps says why", || {
        ops::processes::list(&world.engine, &world.admin, &app).unwrap().first()?.why.clone()
    });
    assert_eq!(why, "web.1 has started and has not passed its startup checks yet");
    assert!(!world.statuses(&app)[0].is_final());
    world.clock.advance_millis(110_000);
    world.backend.cannot_start(None);
    let ended = world.ended(&app, &ReleaseRef::Head);
    assert!(
        matches!(&ended.status, ReleaseStatus::Failed { reason } if reason.contains("200 seconds")),
        "{ended:?}"
    );
}

#[test]
fn the_release_phase_runs_before_promotion_and_its_failure_keeps_the_old_release() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.builder.procfile(&[("web", "serve"), ("release", "exit 0")]);
    let first = world.push(&app, 1);
    assert_eq!(first.status, ReleaseStatus::Succeeded);
    let info = ops::releases::info(&world.engine, &world.admin, &app, &ReleaseRef::Head).unwrap();
    let phase =
        ops::processes::info(&world.engine, &world.admin, &app, &info.phase_job.unwrap().into()).unwrap();
    assert_eq!((phase.name.as_str(), phase.exit.unwrap().shell_code()), ("release.1", 0));
    world.builder.procfile(&[("web", "serve"), ("release", "exit 3")]);
    let second = world.push(&app, 2);
    assert!(
        matches!(&second.status, ReleaseStatus::Failed { reason } if reason.contains("status 3")),
        "{second:?}"
    );
    assert_eq!(world.current(&app), Some(1));
    world.until_running(id, &["web.1 v1"]);
}

#[test]
fn a_newer_release_supersedes_a_candidate_and_its_waiting_phase_never_runs() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.builder.procfile(&[("web", "serve"), ("release", "sleep")]);
    let second = world.accept(&app, &commit_of(2));
    world.built(second);
    let phase = world.until("the phase of v2 runs", || {
        let job =
            ops::processes::info(&world.engine, &world.admin, &app, &crate::ProcessRef::new("release.2"))
                .ok()?;
        job.process
    });
    // v3's phase waits for v2's, which is not killed; v4 takes v3's place before it began.
    world.set(&app, "A", Some("1")).unwrap();
    world.set(&app, "A", Some("2")).unwrap();
    world.until("v3 is superseded", || (world.statuses(&app)[2] == ReleaseStatus::Superseded).then_some(()));
    let third = world.until("v3's phase never starts", || {
        let job =
            ops::processes::info(&world.engine, &world.admin, &app, &crate::ProcessRef::new("release.3"))
                .unwrap();
        job.state.has_ended().then_some(job)
    });
    assert_eq!((third.process, third.exit), (None, None));
    world.backend.end(phase, domain::process::ExitStatus::Code(0));
    let fourth = world.until("v4's phase runs", || {
        let job =
            ops::processes::info(&world.engine, &world.admin, &app, &crate::ProcessRef::new("release.4"))
                .unwrap();
        job.process
    });
    world.backend.end(fourth, domain::process::ExitStatus::Code(0));
    assert_eq!(world.ended(&app, &ReleaseRef::Head).status, ReleaseStatus::Succeeded);
    let expected = [
        ReleaseStatus::Succeeded,
        ReleaseStatus::Superseded,
        ReleaseStatus::Superseded,
        ReleaseStatus::Succeeded,
    ];
    assert_eq!(world.statuses(&app), expected);
    world.until_running(id, &["web.1 v4"]);
}

#[test]
fn rollback_brings_back_slug_types_and_config() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.set(&app, "A", Some("1")).unwrap();
    world.push(&app, 1);
    world.builder.procfile(&[("web", "serve"), ("worker", "work")]);
    world.push(&app, 2);
    world.set(&app, "A", Some("2")).unwrap();
    world.ended(&app, &ReleaseRef::Head);
    let back = ops::releases::rollback(&world.engine, &world.admin, &app, &ReleaseRef::new("v2")).unwrap();
    assert_eq!(back.release.description, "Rollback to v2");
    assert_eq!(back.release.artifact.commit, Some(commit_of(1)));
    let vars = ops::config::get(&world.engine, &world.admin, &app).unwrap();
    assert_eq!(vars.get(&"A".parse().unwrap()).unwrap().expose(), "1");
    assert_eq!(world.ended(&app, &ReleaseRef::Head).status, ReleaseStatus::Succeeded);
    world.until_running(id, &["web.1 v5"]);
    for (target, kind) in [("v1", Kind::Invalid), ("v99", Kind::NotFound)] {
        let refused = ops::releases::rollback(&world.engine, &world.admin, &app, &ReleaseRef::new(target));
        assert_eq!(refused.unwrap_err().kind(), kind, "{target}");
    }
    let all = ops::releases::list(&world.engine, &world.admin, &app).unwrap();
    let eligible: Vec<_> =
        all.iter().filter(|info| info.eligible_for_rollback).map(|i| i.release.version.0).collect();
    assert_eq!(eligible, [2, 3, 4, 5]);
}

#[test]
fn following_a_release_tells_why_it_waits_and_how_it_ended() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.backend.cannot_start(Some("the launcher is away"));
    let build = world.accept(&app, &commit_of(1));
    let BuildStatus::Succeeded { release, .. } = world.built(build) else { panic!("the build succeeds") };
    let mut lines = Vec::new();
    let mut following = follow(&world.engine, release).unwrap();
    let end = loop {
        match following.next(PATIENCE).unwrap() {
            Progress::Line(line) => lines.push(line),
            Progress::End(status) => break status,
            Progress::Quiet => panic!("nothing more after {lines:#?}"),
        }
        if lines.iter().any(|line| line.contains("the launcher is away")) {
            world.backend.cannot_start(None);
        }
    };
    assert_eq!(end, ReleaseStatus::Succeeded);
    assert!(lines.contains(&"Starting processes".to_owned()), "{lines:#?}");
}

#[test]
fn slugs_of_all_releases_are_in_use_until_the_app_is_destroyed() {
    let world = World::start();
    let (id, app) = world.app("kept");
    let slugs = [1, 2].map(|commit| world.push(&app, commit).artifact.slug.expect("a build made it"));
    let in_use = world.engine.in_use().unwrap();
    assert_eq!((in_use.apps, in_use.slugs), ([id].into(), slugs.into_iter().collect()));
    ops::apps::destroy(&world.engine, &world.admin, &app).unwrap();
    assert_eq!(world.engine.in_use().unwrap(), crate::InUse::default());
}
