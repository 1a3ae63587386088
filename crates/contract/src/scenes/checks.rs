//! C-30 to C-37: health checks of app.json.

use crate::app::{App, Ran};
use crate::platform::Platform;
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use api::dozen::release::Progress;
use api::dyno::DynoState;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An app whose `web` is checked in one way.
fn checked(web: &str, check: &Value) -> Source {
    Source::new(&[&format!("web: {web}")]).with_app_json(&json!({"healthchecks": {"web": [check]}}))
}

fn seed_check(attempts: u32) -> Value {
    json!({"type": "startup", "path": "/see?path=/tmp/seed", "attempts": attempts, "wait": 1})
}

pub fn startup_source(_: &Platform) -> Option<Source> {
    let web = "(sleep 3; echo the seed is laid; touch /tmp/seed) & exec ./contract-app";
    Some(checked(web, &seed_check(60)))
}

pub fn c_30_up_when_every_startup_check_has_passed(stage: &Stage<'_>) -> Result<Outcome> {
    let told = [
        "app[web.1]: listening at",
        "app[web.1]: the seed is laid",
        "heroku[web.1]: State changed from starting to up",
    ];
    let log = stage.app.told(&told, 60)?;
    ensure!(log.iter().filter(|line| line.ends_with("to up")).count() == 1, "{log:#?}");
    held()
}

pub fn c_31_a_startup_check_that_fails_ends_the_release(stage: &Stage<'_>) -> Result<Outcome> {
    let report = stage.app.try_deploy(&checked("echo no seed here; exec ./contract-app", &seed_check(2)))?;
    let Progress::Failed { reason } = &report.progress else { anyhow::bail!("{:?}", report.progress) };
    let parts = [
        "web.1 did not start: its startup check \"startup-1\" failed 2 times in a row: GET http://",
        "503 Service Unavailable",
        "/tmp/seed is not there",
    ];
    ensure!(parts.iter().all(|part| reason.contains(part)), "{reason}");
    stage
        .app
        .told(&["app[web.1]: no seed here", "heroku[web.1]: State changed from starting to crashed"], 30)?;
    ensure!(stage.app.about()?["release"] == "v1", "the release before it serves on");
    held()
}

pub fn c_32_startup_checks_may_take_longer_than_the_boot_timeout(stage: &Stage<'_>) -> Result<Outcome> {
    let timeout = stage.platform.boot_timeout_seconds;
    let web = format!("BOOT_MS={}000 exec ./contract-app", timeout + 3);
    let check = json!({"type": "startup", "path": "/", "attempts": timeout + 30, "timeout": 1, "wait": 1});
    let report = stage.app.deploy(&checked(&web, &check))?;
    stage.app.served_by(&report.version.to_string())?;
    held()
}

const ABLE: &str = "touch /tmp/able; exec ./contract-app";

fn able_check() -> Value {
    json!({"type": "readiness", "path": "/see?path=/tmp/able", "attempts": 1, "wait": 1})
}

pub fn readiness_source(_: &Platform) -> Option<Source> {
    Some(checked(ABLE, &able_check()))
}

/// Has the one process of this name run a script, however many requests others answer before it.
fn run_in(app: &App<'_>, name: &str, script: &str) -> Result<Ran> {
    let script = format!("[ $DYNO = {name} ] || exit 77; {script}");
    app.until(&format!("{name} answers"), 60, || Ok(Some(app.run(&script)?).filter(|ran| ran.code != 77)))
}

/// It is unable for a while. While it is, nobody could tell it to be able again.
fn unable_for(app: &App<'_>, name: &str, seconds: u32) -> Result<()> {
    let ran =
        run_in(app, name, &format!("rm /tmp/able; (sleep {seconds}; touch /tmp/able) >/dev/null 2>&1 &"))?;
    ensure!(ran.code == 0, "{ran:?}");
    app.told(
        &[&format!(
            "heroku[{name}]: Taking this process out of the routes: its readiness check \"readiness-1\""
        )],
        60,
    )?;
    Ok(())
}

