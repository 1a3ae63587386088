//! Sizes of processes: named limits. `docs/reference/sizes.md` is made from this file's table.

use crate::process::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

macro_rules! sizes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $megabytes:literal, $weight:literal, $tmp_megabytes:literal);+ $(;)?) => {
        /// What a process may use, by Heroku's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Size {
            $($(#[$doc])* $variant),+
        }

        impl Size {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// Before [`SizeRules`]: no memory beyond the quota, no quota of CPU time.
            pub const fn limits(self) -> Limits {
                let (megabytes, cpu_weight, tmp_megabytes): (u64, u32, u64) = match self {
                    $(Self::$variant => ($megabytes, $weight, $tmp_megabytes)),+
                };
                Limits {
                    memory_bytes: megabytes * MEGABYTE,
                    cpu_weight,
                    tmp_bytes: Some(tmp_megabytes * MEGABYTE),
                    ..Limits::DEFAULT
                }
            }
        }
    };
}

const MEGABYTE: u64 = 1024 * 1024;

// Name, memory, CPU weight, /tmp. Half of the memory for /tmp: full, it leaves the process the other half, whatever the hard limit.
sizes! {
    Eco = "Eco", 512, 100, 256;
    Basic = "Basic", 512, 100, 256;
    #[default]
    Standard1X = "Standard-1X", 512, 100, 256;
    Standard2X = "Standard-2X", 1024, 200, 512;
    PerformanceM = "Performance-M", 2560, 500, 1280;
    PerformanceL = "Performance-L", 14336, 1000, 7168;
}

/// A size that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{given}\" is not a size: expected one of Eco, Basic, Standard-1X, Standard-2X, Performance-M, Performance-L"
)]
pub struct InvalidSize {
    given: String,
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|size| size.name().eq_ignore_ascii_case(s));
        found.ok_or_else(|| InvalidSize { given: s.chars().take(40).collect() })
    }
}

impl TryFrom<String> for Size {
    type Error = InvalidSize;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.name().to_owned()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What an operator has decided about all sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SizeRules {
    pub memory_hard: HardPercent,
    /// Sizes that are not named get what is free.
    pub cpu_millicores: BTreeMap<Size, u32>,
}

impl SizeRules {
    /// The limits that a process of this size runs under.
    pub fn limits(&self, size: Size) -> Limits {
        let limits = size.limits();
        Limits {
            memory_hard_bytes: Some(self.memory_hard.of(limits.memory_bytes)),
            cpu_millicores: self.cpu_millicores.get(&size).copied(),
            ..limits
        }
    }
}

/// The hard limit of memory, in percent of the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardPercent(u32);

impl HardPercent {
    const LEAST: u32 = 100;
    const MOST: u32 = 1000;

    fn of(self, quota: u64) -> u64 {
        quota.saturating_mul(u64::from(self.0)) / 100
    }
}

/// Heroku's R15.
impl Default for HardPercent {
    fn default() -> Self {
        Self(200)
    }
}

/// A number that is no such percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of percent from {} to {}", HardPercent::LEAST, HardPercent::MOST)]
pub struct InvalidHardPercent;

impl FromStr for HardPercent {
    type Err = InvalidHardPercent;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let percent = s.parse().map_err(|_| InvalidHardPercent)?;
        if (Self::LEAST..=Self::MOST).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(InvalidHardPercent)
        }
    }
}

/// A quota of CPU time for a size: `Eco=500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuQuota {
    pub size: Size,
    pub millicores: u32,
}

impl CpuQuota {
    /// The kernel knows no smaller one: 1 ms in 100 ms.
    pub const LEAST_MILLICORES: u32 = 10;
    /// A thousand cores.
    pub const MOST_MILLICORES: u32 = 1_000_000;
}

/// A string that is no quota of CPU time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCpuQuota {
    #[error(
        "expected SIZE=MILLICORES, such as Eco=500 for half a core, with {} to {}",
        CpuQuota::LEAST_MILLICORES,
        CpuQuota::MOST_MILLICORES
    )]
    Form,
    #[error(transparent)]
    Size(InvalidSize),
}

