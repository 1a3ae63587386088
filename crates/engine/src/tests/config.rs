//! Config vars: releases, limits, and that no value is ever readable on disk.

use super::*;
use crate::error::Kind;

#[test]
fn every_change_is_a_release_and_no_change_is_none() {
    let world = World::start();
    let (id, app) = world.app("hello");
    let first = world.set(&app, "FOO", Some("1")).unwrap();
    assert_eq!((first.version.0, first.description.as_str()), (1, "Set FOO config vars"));
    assert_eq!(world.ended(&app, &ReleaseRef::Head).status, ReleaseStatus::Succeeded);
    assert_eq!(world.running(id), Vec::<String>::new(), "a release before the first push has no processes");
    assert!(world.set(&app, "FOO", Some("1")).is_none());
    assert!(world.set(&app, "BAR", None).is_none());
    world.push(&app, 1);
    let removed = world.set(&app, "FOO", None).unwrap();
    assert_eq!((removed.version.0, removed.description.as_str()), (3, "Remove FOO config vars"));
    let changes = |version: &str| {
        ops::releases::info(&world.engine, &world.admin, &app, &ReleaseRef::new(version)).unwrap().changes
    };
    assert_eq!(changes("v1").added, ["FOO".parse().unwrap()]);
    assert_eq!(changes("v3").removed, ["FOO".parse().unwrap()]);
    let of_first =
        ops::config::of_release(&world.engine, &world.admin, &app, &ReleaseRef::new("v1")).unwrap();
    assert_eq!(of_first.get(&"FOO".parse().unwrap()).unwrap().expose(), "1");
    let too_much = [("BIG".parse().unwrap(), Some(Secret::new("x".repeat(70_000))))].into_iter().collect();
    let refused = ops::config::patch(&world.engine, &world.admin, &app, &too_much).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
}

#[test]
fn processes_get_config_and_the_platforms_vars() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.set(&app, "GREETING", Some("hello")).unwrap();
    world.set(&app, "SOURCE_VERSION", Some("mine")).unwrap();
    world.push(&app, 7);
    world.until_running(id, &["web.1 v3"]);
    let process = world.backend.observed().processes[0].process;
    let vars = world.backend.environment_of(process);
    let value = |name: &str| {
        vars.iter()
            .find(|(key, _)| key.as_str() == name)
            .map(|(_, value)| value.expose().clone())
            .unwrap_or_default()
    };
    let expected = [
        ("GREETING", "hello".to_owned()),
        ("SOURCE_VERSION", commit_of(7).to_string()),
        ("HEROKU_BUILD_COMMIT", commit_of(7).to_string()),
        ("HEROKU_SLUG_COMMIT", commit_of(7).to_string()),
        ("HEROKU_RELEASE_VERSION", "v3".to_owned()),
        ("HEROKU_APP_NAME", "hello".to_owned()),
        ("HEROKU_APP_ID", id.to_string()),
        ("WEB_CONCURRENCY", "2".to_owned()),
    ];
    for (name, expected) in expected {
        assert_eq!(value(name), expected, "{name}");
    }
}

#[test]
fn web_concurrency_follows_the_size_and_gives_way_to_config() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    let concurrency = || {
        let living =
            world.backend.observed().processes.into_iter().find(|p| p.app == id && p.state.is_live());
        let vars = world.backend.environment_of(living?.process);
        let found = vars.into_iter().find(|(key, _)| key.as_str() == "WEB_CONCURRENCY");
        found.map(|(_, value)| value.expose().clone())
    };
    let size = domain::formation::FormationUpdate {
        process_type: "web".parse().unwrap(),
        quantity: None,
        size: Some(domain::formation::Size::PerformanceM),
    };
    ops::formation::patch(&world.engine, &world.admin, &app, &[size]).unwrap();
    ops::formation::restart(&world.engine, &world.admin, &app, &ops::formation::ProcessTarget::All).unwrap();
    world.until("the size is followed", || (concurrency()? == "10").then_some(()));
    world.set(&app, "WEB_CONCURRENCY", Some("3")).unwrap();
    world.until("config goes before", || (concurrency()? == "3").then_some(()));
}

const CANARY: &str = "canary-93f1c2-do-not-store";

/// Every file under the folder that holds the canary.
fn files_with_canary(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with_canary(&path));
        } else if std::fs::read(&path).unwrap().windows(CANARY.len()).any(|part| part == CANARY.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_secret_is_readable_on_disk_or_in_events_and_logs() {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.set(&app, "SECRET", Some(CANARY)).unwrap();
    world.push(&app, 1);
    let run = ops::run::NewRun {
        command: "work".to_owned(),
        env: vec![("ALSO".parse().unwrap(), Secret::from(CANARY))],
        streams: domain::job::JobStreams::Log,
        size: None,
        time_to_live_seconds: None,
    };
    ops::run::create(&world.engine, &world.admin, &app, run).unwrap();
    world.set(&app, "OTHER", Some(CANARY)).unwrap();
    world.ended(&app, &ReleaseRef::Head);
    let wal = world.folder.path().join("ledger/ledger.db-wal");
    assert!(wal.metadata().unwrap().len() > 0, "the log of the ledger is looked at too");
    assert_eq!(files_with_canary(world.folder.path()), Vec::<PathBuf>::new());
    let backup = world.folder.path().join("backup/ledger.db");
    world.engine.backup(&backup).unwrap();
    assert_eq!(files_with_canary(world.folder.path()), Vec::<PathBuf>::new());
    // The search itself works: a file with the canary is found.
    std::fs::write(world.folder.path().join("ledger/found"), CANARY).unwrap();
    assert_eq!(files_with_canary(world.folder.path()).len(), 1);
    let events = ops::events::list(&world.engine, &world.admin, 0, 1000).unwrap();
    assert!(
        events.iter().any(|event| event.after.get("config").is_some_and(|names| names.contains("SECRET")))
    );
    assert!(!format!("{events:?} {:?}", world.log.lines(id)).contains(CANARY));
}

#[test]
fn a_lost_master_key_is_explained_and_changes_nothing() {
    let mut world = World::start();
    let (_, app) = world.app("hello");
    world.set(&app, "A", Some("1")).unwrap();
    world.engine.shutdown();
    let ports = Ports {
        log: world.log.clone(),
        repositories: world.repositories.clone(),
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(5)),
    };
    let refused = Engine::open(settings(world.folder.path(), |_| {}), &[8; 32], ports.clone()).err().unwrap();
    assert!(refused.message().contains("master key is not the one"), "{refused}");
    assert!(refused.hints()[0].contains("DOZEN_MASTER_KEY_FILE"), "{:?}", refused.hints());
    assert!(Engine::open(settings(world.folder.path(), |_| {}), &[8; 31], ports).is_err());
    world.reopen();
    let vars = ops::config::get(&world.engine, &world.admin, &app).unwrap();
    assert_eq!(vars.get(&"A".parse().unwrap()).unwrap().expose(), "1");
}
