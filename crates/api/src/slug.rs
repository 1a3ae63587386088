//! `/apps/:app/slugs/:id`: what a build made. On the wire a slug's id must be a UUID; ours is a digest.

use crate::Timestamp;
use crate::reference::NamedReference;
use domain::names::SlugId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The answer to `GET /apps/:app/slugs/:id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Slug {
    pub blob: SlugBlob,
    pub buildpack_provided_description: Option<String>,
    /// `SHA256:` and the digest.
    pub checksum: Option<String>,
    pub commit: Option<String>,
    pub commit_description: Option<String>,
    pub created_at: Timestamp,
    pub id: Uuid,
    pub process_types: BTreeMap<String, String>,
    pub size: Option<u64>,
    pub stack: NamedReference,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

/// Where a slug could be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SlugBlob {
    pub method: String,
    pub url: String,
}

/// The UUID under which a slug goes on the wire: the digest's first 128 bits in the layout of a version 8 UUID
/// (RFC 9562 section 5.8), the same slug always the same.
pub fn slug_uuid(slug: &SlugId) -> Uuid {
    let half = u128::from_str_radix(&slug.hex()[..32], 16).expect("a SlugId holds 64 hexadecimal digits");
    let versioned = (half & !(0xf << 76)) | (0x8 << 76);
    Uuid::from_u128((versioned & !(0b11 << 62)) | (0b10 << 62))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_digest_gives_the_same_uuid() {
        let slug: SlugId = format!("sha256:{}", "0123456789abcdef".repeat(4)).parse().expect("valid");
        let uuid = slug_uuid(&slug);
        assert_eq!(uuid.to_string(), "01234567-89ab-8def-8123-456789abcdef");
        assert_eq!(uuid.get_version_num(), 8);
    }
}
