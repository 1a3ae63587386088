//! What starting a sandboxed process costs: the program behind `cargo xtask bench start`. Not shipped.
//!
//! `start_cost DOZEN DATA COUNT` starts a real launcher (`DOZEN launcher`) on an empty data folder, makes the network of one app,
//! starts processes in it as the server would, and prints one JSON object of raw figures. CPU time comes from the kernel's own
//! accounts of each process (`/proc/PID/schedstat`, nanoseconds; the parent's account of ended children), never from sampling.
//! To be run as root, in a network namespace of its own. Settings in its environment are the launcher's.

#![allow(clippy::panic_in_result_fn, reason = "a measuring program: any surprise ends it")]

use domain::ids::{AppId, Ids, ProcessId, ReleaseId};
use domain::names::SlugId;
use domain::process::{Limits, Purpose, StopPolicy};
use nix::sys::resource::{UsageWho, getrusage};
use sandbox::client::Launcher;
use sandbox::environment::SealedEnvironment;
use sandbox::format::Format;
use sandbox::layout::DataFolder;
use sandbox::protocol::{Daemon, DaemonState};
use sandbox::spec::{Command, Helper, Kind, Network, ProcessSpec, Readiness, Stdio};
use sandbox::system::{boot_id, boot_now};
use sandbox::{control, run_folder};
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio as ChildStdio};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/app"), ("PORT", "5000")];
const APP_INDEX: u32 = 1;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Between two looks at a file that is about to appear.
const STEP: Duration = Duration::from_micros(100);
/// In which a shim has done what follows a start.
const SETTLE: Duration = Duration::from_millis(30);
/// Starts that are not counted: they fill the caches.
const WARM_UPS: usize = 5;

/// The figures. Milliseconds unless the name says otherwise.
#[derive(Default, Serialize)]
struct Figures {
    /// One value for each start of a process that goes on running.
    until_running: UntilRunning,
    /// `/bin/true` from the request to its recorded end.
    whole_life: WholeLife,
    /// `/bin/true` by plain fork and exec.
    plain: WholeLife,
    /// The launcher's CPU time for one removal.
    removal_cpu: f64,
    /// The kernel's figure for the shim alone. Pages that it shares with the init, its clone, are missing in it.
    shim_private_kib: Vec<u64>,
    /// What shim and init have together and nobody else has.
    shim_and_init_kib: Vec<u64>,
}

#[derive(Default, Serialize)]
struct UntilRunning {
    /// The launcher and what it keeps running to make shims of.
    launcher_cpu: Vec<f64>,
    shim_cpu: Vec<f64>,
    init_cpu: Vec<f64>,
    /// The process itself: its fork, its exec, and the few steps to its first sleep.
    process_cpu: Vec<f64>,
    wall: Vec<f64>,
}

#[derive(Default, Serialize)]
struct WholeLife {
    /// The mean: all starts together, divided by their number.
    cpu: f64,
    wall: Vec<f64>,
}

/// The launcher's process, ended with us whatever happens.
struct Launched(Child);

struct Bench {
    data: DataFolder,
    child: Launched,
    launcher: Launcher,
    app: AppId,
    slug: SlugId,
    ids: Ids,
    /// The launcher, and the children that it keeps.
    standing: Vec<u32>,
    /// Processes that have ended and are removed at the very end: some file systems go around what was deleted in the last
    /// seconds, and each start would pay for the removals of those before it.
    ended: Vec<ProcessId>,
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dozen, data, count] = words.as_slice() else {
        return Err("usage: start_cost DOZEN DATA COUNT".into());
    };
    let count: usize = count.parse()?;
    let mut bench = Bench::start(Path::new(dozen), Path::new(data))?;
    let figures = bench.measure(count);
    let ended = bench.end();
    println!("{}", serde_json::to_string(&figures?)?);
    ended
}

impl Bench {
    fn start(dozen: &Path, data: &Path) -> Outcome<Self> {
        let folder = DataFolder::new(data);
        let slug: SlugId = format!("sha256:{}", "5a".repeat(32)).parse()?;
        let child = Launched(start_launcher(dozen, data)?);
        let mut launcher =
            until("the launcher listens", || Launcher::connect(&folder.launcher_socket()).ok())?;
        launcher.hello(u64::MAX >> 2)?;
        stop_daemons(&mut launcher)?;
        std::fs::create_dir_all(folder.slug_tree(&slug))?;
        let app = AppId::from_u128(0xb0);
        launcher.create_network(app, APP_INDEX)?;
        let (ids, standing) = (Ids::seeded(u128::from(std::process::id())), vec![child.pid()]);
        Ok(Self { data: folder, child, launcher, app, slug, ids, standing, ended: Vec::new() })
    }

