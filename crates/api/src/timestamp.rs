//! Instants on the wire: ISO 8601 in UTC with `Z` and whole seconds, as Heroku writes them.

use jiff::Timestamp as Instant;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A moment of wall-clock time, to the second. For people and for display: nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Instant);

/// Why a text or number is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a time: expected a form such as 2026-01-31T12:00:00Z")]
pub struct InvalidTimestamp {
    given: String,
}

impl Timestamp {
    /// From seconds since 1970-01-01T00:00:00Z. Values beyond the years -9999 to 9999 are clamped.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        let clamped = seconds.clamp(Instant::MIN.as_second(), Instant::MAX.as_second());
        Self(Instant::from_second(clamped).unwrap_or(Instant::UNIX_EPOCH))
    }

    /// From microseconds since 1970, less the fraction of a second.
    pub fn from_unix_micros(micros: i64) -> Self {
        Self::from_unix_seconds(micros.div_euclid(1_000_000))
    }

    pub fn as_unix_seconds(self) -> i64 {
        self.0.as_second()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |_| InvalidTimestamp { given: text.chars().take(64).collect() };
        let instant: Instant = text.parse().map_err(invalid)?;
        Ok(Self::from_unix_seconds(instant.as_second()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_utc_with_whole_seconds() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_767_225_599_999_999, "2025-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_unix_micros(micros).to_string(), text);
        }
    }

    #[test]
    fn reads_what_clients_and_servers_write() {
        for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.25+00:00", "2026-01-31T13:00:00+01:00"] {
            let read: Timestamp = text.parse().expect(text);
            assert_eq!(read.to_string(), "2026-01-31T12:00:00Z");
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn extreme_values_do_not_panic() {
        for seconds in [i64::MIN, i64::MAX] {
            let _ = Timestamp::from_unix_seconds(seconds).to_string();
        }
    }
}
