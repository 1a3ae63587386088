//! What a shim hands on to the program that it becomes. Read by other builds than wrote it: a field that is added has a default, and
//! whatever else changes makes a new version. Who reads a field that it does not know refuses: to go on without it would be to lose
//! something of the process.

use crate::shim::facts::FactsState;
use crate::shim::health::CheckState;
use crate::shim::lines::Cause;
use crate::shim::meter::MeterState;
use crate::shim::orders::Orders;
use crate::shim::stop::Stop;
use domain::process::FailedCheck;
use domain::time::BootMillis;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::os::fd::RawFd;

/// The version that this build writes and reads.
pub const STATE_VERSION: u32 = 1;

/// `"version": 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(STATE_VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            STATE_VERSION => Ok(Self),
            other => Err(D::Error::custom(format!(
                "a shim's state of version {other} is not known here; this build reads {STATE_VERSION}"
            ))),
        }
    }
}

/// Everything that a shim of a running process knows and holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShimState {
    pub version: Version,
    pub orders: Orders,
    pub descriptors: Descriptors,
    /// The pid of the sandbox's first process, as this process sees it.
    pub init: u32,
    /// What that process understands: it stays what it is.
    pub init_speaks: u32,
    pub outputs: Vec<OutputState>,
    pub life: LifeState,
    pub executed_at: BootMillis,
    pub time_limit_at: Option<BootMillis>,
    pub stop: Stop,
    pub cause: Cause,
    pub failed_check: Option<FailedCheck>,
    pub health: Vec<CheckState>,
    pub meter: MeterState,
    pub facts: FactsState,
}

/// Numbers of open descriptors, the same before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptors {
    /// The run folder's lock.
    pub lock: RawFd,
    /// The control socket, listening.
    pub control: RawFd,
    /// Connections to it that have not asked yet.
    pub connections: Vec<RawFd>,
    /// The sandbox's first process.
    pub init: RawFd,
    /// The socket to it.
    pub link: RawFd,
    /// The app's pipes, as [`ShimState::outputs`] go; those that the app has closed are missing there.
    pub outputs: Vec<RawFd>,
    /// The file with the room for the exit.
    pub reserved: Option<RawFd>,
    /// The program that wrote this, to go back to.
    pub old_program: RawFd,
    /// Where the outcome is told.
    pub answer: RawFd,
}

impl Descriptors {
    pub fn all(&self) -> impl Iterator<Item = RawFd> {
        let Self { lock, control, connections, init, link, outputs, reserved, old_program, answer } = self;
        let single = [*lock, *control, *init, *link, *old_program, *answer];
        single.into_iter().chain(connections.clone()).chain(outputs.clone()).chain(*reserved)
    }
}

/// One of the app's pipes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputState {
    pub stream: OutputName,
    /// The line that has not ended yet.
    pub held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputName {
    Stdout,
    Stderr,
}

/// How far the app has come. Between these, while an answer is awaited, nothing is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeState {
    Starting,
    Checking,
    Up,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupSettings;
    use crate::format::Format;
    use crate::probe::{LayerSet, NetworkForm, Privilege};
    use crate::shim::orders::{CgroupOrders, UserIds};
    use crate::spec::ProcessSpec;
    use domain::app_json::health::CheckKind;
    use domain::plan::StopReason;
    use serde_json::{Value, json};

    const GOLDEN: &str = include_str!("../../../fixtures/shim-state-1.json");

    /// As much of a shim as there can be.
    fn example() -> ShimState {
        let spec: ProcessSpec =
            serde_json::from_str(include_str!("../../../fixtures/spec-1-health.json")).unwrap();
        let orders = Orders {
            format: Format,
            spec,
            data: "/var/lib/dozen".into(),
            shim: UserIds { uid: 64_990, gid: 64_990 },
            app: UserIds { uid: 2_000_006, gid: 2_000_006 },
            toolchain_prefix: None,
            certificates: None,
            privilege: Privilege::Root,
            network: NetworkForm::PerApp,
            without: LayerSet::default(),
            cgroup: CgroupOrders::from(&CgroupSettings::default()),
            sample_millis: 20_000,
        };
        let check = json!({"failures": 1, "standing": "good", "next_at": 120});
        let meter = json!({
            "next_at": 40_000,
            "load": {"since": 20_000, "cpu_micros": 1_000, "averages": [0.5, 0.25, 0.125]},
            "oom": {"kills": 1, "seen_at": 19_000},
            "unmeasured": "untold",
        });
        let facts = json!({
            "pending": [{"ready": 7}, {"readiness": [8, "unready"]}, {"stopping": 9}],
            "retry_at": 1_000,
            "reserve": "taken",
        });
        ShimState {
            version: Version,
            orders,
            descriptors: Descriptors {
                lock: 3,
                control: 4,
                connections: vec![5, 6],
                init: 7,
                link: 8,
                outputs: vec![9, 10],
                reserved: Some(11),
                old_program: 12,
                answer: 13,
            },
            init: 4711,
            init_speaks: 1,
            outputs: vec![
                OutputState { stream: OutputName::Stdout, held: b"half".to_vec() },
                OutputState { stream: OutputName::Stderr, held: Vec::new() },
            ],
            life: LifeState::Checking,
            executed_at: BootMillis(5),
            time_limit_at: Some(BootMillis(86_400_000)),
            stop: Stop::Asked { kill_at: BootMillis(31_000) },
            cause: Cause::Asked(StopReason::Restart),
            failed_check: Some(FailedCheck {
                kind: CheckKind::Liveness,
                name: "alive".to_owned(),
                problem: "connection refused".to_owned(),
                attempts: 3,
            }),
            health: vec![
                serde_json::from_value(check.clone()).unwrap(),
                serde_json::from_value(check).unwrap(),
            ],
            meter: serde_json::from_value(meter).unwrap(),
            facts: serde_json::from_value(facts).unwrap(),
        }
    }

    /// What shims of earlier builds hand on is understood for ever; a change of what is written needs a new version.
    #[test]
    fn the_first_version_is_read_and_written() {
        // The spec within has golden files of its own.
        let without_spec = |mut value: Value| {
            value["orders"]["spec"].take();
            value
        };
        let written = without_spec(serde_json::to_value(example()).unwrap());
        assert_eq!(written, without_spec(serde_json::from_str(GOLDEN).unwrap()), "{written}");
        let state: ShimState = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(state, example());
    }

    #[test]
    fn every_descriptor_is_among_all() {
        let mut all: Vec<RawFd> = example().descriptors.all().collect();
        all.sort_unstable();
        assert_eq!(all, (3..=13).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let mut changed: Value = serde_json::from_str(GOLDEN).unwrap();
        changed["version"] = json!(2);
        let refused = serde_json::from_value::<ShimState>(changed.clone()).unwrap_err().to_string();
        assert!(refused.contains("version 2 is not known here; this build reads 1"), "{refused}");
        changed["version"] = json!(1);
        changed["entered"] = json!([1]);
        assert!(serde_json::from_value::<ShimState>(changed).is_err(), "a field that would be lost");
    }
}
