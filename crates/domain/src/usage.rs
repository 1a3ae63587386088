//! What a living process uses, as its control group counts it.

use crate::process::Limits;
use serde::{Deserialize, Serialize};

/// One look. `None` where nothing on the machine counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Those that it was started with.
    pub limits: Limits,
    pub memory: Option<MemoryUse>,
    /// The most that was charged to it at once, copies of files that the kernel may drop included.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time of all that ever ran in it.
    pub cpu_micros: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// How many of its processes were killed for want of memory.
    pub oom_kills: Option<u64>,
}

/// Memory that the kernel cannot take back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Heaps and stacks.
    pub rss_bytes: u64,
    /// What lies in `/tmp` and `/dev/shm`, and other shared memory. Not: copies of files that are on disk.
    pub cache_bytes: u64,
    pub swap_bytes: u64,
    /// Pages charged and given back so far; version 1 alone counts them.
    pub pages_in: Option<u64>,
    pub pages_out: Option<u64>,
}

impl MemoryUse {
    /// What is held against the quota.
    pub const fn total_bytes(&self) -> u64 {
        self.rss_bytes.saturating_add(self.cache_bytes).saturating_add(self.swap_bytes)
    }
}