    fn measure(&mut self, count: usize) -> Outcome<Figures> {
        let mut figures = Figures::default();
        self.live_through(WARM_UPS)?;
        self.standing.extend(children_of(self.child.pid()));
        for _ in 0..count {
            self.start_and_look(&mut figures)?;
        }
        // In turns, so that a busy moment of the machine meets both.
        let rounds = 5;
        for _ in 0..rounds {
            figures.whole_life.add(&self.live_through(count.div_ceil(rounds))?, rounds);
            figures.plain.add(&fork_and_exec(count.div_ceil(rounds))?, rounds);
        }
        figures.removal_cpu = self.remove_ended()?;
        Ok(figures)
    }

    /// Starts a process that sleeps, and reads what everybody has used for it.
    fn start_and_look(&mut self, figures: &mut Figures) -> Outcome<()> {
        let spec = self.spec(&["/bin/sleep", "1000"])?;
        let before = standing_cpu(&self.standing)?;
        let (shim, wall) = self.spawn_and_wait(&spec, run_folder::READY_FILE)?;
        std::thread::sleep(SETTLE);
        let init = *children_of(shim).first().ok_or("the shim has no child")?;
        let process = *children_of(init).first().ok_or("the init has no child")?;
        let start = &mut figures.until_running;
        start.launcher_cpu.push(standing_cpu(&self.standing)? - before);
        start.shim_cpu.push(cpu_millis(shim)?);
        start.init_cpu.push(cpu_millis(init)?);
        start.process_cpu.push(cpu_millis(process)?);
        start.wall.push(wall);
        let (of_shim, of_init) = (Memory::of(shim)?, Memory::of(init)?);
        figures.shim_private_kib.push(of_shim.private_kib);
        figures.shim_and_init_kib.push(of_shim.share_kib + of_init.share_kib);
        control::kill(&self.data, spec.process)?;
        self.wait_for_end(spec.process)
    }

    /// The whole life of `/bin/true`, several times, one after the other.
    fn live_through(&mut self, count: usize) -> Outcome<WholeLife> {
        let used = |standing: &[u32]| {
            Ok::<_, Box<dyn Error>>(standing_cpu(standing)? + ended_children_millis(standing)?)
        };
        let before = used(&self.standing)?;
        let mut life = WholeLife::default();
        for _ in 0..count {
            let spec = self.spec(&["/bin/true"])?;
            life.wall.push(self.spawn_and_wait(&spec, run_folder::EXIT_FILE)?.1);
            self.wait_for_end(spec.process)?;
        }
        // The account of the last shim is closed when the launcher has reaped it.
        std::thread::sleep(SETTLE);
        life.cpu = (used(&self.standing)? - before) / to_f64(count);
        Ok(life)
    }

    /// The shim's pid, and how long it took until a file of the run folder appeared.
    fn spawn_and_wait(&mut self, spec: &ProcessSpec, file: &str) -> Outcome<(u32, f64)> {
        let environment = SealedEnvironment::seal(ENVIRONMENT)?;
        let path = self.data.process(spec.process).join(file);
        let begun = Instant::now();
        let shim = self.launcher.spawn(spec, &environment, &[])?;
        until("the file appears", || path.exists().then_some(()))?;
        Ok((shim, begun.elapsed().as_secs_f64() * 1000.0))
    }

    fn wait_for_end(&mut self, process: ProcessId) -> Outcome<()> {
        let lock = self.data.process(process).join(run_folder::LOCK_FILE);
        until("the shim has ended", || (!run_folder::is_lock_held(&lock).ok()?).then_some(()))?;
        self.ended.push(process);
        Ok(())
    }

    /// The launcher's CPU time for one removal.
    fn remove_ended(&mut self) -> Outcome<f64> {
        let ended = std::mem::take(&mut self.ended);
        let before = standing_cpu(&self.standing)?;
        for process in &ended {
            self.launcher.remove_process(*process)?;
        }
        Ok((standing_cpu(&self.standing)? - before) / to_f64(ended.len()))
    }

    /// Default limits, the app's own network, no helper: what a worker of an app gets.
    fn spec(&mut self, argv: &[&str]) -> Outcome<ProcessSpec> {
        let release = ReleaseId::from_uuid(self.ids.next_uuid());
        Ok(ProcessSpec {
            format: Format,
            process: self.ids.next_process(),
            app: self.app,
            app_index: APP_INDEX,
            kind: Kind::Process {
                purpose: Purpose::Slot { release, process_type: "worker".parse()?, index: 1 },
                slug: self.slug.clone(),
            },
            display_name: "worker.1".to_owned(),
            command: Command {
                argv: argv.iter().map(|&word| word.to_owned()).collect(),
                shown: argv.join(" "),
            },
            limits: Limits::DEFAULT,
            stop: StopPolicy::APP,
            endpoint: None,
            readiness: Readiness::Immediately,
            health_checks: Vec::new(),
            stdio: Stdio::Journal,
            network: Network::App,
            toolchain: None,
            helper: Helper::Absent,
            samples: sandbox::spec::Samples::Untold,
            time_limit_seconds: None,
            boot_id: boot_id()?,
            started_at: boot_now(),
            request_id: None,
        })
    }

