//! The launcher: the only long-lived root. It does a closed set of things for who may ask ([`crate::protocol`]), names nothing but
//! by id, and gives uids only from its range. It is single-threaded, keeps nothing that it could not find again, and reads
//! nothing that a stranger wrote: no source, no slug, no environment, no output.
//!
//! Started by an ordinary user it does the same as that user, with user namespaces in place of user ids and without networks.
//!
//! If it dies, everything else goes on, and a new one finds all of it by the run folders and their locks.

mod child;
mod connections;
mod daemon_child;
mod daemons;
mod error;
mod folders;
mod forwarding;
mod listeners;
mod live;
mod remove;
mod renew;
mod settings;
mod spawn;
mod template;
mod tree;

pub use crate::inside::{UnfitPrefix, check_prefix};
pub use daemon_child::{WRITERS_VARIABLE, make_journal_folders};
pub use error::LauncherError;
pub use settings::{
    DEFAULT_APP_UID_BASE, DEFAULT_ROUTER_UID, DEFAULT_SERVER_UID, DaemonSettings, InstalledRuntime,
    LauncherSettings, ListenerSettings, SAMPLE_MILLIS, StartDaemon, UserIds,
};

use crate::cgroup::{self, Cgroups};
use crate::network::{self, Network, RulesState};
use crate::probe::{self, LayerSet, NetworkForm, ProbeReport};
use crate::protocol::{Answer, LauncherStatus, ListenerName, NetworkReport, Refusal, Request, RuntimeStatus};
use crate::run_folder;
use crate::spec::Toolchain;
use crate::system::{boot_id, boot_now, signal_descriptor};
pub(crate) use connections::may_ask;
use connections::{Asked, Connections};
use daemons::{Adopted, Daemons, Means};
use domain::ids::AppId;
use domain::time::BootId;
use error::failed;
use listeners::Bound;
use live::LiveShims;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::WaitOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use template::Template;

const BACKLOG: i32 = 64;
/// The loop turns at least this often, and looks whether the packet rules are in force: somebody else's `flush ruleset` takes them
/// away with everything else.
const LONGEST_WAIT_MILLIS: u64 = 10_000;

/// Everything that requests act on.
struct State {
    settings: LauncherSettings,
    boot_id: BootId,
    layers: Layers,
    cgroups: Cgroups,
    network: Network,
    /// Whether a launcher of this boot has turned forwarding on.
    forwarding_turned_on: bool,
    live: LiveShims,
    template: Template,
}

/// What the machine can do, as far as it matters here.
struct Layers {
    probe: ProbeReport,
    cannot_start: Option<String>,
    weaker: Vec<String>,
    without: LayerSet,
    network: NetworkForm,
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    On,
    /// Ends once every daemon has stopped.
    Ending,
}

/// Runs until it is told to stop. Returns an error only if it could not begin.
pub fn run(settings: LauncherSettings) -> Result<(), LauncherError> {
    run_telling(settings, || {})
}

/// The same, and calls `ready` once requests are answered.
pub fn run_telling(settings: LauncherSettings, ready: impl FnOnce()) -> Result<(), LauncherError> {
    let settings = of_this_user(settings);
    // Fails for who leads its process group already: then it has a session of its own, or a supervisor's.
    let _ = rustix::process::setsid();
    // Modes are given explicitly wherever they matter; shims must be able to read their control groups.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    folders::prepare(&settings)?;
    let _lock = take_lock(&settings)?;
    let state = prepare(settings)?;
    let mut adopted = daemons::find(&state.settings, &state.boot_id);
    let taken_over = adopted.iter_mut().flat_map(|daemon| std::mem::take(&mut daemon.listeners)).collect();
    let listeners = listeners::bind_all(&state.settings.listeners, taken_over)?;
    let socket = listen(&state.settings)?;
    let connections = Connections::new(socket, state.settings.server.uid, state.settings.own.uid);
    serve(state, connections, &listeners, adopted, ready)
}

