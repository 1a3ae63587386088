//! What one process is to be: the request that the server hands to the launcher and that lies, unchanged, in the process's run
//! folder as `spec.json`.
//!
//! A spec holds ids, never paths: the launcher works out every path from its own settings. It holds no config value either: the
//! environment travels beside it as a sealed memfd ([`crate::environment`]).

use crate::format::Format;
use domain::app_json::health::{HealthCheck, MAX_CHECKS, Probe};
use domain::endpoint::Endpoint;
use domain::ids::{AppId, BuildId, ProcessId};
use domain::names::SlugId;
use domain::process::{Limits, Purpose, StopPolicy};
use domain::runtime::{Language, Runtime};
use domain::size::CpuQuota;
use domain::time::{BootId, BootMillis};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Longest command (all arguments together), in bytes.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;
/// Most arguments of a command.
pub const MAX_ARGUMENTS: usize = 256;
/// Longest display name, in bytes.
pub const MAX_DISPLAY_NAME_BYTES: usize = 100;
/// Highest number of an app on one host: its uids must stay in the range that is set aside for apps.
pub const MAX_APP_INDEX: u32 = 50_000;
/// Least memory with which a process can be started at all.
pub const MIN_MEMORY_BYTES: u64 = 8 * 1024 * 1024;
/// Least room in `/tmp`: none at all would mean no limit to the kernel.
pub const MIN_TMP_BYTES: u64 = 64 * 1024;
/// Least process count: the init and the process itself, with room for one shell pipeline.
pub const MIN_PROCESSES: u32 = 4;

/// A process to be started. See the module for what it never holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    pub format: Format,
    pub process: ProcessId,
    pub app: AppId,
    /// The app's number on this host: uid and network address follow from it.
    pub app_index: u32,
    pub kind: Kind,
    /// `web.1`, `run.4821`, `build`: for log lines and the host name inside.
    pub display_name: String,
    pub command: Command,
    pub limits: Limits,
    pub stop: StopPolicy,
    /// Where the process is told to listen (the caller also puts the port into the environment as `PORT`).
    pub endpoint: Option<Endpoint>,
    pub readiness: Readiness,
    /// What is asked about it; an up process has passed its startup checks besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    pub stdio: Stdio,
    pub network: Network,
    /// A read-only tree of tools beside the stack.
    pub toolchain: Option<Toolchain>,
    pub helper: Helper,
    /// Whether what it uses is told in its log, every so often.
    #[serde(default)]
    pub samples: Samples,
    /// After this long the process is stopped as by a stop request.
    pub time_limit_seconds: Option<u64>,
    pub boot_id: BootId,
    pub started_at: BootMillis,
    /// The request that led to this process, for tracing.
    pub request_id: Option<String>,
}

/// What a process is and therefore what lies at `/app`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A process of a release: the slug read-only at `/app`, as the app's uid.
    Process { purpose: Purpose, slug: SlugId },
    /// A step of a build: a writable folder at `/app` that the steps of one build share, empty at the first (on disk, owned by
    /// the app's build uid, removed by `remove_build`); `DATA/builds/<build>/src` read-only at `/src`; the app's cache folder
    /// writable at `/cache`.
    Build { build: BuildId },
}

/// What is executed in `/app`, and how it is called in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program (absolute, or found on the `PATH` of the environment) and arguments.
    pub argv: Vec<String>,
    /// "Starting process with command `...`".
    pub shown: String,
}

/// When a process counts as up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// When it accepts a connection on its endpoint.
    AcceptOnEndpoint,
    /// As soon as it has been executed.
    Immediately,
}

/// Where standard input, output and error lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdio {
    /// Input empty; output and error into the journal, line by line.
    Journal,
    /// The shim makes pipes or a terminal and hands the outer ends to the first that attaches.
    Held(Held),
    /// Descriptors came with the spawn request.
    Passed(Passed),
}

/// What a held process's standard descriptors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    Pipes,
    Terminal(WindowSize),
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    pub rows: u16,
    pub columns: u16,
}

/// Which descriptors a spawn request brings, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// Standard input, output, error.
    Three,
    /// The three, and one more that the process finds as descriptor 3.
    Four,
}

/// Which network a process sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Its app's, which must have been created: a namespace of its own, or the host's where the launcher's form is shared.
    App,
    /// The host's. Refused by the launcher unless its form is shared.
    Host,
}

/// A named tree of tools; the launcher's settings say where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Toolchain {
    /// A Rust sysroot, read-only at [`RUST_PATH`].
    Rust,
    /// An interpreter with its libraries, read-only at [`runtime_path`].
    Runtime(Runtime),
}

