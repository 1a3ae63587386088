//! What is done in the machine, in this order: each case relies on what those before it left.

mod contract;
mod first;
mod limits;
mod power;
mod pushes;
mod restarts;
mod suites;
mod uninstall;

use super::agent::Agent;
use super::image::{APP_HOST, DOMAIN};
use super::machine::{BOOT_LIMIT, Machine};
use crate::demo::http;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// Longest wait for one script; an emulated processor on a busy host is slow.
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);
/// Longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(500);

/// What a case saw, line by line.
type Seen = Result<Vec<String>>;

pub struct Case {
    pub name: &'static str,
    /// Whether the others cannot do without it.
    pub always: bool,
    pub run: fn(&mut Bench) -> Seen,
}

const fn case(name: &'static str, run: fn(&mut Bench) -> Seen) -> Case {
    Case { name, always: false, run }
}

const fn always(name: &'static str, run: fn(&mut Bench) -> Seen) -> Case {
    Case { name, always: true, run }
}

pub const ALL: &[Case] = &[
    always("boot", first::boot),
    case("tests-cgroup", suites::cgroup),
    case("tests-network", suites::network),
    case("tests-sandbox", suites::sandbox),
    case("dry-run", first::dry_run),
    always("install", first::install),
    case("install-again", first::install_again),
    case("doctor", first::doctor),
    always("push", first::push),
    case("push-ssh", pushes::ssh),
    case("python", pushes::python),
    case("limits", limits::in_force),
    case("out-of-memory", limits::out_of_memory),
    case("too-many-processes", limits::too_many_processes),
    case("contract", contract::vectors),
    case("restart-units", restarts::restart),
    case("kill-daemons", restarts::kill),
    case("upgrade", restarts::upgrade),
    case("reboot", power::reboot),
    case("power-cut", power::cut),
    case("uninstall", uninstall::keep),
    case("install-over-data", uninstall::again),
    case("purge", uninstall::purge),
];

/// The machine, and how to talk to it.
pub struct Bench {
    pub machine: Machine,
    agent: Option<Agent>,
}

/// What the app says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub count: u64,
    pub started: u64,
    pub release: String,
}

impl Bench {
    pub const fn new(machine: Machine) -> Self {
        Self { machine, agent: None }
    }

    /// Switches the machine on.
    pub fn boot(&mut self) -> Result<()> {
        self.agent = None;
        self.agent = Some(self.machine.boot()?);
        self.run("mkdir -p /payload && mount -o ro /dev/vdb /payload").map(drop)
    }

    /// Has it start anew by its own means.
    pub fn reboot(&mut self) -> Result<()> {
        let agent = self.agent()?;
        agent.send("systemctl --no-block reboot")?;
        agent.wait_ready(BOOT_LIMIT)?;
        self.run("mkdir -p /payload && mount -o ro /dev/vdb /payload").map(drop)
    }

    fn agent(&mut self) -> Result<&mut Agent> {
        self.agent.as_mut().context("the machine is off")
    }

    /// What a script prints. One that fails is an error.
    pub fn run(&mut self, script: &str) -> Result<String> {
        match self.agent()?.run(script, SCRIPT_LIMIT)? {
            (0, output) => Ok(output.trim_end().to_owned()),
            (code, output) => bail!("ended with {code}: {script}\n{output}"),
        }
    }

    /// Exit code and output.
    pub fn try_run(&mut self, script: &str, limit: Duration) -> Result<(i32, String)> {
        self.agent()?.run(script, limit)
    }

    /// What the script prints once it succeeds.
    pub fn until(&mut self, script: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_run(script, SCRIPT_LIMIT)? {
                (0, output) => return Ok(output.trim_end().to_owned()),
                (code, output) if Instant::now() >= deadline => {
                    bail!("still {code} after {} s: {script}\n{output}", PATIENCE.as_secs())
                }
                _ => std::thread::sleep(POLL),
            }
        }
    }

    /// Asks the app from outside the machine.
    pub fn ask(&self) -> Result<Answer> {
        let (status, body) = http::get(self.machine.http_port, APP_HOST, "/")?;
        if status != 200 {
            bail!("the app answered {status}: {body}");
        }
        parse_answer(&body).with_context(|| format!("the app answered {body:?}"))
    }

    /// The same, until it answers; and how long that took.
    pub fn ask_until(&self) -> Result<(Answer, Duration)> {
        let started = Instant::now();
        loop {
            match self.ask() {
                Ok(answer) => return Ok((answer, started.elapsed())),
                Err(error) if started.elapsed() >= PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// Everything that lives in the service of the apps but root's own: shims and processes, each with its start time.
    pub fn processes(&mut self) -> Result<Vec<String>> {
        // By the shell's own means alone: every other program costs a tenth of a second here.
        let listed = self.run(
            "cd /sys/fs/cgroup/dozen.slice/dozen-apps.service || exit 1
             for pid in $(find . -name cgroup.procs -exec cat {} + | sort -n); do
               [ -O /proc/$pid ] && continue
               read -r stat 2>/dev/null < /proc/$pid/stat || continue
               set -- ${stat##*) }
               echo \"$pid ${20} ${stat%%)*}\"
             done; true",
        )?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// What the machine and its services said last, for whoever looks into a failure.
    pub fn last_words(&mut self) -> String {
        let script =
            "systemctl --no-pager --failed; journalctl --no-pager -n 60 -u 'dozen-*' -o short-monotonic";
        let log = match self.try_run(script, SCRIPT_LIMIT) {
            Ok((_, log)) => log,
            Err(error) => format!("(the machine does not answer: {error:#})"),
        };
        format!("--- services\n{log}\n--- console\n{}\n---", self.machine.console())
    }

    /// Switches it off.
    pub fn end(&mut self) -> Result<()> {
        if let Some(agent) = &mut self.agent {
            agent.send("systemctl --no-block poweroff")?;
            self.machine.wait_off()?;
        }
        Ok(())
    }
}

fn parse_answer(body: &str) -> Option<Answer> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(Answer {
        count: value["count"].as_u64()?,
        started: value["started"].as_u64()?,
        release: value["release"].as_str()?.to_owned(),
    })
}

/// `Ok` if it holds, else an error that says what does not.
fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(anyhow::anyhow!(what())) }
}

/// The command that installs, from the payload.
fn install_command(program: &str) -> String {
    format!("/payload/{program} install --base-domain {DOMAIN}")
}
