//! All settings of the daemons: environment variables, read once, checked at once.
//!
//! [`ALL`] is the one list of names; it makes `docs/reference/environment.md`. A value that cannot be understood stops the start
//! with exit code 64 and names its variable.

use builder::MirrorUrl;
use domain::account::Email;
use domain::names::HostName;
use domain::size::{CpuQuota, SizeRules};
use sandbox::cgroup::GroupName;
use sandbox::layout::DataFolder;
use sandbox::network::{AppRange, InterfacePrefix, Ipv4Range, TableName};
use sandbox::probe::LayerSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// A variable, for people.
pub struct Setting {
    pub name: &'static str,
    /// As it would be written; empty: none.
    pub default: &'static str,
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning }
}

/// Every setting of the daemons.
pub const ALL: &[Setting] = &[
    setting(
        "DOZEN_DATA",
        "/var/lib/dozen",
        "The data folder. Everything that Dozen keeps lies in it. As an ordinary user: `XDG_DATA_HOME/dozen`, else `~/.local/share/dozen`.",
    ),
    setting("DOZEN_API_LISTEN", "127.0.0.1:4430", "Address and port of the API and of git, over HTTPS."),
    setting(
        "DOZEN_SSH_LISTEN",
        "",
        "Address and port for pushes over SSH, such as `0.0.0.0:2222`. None if it is not set. Under systemd a port of 1024 or above.",
    ),
    setting("DOZEN_HTTP_LISTEN", "127.0.0.1:5080", "Address and port at which apps answer."),
    setting("DOZEN_BASE_DOMAIN", "localhost", "Apps answer at `NAME.BASE`."),
    setting(
        "DOZEN_API_HOST",
        "localhost",
        "The host name by which people reach the API; it appears in URLs and in the certificate.",
    ),
    setting("DOZEN_ADMIN_EMAIL", "admin@localhost", "The first account, made at the first start."),
    setting(
        "DOZEN_MASTER_KEY_FILE",
        "DATA/keys/master",
        "The file with the key that seals secrets. Made at the first start. Keep a copy apart from backups of the ledger.",
    ),
    setting(
        "DOZEN_UID",
        "64990",
        "User and group id of the server and of shims. No password entry is needed. An ordinary user's server has that user's.",
    ),
    setting("DOZEN_ROUTER_UID", "64991", "User and group id of the router, as above."),
    setting(
        "DOZEN_APP_UID_BASE",
        "2000000",
        "First user id of the range for apps: two for each app, 100,000 in all. An ordinary user's apps have that user's.",
    ),
    setting(
        "DOZEN_RUST_PREFIX",
        "",
        "The Rust toolchain for builds (a sysroot). Found by asking `rustc` at the start if it is not set.",
    ),
    setting(
        "DOZEN_PYTHON_PREFIX",
        "",
        "Python installations for apps, separated by commas, one for each series, the default one first. `dozen install` writes those that it finds. If it is not set: the one that `python3` is for whoever starts Dozen, then the system's.",
    ),
    setting(
        "DOZEN_NODE_PREFIX",
        "",
        "Node.js installations for apps, as above. If it is not set: the one that `node` is for whoever starts Dozen, then the system's.",
    ),
    setting(
        "DOZEN_CERTIFICATES",
        "",
        "The file of certificate authorities that builds trust when they fetch packages. If it is not set: `SSL_CERT_FILE`, then the system's.",
    ),
    setting(
        "DOZEN_PYPI_MIRROR",
        "",
        "The package index that Python builds use, such as `https://mirror.example.com/simple`.",
    ),
    setting(
        "DOZEN_NPM_MIRROR",
        "",
        "The registry that Node.js builds use, such as `https://mirror.example.com/npm/`.",
    ),
    setting(
        "DOZEN_CRATES_MIRROR",
        "",
        "The registry that Rust builds use in place of crates.io, such as `sparse+https://mirror.example.com/index/`.",
    ),
    setting(
        "DOZEN_NETWORK_RANGE",
        "10.212.0.0/15",
        "The private range that apps' addresses come from, one for each app. Two installations on one machine need different ones.",
    ),
    setting(
        "DOZEN_NETWORK_PREFIX",
        "dz",
        "What the names of apps' network links begin with. Two installations on one machine need different ones.",
    ),
    setting("DOZEN_NETWORK_TABLE", "dozen", "The name of the nftables table."),
    setting("DOZEN_CGROUP", "dozen", "The name of the folder in which control groups are made."),
    setting(
        "DOZEN_CGROUP_DELEGATED",
        "",
        "A delegated folder of the unified control group tree. As an ordinary user: the own group, if it was delegated.",
    ),
    setting("DOZEN_DENY_OUTBOUND", "", "IPv4 ranges that apps may not reach, separated by commas."),
    setting(
        "DOZEN_FETCH_ALLOW",
        "",
        "Host names, addresses and ranges from which the server itself may fetch source archives although they are private, separated by commas. Public addresses are always allowed, this machine's own only by name here.",
    ),
    setting(
        "DOZEN_ALLOW_WEAKER",
        "",
        "Layers of the sandbox that may be missing, separated by commas. Each weakens isolation and is told at every start.",
    ),
    setting(
        "DOZEN_PROBE_MASK",
        "",
        "Layers to treat as missing, separated by commas. For tests of the fall-backs.",
    ),
    setting(
        "DOZEN_SUPERVISOR",
        "launcher",
        "Who starts the server and the router and holds their listeners: `launcher`, or `systemd` (units that `dozen install` writes).",
    ),
    setting(
        "DOZEN_MEMORY_HARD_PERCENT",
        "200",
        "The memory at which a process is killed (R15), in percent of its quota: 100, no more than the quota, to 1000. From the quota on it is told to be above it (R14).",
    ),
    setting(
        "DOZEN_CPU_QUOTA",
        "",
        "The most CPU time that processes of a size get, in thousandths of a core: `Eco=500,Standard-1X=1000`. Sizes that are not named get what is free, by weight.",
    ),
    setting("DOZEN_PROCESS_LIMIT", "1000", "Processes of apps that may live at once on this machine."),
    setting(
        "DOZEN_BOOT_TIMEOUT_SECONDS",
        "60",
        "A web process must accept connections on `PORT` in this time (R10).",
    ),
    setting(
        "DOZEN_DRAIN_SECONDS",
        "30",
        "A process that is being replaced may finish its requests in this time.",
    ),
    setting(
        "DOZEN_CYCLE_HOURS",
        "",
        "Processes that have run for this many hours, and up to 15 % more, are restarted; 24 is Heroku's rule (24 hours and up to 216 minutes). Never if it is not set.",
    ),
    setting(
        "DOZEN_ROLLBACK_CRASHES",
        "",
        "A release whose processes crash more often than this in its first minutes is rolled back. Never if it is not set.",
    ),
    setting(
        "DOZEN_ROLLBACK_MINUTES",
        "5",
        "How long crashes count against the setting above, from the promotion.",
    ),
    setting(
        "DOZEN_RENEW_SHIMS",
        "on",
        "Whether the shims of running processes go on as the installed program after an upgrade: `on`, or `off`. With `off` a process has the shim that it was started with until it is restarted.",
    ),
    setting("DOZEN_ROUTER_THREADS", "", "Threads of the router; one for each core if it is not set."),
    setting(
        "DOZEN_LOG",
        "info",
        "What the daemons log about themselves: error, warn, info, debug, or a filter by module.",
    ),
];

