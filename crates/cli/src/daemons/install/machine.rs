//! Whether this machine is one that Dozen can be installed on. What is judged is pure; [`observe`] looks.

use super::InstallError;
use super::environment_file::EnvironmentFile;
use super::observed::{Activity, Observed};
use super::units;
use super::wanted::Wanted;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

/// The first version whose `OOMPolicy`, `Delegate` and credentials of sockets are as our units expect.
const LEAST_SYSTEMD: u32 = 250;
/// The first kernel that kills a control group at once.
const LEAST_KERNEL: (u32, u32) = (5, 14);
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// What we have tried.
const TRIED: &str = "debian 12";

/// What matters of it.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    pub is_root: bool,
    /// Whether systemd runs the machine, not whether it is installed.
    pub systemd_runs: bool,
    pub systemd_version: Option<u32>,
    pub kernel: (u32, u32),
    /// Of the one tree of version 2; empty where there is none.
    pub controllers: BTreeSet<String>,
    pub has_git: bool,
    /// As `/etc/os-release` has it: `debian 12`.
    pub distribution: String,
}

/// Looks at this machine.
pub fn observe() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Machine {
        is_root: rustix::process::geteuid().is_root(),
        systemd_runs: Path::new("/run/systemd/system").is_dir(),
        systemd_version: systemd_version(),
        kernel: parse_kernel(&read("/proc/sys/kernel/osrelease")),
        controllers: read("/sys/fs/cgroup/cgroup.controllers")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        has_git: is_installed("git"),
        distribution: parse_distribution(&read("/etc/os-release")),
    }
}

