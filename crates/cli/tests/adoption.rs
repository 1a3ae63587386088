//! The control plane may die: processes, connections and counters do not notice, and a new server finds all of it.

mod support;

use std::collections::BTreeMap;
use support::eventually;
use support::repository::Repository;
use support::server::Server;

const APPS: usize = 50;

/// What a process is known by: its start time and the value of a counter in its memory.
fn observe(server: &Server, app: &str) -> BTreeMap<String, (String, u64)> {
    let mut seen = BTreeMap::new();
    eventually("both processes of the app answer", 60, || {
        let answer = server.get(app, "/");
        if answer.status == 200 {
            let body = answer.json();
            let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
            seen.insert(text("dyno"), (text("started"), body["count"].as_u64().unwrap_or(0)));
        }
        (seen.len() == 2).then_some(())
    });
    seen
}

#[test]
fn fifty_apps_are_adopted_after_kill_9_of_the_server() {
    let server = Server::start();
    let names: Vec<String> = (0..APPS).map(|number| format!("app-{number:02}")).collect();
    for name in &names {
        server.dozen(&["apps:create", name]);
        let repository = Repository::with_probe();
        repository.connect(&server, name);
        repository.push(&server);
        server.dozen(&["ps:scale", "web=2", "-a", name]);
    }
    let before: Vec<_> = names.iter().map(|name| observe(&server, name)).collect();
    let pids = probe_pids();
    assert_eq!(pids.len(), APPS * 2);

    server.kill("serve");
    for name in &names {
        assert_eq!(server.get(name, "/").status, 200, "{name} answers without a server");
    }
    server.wait_for_api();
    assert_eq!(server.json(&["ps", "-a", &names[0]]).as_array().map(Vec::len), Some(2));

    assert_eq!(probe_pids(), pids, "no process was started or ended");
    for (name, before) in names.iter().zip(&before) {
        let after = observe(&server, name);
        for (dyno, (started, count)) in before {
            let (started_after, count_after) = &after[dyno];
            assert_eq!(started, started_after, "{name} {dyno} is the same process");
            assert!(count_after > count, "{name} {dyno} kept its memory: {count} then {count_after}");
        }
    }
}

/// The pids of this test's probes, as the host sees them.
fn probe_pids() -> Vec<u32> {
    let mut pids: Vec<u32> = support::server::processes().into_iter().filter(|pid| is_ours(*pid)).collect();
    pids.sort_unstable();
    pids
}

fn is_ours(pid: u32) -> bool {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let named = |entry: &[u8]| entry.starts_with(b"HEROKU_APP_NAME=app-");
    read("cmdline").starts_with(b"./probe\0") && read("environ").split(|byte| *byte == 0).any(named)
}
