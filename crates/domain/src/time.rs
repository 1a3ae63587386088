//! Time as decisions see it: milliseconds of `CLOCK_BOOTTIME`, which a wall clock's jump cannot move. Wall time is for display
//! only ([`WallMillis`]); no rule reads it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since this boot of the machine, suspended time included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct BootMillis(pub u64);

impl BootMillis {
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`; 0 if `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z: for people, never for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct WallMillis(pub u64);

/// `2026-03-29 01:00:00 UTC`, for log lines.
pub fn in_words(at: WallMillis) -> String {
    render(at, "%F %T UTC")
}

/// `2026-03-29T01:00:00Z`, for programs.
pub fn in_iso_8601(at: WallMillis) -> String {
    render(at, "%FT%TZ")
}

fn render(at: WallMillis, form: &str) -> String {
    let instant = i64::try_from(at.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    instant.map_or_else(|| format!("{} ms", at.0), |instant| instant.strftime(form).to_string())
}

/// The kernel's `boot_id`: a [`BootMillis`] means something only together with the boot that it was read in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
