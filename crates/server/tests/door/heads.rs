//! Which refs a push may change, and what is said about each.

use crate::Case;
use crate::git::{Ran, Repo, command};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("heads::other_branches_are_kept", other_branches_are_kept),
    ("heads::master_is_deployed_too", master_is_deployed_too),
    ("heads::refused", refused),
    ("heads::who_may", who_may),
    ("heads::shallow_clones", shallow_clones),
];

fn other_branches_are_kept() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.run(&["tag", "-a", "v1.0", "-m", "first"]).says(&[]);
    repo.push(&["main:topic", "v1.0"]).says(&[
        "topic is kept but not deployed",
        "push topic:main",
        "push v1.0^{}:main",
    ]);
    assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0));
    repo.push(&["main", "main:other"]).says(&["other is kept", "Released v1"]);
    repo.push(&["--delete", "topic"]).says(&["[deleted]"]);
    repo.push(&["--delete", "main"]).refused(&["deploy branch and cannot be deleted"]);
    assert_eq!(world.head_of(app), Some(repo.head()));
}

fn master_is_deployed_too() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.push(&["main:master"]).says(&["Released v1"]);
    assert_eq!(world.head_of(app), Some(repo.head()), "HEAD follows");
    let listed = repo.run(&["ls-remote", "--symref", "dozen", "HEAD"]);
    listed.says(&["ref: refs/heads/master"]);
}

fn refused() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.push(&["main", "main:master"]).refused(&["changes both main and master"]);
    for name in ["refs/replace/0000000000000000000000000000000000000001", "refs/notes/x", "refs/dozen/x"] {
        repo.push(&[&format!("main:{name}")]).refused(&["neither a branch nor a tag"]);
    }
    repo.run(&["tag", "-a", "v1.0", "-m", "first"]).says(&[]);
    repo.push(&["v1.0:refs/heads/main"]).refused(&[]);
    let blob = repo.run(&["rev-parse", "HEAD:web"]).text.trim().to_owned();
    repo.push(&[&format!("{blob}:refs/heads/main")]).refused(&[]);
    assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0));
}

fn who_may() {
    let world = World::start();
    world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    let port = world.address.port();
    for (url, said) in [
        (format!("https://localhost:{port}/hello.git"), "could not read Username"),
        (format!("https://heroku:wrong@localhost:{port}/hello.git"), "Authentication failed"),
        (format!("https://heroku:{}@localhost:{port}/nothing.git", world.token), "not found"),
        (format!("https://heroku:{}@localhost:{port}/hello", world.token), "not found"),
        (format!("https://heroku:{}@localhost:{port}/%2e%2e%2fhello.git", world.token), "not found"),
        (format!("https://heroku:{}@localhost:{port}/x/hello.git", world.token), "not found"),
    ] {
        repo.run(&["push", &url, "main"]).refused(&[said]);
    }
    let by_id = format!("https://:{}@localhost:{port}/hello.git", world.token);
    repo.run(&["push", &by_id, "main"]).says(&["Released v1"]);
}

fn shallow_clones() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.commit(&[("a", "1")]);
    repo.commit(&[("a", "2")]);
    let origin = format!("file://{}", repo.folder.display());
    let made =
        command(world.folder.path(), &world.ca(), &["clone", "--quiet", "--depth=1", &origin, "shallow"])
            .output();
    Ran::of(made.unwrap()).says(&[]);
    let url = repo.run(&["remote", "get-url", "dozen"]).text.trim().to_owned();
    let folder = world.folder.path().join("shallow");
    let push = || Ran::of(command(&folder, &world.ca(), &["push", &url, "HEAD:main"]).output().unwrap());
    push().refused(&[
        "remote: This is a push from a shallow clone",
        "git fetch --unshallow",
        "comes from a shallow clone",
    ]);
    assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0));
    Ran::of(command(&folder, &world.ca(), &["fetch", "--quiet", "--unshallow"]).output().unwrap()).says(&[]);
    push().says(&["Released v1"]);
}
