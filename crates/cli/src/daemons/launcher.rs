//! `dozen launcher`: the settings of this process become those of the launcher, and of the daemons that it starts.

use super::settings::{self, Settings, Supervisor, Who};
use super::systemd;
use super::toolchains;
use sandbox::cgroup::CgroupSettings;
use sandbox::launcher::{
    DaemonSettings, LauncherError, LauncherSettings, ListenerSettings, StartDaemon, UserIds,
};
use sandbox::network::NetworkSettings;
use sandbox::protocol::{Daemon, ListenerName};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// From SIGTERM to SIGKILL. The server has nothing to finish; the router finishes requests.
const SERVER_GRACE_SECONDS: u32 = 10;
const ROUTER_GRACE_SECONDS: u32 = 35;
/// Most threads of the router, however many cores there are.
const MOST_ROUTER_THREADS: usize = 64;
/// Variables that daemons get besides their settings.
const PASSED_ON: &[&str] = &["PATH", "LANG", "TZ", "RUST_BACKTRACE", "SSL_CERT_FILE"];
/// What tests tell daemons.
#[cfg(feature = "test-hooks")]
const TEST_HOOKS: &[&str] = &["DOZEN_FAIL_POINT_FILE", "DOZEN_TEST_NO_DRAIN"];
#[cfg(not(feature = "test-hooks"))]
const TEST_HOOKS: &[&str] = &[];

