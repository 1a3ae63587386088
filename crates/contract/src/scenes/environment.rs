//! C-01 to C-09: what a process is started with.

use crate::platform::Platform;
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;

/// What [`source`] has a process leave behind before the app begins.
const BORN: &str = "answer=$((6 * 7)); export answer
cat /proc/self/status > /tmp/status
umask > /tmp/umask
echo from-the-shell-itself > /dev/stdout
";

/// An app that looks around before it begins, and a worker that tells what it sees.
pub fn source(_: &Platform) -> Option<Source> {
    let web = "web: . ./born.sh; exec ./contract-app";
    let worker =
        "worker: echo \"$DYNO has port $PORT, $(ls -A /tmp | wc -l) files in /tmp\"; exec sleep infinity";
    Some(Source::new(&[web, worker]).with("born.sh", BORN))
}

pub fn c_01_a_shell_runs_the_command_in_the_app_folder(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("echo \"$(pwd) $answer\"")?;
    ensure!(found == "/app 42", "{found}");
    held()
}

pub fn c_02_each_process_of_the_formation_has_a_port(stage: &Stage<'_>) -> Result<Outcome> {
    let port: u16 = stage.app.print("echo $PORT")?.parse().context("PORT of web is a number")?;
    ensure!(port >= 1024, "{port}");
    stage.app.scale(&[("worker", 1)])?;
    let told = stage.app.told(&["app[worker.1]: worker.1 has port "], 60)?;
    let other =
        told[0].split_once("has port ").and_then(|(_, rest)| rest.split_once(',')).context("a port")?.0;
    ensure!(other.parse::<u16>().is_ok_and(|port| port >= 1024), "{told:?}");
    held()
}

pub fn c_03_its_name_and_its_home(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("echo $DYNO $HOME")?;
    ensure!(found == "web.1 /app", "{found}");
    held()
}

pub fn c_04_programs_are_found_and_text_is_utf_8(stage: &Stage<'_>) -> Result<Outcome> {
    let path = stage.app.print("echo $PATH")?;
    let folders: Vec<&str> = path.split(':').collect();
    ensure!(
        ["/app/bin", "/usr/local/bin", "/usr/bin", "/bin"].iter().all(|folder| folders.contains(folder)),
        "{path}"
    );
    let lang = stage.app.print("echo $LANG")?;
    ensure!(lang == "C.UTF-8", "{lang}");
    held()
}

pub fn c_05_the_time_is_utc_unless_it_is_told_otherwise(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("echo \"$(date +%z) $(TZ=XYZ-3 date +%z) ${TZ-none}\"")?;
    ensure!(found == "+0000 +0300 none", "{found}");
    held()
}

pub fn c_06_config_vars_come_as_they_are_and_the_platforms_own_win(stage: &Stage<'_>) -> Result<Outcome> {
    let text = "two\nlines, 'quotes', \"more\", $HOME, \u{e4}\u{1f980} and \\";
    let own = ["PORT", "DYNO", "HOME", "HEROKU_APP_NAME", "HEROKU_DYNO_ID"];
    let mut vars =
        vec![("TEXT", Some(text)), ("EMPTY", Some("")), ("LANG", Some("C")), ("WEB_CONCURRENCY", Some("7"))];
    vars.extend(own.map(|name| (name, Some("mine"))));
    let release = stage.app.configure(&vars)?;
    stage.app.served_by(&release.version.to_string())?;
    let found = stage
        .app
        .print("printf '%s|%s|%s|%s' \"$TEXT\" \"${EMPTY-unset}\" \"$LANG\" \"$WEB_CONCURRENCY\"")?;
    ensure!(found == format!("{text}||C|7"), "{found:?}");
    let kept = stage
        .app
        .print("printf '%s ' \"$PORT\" \"$DYNO\" \"$HOME\" \"$HEROKU_APP_NAME\" \"$HEROKU_DYNO_ID\"")?;
    ensure!(!kept.contains("mine"), "the platform's own come first: {kept}");
    held()
}

pub fn c_07_processes_are_told_app_release_and_themselves(stage: &Stage<'_>) -> Result<Outcome> {
    let (app, head) = (stage.app.client().app(&stage.app.name)?, stage.app.head()?);
    let process = stage.app.up("web.1", 60)?;
    let expected =
        format!("{} {} {} {} {}", app.name, app.id, head.version, process.id, crate::app::SOURCE_VERSION);
    let found = stage.app.print(
        "echo $HEROKU_APP_NAME $HEROKU_APP_ID $HEROKU_RELEASE_VERSION $HEROKU_DYNO_ID $SOURCE_VERSION",
    )?;
    ensure!(found == expected, "{found} in place of {expected}");
    let commit = stage.app.print("echo $HEROKU_SLUG_COMMIT $HEROKU_BUILD_COMMIT")?;
    ensure!(commit == [crate::app::SOURCE_VERSION; 2].join(" "), "{commit}");
    let at = stage.app.print("echo $HEROKU_RELEASE_CREATED_AT")?;
    ensure!(at == head.created_at.to_string(), "{at} in place of {}", head.created_at);
    held()
}

pub fn c_08_workers_of_a_web_server_follow_from_the_size(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("echo $WEB_CONCURRENCY")?;
    ensure!(found == "2", "512 MB are two of 256 MB: {found}");
    held()
}

/// The last but one names are the shell's, the last this scene's own.
const KNOWN: &[&str] = &[
    "PATH",
    "LANG",
    "HOME",
    "DYNO",
    "PORT",
    "WEB_CONCURRENCY",
    "SOURCE_VERSION",
    "HEROKU_APP_ID",
    "HEROKU_APP_NAME",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_DYNO_ID",
    "HEROKU_RELEASE_CREATED_AT",
    "HEROKU_RELEASE_VERSION",
    "HEROKU_SLUG_COMMIT",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "answer",
];

pub fn c_09_there_is_nothing_else(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("tr '\\0' '\\n' < /proc/$PPID/environ | cut -d= -f1")?;
    let found: BTreeSet<&str> = found.lines().collect();
    let known: BTreeSet<&str> = KNOWN.iter().copied().collect();
    let more: Vec<_> = found.difference(&known).collect();
    ensure!(more.is_empty(), "nobody has set {more:?}");
    held()
}

/// For vectors that need another process than the one before.
pub fn restart_web(stage: &Stage<'_>) -> Result<()> {
    let before = stage.app.up("web.1", 60)?;
    stage.app.client().restart_dyno(&stage.app.name, "web.1")?;
    stage.app.renewed(&before, 60)?;
    stage.app.until("it answers", 30, || Ok(stage.app.about().ok().map(drop)))
}