/// URLs that may hold a password: for the server alone, and never told.
pub const MIRRORS: [&str; 3] = ["DOZEN_PYPI_MIRROR", "DOZEN_NPM_MIRROR", "DOZEN_CRATES_MIRROR"];

/// Who starts the server and the router, and holds their listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervisor {
    /// Our launcher.
    Launcher,
    /// Units of systemd; the launcher is one of them.
    Systemd,
}

impl FromStr for Supervisor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "launcher" => Ok(Self::Launcher),
            "systemd" => Ok(Self::Systemd),
            _ => Err("expected launcher or systemd"),
        }
    }
}

/// Whether shims of earlier builds are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewShims {
    On,
    Off,
}

impl FromStr for RenewShims {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("expected on or off"),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the setting {name}=\"{value}\" cannot be used: {reason}")]
pub struct SettingsError {
    pub name: &'static str,
    pub value: String,
    pub reason: String,
}

/// Who reads the settings: some follow from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Root,
    /// With this id, which is then the only one.
    OrdinaryUser(u32),
}

impl Who {
    /// The user of this process.
    pub fn of_process() -> Self {
        let uid = rustix::process::geteuid();
        if uid.is_root() { Self::Root } else { Self::OrdinaryUser(uid.as_raw()) }
    }
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who started all this. Not for daemons, which have users of their own.
    pub who: Who,
    pub data: DataFolder,
    pub api_listen: SocketAddr,
    pub ssh_listen: Option<SocketAddr>,
    pub http_listen: SocketAddr,
    pub base_domain: HostName,
    pub api_host: HostName,
    pub admin_email: Email,
    pub master_key_file: PathBuf,
    pub uid: u32,
    pub router_uid: u32,
    pub app_uid_base: u32,
    pub rust_prefix: Option<PathBuf>,
    pub python_prefixes: Vec<PathBuf>,
    pub node_prefixes: Vec<PathBuf>,
    pub certificates: Option<PathBuf>,
    pub pypi_mirror: Option<MirrorUrl>,
    pub npm_mirror: Option<MirrorUrl>,
    pub crates_mirror: Option<MirrorUrl>,
    pub network_range: AppRange,
    pub network_prefix: InterfacePrefix,
    pub network_table: TableName,
    pub cgroup: GroupName,
    pub cgroup_delegated: Option<PathBuf>,
    pub deny_outbound: Vec<Ipv4Range>,
    pub fetch_allow: Vec<outbound::Allowed>,
    pub allow_weaker: LayerSet,
    pub probe_mask: LayerSet,
    pub supervisor: Supervisor,
    pub sizes: SizeRules,
    pub process_limit: u32,
    pub boot_timeout_seconds: u64,
    pub drain_seconds: u64,
    pub cycle_hours: Option<NonZeroU32>,
    pub rollback_crashes: Option<u32>,
    pub rollback_minutes: NonZeroU32,
    pub renew_shims: RenewShims,
    pub router_threads: Option<u16>,
    /// Understood already: [`EnvFilter`] can be made of it.
    pub log: String,
}