fn systemd_version() -> Option<u32> {
    let output = Command::new("systemctl").arg("--version").output().ok()?;
    parse_systemd_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_systemd_version(text: &str) -> Option<u32> {
    text.strip_prefix("systemd ")?.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

fn parse_kernel(release: &str) -> (u32, u32) {
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn parse_distribution(os_release: &str) -> String {
    let value = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    format!("{} {}", value("ID"), value("VERSION_ID")).trim().to_owned()
}

pub fn is_installed(program: &str) -> bool {
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    folders.iter().any(|folder| Path::new(folder).join(program).is_file())
}

/// Why Dozen cannot be installed here, in the order in which one would see to it.
pub fn judge(machine: &Machine) -> Result<(), InstallError> {
    let unfit = |what: String, fix: &str| Err(InstallError::Machine { what, fix: fix.to_owned() });
    if !machine.systemd_runs {
        return unfit(
            "systemd does not run this machine, and `dozen install` writes units for it".to_owned(),
            "start `dozen server` by whatever starts services here: it brings its own supervisor",
        );
    }
    if let Some(version) = machine.systemd_version.filter(|version| *version < LEAST_SYSTEMD) {
        return unfit(
            format!("systemd {version} is too old: {LEAST_SYSTEMD} is needed"),
            "use Debian 12 or later",
        );
    }
    if machine.kernel < LEAST_KERNEL {
        let ((major, minor), (least_major, least_minor)) = (machine.kernel, LEAST_KERNEL);
        return unfit(
            format!("Linux {major}.{minor} is too old: {least_major}.{least_minor} is needed"),
            "use Debian 12 or later",
        );
    }
    if let Some(missing) = CONTROLLERS.iter().find(|name| !machine.controllers.contains(**name)) {
        return unfit(
            format!("control groups of version 2 offer no {missing} controller at /sys/fs/cgroup"),
            "boot without systemd.unified_cgroup_hierarchy=0 and cgroup_disable; Debian 12 is right as it is installed",
        );
    }
    if !machine.has_git {
        return unfit("git is not installed; the server needs it".to_owned(), "apt-get install git");
    }
    if !machine.is_root {
        return Err(InstallError::NotRoot);
    }
    Ok(())
}

/// What is told of a machine that we have not tried.
pub fn remark(machine: &Machine) -> Option<String> {
    let tried = machine.distribution == TRIED;
    (!tried).then(|| format!("note: tried on Debian 12; this is {}", machine.distribution))
}

/// Whether the users' numbers are free, or theirs already.
pub fn check_users(wanted: &Wanted, observed: &Observed) -> Result<(), InstallError> {
    for (name, id, _) in units::users(&wanted.settings) {
        for (kind, accounts) in [("user", &observed.users), ("group", &observed.groups)] {
            if let Some(found) = accounts.get(name).filter(|found| **found != id) {
                return Err(InstallError::OtherId { kind, name: name.to_owned(), found: *found, wanted: id });
            }
            if let Some((other, _)) = accounts.iter().find(|(other, found)| **found == id && *other != name) {
                return Err(InstallError::IdTaken { kind, id, other: other.clone() });
            }
        }
    }
    Ok(())
}

/// Whether the listeners' ports are free, where our own sockets do not hold them.
pub fn check_ports(wanted: &Wanted, observed: &Observed) -> Result<(), InstallError> {
    let listeners = listeners(wanted);
    for (unit, address) in listeners {
        if !is_ours(unit, address.port(), &listeners, observed) && is_taken(address) {
            return Err(InstallError::PortTaken { address });
        }
    }
    Ok(())
}

fn listeners(wanted: &Wanted) -> [(&'static str, SocketAddr); 2] {
    [(units::ROUTER_SOCKET, wanted.settings.http_listen), (units::SERVER_SOCKET, wanted.settings.api_listen)]
}

/// Whether a socket unit holds a port that is to be its own, or that it is about to leave.
fn is_ours(unit: &str, port: u16, listeners: &[(&'static str, SocketAddr)], observed: &Observed) -> bool {
    let holds = |name: &str| {
        let found = observed.unit_property(name, "ListenStream").and_then(|text| text.parse().ok());
        observed.unit(name).activity == Activity::Active
            && found.is_some_and(|held: SocketAddr| held.port() == port)
    };
    listeners.iter().any(|(name, address)| holds(name) && (*name == unit || address.port() != port))
}

/// Whether the data lies where it did. Everything that runs holds on to the folder that it was started with, apps above all.
pub fn check_data(wanted: &Wanted, observed: &Observed) -> Result<(), InstallError> {
    let file = observed.files.get(&wanted.environment_file).map(|text| EnvironmentFile::parse(text));
    let told = file.as_ref().and_then(|file| file.get("DOZEN_DATA"));
    // Whoever has edited the file has not moved what runs.
    let used = observed.unit_property(units::SERVER, "ReadWritePaths");
    let data = wanted.settings.data.root();
    match used.into_iter().chain(told).find(|found| Path::new(found) != data) {
        Some(found) if observed.is_anything_active() => {
            Err(InstallError::DataMoved { found: found.into(), wanted: data.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

fn is_taken(address: SocketAddr) -> bool {
    matches!(TcpListener::bind(address), Err(error) if error.kind() == std::io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian() -> Machine {
        Machine {
            is_root: true,
            systemd_runs: true,
            systemd_version: Some(252),
            kernel: (6, 1),
            controllers: CONTROLLERS.iter().map(|name| (*name).to_owned()).collect(),
            has_git: true,
            distribution: "debian 12".to_owned(),
        }
    }

    #[test]
    fn each_want_is_named_with_its_fix() {
        assert!(judge(&debian()).is_ok() && remark(&debian()).is_none());
        let without_pids = ["cpu", "memory"].map(str::to_owned).into();
        let others = [
            Machine { systemd_runs: false, ..debian() },
            Machine { systemd_version: Some(247), ..debian() },
            Machine { kernel: (5, 10), ..debian() },
            Machine { controllers: BTreeSet::new(), ..debian() },
            Machine { controllers: without_pids, ..debian() },
            Machine { has_git: false, ..debian() },
            Machine { is_root: false, ..debian() },
        ];
        let told: Vec<_> = others.iter().map(|machine| judge(machine).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_systemd_version("systemd 252 (252.39-1~deb12u2)\n+PAM"), Some(252));
        assert_eq!(parse_systemd_version("no such thing"), None);
        assert_eq!(parse_kernel("6.1.0-50-cloud-amd64\n"), (6, 1));
        assert_eq!(parse_kernel(""), (0, 0));
        assert_eq!(parse_distribution("NAME=x\nVERSION_ID=\"12\"\nID=debian\n"), "debian 12");
    }

    #[test]
    fn a_taken_port_is_seen() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        assert!(is_taken(address));
        drop(held);
        assert!(!is_taken(address));
    }
}
