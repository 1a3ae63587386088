//! The twelve factors, in an order in which each builds on what ran before. Every line of evidence was fetched a moment ago.

use super::world::{APP, World};
use super::{Outcome, Shown};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

type Evidence = Result<Vec<String>>;

/// Shows all twelve; a push that fails fails them all.
pub fn show_all(world: &mut World) -> Vec<Shown> {
    let pushed = world.push_example().map_err(|error| format!("{error:#}"));
    let (commit, told) = match &pushed {
        Ok((commit, told)) => (commit.as_str(), told.as_str()),
        Err(reason) => return failed_push(reason),
    };
    // In the order in which they are done, which is not that of their numbers.
    let build = show("V", "Build, release, run", build_release_run(world, commit));
    let codebase = show("I", "Codebase", codebase(world, commit));
    let dependencies = show("II", "Dependencies", dependencies(world, told));
    let port = show("VII", "Port binding", port_binding(world));
    let config = show("III", "Config", config(world));
    let services = show("IV", "Backing services", backing_services(world));
    let processes = show("VI", "Processes", processes(world));
    let concurrency = show("VIII", "Concurrency", concurrency(world));
    let disposability = show("IX", "Disposability", disposability(world));
    let parity = Shown {
        factor: "X",
        title: "Dev/prod parity",
        outcome: Outcome::NotYet {
            missing: "`dozen local`: the same Procfile, services and router rules on a developer's machine",
        },
    };
    let logs = show("XI", "Logs", logs(world));
    let admin = show("XII", "Admin processes", admin(world));
    vec![
        codebase,
        dependencies,
        config,
        services,
        build,
        processes,
        port,
        concurrency,
        disposability,
        parity,
        logs,
        admin,
    ]
}

fn failed_push(reason: &str) -> Vec<Shown> {
    let factors = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
    let outcome = || Outcome::Failed { reason: reason.to_owned() };
    factors.iter().map(|factor| Shown { factor, title: "nothing was deployed", outcome: outcome() }).collect()
}

fn show(factor: &'static str, title: &'static str, evidence: Evidence) -> Shown {
    let outcome = match evidence {
        Ok(evidence) => Outcome::Shown { evidence },
        Err(error) => Outcome::Failed { reason: format!("{error:#}") },
    };
    Shown { factor, title, outcome }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn release(world: &World, version: &str) -> Result<Value> {
    world.json(&["releases:info", version, "-a", APP])
}

/// The version that serves, by asking the app itself.
fn wait_for_release(world: &World, version: &str) -> Result<Value> {
    world.eventually(&format!("{version} serves"), |world| {
        world.answer().ok().filter(|answer| answer["release"] == version)
    })
}

fn codebase(world: &World, commit: &str) -> Evidence {
    let release = release(world, "v1")?;
    ensure!(text(&release, "commit") == commit, "v1 names commit {}, pushed was {commit}", release["commit"]);
    Ok(vec![format!("git push of {commit}"), format!("release v1 names commit {}", text(&release, "commit"))])
}

fn dependencies(world: &World, told: &str) -> Evidence {
    let line = told
        .lines()
        .find(|line| line.contains("--locked"))
        .context("the build's output names no locked build")?;
    let output = world.try_dozen(&[
        "run",
        "-a",
        APP,
        "--",
        "ls /root /home 2>&1 | head -3; command -v cargo || echo no cargo here",
    ])?;
    let seen = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
    ensure!(seen.contains("no cargo here"), "the running release can see the host's tools: {seen}");
    Ok(vec![
        line.trim_start_matches("remote:").trim().to_owned(),
        format!("inside the running release: {seen}"),
    ])
}

fn config(world: &World) -> Evidence {
    let before = world.answer()?;
    world.dozen(&["config:set", "GREETING=hej", "-a", APP])?;
    let answer = wait_for_release(world, "v2")?;
    let shown = answer.to_string();
    ensure!(shown.contains("hej"), "the greeting did not change: {shown}");
    let (one, two) = (release(world, "v1")?, release(world, "v2")?);
    ensure!(one["slug"] == two["slug"], "a config change made another slug");
    Ok(vec![
        format!("before: {before}"),
        format!("config:set GREETING=hej made v2, same slug: {answer}"),
        format!("v2 added {}", two["config_changes"]["added"]),
    ])
}

fn backing_services(world: &World) -> Evidence {
    let mut evidence = Vec::new();
    for (number, version) in [(0, "v3"), (1, "v4")] {
        let url = world.service.url(number);
        world.dozen(&["config:set", &format!("BACKING_URL={url}"), "-a", APP])?;
        wait_for_release(world, version)?;
        let (status, body) = world.get("/backing")?;
        ensure!(
            status == 200 && body.contains("true"),
            "the service at {url} was not reached: {status} {body}"
        );
        evidence.push(format!("{version} with BACKING_URL={url}: {}", body.trim()));
    }
    evidence
        .push("swapped by config alone; add-ons that make and attach services are not there yet".to_owned());
    Ok(evidence)
}

fn build_release_run(world: &World, commit: &str) -> Evidence {
    let release = release(world, "v1")?;
    ensure!(text(&release["progress"], "status") == "succeeded", "v1 is {}", release["progress"]);
    let slug = text(&release, "slug");
    let output = world.dozen(&["releases:output", "v1", "-a", APP]).unwrap_or_default();
    Ok(vec![
        format!("build of {} made slug {slug}", &commit[..8]),
        format!(
            "v1 \"{}\" by {}: {}",
            text(&release, "description"),
            text(&release, "by"),
            text(&release["progress"], "status")
        ),
        format!("its release phase said: {}", output.lines().last().unwrap_or("(nothing)")),
    ])
}

fn processes(world: &World) -> Evidence {
    world.dozen(&["run", "-a", APP, "--", "echo here > /tmp/left && cat /tmp/left"])?;
    let later =
        world.dozen(&["run", "-a", APP, "--", "ls -A /tmp | wc -l; touch /app/x 2>&1 || true; id -u"])?;
    let lines: Vec<&str> = later.lines().collect();
    ensure!(
        lines.first().map(|line| line.trim()) == Some("0"),
        "a file of another process was seen: {later}"
    );
    ensure!(later.contains("Read-only"), "the slug could be written: {later}");
    Ok(vec![
        format!(
            "a second process sees no file of the first; writing to /app: {}",
            lines.get(1).unwrap_or(&"")
        ),
        format!("it runs as uid {}", lines.last().unwrap_or(&"")),
    ])
}

fn port_binding(world: &World) -> Evidence {
    let (status, body) = world.get("/")?;
    ensure!(status == 200, "GET / answered {status}");
    let port = world.dozen(&["run", "-a", APP, "--", "echo ${PORT:-none}"])?;
    Ok(vec![
        format!("GET http://{}/ -> {status} {}", world.host(), body.trim()),
        format!("web listens on $PORT; a one-off has {}", port.trim()),
    ])
}

fn concurrency(world: &World) -> Evidence {
    world.dozen(&["ps:scale", "web=2", "worker=1", "-a", APP])?;
    let both = world.eventually("two web processes and a worker are up", |world| {
        let table = world.json(&["ps", "-a", APP]).ok()?;
        let up = table.as_array()?.iter().filter(|process| process["state"] == "up").count();
        (up == 3).then_some(table)
    })?;
    let names: Vec<&str> =
        both.as_array().into_iter().flatten().map(|process| text(process, "name")).collect();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        seen.insert(world.answer()?["process"].to_string());
    }
    ensure!(seen.len() == 2, "only {seen:?} answered");
    Ok(vec![
        format!("up: {}", names.join(", ")),
        format!("requests were answered by {}", seen.into_iter().collect::<Vec<_>>().join(" and ")),
    ])
}