/// What an ordinary user starts has that user's form, whatever ids the settings name.
fn of_this_user(settings: LauncherSettings) -> LauncherSettings {
    let own = UserIds { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
    if own.uid == settings.own.uid {
        return settings;
    }
    let mut settings = settings.as_ordinary_user(own);
    settings.cgroup.delegated = settings.cgroup.delegated.or_else(cgroup::find_delegated);
    settings
}

fn take_lock(settings: &LauncherSettings) -> Result<OwnedFd, LauncherError> {
    let path = settings.data.launcher_lock();
    let failed =
        |errno: rustix::io::Errno| LauncherError::Folder { path: path.clone(), source: errno.into() };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LauncherError::AlreadyRunning { path }),
        Err(errno) => Err(failed(errno)),
    }
}

fn prepare(mut settings: LauncherSettings) -> Result<State, LauncherError> {
    // A controller that is to be done without is one for whoever looks for groups, shims included.
    settings.cgroup.hidden.extend(probe::hidden_controllers(&settings.mask));
    let boot_id = boot_id().map_err(|source| LauncherError::Step { step: "read the boot id", source })?;
    let mut cgroups = Cgroups::detect(&settings.cgroup)?;
    settings.cgroup.hidden.extend(cgroups.prepare());
    let app_uid = settings.app_user(0).map_or(settings.app_uid_base, |user| user.uid);
    let report = probe::run_with(&settings.mask, Ok(cgroups.clone()), app_uid);
    let layers = judge_layers(&report, &settings.allow_weaker);
    let network = Network::new(settings.network.clone());
    let forwarding_turned_on = match layers.network {
        NetworkForm::Shared => false,
        NetworkForm::PerApp => {
            forwarding::note(&settings.data.run(), &boot_id, network.install()?.forwarding)
        }
    };
    remove::leftovers(&settings.data.processes(), spawn::IN_THE_MAKING);
    remove::leftovers(&settings.data.build_works(), remove::BEING_REMOVED);
    remove::leftovers(&settings.data.caches(), remove::BEING_REMOVED);
    let live = find_live(&settings, &boot_id)?;
    let template = Template::new(cgroups.clone());
    let mut state =
        State { settings, boot_id, layers, cgroups, network, forwarding_turned_on, live, template };
    remove::unwritten(&mut state);
    Ok(state)
}

fn judge_layers(report: &ProbeReport, allow_weaker: &LayerSet) -> Layers {
    let verdict = probe::verdict(report, allow_weaker);
    let missing = report.layers.iter().map(|entry| entry.layer).filter(|layer| !report.has(*layer));
    let layers = Layers {
        probe: report.clone(),
        cannot_start: verdict.as_ref().err().map(ToString::to_string),
        weaker: verdict.unwrap_or_default().iter().map(ToString::to_string).collect(),
        without: missing.collect(),
        network: report.network_form(),
    };
    layers.cannot_start.iter().chain(&layers.weaker).for_each(|text| say(text));
    layers
}

fn find_live(settings: &LauncherSettings, boot_id: &BootId) -> Result<LiveShims, LauncherError> {
    let mut live = LiveShims::new(settings.data.clone());
    let scan = run_folder::observe_all(&settings.data, boot_id)?;
    for observation in &scan.processes {
        if live.is_alive(observation.spec.process) {
            live.add(&observation.spec);
        }
    }
    scan.problems.iter().for_each(|problem| say(&domain::cause::chain(problem)));
    Ok(live)
}

/// Bound last: whoever can connect finds everything ready.
fn listen(settings: &LauncherSettings) -> Result<OwnedFd, LauncherError> {
    let path = settings.data.launcher_socket();
    let failed = |source| LauncherError::Socket { path: path.clone(), source };
    let socket = crate::message::listen(&path, BACKLOG).map_err(failed)?;
    folders::give_socket(&path, settings.server).map_err(|errno| failed(errno.into()))?;
    Ok(socket)
}

