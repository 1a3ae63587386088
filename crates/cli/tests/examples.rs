//! The Python and Node.js examples, pushed by git: they answer, are deployed again under load without a failed request, an unchanged
//! lock file starts no process of a package manager, an added dependency is installed, and `flask` uses the services that its config
//! vars name.

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use support::eventually;
use support::load::{Load, Target};
use support::locks::split_requirement;
use support::ordinary::needs_root;
use support::registry::{self, Registry};
use support::repository::Repository;
use support::server::Server;
use support::services::Services;
use support::trace::{Trace, tools};

/// A load that a development server's worth of Python carries on a busy machine.
const PER_SECOND: u64 = 20;

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn copy_example(repository: &Repository, name: &str) {
    let mut copy = Command::new("cp");
    let from = format!("{}/.", example(name).display());
    assert!(copy.args(["-r", &from]).arg(repository.path()).status().expect("cp runs").success());
    repository.commit("the example");
}

fn start(registry: &Registry) -> Server {
    let settings = registry.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_with(&settings)
}

/// An example, and what is added to it.
struct Example {
    name: &'static str,
    /// A word of the package manager's command line.
    install: &'static str,
    /// Uses the package that is added.
    probe: &'static str,
    /// What the probe says without it.
    lacks: &'static str,
    /// Before the first push.
    shrink: fn(&Repository, &Registry),
    /// Adds the package.
    grow: fn(&Repository),
}

/// Everything that the examples lock, offered. `None`, said, if it was not fetched.
fn offered() -> Option<Registry> {
    let Some(packages) = registry::fetched() else {
        println!("skipped: the packages of the examples were not fetched (cargo xtask test does it)");
        return None;
    };
    let registry = Registry::start();
    registry.offer_all(&packages);
    Some(registry)
}

/// Pushes the example; answers, load, trace, growth.
fn whole_life(example: &Example) {
    let name = example.name;
    if needs_root("for networks of apps") {
        return;
    }
    let Some(registry) = offered() else { return };
    let server = start(&registry);
    server.dozen(&["apps:create", name]);
    let repository = Repository::new();
    copy_example(&repository, name);
    (example.shrink)(&repository, &registry);
    repository.commit("before it grows");
    repository.connect(&server, name);

    let trace = Trace::start(&server);
    let told = repository.push(&server);
    println!("{told}");
    let seen = trace.end();
    assert!(
        tools(&seen).iter().any(|line| line.contains(example.install)),
        "the trace sees what is there: {seen:#?}"
    );
    assert_eq!(server.get(name, "/").json()["release"], "v1");
    println!("{}", server.get(name, "/").text());

    without_a_package_manager(&server, &repository, name);
    under_load(&server, &repository, name);
    let probe = || {
        let output = server.try_dozen(&["run", "-a", name, "--", example.probe]);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    };
    let (has_it, said) = probe();
    assert!(!has_it && said.contains(example.lacks), "{said}");
    (example.grow)(&repository);
    repository.commit("one more");
    let told = repository.push(&server);
    assert!(!told.contains("nothing they are made from has changed"), "{told}");
    let (has_it, said) = probe();
    assert!(has_it, "{said}");
    server.dozen(&["ps:scale", "worker=1", "-a", name]);
    eventually("the worker works", 30, || {
        server.dozen(&["logs", "-n", "1500", "-a", name]).contains("did a piece of work").then_some(())
    });
    let run =
        server.dozen(&["run", "-a", name, "--", "echo $WEB_CONCURRENCY; command -v python node gunicorn"]);
    println!("{run}");
}

/// Nothing but the code has changed: no process of a build is started at all.
fn without_a_package_manager(server: &Server, repository: &Repository, name: &str) {
    repository.write("version.txt", "two\n");
    repository.commit("only code");
    let trace = Trace::start(server);
    let told = repository.push(server);
    let seen = trace.end();
    println!("{told}");
    assert!(told.contains("nothing they are made from has changed"), "{told}");
    assert!(seen.is_empty(), "a build process was started: {seen:#?}");
    assert_eq!(server.get(name, "/").json()["release"], "v2");
}