/// The names of those that answer so many requests.
fn answering(app: &App<'_>, requests: u32) -> Result<BTreeSet<String>> {
    (0..requests).map(|_| Ok(app.about()?["dyno"].as_str().context("a name")?.to_owned())).collect()
}

fn until_answering(app: &App<'_>, wanted: &[&str]) -> Result<()> {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    app.until(&format!("{wanted:?} answer"), 90, || Ok((answering(app, 20)? == wanted).then_some(())))
}

pub fn c_35_readiness_takes_out_of_the_routes_and_back(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("web", 2)])?;
    until_answering(app, &["web.1", "web.2"])?;
    unable_for(app, "web.2", 15)?;
    until_answering(app, &["web.1"])?;
    app.told(&["heroku[web.2]: Taking this process back into the routes"], 90)?;
    until_answering(app, &["web.1", "web.2"])?;
    held()
}

pub fn c_36_where_none_is_ready_requests_go_to_all(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    unable_for(app, "web.1", 20)?;
    until_answering(app, &["web.2"])?;
    unable_for(app, "web.2", 12)?;
    app.told(&["heroku[web]: No web process passes its readiness checks: requests go to all of them"], 30)?;
    until_answering(app, &["web.1", "web.2"])?;
    held()
}

pub fn c_37_a_process_that_is_not_ready_holds_nothing_back(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let report = app.deploy(&checked("exec ./contract-app", &able_check()))?;
    let all = app.until("both are up", 60, || {
        let all = app.processes()?;
        let up = |one: &api::dyno::Dyno| one.state == DynoState::Up && one.release.version == report.version;
        Ok((all.len() == 2 && all.iter().all(up)).then_some(all))
    })?;
    app.told(&["heroku[web.1]: Taking this process out of the routes"], 60)?;
    let later = app.processes()?;
    ensure!(later.iter().map(|one| one.id).eq(all.iter().map(|one| one.id)), "they run on: {later:?}");
    held()
}

fn alive_check() -> Value {
    json!({"type": "liveness", "path": "/alive", "attempts": 2, "wait": 1})
}

pub fn liveness_source(_: &Platform) -> Option<Source> {
    Some(checked("touch /tmp/alive; exec ./contract-app", &alive_check()))
}

pub fn c_33_a_process_that_is_not_alive_is_started_again(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let before = app.up("web.1", 60)?;
    app.told(&["app[web.1]: asked whether it is alive"], 30)?;
    app.print("rm /tmp/alive")?;
    let told = [
        "heroku[web.1]: Stopping this process: its liveness check \"liveness-1\" failed 2 times in a row: GET http://",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: State changed from up to crashed",
        "heroku[web.1]: State changed from starting to up",
    ];
    app.told(&told, 90)?;
    app.renewed(&before, 60)?;
    held()
}

pub fn c_34_whoever_asks_for_the_end_goes_before_checks(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let release =
        app.deploy(&checked("touch /tmp/alive; trap '' TERM; exec ./contract-app", &alive_check()))?;
    app.served_by(&release.version.to_string())?;
    app.told(
        &[
            "Stopping all processes with SIGTERM",
            "heroku[web.1]: State changed from starting to up",
            "asked whether it is alive",
        ],
        60,
    )?;
    let marked = app.log()?.len();
    app.client().restart_dyno(&app.name, "web.1")?;
    let told = [
        "heroku[web.1]: Restarting",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: Stopping remaining processes with SIGKILL",
    ];
    app.until("it is killed after its grace", 120, || {
        let log = app.log()?;
        Ok(log[marked.min(log.len())..].iter().any(|line| line.contains(told[2])).then_some(()))
    })?;
    let log = app.told(&told, 5)?;
    let from = log.iter().rposition(|line| line.contains(told[1])).context("the signal")?;
    let to = log.iter().rposition(|line| line.contains(told[2])).context("the end")?;
    let asked = log[from..to].iter().filter(|line| line.contains("asked whether")).count();
    // One may have been on its way.
    ensure!(asked <= 1, "asked {asked} times after the signal: {log:#?}");
    held()
}
