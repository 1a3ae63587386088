//! Node.js packages by npm, pnpm and both kinds of Yarn.

use super::support::outside::NEIGHBOUR;
use super::support::registry;
use super::support::repository::Repository;
use super::support::server::Server;
use super::support::trace::tools;
use super::{World, app, example, push_traced, read};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const SERVER: &str = "
const fs = require('fs');
const has = (name) => { try { require.resolve(name); return true; } catch { return false; } };
require('http').createServer((request, response) => response.end(JSON.stringify({
  built: fs.readFileSync('built.txt', 'utf8').trim(), ms: has('ms'), devtool: has('devtool/cli.js'),
}))).listen(process.env.PORT, '0.0.0.0');
";
/// Prints the file of the source that it is given.
const TOOL: &str =
    "#!/usr/bin/env node\nconsole.log('built of ' + require('fs').readFileSync(process.argv[2], 'utf8'));\n";
/// Where Yarn's own release lies in a repository that brings it.
const OWN_YARN: &str = ".yarn/releases/yarn.cjs";

/// Who locks and installs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manager {
    Npm,
    Pnpm,
    Yarn,
    YarnBerry,
}

impl Manager {
    /// A word of its command line.
    const fn word(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn | Self::YarnBerry => "yarn",
        }
    }

    fn lock_command(self, world: &World) -> Command {
        let node = world.managers("node");
        let (program, words): (_, &[&str]) = match self {
            Self::Npm => ("npm".into(), &["install", "--package-lock-only", "--no-audit", "--no-fund"]),
            Self::Pnpm => (node.join("bin/pnpm"), &["install", "--lockfile-only"]),
            Self::Yarn => (node.join("bin/yarn"), &["install", "--non-interactive", "--silent"]),
            Self::YarnBerry => (
                node.join("node_modules/@yarnpkg/cli-dist/bin/yarn.js"),
                &["install", "--mode=update-lockfile"],
            ),
        };
        let mut command = Command::new(program);
        command.args(words);
        command
    }
}

/// Lets the manager itself write the lock file of a repository, as its developer does.
fn lock(world: &World, manager: Manager, repository: &Repository) {
    let home = tempfile::tempdir().expect("a home");
    let url = format!("{}/npm/", world.registry.url());
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = manager.lock_command(world);
    command.current_dir(repository.path()).env("HOME", home.path());
    command.env("PATH", format!("{}:{path}", world.managers("node").join("bin").display()));
    for name in ["npm_config_registry", "YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER"] {
        command.env(name, &url);
    }
    command.env("YARN_UNSAFE_HTTP_WHITELIST", NEIGHBOUR).env("YARN_ENABLE_TELEMETRY", "0");
    // What was made a moment ago is what is wanted.
    command.env("YARN_ENABLE_IMMUTABLE_INSTALLS", "0").env("YARN_NPM_MINIMAL_AGE_GATE", "0");
    assert!(command.status().expect("it runs").success(), "{} locks", manager.word());
    let _not_made_by_all = std::fs::remove_dir_all(repository.path().join("node_modules"));
    let _not_made_by_all = std::fs::remove_file(repository.path().join(".pnp.cjs"));
    for file in ["yarn.lock", "package-lock.json"] {
        let path = repository.path().join(file);
        if let Ok(text) = std::fs::read_to_string(&path) {
            // As a developer's lock reads, who knows of no mirror.
            let public = if file == "yarn.lock" {
                "https://registry.yarnpkg.com/"
            } else {
                "https://registry.npmjs.org/"
            };
            repository.write(file, &text.replace(&url, public));
        }
    }
}

fn manifest(name: &str, scripts: Value) -> Value {
    let lock: Value =
        serde_json::from_str(&read(&example("express").join("package-lock.json"))).expect("JSON");
    let ms = lock["packages"]["node_modules/ms"]["version"].as_str().expect("locked").to_owned();
    json!({
        "name": name, "version": "1.0.0", "scripts": scripts,
        "dependencies": { "ms": ms }, "devDependencies": { "devtool": "1.0.0" },
    })
}

fn world() -> Option<World> {
    let world = World::make()?;
    let place = tempfile::tempdir().expect("a folder");
    world.registry.offer_tarball(&registry::pack(place.path(), "devtool", &[("cli.js", TOOL)]));
    Some(world)
}

