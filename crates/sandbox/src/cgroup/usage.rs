//! What a group uses, and what it has used. Whoever may see the group may read it.

use super::CgroupError;
use super::files;
use super::group::ProcessGroup;
use super::seats::Seat;
use domain::process::Limits;
use domain::usage::{MemoryUse, Usage};
use std::path::Path;
use std::time::Duration;

impl ProcessGroup {
    /// All of it. What cannot be read is absent, as what is not counted.
    pub fn usage(&self, limits: Limits) -> Usage {
        let cpu = self.cpu_time().ok().flatten();
        Usage {
            limits,
            memory: self.memory_use().ok().flatten(),
            memory_peak_bytes: self.memory_peak().ok().flatten(),
            cpu_micros: cpu.and_then(|used| u64::try_from(used.as_micros()).ok()),
            processes: self.process_count().ok().flatten(),
            oom_kills: self.oom_kills().ok().flatten(),
        }
    }

    /// Memory that the kernel cannot take back by itself.
    pub fn memory_use(&self) -> Result<Option<MemoryUse>, CgroupError> {
        let Some(seat) = &self.seats.memory else { return Ok(None) };
        let Some(stat) = files::read_if_present(&seat.folder().join("memory.stat"))? else { return Ok(None) };
        let value = |key: &str| files::number_after(&stat, key);
        Ok(Some(match seat {
            Seat::V1(_) => MemoryUse {
                rss_bytes: value("rss").unwrap_or(0),
                cache_bytes: value("shmem").unwrap_or(0),
                swap_bytes: value("swap").unwrap_or(0),
                pages_in: value("pgpgin"),
                pages_out: value("pgpgout"),
            },
            Seat::V2(folder) => MemoryUse {
                rss_bytes: value("anon").unwrap_or(0),
                cache_bytes: value("shmem").unwrap_or(0),
                swap_bytes: number_of(&folder.join("memory.swap.current"))?.unwrap_or(0),
                pages_in: None,
                pages_out: None,
            },
        }))
    }

    /// Processes and threads; without the controller, processes alone.
    pub fn process_count(&self) -> Result<Option<u32>, CgroupError> {
        let count = match &self.seats.pids {
            Some(seat) => number_of(&seat.folder().join("pids.current"))?,
            None if self.seats.folders().is_empty() => None,
            None => Some(self.processes()?.len() as u64),
        };
        Ok(count.and_then(|count| u32::try_from(count).ok()))
    }

    /// How many of its processes were killed for want of memory; `None` without a memory controller, or if the group is gone.
    pub fn oom_kills(&self) -> Result<Option<u64>, CgroupError> {
        let file = match &self.seats.memory {
            Some(Seat::V1(folder)) => folder.join("memory.oom_control"),
            Some(Seat::V2(folder)) => folder.join("memory.events"),
            None => return Ok(None),
        };
        Ok(files::read_if_present(&file)?.and_then(|text| files::number_after(&text, "oom_kill")))
    }

    /// CPU time used by all that ever ran in it; `None` where nothing accounts for it.
    pub fn cpu_time(&self) -> Result<Option<Duration>, CgroupError> {
        if let Some(folder) = &self.seats.unified {
            let text = files::read_if_present(&folder.join("cpu.stat"))?;
            return Ok(text
                .and_then(|text| files::number_after(&text, "usage_usec"))
                .map(Duration::from_micros));
        }
        let Some(folder) = &self.seats.accounting else { return Ok(None) };
        number_of(&folder.join("cpuacct.usage")).map(|used| used.map(Duration::from_nanos))
    }

    /// Bytes of memory charged now.
    pub fn memory_current(&self) -> Result<Option<u64>, CgroupError> {
        match &self.seats.memory {
            Some(Seat::V1(folder)) => number_of(&folder.join("memory.usage_in_bytes")),
            Some(Seat::V2(folder)) => number_of(&folder.join("memory.current")),
            None => Ok(None),
        }
    }

    /// The most bytes that were ever charged at once; `None` also where the kernel does not keep it (v2 before 5.19).
    pub fn memory_peak(&self) -> Result<Option<u64>, CgroupError> {
        match &self.seats.memory {
            Some(Seat::V1(folder)) => number_of(&folder.join("memory.max_usage_in_bytes")),
            Some(Seat::V2(folder)) => number_of(&folder.join("memory.peak")),
            None => Ok(None),
        }
    }
}

fn number_of(path: &Path) -> Result<Option<u64>, CgroupError> {
    files::read_if_present(path)?.map(|text| files::number(path, &text)).transpose()
}
