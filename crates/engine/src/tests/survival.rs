//! Death at any moment, refs that git lost, full and damaged disks.

use super::*;
use crate::error::Kind;
use crate::ports::Repositories;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn a_restart_changes_nothing_that_runs() {
    let mut world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    let living = |world: &World| {
        let observed = world.backend.observed();
        let living = observed.processes.iter().filter(|process| process.state.is_live());
        living.map(|process| process.process).collect::<Vec<_>>()
    };
    let before = living(&world);
    world.restart();
    assert_eq!(world.push(&app, 2).version.0, 2);
    world.restart();
    world.until_running(id, &["web.1 v2"]);
    let after = living(&world);
    assert_ne!(before, after);
    let passes = world.backend.passes();
    world.restart();
    world.until("it looks again", || (world.backend.passes() > passes).then_some(()));
    assert_eq!(living(&world), after);
    assert_eq!(world.statuses(&app), [ReleaseStatus::Succeeded, ReleaseStatus::Succeeded]);
}

#[test]
fn a_build_that_was_cut_off_has_failed_and_its_tree_is_gone() {
    let mut world = World::start();
    let (_, app) = world.app("hello");
    world.builder.hold();
    let (running, waiting) = (world.accept(&app, &commit_of(1)), world.accept(&app, &commit_of(2)));
    world.until("it runs", || (world.builder.begun().len() == 1).then_some(()));
    // Death without a word: the old engine's threads are cut off from the new ledger's point of view.
    let copy = world.folder.path().join("copy");
    world.engine.backup(&copy.join("ledger/ledger.db")).unwrap();
    copy_folder(&world.folder.path().join("builds"), &copy.join("builds"));
    let stray = copy.join("builds").join(BuildId::from_u128(77).to_string()).join("src");
    std::fs::create_dir_all(&stray).unwrap();
    let ports = Ports {
        log: world.log.clone(),
        repositories: world.repositories.clone(),
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(9)),
    };
    let second = Engine::open(settings(&copy, |_| {}), &KEY, ports).unwrap();
    for build in [running, waiting] {
        let info = ops::builds::info(&second, &world.admin, &app, build).unwrap();
        let expected = "the server stopped while it was being built";
        assert_eq!(info.build.status, BuildStatus::Failed { reason: expected.into() });
        assert!(!crate::builds::source_folder(&second, build).exists());
    }
    assert!(!stray.parent().unwrap().exists(), "a tree that was never accepted is removed");
    let refused = crate::builds::accept(&second, &world.admin, &app, crate::builds::new_id(&second), tree())
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable, "no builds before the start");
    world.builder.let_go();
    world.restart();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_tidied_up_keeps_no_app_from_running() {
    let world = World::start();
    let (id, app) = world.app("hello");
    // Neither a folder nor absent: leftovers cannot be looked for.
    std::fs::write(world.folder.path().join("uploads"), "").unwrap();
    world.clock.advance_millis(2 * 60 * 60 * 1000);
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
}

#[test]
fn an_app_whose_host_became_too_long_stops_no_other() {
    let mut world = World::start();
    let (long, _) = world.app("a-name-that-is-long-by-itself");
    let (short, app) = world.app("hello");
    world.engine.shutdown();
    let base = format!("{}.{0}.{0}.{}", "b".repeat(60), "b".repeat(50));
    world.reopen_with(|settings| settings.base_domain = base.parse().unwrap());
    world.push(&app, 1);
    world.until_running(short, &["web.1 v1"]);
    assert!(world.running(long).is_empty());
}

#[test]
fn refs_follow_the_ledger_at_start_up_if_git_kept_the_objects() {
    let mut world = World::start();
    let (kept, app) = world.app("kept");
    let (lost, other) = world.app("lost");
    world.push(&app, 1);
    world.push(&other, 2);
    world.repositories.add_objects(kept, &commit_of(1));
    world.restart();
    assert_eq!(world.repositories.head_of(kept), Ok(Some(commit_of(1))));
    assert_eq!(world.repositories.head_of(lost), Ok(None));
    assert_eq!(world.current(&other), Some(1), "the release stands");
}

/// Makes a release whose phase ends with `code`, and copies the ledger after each transaction on the way.
fn copies_of_a_release(world: &World, app: &AppRef, code: u8) -> Vec<PathBuf> {
    world.builder.procfile(&[("web", "serve"), ("release", "exit 0")]);
    world.push(app, 1);
    world.builder.procfile(&[("web", "serve"), ("release", &format!("exit {code}"))]);
    let folder = world.folder.path().join("copies");
    let (target, taken) = (folder.clone(), Arc::new(AtomicU64::new(0)));
    let counter = taken.clone();
    world.builder.hold();
    let build = world.accept(app, &commit_of(2));
    *world.engine.0.after_commit.lock().unwrap() = Some(Box::new(move |store| {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        store.backup(&target.join(n.to_string()).join("ledger/ledger.db")).unwrap();
    }));
    world.builder.let_go();
    world.built(build);
    world.ended(app, &ReleaseRef::Version(domain::names::ReleaseVersion(2)));
    *world.engine.0.after_commit.lock().unwrap() = None;
    (0..taken.load(Ordering::SeqCst)).map(|n| folder.join(n.to_string())).collect()
}

