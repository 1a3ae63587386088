//! `ps` and its kin.

use crate::support::eventually;
use crate::support::heroku::Heroku;
use crate::support::server::Server;

pub fn are_scaled_restarted_and_stopped(heroku: &Heroku, server: &Server) {
    heroku.says(&["ps"], &["=== web (Standard-1X): ./probe (1)", "web.1: up "]);
    heroku.says(
        &["ps:scale", "web=2", "worker+1"],
        &["now running web at 2:Standard-1X, worker at 1:Standard-1X"],
    );
    assert_eq!(heroku.ok(&["ps:scale"]).trim(), "web=2:Standard-1X worker=1:Standard-1X");
    heroku.fails(&["ps:scale", "nothing=1"], 2, "nothing");
    heroku.ok(&["ps:wait"]);
    heroku.says(&["ps"], &["=== web (Standard-1X): ./probe (2)", "web.2: ", "worker.1: "]);
    heroku.says(&["ps:type"], &["web", "worker", "Standard-1X"]);
    heroku.says(&["ps:type", "worker=standard-2x"], &["Standard-2X"]);
    restarts(heroku, server);
    stops(heroku, server);
}

/// The process's id, which is new after each start.
fn id(server: &Server, name: &str) -> Option<String> {
    let table = server.json(&["ps", "-a", "hello"]);
    let rows = table.as_array().expect("rows").clone();
    let row = rows.iter().find(|row| row["name"] == name && row["state"] == "up")?;
    Some(row["id"].as_str().expect("an id").to_owned())
}

fn restarts(heroku: &Heroku, server: &Server) {
    for (words, said, names) in [
        (
            &["ps:restart", "--dyno-name", "worker.1"][..],
            "Restarting dyno worker.1 on hello",
            &["worker.1"][..],
        ),
        (&["ps:restart", "--process-type", "web"], "Restarting all web dynos on hello", &["web.1", "web.2"]),
        (&["ps:restart"], "Restarting all dynos on hello", &["web.1", "web.2", "worker.1"]),
    ] {
        let up = |name: &&str| eventually("it is up", 30, || id(server, name));
        let before: Vec<_> = names.iter().map(up).collect();
        heroku.says(words, &[said, "done"]);
        for (name, before) in names.iter().zip(before) {
            eventually("another one is up", 60, || id(server, name).filter(|now| *now != before));
        }
    }
}

fn stops(heroku: &Heroku, server: &Server) {
    heroku.says(&["ps:stop", "--dyno-name", "worker.1"], &["Stopping dyno worker.1 on hello... done"]);
    eventually("it is down", 60, || id(server, "worker.1").is_none().then_some(()));
    heroku.says(&["ps:scale", "web=1", "worker=0"], &["web at 1:Standard-1X, worker at 0"]);
}