impl Settings {
    /// Reads every setting through `lookup`, which gives a variable's value.
    pub fn from_env(who: Who, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = Reader { lookup: &lookup };
        let data = read.data_folder(who)?;
        if !data.is_absolute() {
            return Err(error("DOZEN_DATA", &data.to_string_lossy(), "expected an absolute path"));
        }
        let master_key_file = read.some("DOZEN_MASTER_KEY_FILE")?.unwrap_or_else(|| data.join("keys/master"));
        Ok(Self {
            who,
            data: DataFolder::new(data),
            master_key_file,
            api_listen: read.one("DOZEN_API_LISTEN")?,
            ssh_listen: read.some("DOZEN_SSH_LISTEN")?,
            http_listen: read.one("DOZEN_HTTP_LISTEN")?,
            base_domain: read.one("DOZEN_BASE_DOMAIN")?,
            api_host: read.one("DOZEN_API_HOST")?,
            admin_email: read.one("DOZEN_ADMIN_EMAIL")?,
            uid: read.user("DOZEN_UID", who)?,
            router_uid: read.user("DOZEN_ROUTER_UID", who)?,
            app_uid_base: read.one("DOZEN_APP_UID_BASE")?,
            rust_prefix: read.some("DOZEN_RUST_PREFIX")?,
            python_prefixes: read.list("DOZEN_PYTHON_PREFIX")?,
            node_prefixes: read.list("DOZEN_NODE_PREFIX")?,
            certificates: read.some("DOZEN_CERTIFICATES")?,
            pypi_mirror: read.some("DOZEN_PYPI_MIRROR")?,
            npm_mirror: read.some("DOZEN_NPM_MIRROR")?,
            crates_mirror: read.some("DOZEN_CRATES_MIRROR")?,
            network_range: read.range("DOZEN_NETWORK_RANGE")?,
            network_prefix: read.one("DOZEN_NETWORK_PREFIX")?,
            network_table: read.one("DOZEN_NETWORK_TABLE")?,
            cgroup: read.one("DOZEN_CGROUP")?,
            cgroup_delegated: read.some("DOZEN_CGROUP_DELEGATED")?,
            deny_outbound: read.list("DOZEN_DENY_OUTBOUND")?,
            fetch_allow: read.list("DOZEN_FETCH_ALLOW")?,
            allow_weaker: read.one("DOZEN_ALLOW_WEAKER")?,
            probe_mask: read.one("DOZEN_PROBE_MASK")?,
            supervisor: read.one("DOZEN_SUPERVISOR")?,
            sizes: read.sizes()?,
            process_limit: read.one("DOZEN_PROCESS_LIMIT")?,
            boot_timeout_seconds: read.one("DOZEN_BOOT_TIMEOUT_SECONDS")?,
            drain_seconds: read.one("DOZEN_DRAIN_SECONDS")?,
            cycle_hours: read.some("DOZEN_CYCLE_HOURS")?,
            rollback_crashes: read.some("DOZEN_ROLLBACK_CRASHES")?,
            rollback_minutes: read.one("DOZEN_ROLLBACK_MINUTES")?,
            renew_shims: read.one("DOZEN_RENEW_SHIMS")?,
            router_threads: read.some("DOZEN_ROUTER_THREADS")?,
            log: read.one::<EnvFilter>("DOZEN_LOG")?.to_string(),
        })
    }