fn under_load(server: &Server, repository: &Repository, name: &str) {
    let load =
        Load::start(Target { router: server.router(), host: server.host(name), per_second: PER_SECOND });
    eventually("the load runs", 30, || (load.count.load(Ordering::Relaxed) > PER_SECOND).then_some(()));
    for number in 0..3 {
        repository.write("version.txt", &format!("load {number}\n"));
        repository.commit("under load");
        repository.push(server);
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    let outcome = load.finish();
    println!(
        "{name}: sent {} answered {} failed {} releases {:?}",
        outcome.sent, outcome.answered, outcome.failed, outcome.releases
    );
    assert_eq!(outcome.failed, 0, "{:#?}", outcome.failures);
    assert!(outcome.releases.len() >= 3, "{:?}", outcome.releases);
}

#[test]
fn flask() {
    whole_life(&Example {
        name: "flask",
        install: "pip",
        probe: "python -c 'import redis'",
        lacks: "No module named 'redis'",
        shrink: |repository, _| {
            let text = std::fs::read_to_string(repository.path().join(REQUIREMENTS)).expect("there");
            repository.write(REQUIREMENTS, &split_requirement(&text, "redis").0);
        },
        grow: |repository| {
            let whole = std::fs::read_to_string(example("flask").join(REQUIREMENTS)).expect("there");
            repository.write(REQUIREMENTS, &whole);
        },
    });
}

const REQUIREMENTS: &str = "requirements.txt";

#[test]
fn express() {
    whole_life(&Example {
        name: "express",
        install: "npm",
        probe: "node -p \"require('added')\"",
        lacks: "Cannot find module 'added'",
        shrink: |_, registry| {
            let place = tempfile::tempdir().expect("a folder");
            registry.offer_tarball(&registry::pack(
                place.path(),
                "added",
                &[("index.js", "module.exports = 1;\n")],
            ));
        },
        grow: |repository| {
            let entry = serde_json::json!({ "version": "1.0.0" });
            edit_json(repository, "package.json", |package| {
                package["dependencies"]["added"] = "1.0.0".into()
            });
            edit_json(repository, "package-lock.json", |lock| {
                lock["packages"][""]["dependencies"]["added"] = "1.0.0".into();
                lock["packages"]["node_modules/added"] = entry.clone();
            });
        },
    });
}

fn edit_json(repository: &Repository, name: &str, edit: impl FnOnce(&mut serde_json::Value)) {
    let text = std::fs::read_to_string(repository.path().join(name)).expect("there");
    let mut value = serde_json::from_str(&text).expect("JSON");
    edit(&mut value);
    repository.write(name, &value.to_string());
}

/// Writes by one service's config var, and by the other's.
const REMEMBER: &str = r#"python -c "
import os, psycopg, redis
redis.Redis.from_url(os.environ['REDIS_URL']).set('kept', 'in redis')
with psycopg.connect(os.environ['DATABASE_URL']) as connection:
    connection.execute('CREATE TABLE kept (line text)')
    connection.execute('INSERT INTO kept VALUES (%s)', ['in postgresql'])
""#;
/// Reads what another process has written.
const RECALL: &str = r#"python -c "
import os, psycopg
with psycopg.connect(os.environ['DATABASE_URL']) as connection:
    print(connection.execute('SELECT line FROM kept').fetchone()[0])
""#;

/// Both services are attached by their config vars; a URL of the loopback is refused by the app's own release phase, which names the
/// remedy, and the release before it goes on serving.
#[test]
fn flask_uses_the_services_that_config_vars_name() {
    if needs_root("for networks of apps") {
        return;
    }
    let Some(registry) = offered() else { return };
    let Some(services) = Services::start(&registry.outside) else {
        println!("skipped: Redis and PostgreSQL were not fetched (cargo xtask test does it)");
        return;
    };
    let server = start(&registry);
    server.dozen(&["apps:create", "flask"]);
    let redis = format!("REDIS_URL={}", services.redis_url());
    let postgresql = format!("DATABASE_URL={}", services.postgresql_url());
    server.dozen(&["config:set", &redis, &postgresql, "-a", "flask"]);
    let repository = Repository::new();
    copy_example(&repository, "flask");
    repository.connect(&server, "flask");
    let told = repository.push(&server);
    println!("{told}");
    eventually("the release phase has reached both", 30, || {
        let logs = server.dozen(&["logs", "-n", "1500", "-a", "flask"]);
        (logs.contains("redis answers") && logs.contains("postgresql answers")).then_some(())
    });
    let both = serde_json::json!({ "redis": "answers", "postgresql": "answers" });
    assert_eq!(server.get("flask", "/services").json(), both);

    server.dozen(&["run", "-a", "flask", "--", REMEMBER]);
    assert_eq!(services.ask_redis(&registry.outside, &["get", "kept"]), "in redis");
    assert_eq!(server.dozen(&["run", "-a", "flask", "--", RECALL]).trim(), "in postgresql");

    for (variable, url, host) in [
        ("DATABASE_URL", "postgresql://shop:secret@[::1]:5432/postgres", "::1"),
        ("REDIS_URL", "redis://127.0.0.1:6379", "127.0.0.1"),
        ("REDIS_URL", "redis://:secret@localhost:6379/0", "localhost"),
    ] {
        a_url_of_the_loopback_is_refused(&server, variable, url, host);
        assert_eq!(server.get("flask", "/services").json(), both, "the release before it serves");
    }
    server.dozen(&["config:set", &redis, &postgresql, "-a", "flask"]);
    eventually("a release serves again", 30, || {
        (newest_release(&server)["status"] == "succeeded").then_some(())
    });
    assert_eq!(server.get("flask", "/services").json(), both);
}

fn newest_release(server: &Server) -> serde_json::Value {
    server.json(&["releases", "-n", "1", "-a", "flask"])[0].clone()
}

fn a_url_of_the_loopback_is_refused(server: &Server, variable: &str, url: &str, host: &str) {
    let output = server.try_dozen(&["config:set", &format!("{variable}={url}"), "-a", "flask"]);
    let expected = format!("{variable} names {host}");
    let told = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(told.contains(&expected) && !told.contains("secret"), "whoever sets it is told: {told}");
    let refused = eventually("the release fails", 30, || {
        Some(newest_release(server)).filter(|newest| newest["status"] == "failed")
    });
    println!("{refused}");
    let logs = eventually("the app says why", 30, || {
        let logs = server.dozen(&["logs", "-n", "1500", "-a", "flask"]);
        logs.contains(&expected).then_some(logs)
    });
    let line = logs.lines().find(|line| line.contains(&expected)).unwrap_or_default();
    println!("{line}");
    assert!(line.contains("Fix: run the service on another machine"), "{line}");
    assert!(line.contains(&format!("dozen config:set {variable}=")) && !line.contains("secret"), "{line}");
}
