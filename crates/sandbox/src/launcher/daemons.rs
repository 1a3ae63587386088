//! The long-lived children: the server and the router, each under its own user, started again with a growing wait when they end.
//! A launcher that finds one alive (its own predecessor started it) adopts it by pid and start time.

use super::daemon_child;
use super::listeners::Bound;
use super::settings::{DaemonSettings, LauncherSettings, StartDaemon};
use crate::format::Format;
use crate::protocol::{Daemon, DaemonState, DaemonStatus, ListenerName};
use crate::run_folder;
use crate::system::boot_now;
use domain::time::{BootId, BootMillis};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

/// The wait before a restart: the first, and the longest. It doubles from one to the next.
const FIRST_WAIT_MILLIS: u64 = 100;
const LONGEST_WAIT_MILLIS: u64 = 10_000;
/// A daemon that ran this long is started anew with the first wait.
const LONG_RUN_MILLIS: u64 = 30_000;

/// All daemons of the settings.
pub struct Daemons {
    cells: Vec<Cell>,
}

struct Cell {
    settings: DaemonSettings,
    record: PathBuf,
    phase: Phase,
    wait_millis: u64,
    restarts: u32,
}

enum Phase {
    Stopped,
    Running {
        pid: Pid,
        pidfd: OwnedFd,
        since: BootMillis,
    },
    BackingOff {
        until: BootMillis,
    },
    /// SIGTERM was sent.
    Stopping {
        pid: Pid,
        pidfd: OwnedFd,
        kill_at: BootMillis,
    },
}

/// `daemon-<name>.json` beside the launcher's socket.
#[derive(Serialize, Deserialize)]
struct Record {
    format: Format,
    boot_id: BootId,
    pid: u32,
    /// In clock ticks since boot, as the kernel tells it: pids are used again, pairs are not.
    start_ticks: u64,
    /// The addresses of the listeners that it inherited. Their numbers in it change: a daemon may copy and close as it likes.
    listeners: Vec<(ListenerName, SocketAddr)>,
}

/// A daemon that a predecessor of this launcher started.
pub struct Adopted {
    daemon: Daemon,
    pid: Pid,
    pidfd: OwnedFd,
    hold: Hold,
    /// Copies of the listeners that it holds.
    pub listeners: Vec<Bound>,
}

/// Whether an adopted daemon's listeners could be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Shared,
    /// As an ordinary user one may not reach into every process of one's own (the kernel's Yama restricts it). New sockets lie
    /// beside those that it holds, and only a new daemon can have them.
    Withheld,
}

impl Hold {
    fn of(known: &[(ListenerName, SocketAddr)], taken: &[Bound]) -> Self {
        if taken.is_empty() && !known.is_empty() { Self::Withheld } else { Self::Shared }
    }

    /// Asks one that keeps its listeners to end; it is then started anew with ours.
    fn settle(self, daemon: Daemon, pidfd: &OwnedFd) {
        match self {
            Self::Shared => {}
            Self::Withheld => {
                super::say(&format!("{} keeps its listeners to itself; starting it anew", word(daemon)));
                let _ = rustix::process::pidfd_send_signal(pidfd, Signal::TERM);
            }
        }
    }
}

/// Looks for the daemons of the settings among what runs.
pub fn find(settings: &LauncherSettings, boot_id: &BootId) -> Vec<Adopted> {
    let named = settings.daemons.iter().map(|daemon| daemon.daemon);
    named.filter_map(|daemon| adopt(daemon, &record_path(settings, daemon), boot_id)).collect()
}

fn record_path(settings: &LauncherSettings, daemon: Daemon) -> PathBuf {
    settings.data.run().join(format!("daemon-{}.json", word(daemon)))
}

/// What starting a daemon needs.
pub struct Means<'a> {
    pub settings: &'a LauncherSettings,
    pub listeners: &'a [Bound],
    pub boot_id: &'a BootId,
}

