//! The start of one daemon: this same program, with arguments, an environment and listeners, as the daemon's user.

use super::folders;
use super::listeners::Bound;
use super::settings::{DaemonSettings, LauncherSettings, UserIds};
use crate::client::LISTENERS_VARIABLE;
use crate::layout::DataFolder;
use crate::protocol::{Daemon, ListenerName};
use rustix::process::{Pid, PidfdFlags};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Tells a daemon the ids of the journal folders that were made for it: UUIDs with commas between.
pub const WRITERS_VARIABLE: &str = "DOZEN_WRITERS";
const FIRST_LISTENER_FD: RawFd = 3;
/// Copies of descriptors are made from this number on, clear of every number in the child.
const FIRST_COPY: RawFd = 512;
const NEW_UUID: &str = "/proc/sys/kernel/random/uuid";

/// Starts it and returns its pid; from then on it is a child to be reaped.
pub fn start(
    daemon: &DaemonSettings,
    settings: &LauncherSettings,
    listeners: &[Bound],
) -> std::io::Result<(Pid, OwnedFd)> {
    let user = match daemon.daemon {
        Daemon::Server => settings.server,
        Daemon::Router => settings.router,
    };
    let chosen = chosen(daemon, listeners);
    let copies = copy_high(&chosen)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dozen").args(&daemon.arguments).env_clear();
    command.envs(daemon.environment.iter().map(|(name, value)| (name, value)));
    command.env(LISTENERS_VARIABLE, listeners_value(&numbered(daemon, listeners)));
    let writers = make_journal_folders(&settings.data, user, settings.server, daemon.journal_writers)?;
    command.env(WRITERS_VARIABLE, writers.join(","));
    command.stdin(Stdio::null()).current_dir("/").process_group(0);
    // The standard library clears supplementary groups when root changes to another user.
    command.uid(user.uid).gid(user.gid);
    let numbers: Vec<RawFd> = copies.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: between fork and exec of a process with one thread; only system calls on numbers that were made before.
    unsafe { command.pre_exec(move || prepare_child(&numbers)) };
    let child = command.spawn()?;
    let pid =
        i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidData)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    Ok((pid, pidfd))
}

fn prepare_child(listeners: &[RawFd]) -> std::io::Result<()> {
    for (target, source) in (FIRST_LISTENER_FD..).zip(listeners) {
        // SAFETY: puts a copy at a low number; descriptors of the standard library that may be there are close-on-exec pipes of
        // its own making above this range, since the launcher keeps more than these numbers open.
        if unsafe { libc::dup2(*source, target) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    unblock_signals();
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// The launcher blocks the signals that it reads from a descriptor, and an exec keeps what is blocked: a daemon would never hear
/// that it is to stop.
fn unblock_signals() {
    // SAFETY: the set is a local that sigemptyset fills in before it is read.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn copy_high(listeners: &[&Bound]) -> std::io::Result<Vec<OwnedFd>> {
    listeners.iter().map(|bound| Ok(rustix::io::fcntl_dupfd_cloexec(&bound.listener, FIRST_COPY)?)).collect()
}

fn chosen<'a>(daemon: &DaemonSettings, listeners: &'a [Bound]) -> Vec<&'a Bound> {
    listeners.iter().filter(|bound| daemon.listeners.contains(&bound.name)).collect()
}

/// The daemon's listeners with their numbers in it.
fn numbered(daemon: &DaemonSettings, listeners: &[Bound]) -> Vec<(ListenerName, RawFd)> {
    chosen(daemon, listeners).iter().map(|bound| bound.name).zip(FIRST_LISTENER_FD..).collect()
}

/// The names and addresses of what a daemon inherits.
pub fn addresses(daemon: &DaemonSettings, listeners: &[Bound]) -> Vec<(ListenerName, SocketAddr)> {
    chosen(daemon, listeners).iter().map(|bound| (bound.name, bound.address)).collect()
}

/// `http=3,http=4,api=5`.
fn listeners_value(numbered: &[(ListenerName, RawFd)]) -> String {
    let parts: Vec<_> =
        numbered.iter().map(|(name, number)| format!("{}={number}", name.as_word())).collect();
    parts.join(",")
}

/// Journal folders of a daemon that runs as `user`, readable by the server; their names are returned. New ones at each start: a
/// writer's folder has one writer for good.
pub fn make_journal_folders(
    data: &DataFolder,
    user: UserIds,
    server: UserIds,
    count: u32,
) -> std::io::Result<Vec<String>> {
    let owner = UserIds { uid: user.uid, gid: server.gid };
    let make = |_| {
        let name = std::fs::read_to_string(NEW_UUID)?.trim().to_owned();
        folders::make_for(&data.logs(), &name, owner, 0o2770)?;
        Ok(name)
    };
    (0..count).map(make).collect()
}