    /// The settings of a daemon that a launcher started, whatever user it runs as: what would follow from that is given.
    pub fn of_daemon() -> Result<Self, SettingsError> {
        Self::from_env(Who::Root, |name| std::env::var(name).ok())
    }

    /// The settings of this process.
    pub fn of_process() -> Result<Self, SettingsError> {
        Self::from_env(Who::of_process(), |name| std::env::var(name).ok())
    }
}

/// In place of a value that may hold a password.
const HIDDEN: &str = "(not shown)";

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    /// A setting's value, or its default.
    fn one<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, SettingsError> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty());
        let default = ALL.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default);
        parse(name, value.as_deref().unwrap_or(default))
    }

    /// A setting's value, if it is set.
    fn some<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Option<T>, SettingsError> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty());
        value.map(|value| parse(name, &value)).transpose()
    }

    /// An ordinary user's lies where programs of that user keep what is theirs (the XDG Base Directory Specification).
    fn data_folder(&self, who: Who) -> Result<PathBuf, SettingsError> {
        const NAME: &str = "DOZEN_DATA";
        let absolute = |name: &str| (self.lookup)(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let of_user = || {
            absolute("XDG_DATA_HOME")
                .or_else(|| Some(absolute("HOME")?.join(".local/share")))
                .map(|home| home.join("dozen"))
        };
        match (self.some(NAME)?, who) {
            (Some(data), _) => Ok(data),
            (None, Who::Root) => self.one(NAME),
            (None, Who::OrdinaryUser(_)) => {
                of_user().ok_or_else(|| error(NAME, "", "set it, XDG_DATA_HOME or HOME to an absolute path"))
            }
        }
    }

    /// An ordinary user can start nothing as another.
    fn user(&self, name: &'static str, who: Who) -> Result<u32, SettingsError> {
        match who {
            Who::Root => self.one(name),
            Who::OrdinaryUser(own) => match self.some::<u32>(name)? {
                None => Ok(own),
                Some(given) if given == own => Ok(own),
                Some(given) => Err(error(
                    name,
                    &given.to_string(),
                    &format!("only root can run daemons as other users; this is uid {own}, leave it unset"),
                )),
            },
        }
    }

    fn sizes(&self) -> Result<SizeRules, SettingsError> {
        let quotas: Vec<CpuQuota> = self.list("DOZEN_CPU_QUOTA")?;
        Ok(SizeRules {
            memory_hard: self.one("DOZEN_MEMORY_HARD_PERCENT")?,
            cpu_millicores: quotas.into_iter().map(|quota| (quota.size, quota.millicores)).collect(),
        })
    }

    fn range(&self, name: &'static str) -> Result<AppRange, SettingsError> {
        let range: Ipv4Range = self.one(name)?;
        AppRange::new(range).map_err(|reason| error(name, &range.to_string(), &reason.to_string()))
    }

    fn list<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Vec<T>, SettingsError> {
        let value = (self.lookup)(name).unwrap_or_default();
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| parse(name, part)).collect()
    }
}

