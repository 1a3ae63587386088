//! `bench deploy`: what the platform adds to a deploy. From the start of `git push` to the first answer of the new version, less
//! what the same command takes to its first answer when it is started by hand in the same slug.

use super::repository::{COMMAND, Repository, compile_probe};
use super::rows::{Row, largest, least, median};
use super::server::{Server, free_port};
use super::{examples, http};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const APP: &str = "bench";
const ROUNDS: u32 = 20;
const GOAL_MILLIS: f64 = 500.0;
/// Between two requests of who waits for an answer: also the error of a single figure.
const POLL: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_secs(90);
/// Between two rounds: the old process ends, nobody is busy with it any more.
const REST: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Figures {
    answered: Vec<f64>,
    push_ended: Vec<f64>,
    by_hand: Vec<f64>,
}

pub fn run() -> Result<Vec<Row>> {
    let server = Server::start("deploy")?;
    let repository = Repository::new(&server, APP, &compile_probe(&server)?)?;
    let mut figures = Figures::default();
    // The first is not counted: it fills the caches and makes the app's network.
    for round in 0..=ROUNDS {
        let version = format!("version-{round}");
        repository.commit(&version)?;
        let told = format!("\"version\":\"{version}\"");
        let (answered, ended) = push_and_wait(&server, &repository, APP, &told)?;
        std::thread::sleep(REST);
        let by_hand = by_hand(&slug_with(&server.data(), &version)?, COMMAND)?;
        if round > 0 {
            figures.answered.push(answered);
            figures.push_ended.push(ended);
            figures.by_hand.push(by_hand);
        }
    }
    drop(server);
    Ok(render(&figures).into_iter().chain(examples::run()?).collect())
}

fn render(figures: &Figures) -> Vec<Row> {
    let (answered, by_hand) = (median(&figures.answered), median(&figures.by_hand));
    vec![
        Row::goal("overhead", answered - by_hand, GOAL_MILLIS),
        Row::against("push to first answer, median, ms", answered, "the same command by hand", by_hand),
        Row::alone("push to first answer, least, ms", least(&figures.answered)),
        Row::alone("push to first answer, largest, ms", largest(&figures.answered)),
        Row::alone("push to its end, median, ms", median(&figures.push_ended)),
    ]
}

/// Milliseconds from the start of a push to the first answer that holds `told`, and to the push's own end.
pub fn push_and_wait(server: &Server, repository: &Repository, app: &str, told: &str) -> Result<(f64, f64)> {
    let mut push = repository.push(server)?;
    let host = server.host(app);
    let begun = Instant::now();
    let mut child = push.spawn().context("cannot run git push")?;
    let mut ended = None;
    let answered = loop {
        if http::get(server.http_port, &host)
            .is_ok_and(|answer| answer.status == 200 && answer.body.contains(told))
        {
            break millis_since(begun);
        }
        ended = ended.or(look_for_end(&mut child, begun).with_context(|| repository.output())?);
        if begun.elapsed() > LONGEST_WAIT {
            bail!("no answer with {told}:\n{}\n{}", repository.output(), server.output());
        }
        std::thread::sleep(POLL);
    };
    while ended.is_none() {
        ended = look_for_end(&mut child, begun).with_context(|| repository.output())?;
        std::thread::sleep(POLL);
    }
    Ok((answered, ended.unwrap_or(answered)))
}

fn look_for_end(child: &mut Child, begun: Instant) -> Result<Option<f64>> {
    match child.try_wait()? {
        Some(status) if !status.success() => bail!("git push ended with {status}"),
        Some(_) => Ok(Some(millis_since(begun))),
        None => Ok(None),
    }
}

/// Milliseconds until a process outside of any sandbox answers: the same line, by the same shell, in the same folder.
pub fn by_hand(slug: &Path, line: &str) -> Result<f64> {
    let port = free_port()?;
    let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    let mut command = Command::new(shell);
    // A server of several processes ends with its group.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
        .args(["-c", line])
        .current_dir(slug)
        .env("PORT", port.to_string())
        // Some servers keep files in their user's home.
        .env("HOME", slug.parent().unwrap_or(slug))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().context("cannot start the command by hand")?;
    let answered = loop {
        if http::get(port, "localhost").is_ok_and(|answer| answer.status == 200) {
            break Ok(millis_since(begun));
        }
        if begun.elapsed() > LONGEST_WAIT || child.try_wait()?.is_some() {
            break Err(anyhow::anyhow!("the command does not answer when it is started by hand"));
        }
        std::thread::sleep(POLL);
    };
    let group = format!("-{}", child.id());
    let _ended = Command::new("kill").args(["-TERM", "--", &group]).status();
    let _reaped = child.wait();
    answered
}

/// The tree of the slug that tells a version.
fn slug_with(data: &Path, version: &str) -> Result<PathBuf> {
    let slugs = std::fs::read_dir(data.join("slugs"))?.flatten().map(|entry| entry.path().join("tree"));
    let mut found =
        slugs.filter(|tree| std::fs::read_to_string(tree.join("version")).is_ok_and(|text| text == version));
    found.next().with_context(|| format!("there is no slug of {version}"))
}

fn millis_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