    /// Leaves nothing behind but the data folder, which is the caller's.
    fn end(mut self) -> Outcome<()> {
        for seen in run_folder::observe_all(&self.data, &boot_id()?)?.processes {
            let _ended_already = control::kill(&self.data, seen.spec.process);
            self.wait_for_end(seen.spec.process)?;
        }
        self.remove_ended()?;
        self.launcher.remove_network(self.app)?;
        self.launcher.shutdown()?;
        until("the launcher has ended", || self.child.0.try_wait().ok().flatten()).map(drop)
    }
}

impl Launched {
    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

impl WholeLife {
    fn add(&mut self, other: &Self, rounds: usize) {
        self.cpu += other.cpu / to_f64(rounds);
        self.wall.extend_from_slice(&other.wall);
    }
}

/// The launcher of the binary that people run, with the settings of this environment. The daemons that it starts are stopped at
/// once: nobody else is to ask it.
fn start_launcher(dozen: &Path, data: &Path) -> Outcome<Child> {
    std::fs::create_dir_all(data)?;
    let log = std::fs::File::create(data.with_extension("log"))?;
    let mut command = std::process::Command::new(dozen);
    command.arg("launcher").stdin(ChildStdio::null()).stdout(log.try_clone()?).stderr(log).current_dir("/");
    command.env("DOZEN_DATA", data);
    Ok(command.spawn()?)
}

fn stop_daemons(launcher: &mut Launcher) -> Outcome<()> {
    for daemon in [Daemon::Server, Daemon::Router] {
        launcher.stop_daemon(daemon)?;
    }
    until("the daemons have stopped", || {
        let status = launcher.status().ok()?;
        status.daemons.iter().all(|daemon| daemon.state == DaemonState::Stopped).then_some(())
    })
}

/// The peer: the standard library's `posix_spawn` and a wait.
fn fork_and_exec(count: usize) -> Outcome<WholeLife> {
    let before = own_millis()?;
    let mut life = WholeLife::default();
    for _ in 0..count {
        let begun = Instant::now();
        std::process::Command::new("/bin/true").stdin(ChildStdio::null()).spawn()?.wait()?;
        life.wall.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    life.cpu = (own_millis()? - before) / to_f64(count);
    Ok(life)
}

/// This process and its ended children.
fn own_millis() -> Outcome<f64> {
    let mut micros = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        for time in [usage.user_time(), usage.system_time()] {
            micros += time.tv_sec() * 1_000_000 + time.tv_usec();
        }
    }
    Ok(Duration::from_micros(u64::try_from(micros)?).as_secs_f64() * 1000.0)
}

/// CPU time of a process with one thread.
fn cpu_millis(pid: u32) -> Outcome<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanos: u64 = text.split_whitespace().next().ok_or("an empty account")?.parse()?;
    Ok(Duration::from_nanos(nanos).as_secs_f64() * 1000.0)
}

fn standing_cpu(pids: &[u32]) -> Outcome<f64> {
    pids.iter().map(|pid| cpu_millis(*pid)).sum()
}

/// CPU time of the ended children of processes, and of theirs. Counted in clock ticks: exact only over many.
fn ended_children_millis(pids: &[u32]) -> Outcome<f64> {
    let stats = pids.iter().map(|pid| Stat::of(*pid).ok_or("no such process"));
    let ticks = stats.map(|stat| Ok(stat?.children_ticks)).sum::<Result<u64, &str>>()?;
    let ticks_per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.ok_or("no clock tick")?;
    Ok(Duration::from_millis(ticks * 1000 / u64::try_from(ticks_per_second)?).as_secs_f64() * 1000.0)
}

/// Fields of `/proc/PID/stat`.
struct Stat {
    parent: u32,
    children_ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self { parent: u32::try_from(number(1)?).ok()?, children_ticks: number(13)? + number(14)? })
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| Stat::of(*pid).is_some_and(|stat| stat.parent == parent)).collect()
}

/// From `smaps_rollup`.
struct Memory {
    private_kib: u64,
    /// Its share of anonymous pages, and the clean pages of files that nobody else has mapped.
    share_kib: u64,
}

impl Memory {
    fn of(pid: u32) -> Outcome<Self> {
        let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/smaps_rollup")))?;
        let lines = || text.lines().filter_map(|line| line.split_once(':'));
        let sum = |beginning: &str| -> u64 {
            let chosen = lines().filter(|(name, _)| name.starts_with(beginning));
            chosen.filter_map(|(_, value)| value.split_whitespace().next()?.parse::<u64>().ok()).sum()
        };
        Ok(Self { private_kib: sum("Private_"), share_kib: sum("Pss_Anon") + sum("Private_Clean") })
    }
}

fn to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Outcome<T> {
    let end = Instant::now() + LONGEST_WAIT;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > end {
            return Err(format!("{what}: not within {} s", LONGEST_WAIT.as_secs()).into());
        }
        std::thread::sleep(STEP);
    }
}