impl FromStr for CpuQuota {
    type Err = InvalidCpuQuota;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (size, millicores) = s.split_once('=').ok_or(InvalidCpuQuota::Form)?;
        let size = size.parse().map_err(InvalidCpuQuota::Size)?;
        let millicores = millicores.parse().map_err(|_| InvalidCpuQuota::Form)?;
        if !(Self::LEAST_MILLICORES..=Self::MOST_MILLICORES).contains(&millicores) {
            return Err(InvalidCpuQuota::Form);
        }
        Ok(Self { size, millicores })
    }
}

/// The page that lists the sizes.
pub fn render_reference() -> String {
    let mut page = String::from(
        "# Sizes\n\nWhat a process may use follows from the size of its process type: `dozen ps:type web=standard-2x`. This page is \
         made from\nthe table in `crates/domain/src/size.rs`; `dozen ps:sizes` prints the same.\n\n\
         | Size | Memory quota | Hard limit | CPU weight | CPU quota | `/tmp`, `/dev/shm` each | Processes and threads |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for size in Size::ALL {
        let limits = SizeRules::default().limits(*size);
        page.push_str(&format!(
            "| {size} | {} MB | {} MB | {} | none | {} MB | {} |\n",
            limits.memory_bytes / MEGABYTE,
            limits.hard_memory_bytes() / MEGABYTE,
            limits.cpu_weight,
            limits.tmp_bytes() / MEGABYTE,
            limits.processes
        ));
    }
    page.push_str(
        "\nA size that is not said is Standard-1X. The hard limit is 200 % of the quota unless `DOZEN_MEMORY_HARD_PERCENT` says \
         otherwise; a quota of CPU\ntime is set by `DOZEN_CPU_QUOTA`. What lies in `/tmp` and `/dev/shm` counts as memory. What each \
         limit means for an app:\n[the runtime contract](runtime-contract.md#limits).\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_make_limits() {
        let rules = SizeRules {
            memory_hard: "150".parse().unwrap(),
            cpu_millicores: BTreeMap::from([(Size::Eco, 500)]),
        };
        let eco = rules.limits(Size::Eco);
        assert_eq!((eco.hard_memory_bytes(), eco.cpu_millicores), (768 * MEGABYTE, Some(500)));
        assert_eq!(rules.limits(Size::Basic).cpu_millicores, None);
        assert_eq!(SizeRules::default().limits(Size::Basic).hard_memory_bytes(), 1024 * MEGABYTE);
    }

    #[test]
    fn rules_are_read() {
        for (text, fits) in [("100", true), ("1000", true), ("99", false), ("1001", false), ("x", false)] {
            assert_eq!(text.parse::<HardPercent>().is_ok(), fits, "{text}");
        }
        assert_eq!("eco=500".parse(), Ok(CpuQuota { size: Size::Eco, millicores: 500 }));
        for text in ["eco", "eco=", "eco=9", "huge=500", "eco=1000001", "=1"] {
            assert!(text.parse::<CpuQuota>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_tmp_leaves_room_for_the_process() {
        for size in Size::ALL {
            let limits = size.limits();
            assert!(2 * limits.tmp_bytes() <= limits.hard_memory_bytes(), "{size}");
        }
    }

    #[test]
    fn limits_of_an_older_version_are_understood() {
        let old = r#"{"memory_bytes":536870912,"cpu_weight":100,"processes":512}"#;
        let limits: Limits = serde_json::from_str(old).unwrap();
        assert_eq!(limits, Limits::DEFAULT);
        assert_eq!((limits.hard_memory_bytes(), limits.tmp_bytes()), (512 * MEGABYTE, 512 * MEGABYTE));
    }

    #[test]
    fn the_reference_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/sizes.md");
        if std::env::var_os("DOZEN_WRITE_DOCS").is_some() {
            std::fs::write(path, render_reference()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, render_reference(), "run the tests once with DOZEN_WRITE_DOCS=1");
    }
}
