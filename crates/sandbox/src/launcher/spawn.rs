//! One spawn: checks, the run folder, the shim.

use super::error::{busy, failed, invalid, not_found};
use super::settings::{LauncherSettings, UserIds};
use super::{State, folders};
use crate::environment::SealedEnvironment;
use crate::format::Format;
use crate::layout::DataFolder;
use crate::message;
use crate::probe::NetworkForm;
use crate::protocol::{Answer, Refusal, RefusalReason};
use crate::run_folder::{CONTROL_SOCKET, LOCK_FILE, SPEC_FILE};
use crate::shim::orders::{CgroupOrders, Orders};
use crate::spec::{Kind, Network, Passed, ProcessSpec, Stdio, Toolchain};
use domain::ids::{ProcessId, WriterId};
use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Connections to a shim that wait to be accepted.
const CONTROL_BACKLOG: i32 = 16;
/// What a folder in the making is called, before the process id.
pub const IN_THE_MAKING: &str = ".new-";

/// Starts a process. `descriptors`: the environment, then what the spec announces.
pub fn spawn(state: &mut State, spec: ProcessSpec, descriptors: Vec<OwnedFd>) -> Result<Answer, Refusal> {
    check(state, &spec)?;
    let mut descriptors = descriptors.into_iter();
    let environment = descriptors.next().ok_or_else(|| invalid("a spawn needs an environment"))?;
    let environment = SealedEnvironment::from_fd(environment).map_err(|error| invalid(error.to_string()))?;
    let passed: Vec<OwnedFd> = descriptors.collect();
    if passed.len() != announced(spec.stdio) {
        return Err(invalid(format!(
            "{} descriptors came with the spawn; the spec announces {}",
            passed.len(),
            announced(spec.stdio)
        )));
    }
    let orders = orders(state, spec)?;
    make_folders(&state.settings, &orders)?;
    let run_folder = make_run_folder(&state.settings, &orders.spec)?;
    let RunFolder { lock, control } = run_folder;
    let mut descriptors = vec![lock.as_fd(), environment.as_fd(), control.as_fd()];
    descriptors.extend(passed.iter().map(AsFd::as_fd));
    let made = state.template.make_shim(&orders, &descriptors);
    state.live.add(&orders.spec);
    if made.is_err() {
        drop(lock);
        remove_unless_alive(state, orders.spec.process);
    }
    made.map(|shim_pid| Answer::Spawned { shim_pid })
}

/// If nobody holds the lock, there is no shim, and there will be none.
fn remove_unless_alive(state: &State, process: ProcessId) {
    if !state.live.is_alive(process) {
        let _ = std::fs::remove_dir_all(state.settings.data.process(process));
    }
}

/// Everything that can be refused before anything is made.
fn check(state: &mut State, spec: &ProcessSpec) -> Result<(), Refusal> {
    if let Some(reason) = &state.layers.cannot_start {
        return Err(Refusal { reason: RefusalReason::LayerMissing, message: reason.clone() });
    }
    spec.validate().map_err(|error| invalid(format!("the spec of process {}: {error}", spec.process)))?;
    if spec.boot_id != state.boot_id {
        return Err(invalid(format!("the spec of process {} is of another boot", spec.process)));
    }
    match (spec.network, state.layers.network) {
        (Network::App, _) | (Network::Host, NetworkForm::Shared) => {}
        (Network::Host, NetworkForm::PerApp) => {
            return Err(invalid("the host's network is not given to apps while each can have its own"));
        }
    }
    if let Some(rival) = state.live.rival(spec) {
        return Err(busy(format!("process {rival} lives and is what process {} would be", spec.process)));
    }
    check_trees(state, spec)
}

/// What must be there to be mounted. The shim would find out as well, but can only say so in the log.
fn check_trees(state: &State, spec: &ProcessSpec) -> Result<(), Refusal> {
    let data = &state.settings.data;
    let tree = match &spec.kind {
        Kind::Process { slug, .. } => data.slug_tree(slug),
        Kind::Build { build } => data.build_source(*build),
    };
    if !folders::exists(&tree) {
        return Err(not_found(format!("there is no {}", tree.display())));
    }
    match spec.toolchain {
        Some(toolchain) if state.settings.prefix(toolchain).is_none() => Err(not_found(absent(toolchain))),
        Some(_) | None => Ok(()),
    }
}

fn absent(toolchain: Toolchain) -> String {
    match toolchain {
        Toolchain::Rust => {
            "no Rust toolchain was found on this machine, and DOZEN_RUST_PREFIX names none".to_owned()
        }
        Toolchain::Runtime(runtime) => format!(
            "this slug was built for {}, which this machine does not have (any more): install it, name it in DOZEN_{}_PREFIX and \
             start Dozen again, or push again to build for what is there",
            runtime.title(),
            runtime.language().as_word().to_uppercase(),
        ),
    }
}

