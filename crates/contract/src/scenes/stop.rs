//! C-40 to C-44: how processes are stopped, and which.

use crate::app::App;
use crate::platform::Platform;
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use api::dozen::process::End;
use api::dyno::{CreateDyno, Dyno, DynoState};
use std::time::Duration;

pub fn source(_: &Platform) -> Option<Source> {
    let kind = "kind: (trap 'echo inner got TERM; exit' TERM; while :; do sleep 0.1; done) & \
                trap 'echo outer got TERM; wait; exit 0' TERM; echo both are ready; while :; do sleep 0.1; done";
    let deaf = "deaf: trap '' TERM; echo deaf as a post; while :; do sleep 1; done";
    Some(Source::new(&["web: exec ./contract-app", "worker: exec sleep infinity", kind, deaf]))
}

pub fn c_40_every_process_inside_gets_sigterm_and_requests_are_answered_before(
    stage: &Stage<'_>,
) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("kind", 1)])?;
    app.told(&["app[kind.1]: both are ready"], 60)?;
    app.scale(&[("kind", 0)])?;
    let told = [
        "heroku[kind.1]: Stopping all processes with SIGTERM",
        "heroku[kind.1]: Process exited with status 0",
    ];
    let log = app.told(&told, 60)?;
    ensure!(
        ["inner", "outer"].iter().all(|who| log.contains(&format!("app[kind.1]: {who} got TERM"))),
        "{log:#?}"
    );
    in_flight(app)
}

/// A request that is on its way when its process is told to go.
fn in_flight(app: &App<'_>) -> Result<Outcome> {
    let before = app.up("web.1", 60)?;
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| app.get("/slow?ms=6000"));
        std::thread::sleep(Duration::from_secs(2));
        app.client().restart_dyno(&app.name, "web.1")?;
        asked.join().map_err(|_| anyhow::anyhow!("the request panicked"))?
    })?;
    ensure!(
        answer.status == 200 && answer.text().contains(&before.id.to_string()),
        "{}: {}",
        answer.status,
        answer.text()
    );
    app.renewed(&before, 60)?;
    app.told(
        &["app[web.1]: the slow request is answered", "heroku[web.1]: Stopping all processes with SIGTERM"],
        30,
    )?;
    held()
}

pub fn c_41_what_becomes_of_the_place_is_told_before_the_signal(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let given_up = |name: &str, status: &str| {
        let line = |text: &str| format!("heroku[{name}]: {text}");
        let told = [
            line("State changed from up to down"),
            line("Stopping all processes with SIGTERM"),
            line(&format!("Process exited with status {status}")),
        ];
        app.told(&told.each_ref().map(String::as_str), 60)
    };
    app.scale(&[("worker", 1)])?;
    app.up("worker.1", 60)?;
    app.scale(&[("worker", 0)])?;
    given_up("worker.1", "143")?;
    let before = app.up("web.1", 60)?;
    app.client().restart_dyno(&app.name, "web.1")?;
    let after = app.renewed(&before, 60)?;
    let told = [
        "heroku[web.1]: Restarting",
        "heroku[web.1]: State changed from up to starting",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: Process exited with status 143",
        "heroku[web.1]: Starting process with command `exec ./contract-app`",
        "heroku[web.1]: State changed from starting to up",
    ];
    app.told(&told, 30)?;
    app.configure(&[("NEW", Some("release"))])?;
    app.renewed(&after, 60)?;
    given_up("web.1", "143")?;
    held()
}

pub fn c_42_who_does_not_end_is_killed_after_the_grace(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("deaf", 1)])?;
    app.told(&["app[deaf.1]: deaf as a post"], 60)?;
    app.scale(&[("deaf", 0)])?;
    let told = [
        "heroku[deaf.1]: Stopping all processes with SIGTERM",
        "heroku[deaf.1]: Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
        "heroku[deaf.1]: Stopping remaining processes with SIGKILL",
        "heroku[deaf.1]: Process exited with status 137",
    ];
    app.told(&told, 120)?;
    held()
}

fn of_type(app: &App<'_>, process_type: &str) -> Result<Vec<Dyno>> {
    Ok(app.processes()?.into_iter().filter(|one| one.process_type.as_str() == process_type).collect())
}

/// Exactly these are up.
fn until_up(app: &App<'_>, process_type: &str, names: &[&str]) -> Result<Vec<Dyno>> {
    app.until(&format!("{names:?} are up"), 90, || {
        let all = of_type(app, process_type)?;
        let up = all.iter().all(|one| one.state == DynoState::Up);
        Ok((up && all.iter().map(|one| one.name.as_str()).eq(names.iter().copied())).then_some(all))
    })
}

pub fn c_43_scaling_down_takes_the_highest_numbers(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("worker", 3)])?;
    let three = until_up(app, "worker", &["worker.1", "worker.2", "worker.3"])?;
    app.scale(&[("worker", 1)])?;
    let one = until_up(app, "worker", &["worker.1"])?;
    ensure!(one[0].id == three[0].id, "the others are left alone");
    app.scale(&[("worker", 2)])?;
    let two = until_up(app, "worker", &["worker.1", "worker.2"])?;
    ensure!(two[0].id == three[0].id && two[1].id != three[1].id, "a number above is a new process: {two:?}");
    app.scale(&[("worker", 0)])?;
    held()
}

pub fn c_44_a_process_that_was_stopped_stays_down(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("web", 2)])?;
    let both = until_up(app, "web", &["web.1", "web.2"])?;
    let stopped = || -> Result<()> {
        app.client().stop_dyno(&app.name, "web.2")?;
        app.until("only web.1 is up", 60, || {
            let all = of_type(app, "web")?;
            let up: Vec<&Dyno> = all.iter().filter(|one| one.state == DynoState::Up).collect();
            Ok((up.len() == 1 && up[0].name == "web.1").then_some(()))
        })?;
        // Nothing brings it back by itself.
        std::thread::sleep(Duration::from_secs(2));
        ensure!(
            of_type(app, "web")?.iter().filter(|one| one.state == DynoState::Up).count() == 1,
            "it came back"
        );
        Ok(())
    };
    stopped()?;
    ensure!(of_type(app, "web")?[0].id == both[0].id, "web.1 was not asked");
    app.client().restart_dyno(&app.name, "web.2")?;
    until_up(app, "web", &["web.1", "web.2"])?;
    stopped()?;
    app.scale(&[("web", 2)])?;
    until_up(app, "web", &["web.1", "web.2"])?;
    stopped()?;
    app.configure(&[("ANOTHER", Some("release"))])?;
    until_up(app, "web", &["web.1", "web.2"])?;
    cancelled(app)
}

/// A one-off that is stopped.
fn cancelled(app: &App<'_>) -> Result<Outcome> {
    let wanted =
        CreateDyno { command: "exec sleep 1000".to_owned(), attach: Some(false), ..CreateDyno::default() };
    let job = app.client().create_dyno(&app.name, &wanted)?;
    app.told(&[&format!("heroku[{}]: State changed from starting to up", job.name)], 60)?;
    app.client().stop_dyno(&app.name, &job.name)?;
    let end = app.until("the one-off has ended", 60, || {
        Ok(app.client().process(&app.name, &job.id.to_string())?.end)
    })?;
    ensure!(matches!(end, End::Exited { code: 143, .. }), "{end:?}");
    app.processes()?.iter().find(|one| one.name == "web.1").context("web.1 is still there")?;
    held()
}
