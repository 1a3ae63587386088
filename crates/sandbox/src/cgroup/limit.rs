//! Writing limits, by the rules of each version.

use super::CgroupError;
use super::files;
use super::seats::{Seat, Seats};
use domain::process::Limits;
use nix::errno::Errno;
use std::io;
use std::path::Path;

/// v1 shares that v2's default weight of 100 stands for, and the bounds of shares.
const SHARES_OF_WEIGHT_100: u64 = 1024;
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;
/// The bounds of a v2 weight.
const MIN_WEIGHT: u32 = 1;
const MAX_WEIGHT: u32 = 10_000;
/// Within each such time a group gets its quota of CPU time once.
const CPU_PERIOD_MICROS: u64 = 100_000;

/// Sets them, or sets them anew.
pub(super) fn apply(seats: &Seats, limits: &Limits) -> Result<(), CgroupError> {
    if let Some(seat) = &seats.memory {
        limit_memory(seat, limits.hard_memory_bytes())?;
    }
    if let Some(seat) = &seats.cpu {
        weigh_cpu(seat, limits.cpu_weight)?;
        limit_cpu(seat, limits.cpu_millicores)?;
    }
    if let Some(seat) = &seats.pids {
        files::write(&seat.folder().join("pids.max"), &limits.processes.to_string())?;
    }
    Ok(())
}

/// Memory and swap together: an app that outgrows its limit is told so, not slowed down. Swap files are absent where the kernel
/// does not account for swap.
fn limit_memory(seat: &Seat, bytes: u64) -> Result<(), CgroupError> {
    match seat {
        Seat::V1(folder) => limit_memory_v1(folder, bytes),
        Seat::V2(folder) => {
            files::write(&folder.join("memory.max"), &bytes.to_string())?;
            files::write_if_present(&folder.join("memory.swap.max"), "0").map(|_| ())
        }
    }
}

/// v1 limits memory, and memory and swap together; the second may never be the smaller. So a higher limit is written to the
/// second first.
fn limit_memory_v1(folder: &Path, bytes: u64) -> Result<(), CgroupError> {
    let (memory, both) = (folder.join("memory.limit_in_bytes"), folder.join("memory.memsw.limit_in_bytes"));
    let text = bytes.to_string();
    match files::try_write(&memory, &text) {
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
            files::write_if_present(&both, &text)?;
            files::write(&memory, &text)
        }
        other => {
            other.map_err(|source: io::Error| CgroupError::File {
                operation: "write",
                path: memory,
                source,
            })?;
            files::write_if_present(&both, &text).map(|_| ())
        }
    }
}

fn weigh_cpu(seat: &Seat, weight: u32) -> Result<(), CgroupError> {
    match seat {
        Seat::V1(folder) => files::write(&folder.join("cpu.shares"), &shares_of(weight).to_string()),
        Seat::V2(folder) => {
            files::write(&folder.join("cpu.weight"), &weight.clamp(MIN_WEIGHT, MAX_WEIGHT).to_string())
        }
    }
}

/// A quota that the kernel cannot keep is an error; that there is none needs no file to say so.
fn limit_cpu(seat: &Seat, millicores: Option<u32>) -> Result<(), CgroupError> {
    let quota = millicores.map(|millicores| u64::from(millicores) * CPU_PERIOD_MICROS / 1000);
    match (seat, quota) {
        (Seat::V1(folder), None) => {
            files::write_if_present(&folder.join("cpu.cfs_quota_us"), "-1").map(|_| ())
        }
        (Seat::V1(folder), Some(quota)) => {
            files::write(&folder.join("cpu.cfs_period_us"), &CPU_PERIOD_MICROS.to_string())?;
            files::write(&folder.join("cpu.cfs_quota_us"), &quota.to_string())
        }
        (Seat::V2(folder), None) => {
            files::write_if_present(&folder.join("cpu.max"), &format!("max {CPU_PERIOD_MICROS}")).map(|_| ())
        }
        (Seat::V2(folder), Some(quota)) => {
            files::write(&folder.join("cpu.max"), &format!("{quota} {CPU_PERIOD_MICROS}"))
        }
    }
}

/// v1 shares for a v2 weight: the same proportion to the default.
fn shares_of(weight: u32) -> u64 {
    (u64::from(weight) * SHARES_OF_WEIGHT_100 / 100).clamp(MIN_SHARES, MAX_SHARES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_shares() {
        for (weight, shares) in
            [(0, 2), (1, 10), (50, 512), (100, 1024), (10_000, 102_400), (u32::MAX, 262_144)]
        {
            assert_eq!(shares_of(weight), shares, "{weight}");
        }
    }
}