impl Daemons {
    /// Goes on with those that run; starts the others that are to start at once.
    pub fn new(means: &Means<'_>, mut adopted: Vec<Adopted>) -> Self {
        let mut cells = Vec::new();
        for settings in &means.settings.daemons {
            let record = record_path(means.settings, settings.daemon);
            let found = adopted.iter().position(|found| found.daemon == settings.daemon);
            let phase = match (found.map(|index| adopted.swap_remove(index)), settings.start) {
                (Some(Adopted { pid, pidfd, hold, .. }), _) => {
                    hold.settle(settings.daemon, &pidfd);
                    Phase::Running { pid, pidfd, since: boot_now() }
                }
                (None, StartDaemon::AtOnce) => Phase::BackingOff { until: BootMillis(0) },
                (None, StartDaemon::OnRequest) => Phase::Stopped,
            };
            let settings = settings.clone();
            cells.push(Cell { settings, record, phase, wait_millis: FIRST_WAIT_MILLIS, restarts: 0 });
        }
        Self { cells }
    }

    /// Readable when one has ended.
    pub fn pidfds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.cells.iter().filter_map(|cell| match &cell.phase {
            Phase::Running { pidfd, .. } | Phase::Stopping { pidfd, .. } => Some(pidfd),
            Phase::Stopped | Phase::BackingOff { .. } => None,
        })
    }

    pub fn due_at(&self) -> Option<BootMillis> {
        let due = self.cells.iter().filter_map(|cell| match &cell.phase {
            Phase::BackingOff { until } => Some(*until),
            Phase::Stopping { kill_at, .. } => Some(*kill_at),
            Phase::Stopped | Phase::Running { .. } => None,
        });
        due.min()
    }

    /// Notices ends, starts what is due, kills what does not stop.
    pub fn turn(&mut self, means: &Means<'_>) {
        let now = boot_now();
        for cell in &mut self.cells {
            cell.notice_end(now);
            cell.act(now, means);
        }
    }

    /// `false` if the settings know no such daemon.
    pub fn start(&mut self, daemon: Daemon) -> bool {
        let Some(cell) = self.cells.iter_mut().find(|cell| cell.settings.daemon == daemon) else {
            return false;
        };
        if matches!(cell.phase, Phase::Stopped) {
            cell.wait_millis = FIRST_WAIT_MILLIS;
            cell.phase = Phase::BackingOff { until: BootMillis(0) };
        }
        true
    }

    /// `false` if the settings know no such daemon.
    pub fn stop(&mut self, daemon: Daemon) -> bool {
        let Some(cell) = self.cells.iter_mut().find(|cell| cell.settings.daemon == daemon) else {
            return false;
        };
        cell.stop();
        true
    }

    pub fn stop_all(&mut self) {
        self.cells.iter_mut().for_each(Cell::stop);
    }

    pub fn all_stopped(&self) -> bool {
        self.cells.iter().all(|cell| matches!(cell.phase, Phase::Stopped))
    }

    pub fn statuses(&self) -> Vec<DaemonStatus> {
        self.cells.iter().map(Cell::status).collect()
    }
}

impl Cell {
    fn status(&self) -> DaemonStatus {
        let state = match &self.phase {
            Phase::Running { pid, .. } | Phase::Stopping { pid, .. } => {
                DaemonState::Running { pid: number(*pid) }
            }
            Phase::BackingOff { .. } => DaemonState::BackingOff,
            Phase::Stopped => DaemonState::Stopped,
        };
        DaemonStatus { daemon: self.settings.daemon, state, restarts: self.restarts }
    }

    fn notice_end(&mut self, now: BootMillis) {
        match &self.phase {
            Phase::Running { pidfd, since, .. } if has_ended(pidfd) => {
                if now.millis_since(*since) >= LONG_RUN_MILLIS {
                    self.wait_millis = FIRST_WAIT_MILLIS;
                }
                super::say(&format!(
                    "{} has ended; starting it again in {} ms",
                    word(self.settings.daemon),
                    self.wait_millis
                ));
                self.restarts += 1;
                self.back_off(now);
            }
            Phase::Stopping { pidfd, .. } if has_ended(pidfd) => {
                let _ = std::fs::remove_file(&self.record);
                self.phase = Phase::Stopped;
            }
            Phase::Running { .. } | Phase::Stopping { .. } | Phase::Stopped | Phase::BackingOff { .. } => {}
        }
    }