impl Toolchain {
    /// Where it is found inside.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Rust => RUST_PATH,
            Self::Runtime(runtime) => runtime_path(runtime.language()),
        }
    }
}

/// Whether our own binary is there for the process to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Helper {
    Absent,
    /// Read-only at [`HELPER_PATH`].
    Bound,
}

/// Whether samples of what a process uses are lines of its log. That it uses too much is told in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Samples {
    #[default]
    Untold,
    Told,
}

/// Where our own binary is found inside a sandbox that has it.
pub const HELPER_PATH: &str = "/.dozen/dozen";
/// Where [`Toolchain::Rust`] is found inside.
pub const RUST_PATH: &str = "/opt/rust";
/// Where a build finds the certificate authorities that this machine trusts.
pub const CERTIFICATES_PATH: &str = "/.dozen/certificates.pem";

/// Where a language's runtime is found inside. The same on every machine: packages in a slug refer to it.
pub const fn runtime_path(language: Language) -> &'static str {
    match language {
        Language::Python => "/opt/python",
        Language::Node => "/opt/node",
    }
}

/// Why a spec cannot be run by anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    #[error("the command is empty")]
    EmptyCommand,
    #[error("the command has more than {MAX_ARGUMENTS} arguments or {MAX_COMMAND_BYTES} bytes")]
    CommandTooLong,
    #[error("the command, its display form or the display name holds a NUL byte")]
    NulByte,
    #[error("the display name must have 1 to {MAX_DISPLAY_NAME_BYTES} bytes, all printable ASCII")]
    DisplayName,
    #[error("app number {0} is not below {MAX_APP_INDEX}")]
    AppIndex(u32),
    #[error("a process that is ready when it accepts needs an endpoint")]
    NoEndpoint,
    #[error("there are more than {MAX_CHECKS} health checks")]
    TooManyChecks,
    #[error("the health check \"{0}\" asks over the network a process without an endpoint")]
    CheckWithoutEndpoint(String),
    #[error("the health check \"{0}\" runs a command, which this version does not do")]
    CommandCheck(String),
    #[error("a memory limit of {0} bytes is below {MIN_MEMORY_BYTES}")]
    Memory(u64),
    #[error("a limit of {0} processes is below {MIN_PROCESSES}")]
    Processes(u32),
    #[error("a CPU weight of {0} is not between 1 and 10000")]
    CpuWeight(u32),
    #[error("a hard limit of {hard} bytes of memory is below the quota of {quota}")]
    HardMemory { hard: u64, quota: u64 },
    #[error("a CPU quota of {0} thousandths of a core is not between {least} and {most}", least = CpuQuota::LEAST_MILLICORES, most = CpuQuota::MOST_MILLICORES)]
    CpuQuota(u32),
    #[error("a /tmp of {0} bytes is below {MIN_TMP_BYTES}")]
    Tmp(u64),
}

impl ProcessSpec {
    /// Checks what the types leave open. The launcher refuses a spec that fails.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        self.command.validate()?;
        if !valid_display_name(&self.display_name) {
            return Err(InvalidSpec::DisplayName);
        }
        if self.app_index >= MAX_APP_INDEX {
            return Err(InvalidSpec::AppIndex(self.app_index));
        }
        if self.readiness == Readiness::AcceptOnEndpoint && self.endpoint.is_none() {
            return Err(InvalidSpec::NoEndpoint);
        }
        self.validate_checks()?;
        validate_limits(self.limits)
    }

    fn validate_checks(&self) -> Result<(), InvalidSpec> {
        if self.health_checks.len() > MAX_CHECKS {
            return Err(InvalidSpec::TooManyChecks);
        }
        for check in &self.health_checks {
            match (&check.probe, self.endpoint) {
                (Probe::Command { .. }, _) => return Err(InvalidSpec::CommandCheck(check.name.clone())),
                (Probe::Http { .. } | Probe::Listening { .. }, None) => {
                    return Err(InvalidSpec::CheckWithoutEndpoint(check.name.clone()));
                }
                (Probe::Http { .. } | Probe::Listening { .. }, Some(_)) | (Probe::Uptime { .. }, _) => {}
            }
        }
        Ok(())
    }

    /// What it runs for, `None` for a build.
    pub const fn purpose(&self) -> Option<&Purpose> {
        match &self.kind {
            Kind::Process { purpose, .. } => Some(purpose),
            Kind::Build { .. } => None,
        }
    }
}

impl Command {
    /// The convention for process types: the command line by the host's shell (`/bin/bash`, else `/bin/sh`).
    pub fn shell(line: &str) -> Self {
        let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
        Self { argv: vec![shell.to_owned(), "-c".to_owned(), line.to_owned()], shown: line.to_owned() }
    }