/// Kills the control plane while requests go on, and rolls a release out and back.
fn disposability(world: &World) -> Evidence {
    let stop = Arc::new(AtomicBool::new(false));
    let (get, stopping) = (world.getter(), Arc::clone(&stop));
    let requests = std::thread::spawn(move || {
        let (mut good, mut bad) = (0u32, Vec::new());
        while !stopping.load(Ordering::Relaxed) {
            match get("/") {
                Ok((200, _)) => good += 1,
                Ok((status, _)) => bad.push(status.to_string()),
                Err(error) => bad.push(format!("{error:#}")),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        (good, bad)
    });
    let outcome = kill_and_roll(world);
    std::thread::sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    let (good, bad) = requests.join().map_err(|_| anyhow::anyhow!("the requests panicked"))?;
    let mut evidence = outcome?;
    ensure!(bad.is_empty(), "{} of {} requests failed: {}", bad.len(), bad.len() as u32 + good, bad[0]);
    evidence.push(format!("{good} requests meanwhile, 0 failed"));
    Ok(evidence)
}

fn kill_and_roll(world: &World) -> Evidence {
    let pid = world.server_pid().context("the server's process was not found")?;
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status()?.success();
    if !killed {
        bail!("cannot kill the server");
    }
    let new = world.eventually("a new server", |world| world.server_pid().filter(|new| *new != pid))?;
    world.eventually("the API answers", |world| world.json(&["ps", "-a", APP]).ok())?;
    world.dozen(&["rollback", "v1", "-a", APP])?;
    let answer = wait_for_release(world, "v5")?;
    ensure!(!answer.to_string().contains("hej"), "the rollback kept the new config: {answer}");
    let release = release(world, "v5")?;
    Ok(vec![
        format!("kill -9 of the server ({pid}); its successor is {new}"),
        format!("v5 \"{}\": {answer}", text(&release, "description")),
    ])
}

fn logs(world: &World) -> Evidence {
    let find = |log: &str, part: &str| log.lines().rev().find(|line| line.contains(part)).map(str::to_owned);
    world.eventually("lines of app, platform and router", |world| {
        let log = world.dozen(&["logs", "-n", "500", "-a", APP]).ok()?;
        Some(vec![
            find(&log, "app[web.")?,
            find(&log, "heroku[web.")?,
            find(&log, "heroku[router]")?,
            find(&log, "app[worker.")?,
        ])
    })
}

fn admin(world: &World) -> Evidence {
    let greeting = world.dozen(&["run", "-a", APP, "--", "./target/release/hello", "task", "greet"])?;
    let failed = world.try_dozen(&["run", "-a", APP, "--", "./target/release/hello", "task", "fail"])?;
    ensure!(failed.status.code() == Some(7), "the exit code 7 did not come back: {}", failed.status);
    Ok(vec![
        format!("dozen run ... task greet: {}", greeting.trim()),
        "dozen run ... task fail ended with the process's exit code, 7".to_owned(),
    ])
}