/// An app that is started by its `start` script, without a Procfile.
fn node_app(world: &World, server: &Server, manager: Manager, name: &str, manifest: &Value) -> Repository {
    let files = [
        ("package.json", manifest.to_string()),
        ("server.js", SERVER.to_owned()),
        ("source.txt", "one".to_owned()),
        ("built.txt", "by hand".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let repository = app(server, name, &files);
    if manager == Manager::YarnBerry {
        let release = world.managers("node").join("node_modules/@yarnpkg/cli-dist/bin/yarn.js");
        repository.write(OWN_YARN, &read(&release));
        repository.write(".yarnrc.yml", &format!("yarnPath: {OWN_YARN}\n"));
    }
    lock(world, manager, &repository);
    repository.commit("locked");
    repository
}

/// An app without scripts: the second push starts no process at all.
fn plain(world: &World, server: &Server, manager: Manager) {
    let name = format!("plain-{}", manager.word());
    let manifest = manifest(&name, json!({ "start": "node server.js" }));
    let repository = node_app(world, server, manager, &name, &manifest);
    let (_, seen) = push_traced(server, &repository);
    assert!(tools(&seen).iter().any(|line| line.contains(manager.word())), "{seen:#?}");
    let expected = json!({ "built": "by hand", "ms": true, "devtool": false });
    assert_eq!(server.get(&name, "/").json(), expected);

    repository.write("built.txt", "by another hand");
    repository.commit("only code");
    let (told, seen) = push_traced(server, &repository);
    assert!(told.contains("nothing they are made from has changed"), "{told}");
    assert!(seen.is_empty(), "a build process was started: {seen:#?}");
    assert_eq!(server.get(&name, "/").json()["built"], "by another hand");
}

/// A `build` script runs at each push, with the packages of developers, which are gone when the app runs. Gives what the second build
/// executed.
fn scripted(world: &World, server: &Server, manager: Manager) -> Vec<String> {
    let name = format!("scripted-{}", manager.word());
    let scripts = json!({ "build": "devtool source.txt > built.txt", "start": "node server.js" });
    let repository = node_app(world, server, manager, &name, &manifest(&name, scripts));
    println!("{}", repository.push(server));
    let expected = |built: &str| json!({ "built": built, "ms": true, "devtool": false });
    assert_eq!(server.get(&name, "/").json(), expected("built of one"));

    repository.write("source.txt", "two");
    repository.commit("second");
    let (_, seen) = push_traced(server, &repository);
    assert!(!seen.is_empty(), "the step itself is seen");
    assert_eq!(server.get(&name, "/").json(), expected("built of two"));
    seen
}

fn assert_no_manager(seen: &[String], manager: Manager) {
    let started = tools(seen).iter().any(|line| line.contains(manager.word()));
    assert!(!started, "a package manager was started: {seen:#?}");
}

#[test]
fn npm() {
    let Some(world) = world() else { return };
    let server = world.server("DOZEN_RUST_PREFIX", Path::new("/nowhere"));
    assert_no_manager(&scripted(&world, &server, Manager::Npm), Manager::Npm);
}

#[test]
fn pnpm() {
    let Some(world) = world() else { return };
    let server = world.server("DOZEN_NODE_PREFIX", &world.managers("node"));
    plain(&world, &server, Manager::Pnpm);
    assert_no_manager(&scripted(&world, &server, Manager::Pnpm), Manager::Pnpm);
}

#[test]
fn yarn() {
    let Some(world) = world() else { return };
    let server = world.server("DOZEN_NODE_PREFIX", &world.managers("node"));
    plain(&world, &server, Manager::Yarn);
    scripted(&world, &server, Manager::Yarn);
}

/// Yarn 1 would pass over that lock and install what it likes.
#[test]
fn a_lock_of_a_newer_yarn_is_not_left_to_yarn_1() {
    let Some(world) = world() else { return };
    let server = world.server("DOZEN_NODE_PREFIX", &world.managers("node"));
    let manifest = manifest("newer", json!({ "start": "node server.js" }));
    let repository = node_app(&world, &server, Manager::YarnBerry, "newer", &manifest);
    std::fs::remove_file(repository.path().join(".yarnrc.yml")).expect("removed");
    repository.commit("without its own Yarn");
    let output = repository.try_push(&server);
    let told = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(!output.status.success() && told.contains("yarn set version"), "{told}");
}

/// Its settings may name plug-ins, which are code of the app's: it installs at each push.
#[test]
fn a_yarn_that_the_repository_brings() {
    let Some(world) = world() else { return };
    let server = world.server("DOZEN_NODE_PREFIX", &world.managers("node"));
    scripted(&world, &server, Manager::YarnBerry);
}
