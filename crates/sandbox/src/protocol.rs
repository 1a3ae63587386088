//! What the server and the launcher say to each other: one JSON document per `SOCK_SEQPACKET` message, descriptors beside it by
//! `SCM_RIGHTS`. The set is closed; the launcher answers every request with exactly one response, in order.
//!
//! The same rules hold for a shim's control socket ([`ControlRequest`]).

use crate::format::Format;
use crate::probe::ProbeReport;
use crate::spec::{ProcessSpec, WindowSize};
use domain::ids::{AppId, BuildId, ProcessId};
use domain::plan::StopReason;
use domain::process::BootDiagnosis;
use domain::usage::Usage;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Largest message either way, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Most descriptors in one message.
pub const MAX_DESCRIPTORS: usize = 64;

/// A request with its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestMessage {
    pub format: Format,
    pub request: Request,
}

/// Everything that the launcher does for anybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one at a time, never stored")]
pub enum Request {
    /// The first on every connection. Connections of a lower incarnation are refused from then on: a server that was thought
    /// dead cannot act beside its successor.
    Hello {
        incarnation: u64,
    },
    /// Descriptors: the sealed environment, then what [`crate::spec::Stdio::Passed`] announces.
    Spawn {
        spec: ProcessSpec,
    },
    NetworkCreate {
        app: AppId,
        index: u32,
    },
    NetworkRemove {
        app: AppId,
    },
    /// Kills what is left in an ended process's cgroups and removes them and its run folder. Refused while its shim lives.
    ProcessRemove {
        process: ProcessId,
    },
    /// Has a living process's shim go on as the launcher's own program. Descriptor: where the shim answers.
    ShimRenew {
        process: ProcessId,
    },
    /// Looks at what lies between apps' networks and the outside: costs more than [`Request::Status`], for `dozen doctor` alone.
    NetworkInspect,
    /// Removes the working folder of a build. Refused while one of its steps runs.
    BuildRemove {
        build: BuildId,
    },
    /// Removes an app's build cache. Refused while one of its builds runs.
    CacheRemove {
        app: AppId,
    },
    /// Answers with the bound listeners of a name; the descriptors come with the response.
    Listeners {
        name: ListenerName,
    },
    /// Starts a daemon of the settings, unless it runs already, and keeps it running.
    DaemonStart {
        daemon: Daemon,
    },
    /// Stops a daemon (SIGTERM, then SIGKILL) and keeps it stopped.
    DaemonStop {
        daemon: Daemon,
    },
    Status,
    /// Stops the daemons and ends the launcher; app processes go on. Only root, or the ordinary user whose launcher it is, may
    /// ask.
    Shutdown,
}

/// A response with its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseMessage {
    pub format: Format,
    pub response: Result<Answer, Refusal>,
}

/// What the launcher did or knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done,
    /// The shim runs and holds its lock. Whether the process could be started is told by its run folder.
    Spawned {
        shim_pid: u32,
    },
    /// One descriptor each, in this order.
    Listeners {
        addresses: Vec<SocketAddr>,
    },
    Status(LauncherStatus),
    Network(NetworkReport),
}

/// Why the launcher did not do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub reason: RefusalReason,
    /// Names the object and the cause, the whole chain.
    pub message: String,
}

/// The kinds of refusal that a caller may treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// A server of a higher incarnation has spoken: this one must end.
    Fenced,
    /// The request cannot be understood or is not allowed; repeating it is useless.
    Invalid,
    /// A living process is in the way: the same slot, the same job, or the object itself.
    Busy,
    /// There is no such network, listener or daemon.
    NotFound,
    /// A layer of the sandbox is missing on this machine and no setting allows going without it.
    LayerMissing,
    /// The operating system refused; a later try may succeed.
    Failed,
}

/// What the launcher tells about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LauncherStatus {
    pub pid: u32,
    pub version: String,
    /// Which build the launcher runs; empty from one that does not know.
    #[serde(default)]
    pub build: String,
    pub highest_incarnation: u64,
    pub live_shims: u32,
    pub daemons: Vec<DaemonStatus>,
    /// Which network processes get: [`crate::spec::Network::Host`] is accepted only where this is shared.
    pub network: crate::probe::NetworkForm,
    /// What the launcher, with root's rights, found of each layer at its start.
    pub probe: ProbeReport,
    /// Missing layers that a setting allows going without, each as text for people.
    pub weaker: Vec<String>,
    /// Why no process can be started, if so.
    pub cannot_start: Option<String>,
    /// Where the named toolchains were found.
    pub toolchains: Vec<crate::spec::Toolchain>,
    /// The interpreters of this machine, in the order in which they are preferred.
    #[serde(default)]
    pub runtimes: Vec<RuntimeStatus>,
}

