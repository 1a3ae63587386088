//! The version mark that everything on disk or on a socket carries. A reader of this build refuses other versions by name, so
//! that an old reader never guesses at a new writer's meaning.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version that this build writes and reads.
pub const FORMAT: u32 = 1;

/// `"format": 1`. Holding one is proof that the document it came from has the version that this build reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            other => Err(D::Error::custom(format!(
                "format {other} is not known here; this version reads {FORMAT}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_version_and_names_another() {
        assert_eq!(serde_json::to_string(&Format).unwrap(), "1");
        assert!(serde_json::from_str::<Format>("1").is_ok());
        let refused = serde_json::from_str::<Format>("2").unwrap_err().to_string();
        assert!(refused.contains("format 2 is not known here; this version reads 1"), "{refused}");
    }
}