const fn announced(stdio: Stdio) -> usize {
    match stdio {
        Stdio::Journal | Stdio::Held(_) => 0,
        Stdio::Passed(Passed::Three) => 3,
        Stdio::Passed(Passed::Four) => 4,
    }
}

fn orders(state: &State, spec: ProcessSpec) -> Result<Orders, Refusal> {
    let settings = &state.settings;
    let user = match &spec.kind {
        Kind::Process { .. } => settings.app_user(spec.app_index),
        Kind::Build { .. } => settings.build_user(spec.app_index),
    };
    Ok(Orders {
        format: Format,
        data: settings.data.root().to_owned(),
        shim: settings.server,
        app: user.ok_or_else(|| invalid(format!("app number {} has no user", spec.app_index)))?,
        toolchain_prefix: spec.toolchain.and_then(|toolchain| settings.prefix(toolchain)).map(Path::to_owned),
        certificates: settings.certificates.clone(),
        privilege: settings.privilege(),
        network: match spec.network {
            Network::App => state.layers.network,
            Network::Host => NetworkForm::Shared,
        },
        without: state.layers.without.clone(),
        cgroup: CgroupOrders::from(&settings.cgroup),
        sample_millis: settings.sample_millis,
        spec,
    })
}

/// The folders that must be there before the shim: the journal's, and a build's.
fn make_folders(settings: &LauncherSettings, orders: &Orders) -> Result<(), Refusal> {
    let data = &settings.data;
    let make = |parent: &Path, name: String, owner: UserIds, mode: u32| {
        folders::make_for(parent, &name, owner, mode)
            .map_err(|error| failed(&format!("cannot make {}", parent.join(&name).display()), &error))
    };
    match &orders.spec.kind {
        Kind::Process { .. } => {
            let writer = WriterId::of_process(orders.spec.process);
            make(&data.logs(), writer.to_string(), settings.server, 0o2770)
        }
        Kind::Build { build } => {
            make(&data.build_works(), build.to_string(), orders.app, 0o700)?;
            make(&data.caches(), orders.spec.app.to_string(), orders.app, 0o700)
        }
    }
}

/// What a run folder's shim inherits.
struct RunFolder {
    lock: OwnedFd,
    control: OwnedFd,
}

/// Makes the run folder under a temporary name and lets it appear whole, its lock held and its socket listening already: whoever
/// sees it sees a living process and can ask for its end.
fn make_run_folder(settings: &LauncherSettings, spec: &ProcessSpec) -> Result<RunFolder, Refusal> {
    let data = &settings.data;
    let making = data.processes().join(format!("{IN_THE_MAKING}{}", spec.process));
    let failed = |error: &dyn std::error::Error| failed(&format!("cannot make {}", making.display()), error);
    let _ = std::fs::remove_dir_all(&making);
    rustix::fs::mkdir(&making, Mode::RWXU).map_err(|errno| failed(&errno))?;
    let made = fill_run_folder(&making, settings.server, spec).map_err(|error| failed(&*error));
    let published = made.and_then(|made| publish(data, &making, spec).map(|()| made));
    if published.is_err() {
        let _ = std::fs::remove_dir_all(&making);
    }
    published
}

fn fill_run_folder(
    folder: &Path,
    owner: UserIds,
    spec: &ProcessSpec,
) -> Result<RunFolder, Box<dyn std::error::Error>> {
    // The lock is the spec's file under a second name: one file less to make and to remove. No temporary file is needed, since
    // nobody sees the folder yet.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let lock = rustix::fs::open(folder.join(SPEC_FILE), flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    let mut file = File::from(lock);
    file.write_all(&serde_json::to_vec(spec)?)?;
    let lock = OwnedFd::from(file);
    rustix::fs::link(folder.join(SPEC_FILE), folder.join(LOCK_FILE))?;
    folders::give(&lock, owner, 0o640)?;
    let control = message::listen(&folder.join(CONTROL_SOCKET), CONTROL_BACKLOG)?;
    folders::give_socket(&folder.join(CONTROL_SOCKET), owner)?;
    folders::give(&folders::open_folder(folder)?, owner, 0o750)?;
    Ok(RunFolder { lock, control })
}

fn publish(data: &DataFolder, making: &PathBuf, spec: &ProcessSpec) -> Result<(), Refusal> {
    use rustix::fs::CWD;
    match rustix::fs::renameat_with(CWD, making, CWD, data.process(spec.process), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(busy(format!("process {} exists already", spec.process))),
        Err(errno) => Err(failed(&format!("cannot make the run folder of process {}", spec.process), &errno)),
    }
}
