//! Pushes with a real git: what they say, what they leave, and what does not disturb them.

use crate::Case;
use crate::git::{Ran, Repo, command};
use crate::world::{World, wait_until};
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::{Child, Output};

pub const CASES: &[Case] = &[
    ("pushes::build_release_follow", build_release_follow),
    ("pushes::a_failed_build_rejects", a_failed_build_rejects),
    ("pushes::a_failed_release_does_not", a_failed_release_does_not),
    ("pushes::output_is_live", output_is_live),
    ("pushes::a_killed_client_changes_nothing", a_killed_client_changes_nothing),
    ("pushes::a_dead_reader_jams_nothing", a_dead_reader_jams_nothing),
    ("pushes::one_builds_one_waits_the_third_supersedes", one_builds_one_waits_the_third_supersedes),
    ("pushes::two_first_pushes_both_land", two_first_pushes_both_land),
    ("pushes::a_lagging_ref_is_caught_up", a_lagging_ref_is_caught_up),
    ("pushes::a_server_that_stops_says_so", a_server_that_stops_says_so),
    ("pushes::large_trees", large_trees),
];

fn kill(child: &Child, signal: Signal) {
    kill_process_group(Pid::from_child(child), signal).unwrap();
}

fn ended(child: Child) -> Ran {
    let output: Output = child.wait_with_output().unwrap();
    Ran::of(output)
}

fn build_release_follow() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve"), ("src/a.txt", "one")]);
    let pushed = repo.push(&["main"]);
    pushed.says(&[
        "remote: -----> Building for the test",
        "remote: -----> Released v1",
        "remote:        http://hello.localhost:8080/ deployed to Dozen",
        "main -> main",
    ]);
    assert_eq!(world.head_of(app), Some(repo.head()));
    assert_eq!(world.releases(app).len(), 1);
    assert!(world.builder.seen().contains(&"src/a.txt=one".to_owned()));
    repo.push(&["main"]).says(&["Everything up-to-date"]);
    repo.commit(&[("src/a.txt", "two")]);
    repo.push(&["main"]).says(&["Released v2"]);
    repo.run(&["reset", "--quiet", "--hard", "HEAD~1"]).says(&[]);
    repo.push(&["main"]).refused(&["non-fast-forward"]);
    repo.push(&["--force", "main"]).says(&["Released v3", "forced update"]);
    assert_eq!(world.head_of(app), Some(repo.head()));
    let clone = world.folder.path().join("clone");
    let url = repo.run(&["remote", "get-url", "dozen"]).text.trim().to_owned();
    let cloned = command(world.folder.path(), &world.ca(), &["clone", &url, "clone"]).output().unwrap();
    Ran::of(cloned).says(&[]);
    assert_eq!(std::fs::read_to_string(clone.join("src/a.txt")).unwrap(), "one");
}

fn a_failed_build_rejects() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "say compiling\nfail error[E0425]: no such thing")]);
    repo.push(&["main"]).refused(&[
        "remote: compiling",
        "E0425",
        "Push rejected",
        "pre-receive hook declined",
    ]);
    assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0));
    repo.commit(&[("build", "say compiling")]);
    repo.push(&["main"]).says(&["Released v1"]);
}

fn a_failed_release_does_not() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.push(&["main"]).says(&["Released v1", "deployed to Dozen"]);
    repo.commit(&[("web", "crash")]);
    // The ref moves: the slug exists. What became of the release is told.
    repo.push(&["main"]).says(&["Released v2", "Release failed", "goes on serving"]);
    assert_eq!(world.head_of(app), Some(repo.head()));
}

fn output_is_live() {
    let world = World::start();
    world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "say before\nhold\nsay after")]);
    let mut child = repo.start_push(&["main"]);
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    wait_until("the line before the build goes on", || {
        let mut piece = [0; 1024];
        let count = std::io::Read::read(&mut stderr, &mut piece).unwrap();
        said.push_str(&String::from_utf8_lossy(&piece[..count]));
        said.contains("before")
    });
    assert!(!said.contains("after"));
    world.builder.let_go();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert!(child.wait().unwrap().success() && said.contains("after"), "{said}");
}

/// Seen in the field: a client that hangs up leaves a push half done, or jams those after it.
fn a_killed_client_changes_nothing() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "hold\nflood 300000")]);
    let child = repo.start_push(&["main"]);
    wait_until("the build runs", || world.builder.waiting() == 1);
    kill(&child, Signal::KILL);
    ended(child);
    world.builder.let_go();
    wait_until("the ref has moved", || world.head_of(app) == Some(repo.head()));
    wait_until("the release serves", || {
        world.releases(app).first().is_some_and(|release| release.contains("succeeded"))
    });
    repo.commit(&[("build", "")]);
    repo.push(&["main"]).says(&["Released v2"]);
}

