//! The long life of processes through a whole server: what the log says of a restart, and a release that crashes too often.

mod support;

use support::eventually;
use support::http;
use support::repository::Repository;
use support::server::Server;

fn log_lines(server: &Server, app: &str) -> Vec<String> {
    let logs = server.dozen(&["logs", "-n", "1500", "-a", app]);
    logs.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned()).collect()
}

fn until_release(server: &Server, app: &str, version: &str) {
    eventually("the release serves", 90, || {
        let answer = http::get(server.router(), &server.host(app), "/").ok()?;
        (answer.status == 200 && answer.json()["release"] == version).then_some(())
    });
}

/// The lines from this one on, in order and without those between.
fn assert_in_order(lines: &[String], expected: &[&str]) {
    let mut rest = lines.iter();
    for wanted in expected {
        assert!(rest.any(|line| line == wanted), "{wanted:?} does not follow in {lines:#?}");
    }
}

#[test]
fn c_41_and_c_54_a_restart_is_told_and_a_release_that_crashes_too_often_is_rolled_back() {
    let server = Server::start_with(&[("DOZEN_ROLLBACK_CRASHES", "2")]);
    server.dozen(&["apps:create", "shaky"]);
    let repository = Repository::with_probe();
    repository.connect(&server, "shaky");
    repository.push(&server);
    until_release(&server, "shaky", "v1");

    server.dozen(&["ps:restart", "web.1", "-a", "shaky"]);
    let told = [
        "heroku[web.1]: Restarting",
        "heroku[web.1]: State changed from up to starting",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: Process exited with status 143",
        "heroku[web.1]: Starting process with command `./probe`",
        "heroku[web.1]: State changed from starting to up",
    ];
    let lines = eventually("the restart is over", 60, || {
        let lines = log_lines(&server, "shaky");
        let at = lines.iter().position(|line| line == told[0])?;
        let after = lines[at..].to_vec();
        after.iter().any(|line| line == told[5]).then_some(after)
    });
    println!("{lines:#?}");
    assert_in_order(&lines, &told);

    server.dozen(&["config:set", "GREETING=new", "-a", "shaky"]);
    until_release(&server, "shaky", "v2");
    let report = eventually("the release is rolled back", 120, || {
        let _gone = http::get(server.router(), &server.host("shaky"), "/crash");
        let output = server.try_dozen(&["releases:info", "v3", "-a", "shaky", "--json"]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    println!("{report}");
    assert!(report.contains("Rollback to v1: v2 crashed 3 times"), "{report}");
    until_release(&server, "shaky", "v3");
    assert_eq!(server.get("shaky", "/env?name=GREETING").text(), "", "the config is the old one, too");
    let lines = log_lines(&server, "shaky");
    println!("{lines:#?}");
    assert_in_order(
        &lines,
        &[
            "heroku[web.1]: Process exited with status 3",
            "heroku[web.1]: State changed from up to crashed",
            "app[api]: Release v2 crashed 3 times within 5 minutes of its promotion, more than 2: rolling back to v1",
            "app[api]: Release v3 created by the system",
            "app[api]: Release v3 is serving",
        ],
    );
}
