//! C-50 to C-54: crashes, restarts, and the order in which processes are replaced.

use crate::app::App;
use crate::platform::Platform;
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub fn source(_: &Platform) -> Option<Source> {
    let worker = "worker: trap 'sleep 2; exit 0' TERM; echo begun; while :; do sleep 0.2; done";
    let brief = "brief: echo \"found $(ls -A /tmp | wc -l) files\"; touch /tmp/left; sleep 1; exit 0";
    Some(Source::new(&["web: exec ./contract-app", worker, brief]))
}

pub fn c_50_any_end_is_a_crash_and_the_process_starts_again(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("brief", 1)])?;
    let one = [
        "heroku[brief.1]: Starting process with command",
        "heroku[brief.1]: State changed from starting to up",
        "heroku[brief.1]: Process exited with status 0",
        "heroku[brief.1]: State changed from up to crashed",
    ];
    let log = app.told(&[one, one, one].concat(), 90)?;
    let found: Vec<&String> = log.iter().filter(|line| line.starts_with("app[brief.1]: found ")).collect();
    ensure!(
        found.len() >= 2 && found.iter().all(|line| line.ends_with("found 0 files")),
        "a start finds what the one before left: {found:?}"
    );
    app.until("the pause is told", 60, || {
        let waits = app.client().app_status(&app.name)?.waits;
        Ok(waits.iter().any(|wait| wait.contains("brief.1") && wait.contains("crashed")).then_some(()))
    })?;
    app.scale(&[("brief", 0)])?;
    held()
}

/// Requests one after the other while something is done; each must be answered.
fn while_asked<T>(app: &App<'_>, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                app.about()?;
                answered += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            anyhow::Ok(answered)
        });
        let done = act();
        over.store(true, Ordering::Relaxed);
        let answered: u32 = asked.join().map_err(|_| anyhow::anyhow!("a request panicked"))??;
        ensure!(answered > 0, "nothing was asked");
        done
    })
}

pub fn c_51_a_restart_replaces_web_in_turn_and_others_at_once(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("web", 2), ("worker", 2)])?;
    let before = ["web.1", "web.2", "worker.1", "worker.2"].map(|name| app.up(name, 60));
    while_asked(app, || {
        app.client().restart_all(&app.name)?;
        for process in before {
            app.renewed(&process?, 120)?;
        }
        Ok(())
    })?;
    let in_turn = [
        "web.1]: Restarting",
        "web.1]: State changed from starting to up",
        "web.2]: Restarting",
        "web.2]: State changed from starting to up",
    ];
    app.told(&in_turn, 30)?;
    let log = app.told(&["worker.1]: Restarting", "worker.1]: Process exited"], 30)?;
    let other = app.told(&["worker.2]: Restarting", "worker.1]: Process exited"], 30);
    ensure!(other.is_ok(), "worker.2 waited for worker.1: {log:#?}");
    app.scale(&[("web", 1), ("worker", 0)])?;
    app.until("one web process is left", 60, || Ok((app.processes()?.len() == 1).then_some(())))?;
    let only = app.up("web.1", 60)?;
    while_asked(app, || {
        app.client().restart_dyno(&app.name, "web.1")?;
        app.renewed(&only, 60)
    })?;
    held()
}

pub fn rolling_source(_: &Platform) -> Option<Source> {
    let worker = "worker: echo begun; exec sleep infinity";
    let formation = json!({"formation": {"worker": {"strategy": "rolling", "max_in_flight": 1}}});
    Some(Source::new(&["web: exec ./contract-app", worker]).with_app_json(&formation))
}

pub fn c_52_a_rolling_type_is_replaced_so_many_at_a_time(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.scale(&[("worker", 3)])?;
    let names = ["worker.1", "worker.2", "worker.3"];
    let mut running = names.iter().map(|name| app.up(name, 60)).collect::<Result<Vec<_>>>()?;
    for by in ["restart", "release"] {
        let marked = app.log()?.len();
        if by == "restart" {
            app.client().restart_type(&app.name, "worker")?;
        } else {
            app.configure(&[("NEW", Some("release"))])?;
        }
        running = running.iter().map(|old| app.renewed(old, 120)).collect::<Result<_>>()?;
        let told: Vec<String> =
            app.log()?.into_iter().skip(marked).filter(|line| line.starts_with("heroku[worker.")).collect();
        in_turn(&told).with_context(|| format!("by a {by}: {told:#?}"))?;
    }
    held()
}

/// Of each: it is told to end, it has ended, its successor is up; and only then comes the next.
fn in_turn(lines: &[String]) -> Result<()> {
    let steps = (1..=3).flat_map(|number| {
        [
            "Stopping all processes with SIGTERM",
            "Process exited with status",
            "State changed from starting to up",
        ]
        .map(|step| format!("heroku[worker.{number}]: {step}"))
    });
    let told = lines.iter().filter(|line| steps_in(line));
    let (told, wanted): (Vec<&String>, Vec<String>) = (told.collect(), steps.collect());
    let fits = told.len() == wanted.len()
        && told.iter().zip(&wanted).all(|(line, step)| line.starts_with(step.as_str()));
    ensure!(fits, "not in turn");
    Ok(())
}

fn steps_in(line: &str) -> bool {
    ["Stopping all", "Process exited", "starting to up"].iter().any(|step| line.contains(step))
}

pub fn c_54_a_release_that_crashes_too_often_is_rolled_back(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(budget) = stage.platform.rollback_crashes else {
        return Ok(Outcome::NotApplicable("the operator has set no budget of crashes".to_owned()));
    };
    let app = stage.app;
    app.configure(&[("GREETING", Some("new"))])?;
    app.served_by("v2")?;
    let back = app.until("it is rolled back", 180, || {
        let _crashed = app.get("/exit?code=3");
        Ok(Some(app.head()?).filter(|head| head.version.to_string() == "v3"))
    })?;
    let crashes = budget + 1;
    ensure!(
        back.description == format!("Rollback to v1: v2 crashed {crashes} times"),
        "{}",
        back.description
    );
    app.until("the former release serves anew", 60, || {
        Ok(app.about().ok().filter(|about| about["release"] == "v3"))
    })?;
    ensure!(app.print("echo ${GREETING-none}")? == "none", "the config is the old one, too");
    let rolled = format!("app[api]: Release v2 crashed {crashes} times within ");
    let told = [
        "heroku[web.1]: Process exited with status 3",
        "heroku[web.1]: State changed from up to crashed",
        &rolled,
        "app[api]: Release v3 created by the system",
        "app[api]: Release v3 is serving",
    ];
    app.told(&told, 30)?;
    held()
}
