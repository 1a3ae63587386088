//! A repeated POST gets the first answer.

use super::*;
use crate::error::Kind;
use crate::ops::accounts::NewAuthorization;
use crate::ops::run::NewRun;
use domain::app_json::cron::{Concurrency, CronEntry};
use domain::job::JobStreams;

#[test]
fn a_repeat_answers_with_the_first_resource() {
    let world = World::start();
    let once = keyed(&world.admin, "/apps", 1, "k1");
    let first = ops::apps::create(&world.engine, &once, None).unwrap();
    let again = ops::apps::create(&world.engine, &once, None).unwrap();
    assert_eq!(first.app, again.app);
    // A rename in between is seen: the resource is rendered again.
    let patch = ops::apps::AppPatch { name: Some("renamed".parse().unwrap()), maintenance: None };
    let app = AppRef::Id(first.app.id);
    ops::apps::update(&world.engine, &world.admin, &app, &patch).unwrap();
    assert_eq!(ops::apps::create(&world.engine, &once, None).unwrap().app.name.as_str(), "renamed");
    let created =
        |n: &str| ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 1, n), None).unwrap().app.id;
    assert_ne!(created("k2"), first.app.id, "another key is another request");
    let no_key = ops::apps::create(&world.engine, &world.admin, None).unwrap();
    assert_ne!(no_key.app.id, ops::apps::create(&world.engine, &world.admin, None).unwrap().app.id);
    // The same key on another route is another request too.
    world.push(&app, 1);
    let run = || NewRun {
        command: "work".to_owned(),
        env: Vec::new(),
        streams: JobStreams::Log,
        size: None,
        time_to_live_seconds: None,
    };
    let path = format!("/apps/{}/dynos", first.app.id);
    let keyed_run = keyed(&world.admin, &path, 1, "k1");
    let job = ops::run::create(&world.engine, &keyed_run, &app, run()).unwrap();
    assert_eq!(ops::run::create(&world.engine, &keyed_run, &app, run()).unwrap().id, job.id);
    let events = ops::events::of_app(&world.engine, &world.admin, &app, 0, 100).unwrap();
    assert_eq!(events.iter().filter(|event| event.action == "job:create").count(), 1);
}

#[test]
fn a_run_by_hand_is_begun_once() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.push(&app, 1);
    let entry = CronEntry::checked("work", "@yearly", None, Concurrency::Allow).unwrap();
    let id = Some(ops::cron::add(&world.engine, &world.admin, &app, entry).unwrap().row.id);
    let once = keyed(&world.admin, "/dozen/apps/hello/cron/x/runs", 1, "k");
    let first = ops::cron::run_now(&world.engine, &once, &app, id).unwrap();
    // It goes on meanwhile, and another begins.
    let begun =
        || ops::cron::history(&world.engine, &world.admin, &app, None).unwrap().remove(0).job.unwrap().job;
    world.until("it has begun", || (begun().state != domain::job::JobState::Waiting).then_some(()));
    ops::cron::run_now(&world.engine, &world.admin, &app, id).unwrap();
    let again = ops::cron::run_now(&world.engine, &once, &app, id).unwrap();
    assert_eq!(first.run, again.run);
    assert_eq!(ops::cron::history(&world.engine, &world.admin, &app, None).unwrap().len(), 2);
    ops::cron::remove(&world.engine, &world.admin, &app, id).unwrap();
    assert_eq!(ops::cron::run_now(&world.engine, &once, &app, id).unwrap().run, first.run, "it was begun");
}

#[test]
fn rollbacks_and_builds_are_repeated_safely() {
    let world = World::start();
    let (_, app) = world.app("hello");
    world.push(&app, 1);
    world.push(&app, 2);
    let once = keyed(&world.admin, "/apps/hello/releases", 1, "r");
    let first = ops::releases::rollback(&world.engine, &once, &app, &ReleaseRef::new("1")).unwrap();
    let again = ops::releases::rollback(&world.engine, &once, &app, &ReleaseRef::new("1")).unwrap();
    assert_eq!((first.release.version.0, first.release.id), (3, again.release.id));
    let once = keyed(&world.admin, "/apps/hello/builds", 1, "b");
    let accept = || {
        let build = crate::builds::new_id(&world.engine);
        let tree = crate::builds::source_folder(&world.engine, build);
        std::fs::create_dir_all(&tree).unwrap();
        let info = crate::builds::accept(&world.engine, &once, &app, build, super::tree()).unwrap();
        (info.build.id, build, tree)
    };
    let (first, _, _) = accept();
    let (repeated, unused, tree) = accept();
    assert_eq!(first, repeated);
    assert_ne!(repeated, unused);
    assert!(!tree.exists(), "the second tree is thrown away");
    world.built(first);
}

#[test]
fn another_body_is_refused_and_ten_minutes_are_the_end() {
    let world = World::start();
    let first = ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 1, "k"), None).unwrap();
    let other = ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 2, "k"), None).unwrap_err();
    assert_eq!((other.kind(), other.id()), (Kind::Invalid, "invalid_params"));
    world.clock.advance_millis(9 * 60 * 1000);
    let same = ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 1, "k"), None).unwrap();
    assert_eq!(same.app.id, first.app.id);
    world.clock.advance_millis(2 * 60 * 1000);
    let new = ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 2, "k"), None).unwrap();
    assert_ne!(new.app.id, first.app.id);
    // After a reboot the wall clock is what is left to go by.
    world.clock.reboot();
    let again = ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 2, "k"), None).unwrap();
    assert_eq!(again.app.id, new.app.id);
}

#[test]
fn a_secret_is_not_repeated() {
    let world = World::start();
    let once = keyed(&world.admin, "/oauth/authorizations", 1, "t");
    let token =
        ops::accounts::create_authorization(&world.engine, &once, NewAuthorization::default()).unwrap();
    let again =
        ops::accounts::create_authorization(&world.engine, &once, NewAuthorization::default()).unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
    assert!(!format!("{again:?}").contains(token.secret.expose()));
    assert_eq!(ops::accounts::list_authorizations(&world.engine, &world.admin).unwrap().len(), 2);
}

#[test]
fn repeats_at_the_same_time_make_one() {
    let world = World::start();
    let once = keyed(&world.admin, "/apps", 1, "race");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (engine, context) = (world.engine.clone(), once.clone());
            std::thread::spawn(move || ops::apps::create(&engine, &context, None).unwrap().app.id)
        })
        .collect();
    let ids: std::collections::BTreeSet<_> =
        threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(ops::apps::list(&world.engine, &world.admin, ops::apps::AppScope::All).unwrap().len(), 1);
}

#[test]
fn keys_of_different_people_do_not_meet() {
    let world = World::start();
    let token = ops::accounts::create(
        &world.engine,
        &world.admin,
        &"b@example.com".parse().unwrap(),
        domain::policy::Role::Owner,
    );
    let other = context(&world.engine, &token.unwrap().secret);
    let mine = ops::apps::create(&world.engine, &keyed(&world.admin, "/apps", 1, "k"), None).unwrap();
    let theirs = ops::apps::create(&world.engine, &keyed(&other, "/apps", 1, "k"), None).unwrap();
    assert_ne!(mine.app.id, theirs.app.id);
}