    fn back_off(&mut self, now: BootMillis) {
        self.phase = Phase::BackingOff { until: now.plus_millis(self.wait_millis) };
        self.wait_millis = (self.wait_millis * 2).min(LONGEST_WAIT_MILLIS);
    }

    fn act(&mut self, now: BootMillis, means: &Means<'_>) {
        match &mut self.phase {
            Phase::BackingOff { until } if now >= *until => self.launch(now, means),
            Phase::Stopping { pidfd, kill_at, .. } if now >= *kill_at => {
                let _ = rustix::process::pidfd_send_signal(&*pidfd, Signal::KILL);
                *kill_at = now.plus_millis(LONGEST_WAIT_MILLIS);
            }
            Phase::BackingOff { .. } | Phase::Stopping { .. } | Phase::Running { .. } | Phase::Stopped => {}
        }
    }

    fn launch(&mut self, now: BootMillis, means: &Means<'_>) {
        match daemon_child::start(&self.settings, means.settings, means.listeners) {
            Ok((pid, pidfd)) => {
                super::say(&format!("{} runs as process {}", word(self.settings.daemon), number(pid)));
                self.write_record(pid, means);
                self.phase = Phase::Running { pid, pidfd, since: now };
            }
            Err(error) => {
                super::say(&format!("cannot start {}: {error}", word(self.settings.daemon)));
                self.back_off(now);
            }
        }
    }

    /// Without the record a later launcher could not adopt this daemon; it would find its lock held and say so.
    fn write_record(&self, pid: Pid, means: &Means<'_>) {
        let Some(start_ticks) = start_ticks(pid) else { return };
        let record = Record {
            format: Format,
            boot_id: means.boot_id.clone(),
            pid: number(pid),
            start_ticks,
            listeners: daemon_child::addresses(&self.settings, means.listeners),
        };
        if let (Some(folder), Some(name)) =
            (self.record.parent(), self.record.file_name().and_then(|name| name.to_str()))
            && let Err(error) = run_folder::write_json(folder, name, &record)
        {
            super::say(&format!("{error}"));
        }
    }

    fn stop(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Stopped) {
            Phase::Running { pid, pidfd, .. } => {
                let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::TERM);
                let kill_at = boot_now().plus_seconds(u64::from(self.settings.stop_grace_seconds));
                self.phase = Phase::Stopping { pid, pidfd, kill_at };
            }
            stopping @ Phase::Stopping { .. } => self.phase = stopping,
            Phase::Stopped | Phase::BackingOff { .. } => {}
        }
    }
}

pub const fn word(daemon: Daemon) -> &'static str {
    match daemon {
        Daemon::Server => "server",
        Daemon::Router => "router",
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
}

/// The daemon of a record, if it is still the same process.
fn adopt(daemon: Daemon, record: &std::path::Path, boot_id: &BootId) -> Option<Adopted> {
    // The server may make files beside it: a record of its own making would have us hold on to any process.
    let record: Record = match run_folder::read_own_json(record) {
        Ok(record) => record?,
        Err(error) => {
            super::say(&domain::cause::chain(&error));
            return None;
        }
    };
    let pid = Pid::from_raw(i32::try_from(record.pid).ok()?)?;
    // The descriptor first: it names one process for good, whose start time is then compared.
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let same =
        record.boot_id == *boot_id && start_ticks(pid) == Some(record.start_ticks) && !has_ended(&pidfd);
    same.then(|| {
        let listeners = take_over_all(&pidfd, pid, &record.listeners);
        Adopted { daemon, hold: Hold::of(&record.listeners, &listeners), listeners, pid, pidfd }
    })
}

/// Copies of all listeners of these addresses that a daemon holds, each socket once, under whatever numbers it keeps them.
fn take_over_all(pidfd: &OwnedFd, pid: Pid, known: &[(ListenerName, SocketAddr)]) -> Vec<Bound> {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", number(pid))).into_iter().flatten().flatten();
    let mut numbers: Vec<RawFd> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    let mut sockets = BTreeSet::new();
    let taken = numbers.into_iter().filter_map(|number| take_over(pidfd, number, known, &mut sockets));
    taken.collect()
}

