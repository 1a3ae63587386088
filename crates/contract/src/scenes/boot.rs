//! C-20, C-21, C-131: how processes start, and what is said of those that cannot be reached.

use crate::platform::Platform;
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use api::dozen::release::Progress;

pub fn source(_: &Platform) -> Option<Source> {
    Some(Source::new(&["web: exec ./contract-app", "worker: exec sleep infinity"]))
}

pub fn c_20_a_start_is_told_with_its_command(stage: &Stage<'_>) -> Result<Outcome> {
    let told = [
        "heroku[web.1]: Starting process with command `exec ./contract-app`",
        "app[web.1]: listening at 0.0.0.0:",
        "heroku[web.1]: State changed from starting to up",
    ];
    let log = stage.app.told(&told, 30)?;
    let all = stage.app.log()?;
    let first = all.iter().find(|line| line.contains("[web.1]: ")).context("lines of web.1")?;
    ensure!(*first == log[0], "before its start: {first}");
    stage.app.scale(&[("worker", 1)])?;
    let told = [
        "heroku[worker.1]: Starting process with command `exec sleep infinity`",
        "heroku[worker.1]: State changed from starting to up",
    ];
    stage.app.told(&told, 60)?;
    held()
}

/// Waits for a release that cannot start, and for what the log says of it.
fn fails(stage: &Stage<'_>, vars: &[(&str, Option<&str>)], diagnosis: &str) -> Result<()> {
    let report = stage.app.configure(vars)?;
    let Progress::Failed { reason } = &report.progress else {
        anyhow::bail!("{vars:?}: {:?}", report.progress)
    };
    ensure!(reason.contains("R10"), "{reason}");
    let seconds = stage.platform.boot_timeout_seconds;
    let line = format!(
        "heroku[web.1]: Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {seconds} seconds of launch"
    );
    let log = stage.app.told(&[&line], 30)?;
    ensure!(log.iter().any(|line| line.contains("R10") && line.contains(diagnosis)), "{diagnosis}: {log:#?}");
    let serving = stage.app.about()?["release"].clone();
    ensure!(serving == "v1", "{serving} serves");
    Ok(())
}

pub fn c_131_a_process_on_loopback_alone_is_told_why_nobody_comes(stage: &Stage<'_>) -> Result<Outcome> {
    fails(stage, &[("BIND", Some("127.0.0.1"))], "of the loopback address only")?;
    held()
}

pub fn c_21_a_web_process_that_does_not_accept_ends_its_release(stage: &Stage<'_>) -> Result<Outcome> {
    fails(stage, &[("BIND", None), ("LISTEN_PORT", Some("7020"))], "it listens on port 7020")?;
    let told = [
        "Error R10",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: State changed from starting to crashed",
    ];
    stage.app.told(&told, 60)?;
    fails(stage, &[("BIND", Some("none")), ("LISTEN_PORT", None)], "it listens on no port at all")?;
    held()
}