/// Starts a server on a copy, with the world of processes as it was left or with an empty one, and waits for the release's end.
fn finish_on_copy(world: &World, app: &AppRef, folder: &Path, seed: u128) -> (Option<Release>, usize) {
    let ports = Ports {
        log: world.log.clone(),
        repositories: world.repositories.clone(),
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(seed)),
    };
    let engine = Engine::open(settings(folder, |_| {}), &KEY, ports).unwrap();
    let backend = Arc::new(MemoryBackend::new(world.clock.clone(), engine.environment(), seed));
    engine.start(Workers { backend: backend.clone(), builder: world.builder.clone() }).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let second = ReleaseRef::Version(domain::names::ReleaseVersion(2));
    let ended = loop {
        let seen = engine.changed().rings();
        match ops::releases::info(&engine, &world.admin, app, &second) {
            Ok(info) if info.release.status.is_final() => break Some(info.release),
            Ok(info) => assert!(Instant::now() < deadline, "{} hangs: {info:?}", folder.display()),
            Err(_) => break None,
        }
        engine.changed().wait_past(seen, Duration::from_millis(50));
    };
    let phases =
        backend.observed().processes.iter().filter(|p| matches!(p.purpose, Purpose::Job { .. })).count();
    engine.shutdown();
    (ended, phases)
}

#[test]
fn every_cut_between_two_transactions_leads_to_an_end() {
    for code in [0, 3] {
        let world = World::start();
        let (_, app) = world.app("hello");
        let copies = copies_of_a_release(&world, &app, code);
        assert!(copies.len() > 3, "{} transactions", copies.len());
        let mut ends = Vec::new();
        for (seed, folder) in (100..).zip(&copies) {
            let (ended, phases) = finish_on_copy(&world, &app, folder, seed);
            assert!(phases <= 1, "{}: a phase ran {phases} times", folder.display());
            let builds = ops::builds::list(&world.engine, &world.admin, &app).unwrap();
            assert_eq!(builds.len(), 2);
            ends.push(ended.map(|release| release.status));
        }
        // Before the release: none. Its phase's process is unknown to the new world: lost. Else as it would have been.
        for end in &ends {
            let fits = match end {
                None => true,
                Some(ReleaseStatus::Succeeded) => code == 0,
                Some(ReleaseStatus::Failed { reason }) => {
                    reason.contains("vanished") || (code == 3 && reason.contains("status 3"))
                }
                Some(_) => false,
            };
            assert!(fits, "{ends:?}");
        }
        let last = ends.last().unwrap().as_ref().unwrap();
        assert_eq!(matches!(last, ReleaseStatus::Succeeded), code == 0, "{ends:?}");
    }
}

#[test]
fn a_restored_ledger_begins_a_new_epoch_and_forgets_no_key() {
    let mut world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.set(&app, "A", Some("old")).unwrap();
    world.ended(&app, &ReleaseRef::Head);
    let backup = world.folder.path().join("backup.db");
    world.engine.backup(&backup).unwrap();
    world.set(&app, "A", Some("new")).unwrap();
    world.ended(&app, &ReleaseRef::Head);
    let before = world.backend.observed().published.unwrap().generation;
    world.engine.shutdown();
    let epoch = store::restore(&backup, &world.ledger(), before.epoch + 1).unwrap();
    assert!(epoch > before.epoch);
    world.reopen();
    world.until("the table of the new epoch is published", || {
        (world.backend.observed().published.unwrap().generation.epoch == epoch).then_some(())
    });
    let vars = ops::config::get(&world.engine, &world.admin, &app).unwrap();
    assert_eq!(vars.get(&"A".parse().unwrap()).unwrap().expose(), "old");
    world.until_running(id, &["web.1 v2"]);
}

#[test]
fn a_damaged_ledger_is_refused_with_a_reason() {
    let mut world = World::start();
    world.app("hello");
    world.engine.shutdown();
    let whole = world.folder.path().join("whole.db");
    world.engine.backup(&whole).unwrap();
    let mut bytes = std::fs::read(&whole).unwrap();
    bytes[..4096].fill(0x5a);
    let broken = world.folder.path().join("broken");
    std::fs::create_dir_all(broken.join("ledger")).unwrap();
    std::fs::write(broken.join("ledger/ledger.db"), bytes).unwrap();
    let ports = Ports {
        log: world.log.clone(),
        repositories: world.repositories.clone(),
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(5)),
    };
    let refused = Engine::open(settings(&broken, |_| {}), &KEY, ports).err().unwrap();
    assert!(refused.message().contains("damaged"), "{refused}");
    assert!(refused.hints()[0].contains("backup"), "{:?}", refused.hints());
    world.reopen();
}
