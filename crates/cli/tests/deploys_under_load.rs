//! Deploys, config changes, rollbacks and deaths of our own processes, under an open-loop load that never repeats a request: none may
//! fail. And the same with draining turned off, which must fail, or the first proves nothing.

mod support;

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
