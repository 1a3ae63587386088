//! `GET /dozen/apps/:app/usage`: what the living processes of an app use, and the limits that they run under.

use crate::dyno::DynoState;
use domain::names::ProcessType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A living process and what it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessUsage {
    pub id: Uuid,
    pub name: String,
    #[serde(rename = "type")]
    pub process_type: ProcessType,
    pub size: String,
    pub state: DynoState,
    pub usage: Option<Usage>,
    /// Why it is not known, if it is not: one sentence.
    pub unknown: Option<String>,
}

/// One look at a process. Null: nothing on the machine counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// What is held against the quota: heaps and stacks, `/tmp` and other shared memory, swap.
    pub memory_bytes: Option<u64>,
    pub memory_rss_bytes: Option<u64>,
    /// `/tmp`, `/dev/shm` and other shared memory.
    pub memory_cache_bytes: Option<u64>,
    pub memory_swap_bytes: Option<u64>,
    /// The most that was charged to it at once, copies of files that the kernel may drop included.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time since its start, in milliseconds.
    pub cpu_millis: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// How many of its processes the kernel has killed for want of memory.
    pub oom_kills: Option<u64>,
    pub limits: Limits,
}

/// What a process was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// The quota: above it R14.
    pub memory_bytes: u64,
    /// Where the kernel kills (R15).
    pub memory_hard_bytes: u64,
    pub cpu_weight: u32,
    /// The most CPU time that it gets, in thousandths of a core; null: what is free.
    pub cpu_millicores: Option<u32>,
    /// Processes and threads.
    pub processes: u32,
    /// Room in `/tmp`, and as much again in `/dev/shm`.
    pub tmp_bytes: u64,
}

impl From<domain::process::Limits> for Limits {
    fn from(limits: domain::process::Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            memory_hard_bytes: limits.hard_memory_bytes(),
            cpu_weight: limits.cpu_weight,
            cpu_millicores: limits.cpu_millicores,
            processes: limits.processes,
            tmp_bytes: limits.tmp_bytes(),
        }
    }
}

impl From<domain::usage::Usage> for Usage {
    fn from(usage: domain::usage::Usage) -> Self {
        let memory = usage.memory;
        Self {
            memory_bytes: memory.map(|memory| memory.total_bytes()),
            memory_rss_bytes: memory.map(|memory| memory.rss_bytes),
            memory_cache_bytes: memory.map(|memory| memory.cache_bytes),
            memory_swap_bytes: memory.map(|memory| memory.swap_bytes),
            memory_peak_bytes: usage.memory_peak_bytes,
            cpu_millis: usage.cpu_micros.map(|micros| micros / 1000),
            processes: usage.processes,
            oom_kills: usage.oom_kills,
            limits: usage.limits.into(),
        }
    }
}