fn serve(
    mut state: State,
    mut connections: Connections,
    listeners: &[Bound],
    adopted: Vec<Adopted>,
    ready: impl FnOnce(),
) -> Result<(), LauncherError> {
    let signals =
        watch_signals().map_err(|source| LauncherError::Step { step: "watch for signals", source })?;
    let settings = state.settings.clone();
    let boot_id = state.boot_id.clone();
    let means = Means { settings: &settings, listeners, boot_id: &boot_id };
    let mut daemons = Daemons::new(&means, adopted);
    let mut course = Course::On;
    say(&format!("ready at {}", settings.data.launcher_socket().display()));
    ready();
    let mut rules_looked_at = boot_now();
    loop {
        daemons.turn(&means);
        if course == Course::Ending && daemons.all_stopped() {
            remove_rules(&state);
            return Ok(());
        }
        if boot_now().millis_since(rules_looked_at) >= LONGEST_WAIT_MILLIS {
            rules_looked_at = boot_now();
            keep_rules(&state);
        }
        wait(&connections, &daemons, &signals);
        connections.turn(|asked, highest_incarnation| {
            if answer(&mut state, &mut daemons, highest_incarnation, listeners, asked) == Course::Ending {
                course = Course::Ending;
                daemons.stop_all();
            }
        });
        reap();
        if told_to_end(&signals) {
            say("told to end; daemons and apps go on");
            return Ok(());
        }
    }
}

/// Puts the packet rules back in force if somebody has taken them away.
fn keep_rules(state: &State) {
    match state.layers.network {
        NetworkForm::Shared => {}
        NetworkForm::PerApp => match state.network.ensure_rules() {
            Ok(RulesState::InForce) => {}
            Ok(RulesState::Differ) => say("the packet rules were gone or changed; they are in force again"),
            Err(error) => {
                say(&format!("cannot look after the packet rules: {}", domain::cause::chain(&error)))
            }
        },
    }
}

/// At an end for good. While a network is left, its processes may be running: the rules stay with them.
fn remove_rules(state: &State) {
    if state.layers.network == NetworkForm::Shared {
        return;
    }
    let removed = match state.network.list() {
        Ok(networks) if networks.is_empty() => state.network.uninstall(),
        Ok(_) => return say("networks of apps are left; the packet rules stay in force"),
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        say(&format!("cannot remove the packet rules: {}", domain::cause::chain(&error)));
    }
}

fn wait(connections: &Connections, daemons: &Daemons, signals: &OwnedFd) {
    let descriptors = connections.sockets().chain(daemons.pidfds()).chain([signals]);
    let mut fds: Vec<_> = descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
    let due = daemons.due_at().map_or(LONGEST_WAIT_MILLIS, |at| at.millis_since(boot_now()));
    let timeout = Timespec::try_from(Duration::from_millis(due.min(LONGEST_WAIT_MILLIS))).ok();
    let _ = rustix::event::poll(&mut fds, timeout.as_ref());
}

/// Does what is asked and answers.
fn answer(
    state: &mut State,
    daemons: &mut Daemons,
    highest_incarnation: u64,
    listeners: &[Bound],
    asked: Asked,
) -> Course {
    let Asked { request, descriptors, reply } = asked;
    let ending = matches!(request, Request::Shutdown);
    match request {
        Request::Listeners { name } => {
            let (answer, descriptors) = give_listeners(listeners, name);
            reply.send(answer, &descriptors);
        }
        Request::Status => {
            let status = status(state, daemons, highest_incarnation);
            reply.send(Ok(Answer::Status(status)), &[]);
        }
        other => reply.send(carry_out(state, daemons, other, descriptors), &[]),
    }
    if ending { Course::Ending } else { Course::On }
}

