//! What a machine with Dozen on it looks like: the settings of whoever installs, merged with those of the last time. Pure.

use super::environment_file::EnvironmentFile;
use super::toolchains::Toolchains;
use super::units;
use super::{InstallError, Options};
use crate::daemons::settings::{Settings, SettingsError, Who};
use sandbox::launcher::{DEFAULT_ROUTER_UID, DEFAULT_SERVER_UID};
use std::path::{Path, PathBuf};

pub const PROGRAM: &str = "/usr/local/bin/dozen";
pub const ENVIRONMENT_FILE: &str = "/etc/dozen/dozen.env";
pub const UNIT_FOLDER: &str = "/etc/systemd/system";
pub const SERVER_USER: &str = "dozen";
pub const ROUTER_USER: &str = "dozen-router";
/// A random text in the file of settings. Units show a digest of that file to everybody: nobody shall find a password by it.
pub const FINGERPRINT_KEY: &str = "DOZEN_FINGERPRINT_KEY";

const DEFAULT_HTTP_PORT: u16 = 80;
const DEFAULT_API_PORT: u16 = 443;

/// What `ProtectHome=` hides.
const HIDDEN_FROM_UNITS: [&str; 3] = ["/home", "/root", "/run/user"];

/// The address family that listeners are given unless somebody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Both versions on one socket.
    Both,
    V4Only,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub program: PathBuf,
    pub environment_file: PathBuf,
    pub environment: EnvironmentFile,
    pub settings: Settings,
    pub server_user: String,
    pub router_user: String,
}

/// What is known of the machine when the settings are put together.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The file of the last installation.
    pub environment: Option<String>,
    pub family: Option<Family>,
    /// Users of earlier installations keep their numbers.
    pub server_uid: Option<u32>,
    pub router_uid: Option<u32>,
    /// Random, for a file that has no [`FINGERPRINT_KEY`] yet.
    pub fingerprint_key: String,
}

/// Options go before what the file holds, and that before the defaults of a server.
pub fn plan_settings(options: &Options, known: &Known) -> Result<Wanted, InstallError> {
    let mut file = known.environment.as_deref().map_or_else(EnvironmentFile::default, EnvironmentFile::parse);
    for (name, value) in fixed() {
        file.set(name, &value);
    }
    for (name, value) in given(options) {
        file.set(name, &value);
    }
    let base = file.get("DOZEN_BASE_DOMAIN").ok_or(InstallError::NoBaseDomain)?.to_owned();
    for (name, value) in defaults(&base, known) {
        if file.get(name).is_none() {
            file.set(name, &value);
        }
    }
    let settings = read(&file)?;
    check_visible(settings.data.root())?;
    Ok(Wanted {
        program: PathBuf::from(PROGRAM),
        environment_file: PathBuf::from(ENVIRONMENT_FILE),
        environment: file,
        settings,
        server_user: SERVER_USER.to_owned(),
        router_user: ROUTER_USER.to_owned(),
    })
}

/// The settings that a file of the last installation gives.
pub fn read(file: &EnvironmentFile) -> Result<Settings, SettingsError> {
    let values = file.values();
    Settings::from_env(Who::Root, |name| values.get(name).map(|value| (*value).to_owned()))
}

/// What the units rely on.
fn fixed() -> [(&'static str, String); 2] {
    [("DOZEN_SUPERVISOR", "systemd".to_owned()), ("DOZEN_CGROUP_DELEGATED", units::DELEGATED.to_owned())]
}

fn given(options: &Options) -> Vec<(&'static str, String)> {
    let named = [
        ("DOZEN_BASE_DOMAIN", options.base_domain.clone()),
        ("DOZEN_API_HOST", options.api_host.clone()),
        ("DOZEN_ADMIN_EMAIL", options.admin_email.clone()),
        ("DOZEN_HTTP_LISTEN", options.http_listen.map(|address| address.to_string())),
        ("DOZEN_API_LISTEN", options.api_listen.map(|address| address.to_string())),
        ("DOZEN_DATA", options.data.as_ref().map(|path| path.display().to_string())),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn defaults(base: &str, known: &Known) -> Vec<(&'static str, String)> {
    let any = match known.family {
        Some(Family::Both) => "[::]",
        Some(Family::V4Only) | None => "0.0.0.0",
    };
    vec![
        ("DOZEN_API_HOST", base.to_owned()),
        ("DOZEN_ADMIN_EMAIL", format!("admin@{base}")),
        ("DOZEN_HTTP_LISTEN", format!("{any}:{DEFAULT_HTTP_PORT}")),
        ("DOZEN_API_LISTEN", format!("{any}:{DEFAULT_API_PORT}")),
        ("DOZEN_DATA", "/var/lib/dozen".to_owned()),
        (FINGERPRINT_KEY, known.fingerprint_key.clone()),
        ("DOZEN_UID", known.server_uid.unwrap_or(DEFAULT_SERVER_UID).to_string()),
        ("DOZEN_ROUTER_UID", known.router_uid.unwrap_or(DEFAULT_ROUTER_UID).to_string()),
    ]
}

/// The daemons' units see nothing of homes.
fn check_visible(data: &Path) -> Result<(), InstallError> {
    let hidden = HIDDEN_FROM_UNITS.into_iter().find(|folder| data.starts_with(folder));
    hidden.map_or(Ok(()), |folder| Err(InstallError::HiddenData { data: data.to_owned(), folder }))
}

/// Puts what was found on this machine into the settings, where nobody has said anything else.
pub fn with_toolchains(wanted: Wanted, found: &Toolchains) -> Result<Wanted, InstallError> {
    let mut environment = wanted.environment;
    for (name, value) in found.settings() {
        if environment.get(name).is_none_or(str::is_empty) {
            environment.set(name, &value);
        }
    }
    let settings = read(&environment)?;
    Ok(Wanted { environment, settings, ..wanted })
}

/// Where a unit's file lies.
pub fn unit_path(name: &str) -> PathBuf {
    Path::new(UNIT_FOLDER).join(name)
}