/// A client that is there and does not read: the push ends all the same.
fn a_dead_reader_jams_nothing() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "hold\nflood 4000000")]);
    let child = repo.start_push(&["main"]);
    wait_until("the build runs", || world.builder.waiting() == 1);
    kill(&child, Signal::STOP);
    world.builder.let_go();
    wait_until("the ref has moved", || world.head_of(app) == Some(repo.head()));
    wait_until("the release serves", || {
        world.releases(app).first().is_some_and(|release| release.contains("succeeded"))
    });
    kill(&child, Signal::KILL);
    ended(child);
}

fn one_builds_one_waits_the_third_supersedes() {
    let world = World::start();
    let app = world.app("hello");
    let hold = |say: &str| Repo::new(&world, "hello", &[("build", "hold"), ("say", say)]);
    let (one, two, three) = (hold("one"), hold("two"), hold("three"));
    let first = one.start_push(&["main"]);
    wait_until("the first builds", || world.builder.waiting() == 1);
    let builds = || world.client().get("/apps/hello/builds").json().as_array().unwrap().len();
    let second = two.start_push(&["main"]);
    wait_until("the second waits", || builds() == 2);
    let third = three.start_push(&["main"]);
    wait_until("the third waits", || builds() == 3);
    ended(second).refused(&["newer deploy took the place", "Push rejected"]);
    world.builder.let_go();
    ended(first).says(&["Released v1"]);
    ended(third).says(&["Released v2"]);
    assert_eq!(world.head_of(app), Some(three.head()));
}

/// Both believe the branch to be absent. The ledger decides who is deployed, and both refs land in that order.
fn two_first_pushes_both_land() {
    let world = World::start();
    let app = world.app("hello");
    let (one, two) =
        (Repo::new(&world, "hello", &[("build", "hold")]), Repo::new(&world, "hello", &[("say", "two")]));
    let first = one.start_push(&["main"]);
    wait_until("the first builds", || world.builder.waiting() == 1);
    let second = two.start_push(&["main"]);
    wait_until("the second waits", || {
        world.client().get("/apps/hello/builds").json().as_array().unwrap().len() == 2
    });
    world.builder.let_go();
    ended(first).says(&["Released v1"]);
    ended(second).says(&["Released v2"]);
    assert_eq!(world.head_of(app), Some(two.head()));
    assert_eq!(world.releases(app).len(), 2);
}

/// The push was cut after the release and before git moved the ref.
fn a_lagging_ref_is_caught_up() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.push(&["main"]).says(&["Released v1"]);
    let deployed = world.head_of(app).unwrap().parse().unwrap();
    world.repositories.reset(app, "refs/heads/main", None).unwrap();
    repo.push(&["main"]).says(&["released as v1 already", "dozen builds:create --commit", "main -> main"]);
    assert_eq!(world.head_of(app), Some(repo.head()));
    assert_eq!(world.releases(app).len(), 1, "nothing was built");
    // The same after the objects have gone with the cut push.
    std::fs::remove_dir_all(world.repositories.path(app)).unwrap();
    let found = engine::ports::Repositories::set_ref_if_objects_present(&world.repositories, app, &deployed);
    assert_eq!(found, Ok(engine::ports::RefMove::ObjectsMissing));
    repo.push(&["main"]).says(&["released as v1 already"]);
    assert_eq!(world.head_of(app), Some(repo.head()));
}

fn a_server_that_stops_says_so() {
    let mut world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "hold")]);
    let child = repo.start_push(&["main"]);
    wait_until("the build runs", || world.builder.waiting() == 1);
    world.ask_to_stop();
    ended(child).refused(&["the server is stopping", "Push again in a moment"]);
    world.stop();
    assert_eq!(world.head_of(app), None);
}

fn large_trees() {
    let world = World::start();
    let app = world.app("hello");
    // Incompressible, so that the pack is chunked on the wire.
    let mut state = 1u64;
    let mut noise = String::with_capacity(8_000_000);
    while noise.len() < 8_000_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push_str(&format!("{state:x}\n"));
    }
    let repo = Repo::new(&world, "hello", &[("noise", &noise)]);
    repo.push(&["main"]).says(&["Released v1"]);
    assert!(world.builder.seen().iter().any(|file| *file == format!("noise={noise}")), "whole");
    assert_eq!(world.head_of(app), Some(repo.head()));
}