    fn validate(&self) -> Result<(), InvalidSpec> {
        if self.argv.first().is_none_or(String::is_empty) {
            return Err(InvalidSpec::EmptyCommand);
        }
        let bytes: usize = self.argv.iter().map(|argument| argument.len() + 1).sum();
        if self.argv.len() > MAX_ARGUMENTS
            || bytes > MAX_COMMAND_BYTES
            || self.shown.len() > MAX_COMMAND_BYTES
        {
            return Err(InvalidSpec::CommandTooLong);
        }
        if self.argv.iter().chain([&self.shown]).any(|text| text.contains('\0')) {
            return Err(InvalidSpec::NulByte);
        }
        Ok(())
    }
}

fn valid_display_name(name: &str) -> bool {
    (1..=MAX_DISPLAY_NAME_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

fn validate_limits(limits: Limits) -> Result<(), InvalidSpec> {
    if limits.memory_bytes < MIN_MEMORY_BYTES {
        return Err(InvalidSpec::Memory(limits.memory_bytes));
    }
    if limits.processes < MIN_PROCESSES {
        return Err(InvalidSpec::Processes(limits.processes));
    }
    if !(1..=10_000).contains(&limits.cpu_weight) {
        return Err(InvalidSpec::CpuWeight(limits.cpu_weight));
    }
    if limits.hard_memory_bytes() < limits.memory_bytes {
        return Err(InvalidSpec::HardMemory { hard: limits.hard_memory_bytes(), quota: limits.memory_bytes });
    }
    let quota = limits.cpu_millicores;
    if let Some(quota) =
        quota.filter(|quota| !(CpuQuota::LEAST_MILLICORES..=CpuQuota::MOST_MILLICORES).contains(quota))
    {
        return Err(InvalidSpec::CpuQuota(quota));
    }
    if limits.tmp_bytes() < MIN_TMP_BYTES {
        return Err(InvalidSpec::Tmp(limits.tmp_bytes()));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::ids::{BuildId, ReleaseId};

    pub(crate) fn example(process: u128) -> ProcessSpec {
        let purpose = Purpose::Slot {
            release: ReleaseId::from_u128(1),
            process_type: "web".parse().unwrap(),
            index: 1,
        };
        let slug = format!("sha256:{}", "0a".repeat(32)).parse().unwrap();
        ProcessSpec {
            format: Format,
            process: ProcessId::from_u128(process),
            app: AppId::from_u128(2),
            app_index: 3,
            kind: Kind::Process { purpose, slug },
            display_name: "web.1".to_owned(),
            command: Command { argv: vec!["/bin/true".to_owned()], shown: "true".to_owned() },
            limits: Limits::DEFAULT,
            stop: StopPolicy::APP,
            endpoint: None,
            readiness: Readiness::Immediately,
            health_checks: Vec::new(),
            stdio: Stdio::Journal,
            network: Network::App,
            toolchain: None,
            helper: Helper::Absent,
            samples: Samples::Untold,
            time_limit_seconds: None,
            boot_id: BootId("boot".to_owned()),
            started_at: BootMillis(7),
            request_id: None,
        }
    }

    fn check(name: &str) -> HealthCheck {
        let probe = match name {
            "port" => Probe::Listening { port: None },
            "command" => Probe::Command { argv: vec!["true".to_owned()] },
            _ => Probe::Uptime { seconds: 1 },
        };
        HealthCheck {
            name: name.to_owned(),
            kind: domain::app_json::health::CheckKind::Startup,
            probe,
            attempts: 3,
            timeout_seconds: 5,
            wait_seconds: 5,
            initial_delay_seconds: 0,
        }
    }

    /// Specs of every release so far, also of those that knew of no checks, are understood.
    #[test]
    fn specs_of_every_kind_are_understood() {
        let old: ProcessSpec = serde_json::from_str(include_str!("../fixtures/spec-1.json")).unwrap();
        assert_eq!(old, example(1));
        let new: ProcessSpec = serde_json::from_str(include_str!("../fixtures/spec-1-health.json")).unwrap();
        assert_eq!(new, ProcessSpec { health_checks: vec![check("up"), check("port")], ..example(1) });
    }

    #[test]
    fn what_the_types_leave_open_is_checked() {
        let good = example(1);
        assert_eq!(good.validate(), Ok(()));
        let command = |argv: &[&str]| Command {
            argv: argv.iter().map(|&text| text.to_owned()).collect(),
            shown: "x".to_owned(),
        };
        let long = "x".repeat(MAX_COMMAND_BYTES);
        let limits = Limits::DEFAULT;
        for (bad, why) in [
            (ProcessSpec { command: command(&[]), ..good.clone() }, InvalidSpec::EmptyCommand),
            (ProcessSpec { command: command(&[""]), ..good.clone() }, InvalidSpec::EmptyCommand),
            (ProcessSpec { command: command(&["a", &long]), ..good.clone() }, InvalidSpec::CommandTooLong),
            (
                ProcessSpec { command: command(&["a"; MAX_ARGUMENTS + 1]), ..good.clone() },
                InvalidSpec::CommandTooLong,
            ),
            (ProcessSpec { command: command(&["a\0b"]), ..good.clone() }, InvalidSpec::NulByte),
            (ProcessSpec { display_name: String::new(), ..good.clone() }, InvalidSpec::DisplayName),
            (ProcessSpec { display_name: "web 1".to_owned(), ..good.clone() }, InvalidSpec::DisplayName),
            (ProcessSpec { app_index: MAX_APP_INDEX, ..good.clone() }, InvalidSpec::AppIndex(MAX_APP_INDEX)),
            (ProcessSpec { readiness: Readiness::AcceptOnEndpoint, ..good.clone() }, InvalidSpec::NoEndpoint),
            (
                ProcessSpec { limits: Limits { memory_bytes: 1, ..limits }, ..good.clone() },
                InvalidSpec::Memory(1),
            ),
            (
                ProcessSpec { limits: Limits { processes: 3, ..limits }, ..good.clone() },
                InvalidSpec::Processes(3),
            ),
            (
                ProcessSpec { limits: Limits { cpu_weight: 0, ..limits }, ..good.clone() },
                InvalidSpec::CpuWeight(0),
            ),
            (
                ProcessSpec {
                    limits: Limits { memory_hard_bytes: Some(limits.memory_bytes - 1), ..limits },
                    ..good.clone()
                },
                InvalidSpec::HardMemory { hard: limits.memory_bytes - 1, quota: limits.memory_bytes },
            ),
            (
                ProcessSpec { limits: Limits { cpu_millicores: Some(9), ..limits }, ..good.clone() },
                InvalidSpec::CpuQuota(9),
            ),
            (
                ProcessSpec { limits: Limits { tmp_bytes: Some(0), ..limits }, ..good.clone() },
                InvalidSpec::Tmp(0),
            ),
            (
                ProcessSpec { health_checks: vec![check("up"); MAX_CHECKS + 1], ..good.clone() },
                InvalidSpec::TooManyChecks,
            ),
            (
                ProcessSpec { health_checks: vec![check("up"), check("port")], ..good.clone() },
                InvalidSpec::CheckWithoutEndpoint("port".to_owned()),
            ),
            (
                ProcessSpec { health_checks: vec![check("command")], ..good.clone() },
                InvalidSpec::CommandCheck("command".to_owned()),
            ),
        ] {
            assert_eq!(bad.validate(), Err(why), "{bad:?}");
        }
    }

    /// Files of the versions that were ever written: a shim's run folder may be older than whoever reads it.
    #[test]
    fn specs_of_every_version_are_understood() {
        let first = include_str!("../fixtures/spec-1-first.json");
        assert_eq!(serde_json::from_str::<ProcessSpec>(first).unwrap(), example(1));
        let limits = Limits {
            memory_hard_bytes: Some(1 << 30),
            cpu_millicores: Some(500),
            tmp_bytes: Some(256 << 20),
            ..Limits::DEFAULT
        };
        let limited = ProcessSpec { limits, samples: Samples::Told, ..example(1) };
        let golden = include_str!("../fixtures/spec-1-limits.json");
        assert_eq!(serde_json::from_str::<ProcessSpec>(golden).unwrap(), limited);
    }

    #[test]
    fn a_spec_survives_its_file() {
        let build = Kind::Build { build: BuildId::from_u128(9) };
        let runtime = Toolchain::Runtime("python-3.11".parse().unwrap());
        for spec in [
            example(1),
            ProcessSpec { health_checks: vec![check("up"), check("port")], ..example(1) },
            ProcessSpec { toolchain: Some(runtime), ..example(1) },
            ProcessSpec { kind: build, stdio: Stdio::Passed(Passed::Four), ..example(2) },
        ] {
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<ProcessSpec>(&text).unwrap(), spec, "{text}");
            assert!(
                serde_json::from_str::<ProcessSpec>(&text.replacen("\"format\":1", "\"format\":2", 1))
                    .is_err()
            );
        }
    }
}
