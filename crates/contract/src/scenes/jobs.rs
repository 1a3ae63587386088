//! C-80, C-85, C-86: recurring commands.

use crate::platform::Platform;
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use api::app::UpdateApp;
use api::dozen::cron::{CreateCronEntry, CronOutcome, CronRun};
use api::dozen::process::End;
use serde_json::{Value, json};

/// A minute, and what it takes to start something.
const DUE_SECONDS: u64 = 150;
const COMMAND: &str = "echo $DYNO is here; exit 5";

fn with_cron(cron: &Value) -> Source {
    Source::new(&["web: exec ./contract-app"]).with_app_json(&json!({"cron": cron}))
}

pub fn source(_: &Platform) -> Option<Source> {
    let daily = json!({"command": "true", "schedule": "0 6 * * *", "timezone": "Europe/Berlin"});
    Some(with_cron(&json!([daily, {"command": COMMAND, "schedule": "* * * * *"}])))
}

pub const fn nothing(_: &Platform) -> Option<Source> {
    None
}

pub fn c_86_commands_are_those_of_the_release_that_serves(stage: &Stage<'_>) -> Result<Outcome> {
    let (app, client) = (stage.app, stage.app.client());
    let by_hand = CreateCronEntry {
        command: "true by hand".to_owned(),
        schedule: "@weekly".to_owned(),
        ..CreateCronEntry::default()
    };
    let kept = client.add_cron(&app.name, &by_hand)?.id;
    let id_of = |command: &str| -> Result<Option<(String, String)>> {
        let all = client.cron(&app.name)?;
        Ok(all.into_iter().find(|one| one.command == command).map(|one| (one.id.to_string(), one.schedule)))
    };
    let (often, _) = id_of(COMMAND)?.context("the entry of app.json")?;
    ensure!(id_of("true")?.is_some(), "the other one");
    app.deploy(&with_cron(&json!([{"command": COMMAND, "schedule": "*/1 * * * *"}])))?;
    let (after, schedule) = id_of(COMMAND)?.context("it stays")?;
    ensure!(after == often && schedule == "*/1 * * * *", "{after} {schedule}");
    ensure!(id_of("true")?.is_none(), "what the file has no more is gone");
    ensure!(
        id_of("true by hand")?.is_some_and(|(id, _)| id == kept.to_string()),
        "what was added by hand stays"
    );
    held()
}

fn until_run(stage: &Stage<'_>, is_it: impl Fn(&CronRun) -> bool) -> Result<CronRun> {
    stage.app.until("a run is recorded", DUE_SECONDS, || {
        Ok(stage
            .app
            .client()
            .cron_runs(&stage.app.name)?
            .into_iter()
            .find(|run| run.due_at.is_some() && is_it(run)))
    })
}

pub fn c_80_a_command_is_started_when_it_is_due(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let maintenance = |on| UpdateApp { maintenance: Some(on), ..UpdateApp::default() };
    app.client().update_app(&app.name, &maintenance(true))?;
    let run = until_run(stage, |run| matches!(run.outcome, CronOutcome::Started { end: Some(_), .. }))?;
    app.client().update_app(&app.name, &maintenance(false))?;
    let CronOutcome::Started { name, end, .. } = &run.outcome else { anyhow::bail!("{run:?}") };
    ensure!(matches!(end, Some(End::Exited { code: 5, .. })), "{run:?}");
    let told = [
        &format!("app[api]: Starting process {name} with command `{COMMAND}` by the system"),
        &format!("app[{name}]: {name} is here"),
        &format!("heroku[{name}]: Process exited with status 5"),
    ];
    app.told(&told.map(String::as_str), 30)?;
    let due = run.due_at.context("an instant")?;
    let same =
        app.client().cron_runs(&app.name)?.into_iter().filter(|other| other.due_at == Some(due)).count();
    ensure!(same == 1, "{same} runs for one instant");
    ensure!(due.as_unix_seconds() % 60 == 0, "due at {due}");
    held()
}

pub fn c_85_without_a_release_a_run_is_skipped(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let often = CreateCronEntry {
        command: COMMAND.to_owned(),
        schedule: "* * * * *".to_owned(),
        ..CreateCronEntry::default()
    };
    app.client().add_cron(&app.name, &often)?;
    let run = until_run(stage, |_| true)?;
    let CronOutcome::Skipped { reason } = &run.outcome else { anyhow::bail!("{run:?}") };
    ensure!(reason == "no release of the app serves", "{reason}");
    app.told(&["Skipped the run of `echo $DYNO is here; exit 5` due at"], 30)?;
    held()
}
