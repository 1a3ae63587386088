//! One thing that is done to the machine, and how it is told.

use super::environment_file::EnvironmentFile;
use super::units;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// systemd reads it as root, and gives each daemon its settings.
pub const SETTINGS_MODE: u32 = 0o600;

/// A step of installing or of uninstalling. Each may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    MakeGroup {
        name: String,
        gid: u32,
    },
    MakeUser {
        name: String,
        uid: u32,
        about: String,
    },
    MakeFolder {
        path: PathBuf,
        mode: u32,
    },
    /// The program that runs, put where the units execute it.
    CopyProgram {
        to: PathBuf,
    },
    WriteFile {
        path: PathBuf,
        text: String,
    },
    /// The file of settings, which only root may read.
    WriteSettings {
        path: PathBuf,
        text: String,
    },
    /// Units are read anew.
    Reload,
    Enable {
        units: Vec<&'static str>,
    },
    /// A socket whose address has changed is made anew; so that it can be, its service stops. After all that is in it, the slice.
    Stop {
        units: Vec<&'static str>,
    },
    Start {
        units: Vec<&'static str>,
    },
    Restart {
        units: Vec<&'static str>,
    },
    /// The first administrator's token, from the server to the credentials of root's client.
    TakeFirstLogin,
    /// Everything of Dozen, apps included.
    StopAll,
    Disable {
        units: Vec<&'static str>,
    },
    RemoveFile {
        path: PathBuf,
    },
    /// Only if it is empty.
    RemoveEmptyFolder {
        path: PathBuf,
    },
    /// Namespaces, links and packet rules of apps.
    RemoveNetworks,
    RemoveData {
        path: PathBuf,
    },
    RemoveUser {
        name: String,
    },
    RemoveGroup {
        name: String,
    },
}

impl fmt::Display for Step {
    /// One line; [`Step::detail`] has the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeGroup { name, gid } => write!(f, "make the group {name} ({gid})"),
            Self::MakeUser { name, uid, about } => write!(f, "make the user {name} ({uid}): {about}"),
            Self::MakeFolder { path, mode } => write!(f, "make the folder {} ({mode:04o})", path.display()),
            Self::CopyProgram { to } => write!(f, "copy this program to {}", to.display()),
            Self::WriteFile { path, .. } => write!(f, "write {}", path.display()),
            Self::WriteSettings { path, .. } => write!(f, "write {} ({SETTINGS_MODE:04o})", path.display()),
            Self::Reload => f.write_str("systemctl daemon-reload"),
            Self::Enable { units } => write!(f, "systemctl enable {}", units.join(" ")),
            Self::Stop { units } => write!(f, "systemctl stop {}", units.join(" ")),
            Self::Start { units } => write!(f, "systemctl start {}", units.join(" ")),
            Self::Restart { units } => write!(f, "systemctl restart {}", units.join(" ")),
            Self::TakeFirstLogin => f.write_str("log root's client in with the first token, if there is one"),
            Self::StopAll => write!(f, "systemctl stop {}: the daemons, and every app", units::TARGET),
            Self::Disable { units } => write!(f, "systemctl disable {}", units.join(" ")),
            Self::RemoveFile { path } => write!(f, "remove {}", path.display()),
            Self::RemoveEmptyFolder { path } => write!(f, "remove {} if it is empty", path.display()),
            Self::RemoveNetworks => f.write_str("remove the apps' networks and the packet rules"),
            Self::RemoveData { path } => write!(f, "REMOVE {} and everything in it", path.display()),
            Self::RemoveUser { name } => write!(f, "remove the user {name}"),
            Self::RemoveGroup { name } => write!(f, "remove the group {name}"),
        }
    }
}

impl Step {
    /// What a dry run shows below the line: the text of a file, but for passwords.
    pub fn detail(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::WriteFile { text, .. } => Some(Cow::Borrowed(text)),
            Self::WriteSettings { text, .. } => Some(EnvironmentFile::parse(text).render_masked().into()),
            _ => None,
        }
    }
}
