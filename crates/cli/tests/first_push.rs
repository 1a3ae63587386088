//! Black box: from `git push` to a served request and through everything that people do in their first hour.

mod support;

use support::eventually;
use support::http;
use support::repository::Repository;
use support::server::Server;

#[test]
fn a_first_hour() {
    let server = Server::start();
    server.dozen(&["apps:create", "hello"]);
    let repository = Repository::with_probe();
    repository.connect(&server, "hello");

    let told = repository.push(&server);
    assert!(told.contains("remote: "), "build output is live: {told}");
    let answer = server.get("hello", "/").json();
    assert_eq!((answer["release"].as_str(), answer["dyno"].as_str()), (Some("v1"), Some("web.1")));

    what_a_build_said_is_kept(&server);
    config_makes_a_release(&server);
    scaling_out_serves_from_both(&server);
    names_of_its_own_lead_to_it(&server);
    server.dozen(&["cron:add", "-a", "hello", "* * * * *", "echo $DYNO is here; exit 5"]);
    one_off_keeps_every_byte_and_its_code(&server);
    a_failed_build_rejects_the_push(&server, &repository);
    a_rollback_brings_back_code_and_config(&server, &repository);
    a_recurring_command_has_run(&server);
    logs_are_one_stream(&server);
    a_destroyed_app_leaves_nothing(&server);
}

/// Beyond its own end and beyond that of the server.
fn what_a_build_said_is_kept(server: &Server) {
    let said = server.dozen(&["builds:output", "-a", "hello"]);
    assert!(said.contains("-----> Building on") && said.contains("-----> Released v1"), "{said}");
    server.kill("serve");
    server.wait_for_api();
    assert_eq!(server.dozen(&["builds:output", "-a", "hello"]), said);
}

fn config_makes_a_release(server: &Server) {
    server.dozen(&["config:set", "GREETING=hej", "-a", "hello"]);
    eventually("v2 serves", 30, || (server.get("hello", "/").json()["release"] == "v2").then_some(()));
    assert_eq!(server.get("hello", "/env?name=GREETING").text(), "hej");
    let report = server.json(&["releases:info", "v2", "-a", "hello"]);
    assert_eq!(report["config_changes"]["added"][0], "GREETING", "{report}");
}

fn scaling_out_serves_from_both(server: &Server) {
    server.dozen(&["ps:scale", "web=2", "worker=1", "-a", "hello"]);
    let mut seen = std::collections::BTreeSet::new();
    eventually("both processes answer", 30, || {
        seen.insert(server.get("hello", "/").json()["dyno"].as_str().unwrap_or_default().to_owned());
        (seen.contains("web.1") && seen.contains("web.2")).then_some(())
    });
    let table = server.json(&["ps", "-a", "hello"]);
    assert_eq!(table.as_array().map(Vec::len), Some(3), "{table}");
}

fn names_of_its_own_lead_to_it(server: &Server) {
    let status = |host: &str| http::get(server.router(), host, "/").expect("the router answers").status;
    assert_eq!(status("de.shop.example.com"), 404, "nobody's name yet");
    server.dozen(&["domains:add", "*.shop.example.com", "-a", "hello"]);
    server.dozen(&["domains:add", "www.example.com", "-a", "hello"]);
    eventually("both names lead to it", 30, || {
        (status("de.shop.example.com") == 200 && status("www.example.com") == 200).then_some(())
    });
    assert_eq!(status("a.b.SHOP.example.com:80"), 200, "below the wildcard, in capitals, with a port");
    for host in ["shop.example.com", "example.com", "xshop.example.com", "www.example.com.evil.test"] {
        assert_eq!(status(host), 404, "{host} is not covered");
    }
    server.dozen(&["domains:remove", "*.shop.example.com", "-a", "hello"]);
    eventually("the wildcard leads nowhere", 30, || (status("de.shop.example.com") == 404).then_some(()));
    assert_eq!(status("www.example.com"), 200);
}

fn one_off_keeps_every_byte_and_its_code(server: &Server) {
    use std::io::Write;
    let mut command = server.command();
    command.args(["run", "-a", "hello", "--", "cat; echo to-stderr >&2; exit 7"]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("dozen runs");
    let bytes: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
    let mut input = child.stdin.take().expect("a pipe");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent).expect("the process reads"));
    let output = child.wait_with_output().expect("dozen ends");
    writer.join().expect("all was written");
    assert_eq!(output.stdout, bytes, "{} bytes came back", output.stdout.len());
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("to-stderr"));
}