fn carry_out(
    state: &mut State,
    daemons: &mut Daemons,
    request: Request,
    descriptors: Vec<OwnedFd>,
) -> Result<Answer, Refusal> {
    match request {
        Request::Spawn { spec } => spawn::spawn(state, spec, descriptors),
        Request::NetworkCreate { app, index } => create_network(state, app, index),
        Request::NetworkInspect => inspect_network(state),
        Request::NetworkRemove { app } => remove::network(state, app),
        Request::ProcessRemove { process } => remove::process(state, process),
        Request::ShimRenew { process } => renew::shim(state, process, descriptors),
        Request::BuildRemove { build } => remove::build(state, build),
        Request::CacheRemove { app } => remove::cache(state, app),
        Request::DaemonStart { daemon } if !daemons.start(daemon) => {
            Err(remove::unknown(daemons::word(daemon)))
        }
        Request::DaemonStop { daemon } if !daemons.stop(daemon) => {
            Err(remove::unknown(daemons::word(daemon)))
        }
        Request::DaemonStart { .. } | Request::DaemonStop { .. } | Request::Shutdown => Ok(Answer::Done),
        Request::Hello { .. } | Request::Listeners { .. } | Request::Status => {
            Err(error::invalid("this request is answered elsewhere"))
        }
    }
}

fn create_network(state: &State, app: AppId, index: u32) -> Result<Answer, Refusal> {
    let what = format!("cannot create the network of app {app}");
    match state.layers.network {
        NetworkForm::PerApp => {
            state.network.create(app, index).map_err(|error| failed(&what, &error))?;
        }
        NetworkForm::Shared => {
            network::note_app(&state.settings.data.networks(), app).map_err(|error| failed(&what, &error))?;
        }
    }
    Ok(Answer::Done)
}

fn inspect_network(state: &State) -> Result<Answer, Refusal> {
    let inspection = match state.layers.network {
        NetworkForm::Shared => None,
        NetworkForm::PerApp => {
            Some(state.network.inspect().map_err(|error| failed("cannot look at the networks", &error))?)
        }
    };
    let forwarding_turned_on = state.forwarding_turned_on;
    Ok(Answer::Network(NetworkReport { inspection, forwarding_turned_on }))
}

fn give_listeners(listeners: &[Bound], name: ListenerName) -> (Result<Answer, Refusal>, Vec<BorrowedFd<'_>>) {
    let chosen: Vec<&Bound> = listeners.iter().filter(|bound| bound.name == name).collect();
    if chosen.is_empty() {
        return (Err(remove::unknown(&format!("{} listener", name.as_word()))), Vec::new());
    }
    let addresses = chosen.iter().map(|bound| bound.address).collect();
    (Ok(Answer::Listeners { addresses }), chosen.iter().map(|bound| bound.listener.as_fd()).collect())
}

fn status(state: &mut State, daemons: &Daemons, highest_incarnation: u64) -> LauncherStatus {
    LauncherStatus {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: crate::build_id::own(),
        highest_incarnation,
        live_shims: state.live.count(),
        daemons: daemons.statuses(),
        network: state.layers.network,
        probe: state.layers.probe.clone(),
        weaker: state.layers.weaker.clone(),
        cannot_start: state.layers.cannot_start.clone(),
        toolchains: state.settings.rust_prefix.iter().map(|_| Toolchain::Rust).collect(),
        runtimes: state.settings.runtimes.iter().map(runtime_status).collect(),
    }
}

fn runtime_status(installed: &InstalledRuntime) -> RuntimeStatus {
    RuntimeStatus { runtime: installed.runtime, version: installed.version.clone() }
}

/// Shims, daemons and helpers that have ended. Nothing of them is needed: run folders and pidfds tell.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

/// SIGCHLD wakes the loop; SIGTERM and SIGINT end it.
fn watch_signals() -> std::io::Result<OwnedFd> {
    signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT])
}

fn told_to_end(signals: &OwnedFd) -> bool {
    let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
    while let Ok(count) = rustix::io::read(signals, &mut bytes) {
        let number = bytes.first_chunk::<4>().map(|word| u32::from_ne_bytes(*word));
        if count == bytes.len() && number != Some(libc::SIGCHLD.unsigned_abs()) {
            return true;
        }
    }
    false
}

/// One line to standard error. Nobody may be reading any more.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "launcher: {text}");
}
