//! What systemd says to this program and hears from it, and the words that only its units execute:
//!
//! - `hold-apps` is the service that the apps' processes live in: it makes their folder of the control group tree, and idles
//! - `stop-apps` asks every process to end, when that service is stopped: at a shutdown, above all
//! - `prepare-router` makes, as root, what the router must find at each start
//!
//! Nothing here talks to systemd's manager, but by the two ways that every service has: variables, and the notification socket.

mod apps;
pub mod doctor;
mod router;

use super::settings::Settings;
use sandbox::client::LISTENERS_VARIABLE;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";
/// The first descriptor that a socket unit passes.
const FIRST_PASSED: u32 = 3;
/// Sockets that a unit may pass; there is one.
const MOST_PASSED: u32 = 64;

/// A word that a unit executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    HoldApps,
    StopApps,
    PrepareRouter,
}

impl Word {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "hold-apps" => Some(Self::HoldApps),
            "stop-apps" => Some(Self::StopApps),
            "prepare-router" => Some(Self::PrepareRouter),
            _ => None,
        }
    }
}

/// Why a unit's word was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("cannot prepare the folder that control groups of apps lie in")]
    Groups(#[from] sandbox::cgroup::CgroupError),
    #[error("cannot wait for a signal")]
    Signals(#[source] std::io::Error),
    #[error("cannot see which processes run")]
    Observe(#[source] sandbox::run_folder::RunFolderError),
    #[error("cannot read the machine's boot id")]
    BootId(#[source] std::io::Error),
    #[error("{0} processes did not stop in time; the service manager kills them")]
    StillRunning(usize),
    #[error("cannot make the router's journal folders")]
    Journals(#[source] std::io::Error),
    #[error("cannot write {}", path.display())]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

/// Carries a word out.
pub fn run(word: Word, settings: &Settings) -> Result<(), UnitError> {
    match word {
        Word::HoldApps => apps::hold(settings),
        Word::StopApps => apps::stop(settings),
        Word::PrepareRouter => router::prepare(settings),
    }
}

/// Where [`run`] leaves what the router's unit reads at each start.
pub use router::environment_file as router_environment;

/// Says that this service is up; nobody may be listening.
pub fn tell_ready() {
    let Some(place) = std::env::var_os(NOTIFY_VARIABLE) else { return };
    if let Err(error) = tell(&place, b"READY=1") {
        tracing::warn!(%error, "the service manager cannot be told that this service is up");
    }
}

fn tell(place: &OsStr, state: &[u8]) -> std::io::Result<()> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state, &address).map(drop)
}

/// The listeners that this daemon was started with, as [`sandbox::client::take_inherited_listeners`] reads them: the launcher's, or
/// those of its socket unit.
pub fn passed_listeners() -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok();
    variable(LISTENERS_VARIABLE).or_else(|| parse_passed(variable, std::process::id()))
}

/// `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`, as sd_listen_fds(3) tells them. The names are ours: the unit gives them.
fn parse_passed(variable: impl Fn(&str) -> Option<String>, own_pid: u32) -> Option<String> {
    let number = |name: &str| variable(name)?.parse::<u32>().ok();
    let count = number("LISTEN_FDS").filter(|count| (1..=MOST_PASSED).contains(count))?;
    if number("LISTEN_PID") != Some(own_pid) {
        return None;
    }
    let names = variable("LISTEN_FDNAMES")?;
    let names: Vec<&str> = names.split(':').collect();
    if names.len() != count as usize {
        return None;
    }
    let parts: Vec<_> =
        names.iter().zip(FIRST_PASSED..).map(|(name, number)| format!("{name}={number}")).collect();
    Some(parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_as_systemd_passes_them() {
        for (pid, count, names, expected) in [
            ("7", "1", "http", Some("http=3")),
            ("7", "2", "http:api", Some("http=3,api=4")),
            ("8", "1", "http", None),
            ("", "1", "http", None),
            ("7", "0", "", None),
            ("7", "2", "http", None),
            ("7", "65", "http", None),
            ("7", "x", "http", None),
        ] {
            let variable = |asked: &str| {
                let value = match asked {
                    "LISTEN_PID" => pid,
                    "LISTEN_FDS" => count,
                    "LISTEN_FDNAMES" => names,
                    _ => return None,
                };
                Some(value.to_owned())
            };
            assert_eq!(parse_passed(variable, 7).as_deref(), expected, "{pid} {count} {names}");
        }
    }

    #[test]
    fn readiness_arrives_at_paths_and_abstract_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("dozen-test-notify-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        tell(path.as_os_str(), b"READY=1").unwrap();
        tell(OsStr::new(&format!("@{name}")), b"READY=1").unwrap();
        for socket in [by_path, by_name] {
            let mut bytes = [0; 16];
            let count = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..count], b"READY=1");
        }
        assert!(tell(folder.path().join("absent").as_os_str(), b"READY=1").is_err());
    }
}