fn parse<T: FromStr<Err: Display>>(name: &'static str, value: &str) -> Result<T, SettingsError> {
    value.parse().map_err(|reason: T::Err| error(name, value, &reason.to_string()))
}

fn error(name: &'static str, value: &str, reason: &str) -> SettingsError {
    let value = if MIRRORS.contains(&name) { HIDDEN } else { value };
    SettingsError { name, value: value.chars().take(200).collect(), reason: reason.to_owned() }
}

/// The page that lists every setting.
pub fn render_reference() -> String {
    let mut page = String::from(
        "# Settings\n\nThe daemons read their settings from the environment, once, at their start. This page is made from the list in\n\
         `crates/cli/src/daemons/settings.rs`.\n\n| Variable | Default | Meaning |\n|---|---|---|\n",
    );
    for setting in ALL {
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        page.push_str(&format!("| `{}` | {default} | {} |\n", setting.name, setting.meaning));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_usable_and_bad_values_are_named() {
        let settings = Settings::from_env(Who::Root, |_| None).unwrap();
        assert_eq!(settings.master_key_file, PathBuf::from("/var/lib/dozen/keys/master"));
        for (name, value) in [
            ("DOZEN_DATA", "relative"),
            ("DOZEN_API_LISTEN", "nonsense"),
            ("DOZEN_SSH_LISTEN", "22"),
            ("DOZEN_UID", "-1"),
            ("DOZEN_ADMIN_EMAIL", "nobody"),
            ("DOZEN_LOG", "info,[broken"),
            ("DOZEN_DENY_OUTBOUND", "10.0.0.0/8,x"),
            ("DOZEN_FETCH_ALLOW", "10.0.0.0/8,a b"),
            ("DOZEN_ALLOW_WEAKER", "no-such-layer"),
            ("DOZEN_PYPI_MIRROR", "mirror.example.com"),
            ("DOZEN_MEMORY_HARD_PERCENT", "99"),
            ("DOZEN_CPU_QUOTA", "Eco=500,huge=1"),
        ] {
            let lookup = |asked: &str| (asked == name).then(|| value.to_owned());
            assert_eq!(Settings::from_env(Who::Root, lookup).unwrap_err().name, name);
        }
    }

    #[test]
    fn no_password_of_a_mirror_is_told() {
        for name in MIRRORS {
            let lookup =
                |asked: &str| (asked == name).then(|| "ada:secret@mirror.example.com/simple".to_owned());
            let told = Settings::from_env(Who::Root, lookup).unwrap_err();
            assert!(told.name == name && !format!("{told} {told:?}").contains("secret"), "{told}");
        }
    }

    #[test]
    fn an_ordinary_user_has_one_id_and_a_data_folder_at_home() {
        let own = Who::OrdinaryUser(1000);
        let read = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> =
                set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Settings::from_env(own, move |asked| {
                set.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone())
            })
        };
        let settings = read(&[("HOME", "/home/ada")]).unwrap();
        assert_eq!(settings.data.root(), std::path::Path::new("/home/ada/.local/share/dozen"));
        assert_eq!((settings.uid, settings.router_uid), (1000, 1000));
        let settings = read(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "/srv/ada")]).unwrap();
        assert_eq!(settings.data.root(), std::path::Path::new("/srv/ada/dozen"));
        assert_eq!(
            read(&[("HOME", "/h"), ("DOZEN_DATA", "/d")]).unwrap().data.root(),
            std::path::Path::new("/d")
        );
        assert_eq!(read(&[]).unwrap_err().name, "DOZEN_DATA");
        let refused = read(&[("HOME", "/h"), ("DOZEN_UID", "64990")]).unwrap_err();
        assert!(refused.to_string().contains("only root can run daemons as other users"), "{refused}");
        assert!(read(&[("HOME", "/h"), ("DOZEN_UID", "1000")]).is_ok());
    }

    #[test]
    fn the_reference_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/environment.md");
        if std::env::var_os("DOZEN_WRITE_DOCS").is_some() {
            std::fs::write(path, render_reference()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, render_reference(), "run the tests once with DOZEN_WRITE_DOCS=1");
    }
}
