//! What a launcher is started with. Values only: who reads the environment decides where they come from.

use crate::cgroup::CgroupSettings;
use crate::layout::DataFolder;
use crate::network::NetworkSettings;
use crate::probe::{LayerSet, Privilege};
use crate::protocol::{Daemon, ListenerName};
use crate::spec::{MAX_APP_INDEX, Toolchain};
use domain::runtime::Runtime;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The uid of the server and of shims, unless a setting says otherwise.
pub const DEFAULT_SERVER_UID: u32 = 64_990;
/// The uid of the router, unless a setting says otherwise.
pub const DEFAULT_ROUTER_UID: u32 = 64_991;
/// The first uid of the range that is set aside for apps and builds.
pub const DEFAULT_APP_UID_BASE: u32 = 2_000_000;

/// Between two looks at what a process uses: as often as Heroku tells it.
pub const SAMPLE_MILLIS: u64 = 20_000;

/// Root. Everything that a launcher of root relies on is its.
const ROOT: UserIds = UserIds::same(0);

/// A user and its group; no password entry is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIds {
    pub uid: u32,
    pub gid: u32,
}

impl UserIds {
    /// A user whose group has the same number.
    pub const fn same(id: u32) -> Self {
        Self { uid: id, gid: id }
    }
}

/// Everything a launcher needs to know.
#[derive(Debug, Clone)]
pub struct LauncherSettings {
    pub data: DataFolder,
    /// Who the launcher is. Where that is not root, it is everybody else as well.
    pub own: UserIds,
    pub server: UserIds,
    pub router: UserIds,
    pub app_uid_base: u32,
    /// The sysroot that is bound at `/opt/rust` for builds that ask for it.
    pub rust_prefix: Option<PathBuf>,
    /// The interpreters of this machine, one a series.
    pub runtimes: Vec<InstalledRuntime>,
    /// The certificate authorities that builds are shown.
    pub certificates: Option<PathBuf>,
    /// Layers to do without, as if the machine lacked them.
    pub mask: LayerSet,
    /// Layers whose absence does not keep apps from starting.
    pub allow_weaker: LayerSet,
    pub cgroup: CgroupSettings,
    /// Between two looks at what a process uses.
    pub sample_millis: u64,
    pub network: NetworkSettings,
    pub listeners: Vec<ListenerSettings>,
    pub daemons: Vec<DaemonSettings>,
}

impl LauncherSettings {
    /// Defaults, no listeners and no daemons.
    pub fn new(data: DataFolder) -> Self {
        let network = NetworkSettings::new(data.networks());
        Self {
            data,
            own: ROOT,
            server: UserIds::same(DEFAULT_SERVER_UID),
            router: UserIds::same(DEFAULT_ROUTER_UID),
            app_uid_base: DEFAULT_APP_UID_BASE,
            rust_prefix: None,
            runtimes: Vec::new(),
            certificates: None,
            mask: LayerSet::default(),
            allow_weaker: LayerSet::default(),
            cgroup: CgroupSettings::default(),
            sample_millis: SAMPLE_MILLIS,
            network,
            listeners: Vec::new(),
            daemons: Vec::new(),
        }
    }

    /// Where a toolchain lies on this machine.
    pub fn prefix(&self, toolchain: Toolchain) -> Option<&Path> {
        match toolchain {
            Toolchain::Rust => self.rust_prefix.as_deref(),
            Toolchain::Runtime(runtime) => {
                let installed = self.runtimes.iter().find(|installed| installed.runtime == runtime);
                installed.map(|installed| installed.prefix.as_path())
            }
        }
    }

    /// The form of an ordinary user: launcher, server, router, shims, apps and builds are all that one user.
    pub fn as_ordinary_user(self, own: UserIds) -> Self {
        Self { own, server: own, router: own, ..self }
    }

    pub const fn privilege(&self) -> Privilege {
        if self.own.uid == ROOT.uid { Privilege::Root } else { Privilege::OrdinaryUser }
    }

    /// The user of an app's processes; `None` if the number is out of the range.
    pub fn app_user(&self, app_index: u32) -> Option<UserIds> {
        self.user(app_index, 0)
    }

    /// The user of an app's builds.
    pub fn build_user(&self, app_index: u32) -> Option<UserIds> {
        self.user(app_index, 1)
    }

    fn user(&self, app_index: u32, offset: u32) -> Option<UserIds> {
        (app_index < MAX_APP_INDEX).then_some(())?;
        match self.privilege() {
            Privilege::Root => self.app_uid_base.checked_add(app_index * 2 + offset).map(UserIds::same),
            Privilege::OrdinaryUser => Some(self.own),
        }
    }
}

/// An interpreter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledRuntime {
    pub runtime: Runtime,
    /// In full: `3.11.7`.
    pub version: String,
    /// The folder that holds `bin` and `lib`, and nothing that an app may not see.
    pub prefix: PathBuf,
}

/// Sockets that are bound at the start and stay bound while the launcher lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    pub name: ListenerName,
    pub address: SocketAddr,
    /// How many sockets share the address (SO_REUSEPORT): one for each thread that accepts.
    pub sockets: u32,
}

/// A long-lived child: this same program with other arguments, as the daemon's own user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSettings {
    pub daemon: Daemon,
    pub arguments: Vec<String>,
    /// All of its environment, but for what the launcher adds: `DOZEN_LISTENERS` and `DOZEN_WRITERS`.
    pub environment: Vec<(String, String)>,
    /// Which listeners it inherits.
    pub listeners: Vec<ListenerName>,
    /// How many journal folders are made for it at each start; their ids are told by `DOZEN_WRITERS`.
    pub journal_writers: u32,
    pub start: StartDaemon,
    /// From SIGTERM to SIGKILL.
    pub stop_grace_seconds: u32,
}

/// When a daemon is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartDaemon {
    /// With the launcher.
    AtOnce,
    /// When somebody asks.
    OnRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_apps_and_builds_never_meet() {
        let settings = LauncherSettings::new(DataFolder::new("/nowhere"));
        assert_eq!(settings.app_user(0), Some(UserIds::same(2_000_000)));
        assert_eq!(settings.build_user(0), Some(UserIds::same(2_000_001)));
        assert_eq!(settings.app_user(1), Some(UserIds::same(2_000_002)));
        assert_eq!(settings.app_user(MAX_APP_INDEX), None);
        let high = LauncherSettings { app_uid_base: u32::MAX - 1, ..settings };
        assert_eq!(high.app_user(7), None);
    }

    #[test]
    fn an_ordinary_user_is_everybody() {
        let own = UserIds { uid: 1000, gid: 100 };
        let settings = LauncherSettings::new(DataFolder::new("/nowhere")).as_ordinary_user(own);
        assert_eq!(settings.privilege(), Privilege::OrdinaryUser);
        assert_eq!((settings.server, settings.router), (own, own));
        assert_eq!((settings.app_user(7), settings.build_user(8)), (Some(own), Some(own)));
        assert_eq!(settings.app_user(MAX_APP_INDEX), None);
    }
}