/// An interpreter of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeStatus {
    pub runtime: domain::runtime::Runtime,
    /// In full: `3.11.7`.
    pub version: String,
}

/// What the launcher found of networks. Where apps share the host's, there is nothing to find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    pub inspection: Option<crate::network::Inspection>,
    /// Whether a launcher of this boot turned forwarding on: it was off before.
    pub forwarding_turned_on: bool,
}

/// A long-lived child of the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Daemon {
    Server,
    Router,
}

/// How a daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    pub daemon: Daemon,
    pub state: DaemonState,
    /// How often it was started again after an end of its own.
    pub restarts: u32,
}

/// Where in its life a daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    Running {
        pid: u32,
    },
    /// It ended and is started again at the end of a back-off.
    BackingOff,
    Stopped,
}

/// Which listeners are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerName {
    /// API and git over HTTPS: the server's.
    Api,
    /// Git over SSH: the server's.
    Ssh,
    /// Apps over HTTP: the router's.
    Http,
    /// Apps over HTTPS: the router's.
    Https,
}

impl ListenerName {
    pub const ALL: [Self; 4] = [Self::Api, Self::Ssh, Self::Http, Self::Https];

    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_word() == word)
    }
}

/// A request to a shim with its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlMessage {
    pub format: Format,
    pub request: ControlRequest,
}

/// Everything that a shim does for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlRequest {
    /// By the stop policy of the spec. A second request changes nothing.
    Stop,
    /// The same, and the log says why. Shims of older servers refuse it.
    StopBecause(StopReason),
    /// SIGKILL at once.
    Kill,
    Diagnose,
    /// Hands out the outer ends of a held process's standard descriptors, once.
    Attach,
    Resize(WindowSize),
    /// What the process uses now, and the limits that it runs under.
    Usage,
    /// Which build the shim runs. Shims that cannot be renewed refuse it.
    About,
    /// Go on as another program. From the launcher alone, since whoever chose the program would have the shim's rights. Descriptors: the
    /// program, and where the answer goes.
    Renew,
}

/// A shim's response with its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlResponseMessage {
    pub format: Format,
    pub response: Result<ControlAnswer, ControlRefusal>,
}

/// What a shim did or knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAnswer {
    Done,
    Diagnosis(BootDiagnosis),
    Usage(Box<Usage>),
    About(About),
    /// Neither done nor refused: it may be asked again.
    NotNow {
        why: String,
    },
    /// Descriptors: write end of input, read ends of output and error.
    AttachedPipes,
    /// Descriptor: the terminal's master.
    AttachedTerminal,
}

/// The program that a process runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub version: String,
    /// [`crate::build_id`].
    pub build: String,
}

impl About {
    /// Of this process.
    pub fn own() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), build: crate::build_id::own() }
    }
}

/// Why a shim did not do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ControlRefusal {
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shims outlive servers: what an older server sends is understood for ever.
    #[test]
    fn requests_to_stop_in_their_first_form() {
        for (request, golden) in [
            (ControlRequest::Stop, r#""stop""#),
            (ControlRequest::Kill, r#""kill""#),
            (ControlRequest::StopBecause(StopReason::Cycle), r#"{"stop_because":"cycle"}"#),
            (ControlRequest::StopBecause(StopReason::NotWanted), r#"{"stop_because":"not_wanted"}"#),
            (ControlRequest::StopBecause(StopReason::Restart), r#"{"stop_because":"restart"}"#),
            (ControlRequest::StopBecause(StopReason::BootTimeout), r#"{"stop_because":"boot_timeout"}"#),
            (ControlRequest::About, r#""about""#),
            (ControlRequest::Renew, r#""renew""#),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), golden);
            assert_eq!(serde_json::from_str::<ControlRequest>(golden).unwrap(), request);
        }
    }
}
