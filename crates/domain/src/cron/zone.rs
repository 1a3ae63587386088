//! Time zones of the IANA database, as it was when this program was built.

use super::schedule::shown;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest name of a zone that is looked up, in bytes.
const MAX_BYTES: usize = 64;
/// What ours is called where no zone is named.
const UTC: &str = "UTC";
/// Names that are suggested at most.
const SUGGESTIONS: usize = 3;

/// A zone: `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub(super) TimeZone);

/// A name that no zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone \"{given}\". Fix: use a name of the IANA database, such as {}", .near.join(" or "))]
pub struct UnknownZone {
    given: String,
    near: Vec<String>,
}

impl Zone {
    pub const UTC: Self = Self(TimeZone::UTC);

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or(UTC)
    }

    pub fn is_utc(&self) -> bool {
        *self == Self::UTC
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let database = TimeZoneDatabase::bundled();
        let found = if given.len() > MAX_BYTES { None } else { database.get(given).ok() };
        match found.filter(|zone| !zone.is_unknown() && zone.iana_name().is_some()) {
            Some(zone) => Ok(Self(zone)),
            None => Err(UnknownZone { given: shown(given), near: near(&database, given) }),
        }
    }
}

/// Zones with that city, else one of everybody's.
fn near(database: &TimeZoneDatabase, given: &str) -> Vec<String> {
    let city = |name: &str| name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let wanted = city(given).replace(' ', "_");
    let names = database.available().map(|name| name.as_str().to_owned());
    let near: Vec<_> = names.filter(|name| city(name) == wanted).take(SUGGESTIONS).collect();
    if near.is_empty() { vec!["Europe/Berlin".to_owned(), UTC.to_owned()] } else { near }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