fn a_failed_build_rejects_the_push(server: &Server, repository: &Repository) {
    let good = repository.git(&["rev-parse", "HEAD"]);
    repository.write("Procfile", "web\n");
    repository.commit("broken");
    let output = repository.try_push(server);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("Procfile"), "{told}");
    assert_eq!(server.get("hello", "/").status, 200, "the release before it serves on");
    repository.git(&["reset", "--quiet", "--hard", good.trim()]);
}

fn a_rollback_brings_back_code_and_config(server: &Server, repository: &Repository) {
    repository.write("version", "two\n");
    repository.commit("second");
    repository.push(server);
    assert_eq!(server.get("hello", "/").json()["version"], "two");
    server.dozen(&["rollback", "v1", "-a", "hello"]);
    eventually("the first version serves", 30, || {
        (server.get("hello", "/").json()["version"] == "one").then_some(())
    });
    assert_eq!(server.get("hello", "/env?name=GREETING").text(), "", "config of v1 had no GREETING");
}

/// Added at the beginning of the hour: it became due while the rest went on, or does within the minute.
fn a_recurring_command_has_run(server: &Server) {
    let run = eventually("a run has ended", 90, || {
        let runs = server.json(&["cron:history", "-a", "hello"]);
        let ended = runs.as_array()?.iter().find(|run| run["outcome"]["end"]["kind"] == "exited")?.clone();
        Some(ended)
    });
    assert_eq!((run["outcome"]["end"]["code"].as_u64(), run["due_at"].is_string()), (Some(5), true), "{run}");
    let name = run["outcome"]["name"].as_str().expect("a name").to_owned();
    eventually("its output is in the log", 15, || {
        let logs = server.dozen(&["logs", "-n", "1500", "-a", "hello"]);
        logs.contains(&format!("app[{name}]: {name} is here")).then_some(())
    });
    let entries = server.json(&["cron", "-a", "hello"]);
    let id = entries[0]["id"].as_str().expect("an id").chars().take(8).collect::<String>();
    let by_hand = server.json(&["cron:run", &id, "-a", "hello"]);
    assert!(by_hand["due_at"].is_null(), "{by_hand}");
    server.dozen(&["cron:remove", &id, "-a", "hello"]);
    assert_eq!(server.json(&["cron", "-a", "hello"]), serde_json::json!([]));
}

fn logs_are_one_stream(server: &Server) {
    eventually("app, platform, router and api lines", 15, || {
        let logs = server.dozen(&["logs", "-n", "1500", "-a", "hello"]);
        let all = [
            "app[web.1]: listening on",
            "heroku[web.1]: State changed from starting to up",
            "heroku[router]: at=info method=GET path=\"/\"",
            "app[api]: Release v2 created",
        ];
        all.iter().all(|part| logs.contains(part)).then_some(())
    });
}

/// What its processes wrote goes once they have ended, at the latest with the next start of the server.
fn a_destroyed_app_leaves_nothing(server: &Server) {
    let id = server.json(&["apps:info", "-a", "hello"])["app"]["id"].as_str().expect("an id").to_owned();
    let cache = server.data().join("cache").join(&id);
    std::fs::create_dir_all(&cache).expect("a cache as a build leaves it");
    let own_lines = || {
        let folders = std::fs::read_dir(server.data().join("logs")).expect("the logs").flatten();
        folders.filter(|folder| holds_lines_of_web(&folder.path())).count()
    };
    assert!(own_lines() > 0, "processes have written");
    server.dozen(&["apps:destroy", "hello", "--confirm", "hello"]);
    eventually("its processes have ended", 60, || {
        std::fs::read_dir(server.data().join("run/p")).map_or(0, Iterator::count).eq(&0).then_some(())
    });
    let network = server.data().join("run/net").join(&id);
    eventually("its network is gone", 30, || (!network.exists()).then_some(()));
    let layers = server.data().join("layers").join(&id);
    std::fs::create_dir_all(&layers).expect("layers as a server leaves them that dies right after that");
    server.kill("serve");
    server.wait_for_api();
    eventually("its cache, its dependencies, its repository and its lines are gone", 30, || {
        let repository = server.data().join(format!("git/{id}.git"));
        let kept = [&cache, &layers, &repository].into_iter().any(|path| path.exists());
        let builds = std::fs::read_dir(server.data().join("builds")).map_or(0, Iterator::count);
        (!kept && builds == 0 && own_lines() == 0).then_some(())
    });
}

/// Only processes of the app say this; routers and the server write into folders of their own.
fn holds_lines_of_web(folder: &std::path::Path) -> bool {
    let segments = std::fs::read_dir(folder).into_iter().flatten().flatten();
    segments.filter_map(|segment| std::fs::read(segment.path()).ok()).any(|bytes| {
        let said = b"listening on";
        bytes.windows(said.len()).any(|window| window == said)
    })
}