/// A copy of one descriptor, if it is a listener of a known address whose socket was not met before.
fn take_over(
    pidfd: &OwnedFd,
    number: RawFd,
    known: &[(ListenerName, SocketAddr)],
    sockets: &mut BTreeSet<u64>,
) -> Option<Bound> {
    let copy = rustix::process::pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).ok()?;
    rustix::net::sockopt::socket_acceptconn(&copy).ok()?.then_some(())?;
    let socket = rustix::fs::fstat(&copy).ok()?.st_ino;
    let listener = TcpListener::from(copy);
    let address = listener.local_addr().ok()?;
    let (name, _) = known.iter().find(|(_, known)| *known == address)?;
    sockets.insert(socket).then_some(Bound { name: *name, address, listener })
}

fn start_ticks(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", number(pid))).ok()?;
    parse_start_ticks(&stat)
}

/// Field 22 of `/proc/<pid>/stat`; the second, the program's name, may hold anything, so counting begins after its end.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A launcher finds the daemons that one of an earlier build started.
    #[test]
    fn a_record_of_the_first_format() {
        let golden = include_str!("../../fixtures/daemon-1.json");
        let record: Record = serde_json::from_str(golden).unwrap();
        assert_eq!((record.pid, record.start_ticks, record.listeners.len()), (4711, 987_654, 2));
        assert_eq!(serde_json::to_string(&record).unwrap(), golden.trim());
    }

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = "S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 200";
        for name in ["dozen", "a b", "x) R 1 (y", ")"] {
            assert_eq!(parse_start_ticks(&format!("42 ({name}) {rest}")), Some(987_654), "{name}");
        }
        assert_eq!(parse_start_ticks("42 (x) S 1"), None);
        assert_eq!(parse_start_ticks(""), None);
    }

    #[test]
    fn this_process_is_adopted_only_as_itself() {
        let folder = tempfile::tempdir().unwrap();
        let boot = crate::system::boot_id().unwrap();
        let pid = rustix::process::getpid();
        let ticks = start_ticks(pid).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // A copy is the same socket, and a listener elsewhere is none of the daemon's.
        let (_copy, _other) = (listener.try_clone().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let found = |boot_id: &BootId, start_ticks| {
            let listeners = vec![(ListenerName::Http, address)];
            let record =
                Record { format: Format, boot_id: boot_id.clone(), pid: number(pid), start_ticks, listeners };
            run_folder::write_json(folder.path(), "d.json", &record).unwrap();
            adopt(Daemon::Router, &folder.path().join("d.json"), &boot)
        };
        let adopted = found(&boot, ticks).unwrap();
        let addresses: Vec<_> = adopted.listeners.iter().map(|bound| bound.address).collect();
        assert_eq!(addresses, [address]);
        assert_eq!(adopted.hold, Hold::Shared);
        assert_eq!(Hold::of(&[(ListenerName::Http, address)], &[]), Hold::Withheld);
        assert_eq!(Hold::of(&[], &[]), Hold::Shared, "a daemon without listeners keeps none");
        assert!(found(&boot, ticks + 1).is_none());
        assert!(found(&BootId("other".to_owned()), ticks).is_none());
    }

    #[test]
    fn a_record_of_somebody_elses_is_not_believed() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root to make a file of another user's");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.json");
        let boot = crate::system::boot_id().unwrap();
        let pid = rustix::process::getpid();
        let start_ticks = start_ticks(pid).unwrap();
        let record = Record {
            format: Format,
            boot_id: boot.clone(),
            pid: number(pid),
            start_ticks,
            listeners: vec![],
        };
        // What somebody has put under the temporary name is not written to.
        std::fs::write(folder.path().join(".d.json.new"), "").unwrap();
        std::os::unix::fs::chown(folder.path().join(".d.json.new"), Some(31_002), None).unwrap();
        run_folder::write_json(folder.path(), "d.json", &record).unwrap();
        assert!(adopt(Daemon::Router, &path, &boot).is_some());
        std::os::unix::fs::chown(&path, Some(31_002), None).unwrap();
        assert!(adopt(Daemon::Router, &path, &boot).is_none());
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        std::fs::rename(&path, folder.path().join("e.json")).unwrap();
        std::os::unix::fs::symlink("e.json", &path).unwrap();
        assert!(adopt(Daemon::Router, &path, &boot).is_none(), "a link");
    }
}
