//! Deploys, config changes, rollbacks and deaths of our own processes, under an open-loop load that never repeats a request: none may
//! fail. And the same with draining turned off, which must fail, or the first proves nothing.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::eventually;
use support::load::{Load, Outcome, Target};
use support::repository::Repository;
use support::server::Server;

const PER_SECOND: u64 = 300;

/// A server with a deployed probe, scaled to two processes.
fn prepare(settings: &[(&str, &str)]) -> (Server, Repository) {
    let server = Server::start_with(settings);
    server.dozen(&["apps:create", "loaded"]);
    let repository = Repository::with_probe();
    repository.connect(&server, "loaded");
    repository.push(&server);
    server.dozen(&["ps:scale", "web=2", "-a", "loaded"]);
    eventually("both serve", 30, || {
        let table = server.json(&["ps", "-a", "loaded"]);
        let up = table
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|process| process["state"] == "up"));
        up.then_some(())
    });
    (server, repository)
}

fn start_load(server: &Server) -> Load {
    let load =
        Load::start(Target { router: server.router(), host: server.host("loaded"), per_second: PER_SECOND });
    eventually("the load runs", 10, || (load.count.load(Ordering::Relaxed) > PER_SECOND).then_some(()));
    load
}

fn deploy(server: &Server, repository: &Repository, version: &str) {
    repository.write("version", version);
    repository.commit(version);
    repository.push(server);
}

/// Makes the server kill itself at that place of its next pass.
fn arm(server: &Server, point: &str) {
    std::fs::write(server.fail_point_file(), point).expect("the fail point is armed");
}

/// A deploy during which the server dies at the armed place: the client is cut off, the deploy is not.
fn deploy_cut_short(server: &Server, repository: &Repository, version: &str) {
    repository.write("version", version);
    repository.commit(version);
    let _cut_off = repository.try_push(server);
    eventually("the fail point was reached", 30, || (!server.fail_point_file().exists()).then_some(()));
    server.wait_for_api();
    // If the server died before it had accepted the push, the second one deploys; if not, it is told that there is nothing to do.
    let again = repository.try_push(server);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    eventually("the deploy came to its end all the same", 60, || {
        (server.get("loaded", "/").json()["version"] == version).then_some(())
    });
}

fn report(outcome: &Outcome) {
    println!(
        "sent {} answered {} failed {} latest send {} ms, statuses {:?}, {} releases seen",
        outcome.sent,
        outcome.answered,
        outcome.failed,
        outcome.latest_send_millis,
        outcome.by_status,
        outcome.releases.len()
    );
    outcome.failures.iter().take(20).for_each(|line| println!("  {line}"));
}

#[test]
fn no_request_fails_through_deploys_and_deaths() {
    let (mut server, repository) = prepare(&[]);
    let load = start_load(&server);
    for number in 0..10 {
        if number == 3 {
            // The new table is on disk, no router was told, nothing is stopped: the worst moment to die.
            arm(&server, "after-publish");
        }
        if number == 6 {
            arm(&server, "before-stop");
        }
        if number == 3 || number == 6 {
            deploy_cut_short(&server, &repository, &format!("deploy {number}"));
        } else {
            deploy(&server, &repository, &format!("deploy {number}"));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    server.kill("launcher");
    server.start_again();
    server.wait_for_api();
    for number in 0..3 {
        server.dozen(&["config:set", &format!("STEP={number}"), "-a", "loaded"]);
        std::thread::sleep(Duration::from_secs(3));
    }
    for version in ["v5", "v9"] {
        server.dozen(&["rollback", version, "-a", "loaded"]);
        std::thread::sleep(Duration::from_secs(3));
    }
    std::thread::sleep(Duration::from_secs(3));
    let outcome = load.finish();
    report(&outcome);
    assert_eq!(outcome.failed, 0, "{:#?}", outcome.failures);
    assert!(outcome.releases.len() >= 14, "{:?}", outcome.releases);
    assert_eq!(outcome.by_status.keys().collect::<Vec<_>>(), [&200]);
}

/// What each process is known by: when it started, and a counter in its memory.
fn counters(server: &Server) -> BTreeMap<String, (String, u64)> {
    let mut seen = BTreeMap::new();
    eventually("both processes answer", 60, || {
        let body = server.get("loaded", "/").json();
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        seen.insert(text("dyno"), (text("started"), body["count"].as_u64().unwrap_or(0)));
        (seen.len() == 2).then_some(())
    });
    seen
}

fn shims(server: &Server) -> String {
    let report = server.try_dozen(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap_or_default();
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let shims = checks.iter().find(|check| check["name"] == "shims");
    shims.and_then(|check| check["detail"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn c_150_an_upgrade_renews_shims_and_no_request_fails() {
    let (mut server, _repository) = prepare(&[("DOZEN_RENEW_SHIMS", "off")]);
    let before = counters(&server);
    assert_eq!(shims(&server), "2 of the installed build");
    let load = start_load(&server);
    server.upgrade();
    eventually("the old shims are told of", 60, || {
        shims(&server).starts_with("2 of 2 are of an earlier build: web.").then_some(())
    });
    server.set("DOZEN_RENEW_SHIMS", "on");
    server.kill("launcher");
    server.start_again();
    server.kill("serve");
    eventually("both shims are renewed", 60, || (shims(&server) == "2 of the installed build").then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    let outcome = load.finish();
    report(&outcome);
    assert_eq!(outcome.failed, 0, "{:#?}", outcome.failures);
    for (dyno, (started, count)) in counters(&server) {
        let (started_before, count_before) = &before[&dyno];
        assert_eq!(&started, started_before, "{dyno} is the same process");
        assert!(count > *count_before, "{dyno} kept its memory: {count_before} then {count}");
    }
    let output = server.output();
    let renewed: BTreeSet<&str> = output.lines().filter(|line| line.contains("renewed a shim")).collect();
    assert_eq!(renewed.len(), 2, "{output}");
    let lines = server.dozen(&["logs", "-a", "loaded", "-n", "1000"]);
    assert!(!lines.contains("dropped"), "{lines}");
    server.dozen(&["ps:restart", "-a", "loaded"]);
    eventually("both were replaced", 60, || {
        let after = counters(&server);
        after.iter().all(|(dyno, (started, _))| *started != before[dyno].0).then_some(())
    });
}

#[test]
fn without_draining_requests_fail() {
    let (server, repository) = prepare(&[("DOZEN_TEST_NO_DRAIN", "1")]);
    let load = start_load(&server);
    for number in 0..5 {
        deploy(&server, &repository, &format!("deploy {number}"));
        std::thread::sleep(Duration::from_secs(2));
    }
    let outcome = load.finish();
    report(&outcome);
    assert!(outcome.failed > 0, "the drain is not what keeps requests alive, or this test cannot see it");
}
