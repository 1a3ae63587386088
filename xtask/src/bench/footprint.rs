//! `bench footprint`: the memory that Dozen holds for itself while twenty apps idle.

use super::memory::{megabytes, private_kib, private_together_kib};
use super::repository::{Repository, compile_probe};
use super::rows::{Row, largest, median};
use super::server::{self, Server};
use super::{http, start};
use crate::shell;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

const APPS: u32 = 20;
const GOAL_SERVER_MEGABYTES: f64 = 40.0;
/// After the last deploy, before anything is read.
const REST: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

pub fn run() -> Result<Vec<Row>> {
    let server = Server::start("footprint")?;
    let empty = daemon_megabytes(&server, "serve")?;
    let probe = compile_probe(&server)?;
    for number in 1..=APPS {
        let app = format!("bench-{number}");
        let repository = Repository::new(&server, &app, &probe)?;
        repository.commit("one")?;
        shell::run(&mut repository.push(&server)?).with_context(|| repository.output())?;
        wait_for_answer(&server, &app)?;
    }
    std::thread::sleep(REST);
    read(&server, empty)
}

fn wait_for_answer(server: &Server, app: &str) -> Result<()> {
    let deadline = Instant::now() + LONGEST_WAIT;
    let host = server.host(app);
    while !http::get(server.http_port, &host).is_ok_and(|answer| answer.status == 200) {
        if Instant::now() > deadline {
            bail!("{app} does not answer:\n{}", server.output());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn read(server: &Server, empty: f64) -> Result<Vec<Row>> {
    let [serve, router, launcher] =
        ["serve", "router", "launcher"].map(|word| daemon_megabytes(server, word));
    let (serve, router, launcher) = (serve?, router?, launcher?);
    let server::Shims { holding: shims, templates } = server.shims()?;
    if shims.len() != APPS as usize {
        bail!("{} shims were found for {APPS} apps", shims.len());
    }
    let alone = shims.iter().map(|shim| private_kib(*shim).map(megabytes)).collect::<Result<Vec<f64>>>()?;
    let with_init = shims.iter().map(|shim| with_init(*shim)).collect::<Result<Vec<f64>>>()?;
    Ok(vec![
        Row::goal("server: private memory with 20 idle apps, MB", serve, GOAL_SERVER_MEGABYTES),
        Row::alone("server: the same before the first app, MB", empty),
        Row::alone("router: private memory with 20 idle apps, MB", router),
        Row::alone("launcher: private memory with 20 idle apps, MB", launcher),
        Row::alone("template of shims: private memory, MB", megabytes(private_together_kib(&templates)?)),
        Row::alone("server, router and launcher together, MB", serve + router + launcher),
        Row::goal("shim: private memory, median of 20, MB", median(&alone), start::GOAL_SHIM_MEGABYTES),
        Row::alone("shim: private memory, largest of 20, MB", largest(&alone)),
        Row::goal(
            "shim and init: what nobody else shares, median of 20, MB",
            median(&with_init),
            start::GOAL_SHIM_MEGABYTES,
        ),
    ])
}

/// A shim and its clone, the init of its sandbox.
fn with_init(shim: u32) -> Result<f64> {
    let init = server::child_of(shim).context("a shim has no child")?;
    private_together_kib(&[shim, init]).map(megabytes)
}

fn daemon_megabytes(server: &Server, word: &str) -> Result<f64> {
    Ok(megabytes(private_kib(server.daemon(word)?)?))
}
