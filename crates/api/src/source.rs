//! `/sources`: places for uploads, each with an address to write to and one to read from.

use serde::{Deserialize, Serialize};

/// The answer to `POST /sources` and `POST /apps/:app/sources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    pub source_blob: SourceAddresses,
}

/// Both addresses hold a secret of their own and their port; they are used without a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceAddresses {
    /// What to name as `source_blob.url` of a build.
    pub get_url: String,
    /// Takes a gzipped tar by PUT.
    pub put_url: String,
}

impl std::fmt::Debug for SourceAddresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SourceAddresses")
    }
}