/// Why the launcher could not run.
#[derive(Debug, thiserror::Error)]
pub enum LauncherFailure {
    #[error("cannot put a copy of the program at {}", path.display())]
    Copy { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Launcher(#[from] LauncherError),
}

/// Runs the launcher until it is told to end.
pub fn run(settings: &Settings) -> Result<(), LauncherFailure> {
    let path = program_copy(settings);
    copy_program(settings, &path).map_err(|source| LauncherFailure::Copy { path, source })?;
    Ok(sandbox::launcher::run_telling(render(settings), systemd::tell_ready)?)
}

/// Our own program where every user may execute it: the checkout it was started from may lie in a private folder.
pub fn program_copy(settings: &Settings) -> PathBuf {
    settings.data.program()
}

fn copy_program(settings: &Settings, path: &Path) -> std::io::Result<()> {
    let folder = path.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    let shared = match settings.who {
        Who::Root => vec![settings.data.root(), folder],
        // Nobody else has any business there.
        Who::OrdinaryUser(_) => Vec::new(),
    };
    for folder in shared {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let new = path.with_extension("new");
    std::fs::copy("/proc/self/exe", &new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(new, path)
}

/// The router accepts on this many sockets, one for each of its threads.
pub fn router_threads(settings: &Settings) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = settings.router_threads.map_or(cores, usize::from);
    NonZeroUsize::new(threads.min(MOST_ROUTER_THREADS)).unwrap_or(NonZeroUsize::MIN)
}

/// What all apps' networks have in common.
pub fn network(settings: &Settings) -> NetworkSettings {
    let mut network = NetworkSettings::new(settings.data.networks());
    network.range = settings.network_range;
    network.prefix = settings.network_prefix.clone();
    network.table = settings.network_table.clone();
    network.deny_outbound = settings.deny_outbound.clone();
    network
}

/// Where control groups are made.
pub fn cgroup(settings: &Settings) -> CgroupSettings {
    CgroupSettings {
        delegated: settings.cgroup_delegated.clone(),
        name: settings.cgroup.clone(),
        hidden: sandbox::probe::hidden_controllers(&settings.probe_mask),
    }
}

fn render(settings: &Settings) -> LauncherSettings {
    let installed = toolchains::find_installed(settings);
    for unusable in &installed.passed_over {
        eprintln!("dozen launcher: {unusable}: passed over, no app gets it");
    }
    let (listeners, daemons) = match settings.supervisor {
        Supervisor::Launcher => own_daemons(settings),
        Supervisor::Systemd => (Vec::new(), Vec::new()),
    };
    LauncherSettings {
        server: UserIds::same(settings.uid),
        router: UserIds::same(settings.router_uid),
        app_uid_base: settings.app_uid_base,
        rust_prefix: installed.rust,
        runtimes: installed.runtimes,
        certificates: toolchains::find_certificates(settings),
        mask: settings.probe_mask.clone(),
        allow_weaker: settings.allow_weaker.clone(),
        cgroup: cgroup(settings),
        network: network(settings),
        listeners,
        daemons,
        ..LauncherSettings::new(settings.data.clone())
    }
}

fn own_daemons(settings: &Settings) -> (Vec<ListenerSettings>, Vec<DaemonSettings>) {
    let sockets = u32::try_from(router_threads(settings).get()).unwrap_or(1);
    let one = |name, address| ListenerSettings { name, address, sockets: 1 };
    let mut listeners = vec![
        one(ListenerName::Api, settings.api_listen),
        ListenerSettings { name: ListenerName::Http, address: settings.http_listen, sockets },
    ];
    listeners.extend(settings.ssh_listen.map(|address| one(ListenerName::Ssh, address)));
    (listeners, vec![server(settings), router(settings, sockets)])
}

fn server(settings: &Settings) -> DaemonSettings {
    let ssh = settings.ssh_listen.map(|_| ListenerName::Ssh);
    DaemonSettings {
        daemon: Daemon::Server,
        arguments: vec!["serve".to_owned()],
        environment: environment(Daemon::Server, settings, std::env::vars()),
        listeners: [Some(ListenerName::Api), ssh].into_iter().flatten().collect(),
        journal_writers: 1,
        start: StartDaemon::AtOnce,
        stop_grace_seconds: SERVER_GRACE_SECONDS,
    }
}

fn router(settings: &Settings, threads: u32) -> DaemonSettings {
    DaemonSettings {
        daemon: Daemon::Router,
        arguments: vec!["router".to_owned()],
        environment: environment(Daemon::Router, settings, std::env::vars()),
        listeners: vec![ListenerName::Http],
        journal_writers: threads,
        start: StartDaemon::AtOnce,
        stop_grace_seconds: ROUTER_GRACE_SECONDS,
    }
}

/// The settings, and nothing else that happens to be named like them: the client's token, say. What follows from who started the
/// launcher is always among them.
fn environment(
    daemon: Daemon,
    settings: &Settings,
    given: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let decided = [
        ("DOZEN_DATA", settings.data.root().display().to_string()),
        ("DOZEN_UID", settings.uid.to_string()),
        ("DOZEN_ROUTER_UID", settings.router_uid.to_string()),
    ];
    let given = given.filter(|(name, _)| decided.iter().all(|(known, _)| known != name));
    let chosen = given.filter(|(name, _)| is_for(daemon, name));
    let decided = decided.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    chosen.chain(decided).collect()
}

fn is_for(daemon: Daemon, name: &str) -> bool {
    let is_setting = settings::ALL.iter().any(|setting| setting.name == name);
    let is_wanted = match daemon {
        Daemon::Server => true,
        // It builds nothing.
        Daemon::Router => !settings::MIRRORS.contains(&name),
    };
    is_setting && is_wanted || PASSED_ON.contains(&name) || TEST_HOOKS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_get_settings_and_no_secret_of_the_clients() {
        let settings = Settings::from_env(Who::Root, |_| None).unwrap();
        let given = [
            ("DOZEN_LOG", "debug"),
            ("DOZEN_DATA", "/given"),
            ("DOZEN_TOKEN", "secret"),
            ("DOZEN_CONFIG_HOME", "/x"),
            ("DOZEN_NPM_MIRROR", "https://ada:secret@mirror/"),
            ("PATH", "/bin"),
            ("HOME", "/root"),
        ];
        let names = |daemon| {
            let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let passed = environment(daemon, &settings, given.into_iter());
            passed.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let decided = ["DOZEN_DATA=/var/lib/dozen", "DOZEN_UID=64990", "DOZEN_ROUTER_UID=64991"];
        let router = [&["DOZEN_LOG=debug", "PATH=/bin"][..], &decided].concat();
        assert_eq!(names(Daemon::Router), router);
        let mirror = "DOZEN_NPM_MIRROR=https://ada:secret@mirror/";
        assert_eq!(names(Daemon::Server), [&["DOZEN_LOG=debug", mirror, "PATH=/bin"][..], &decided].concat());
    }
}
