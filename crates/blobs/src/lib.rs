//! Trees, slugs and their digests.
//!
//! [`tree`] reads and writes whole source trees: the one tar extractor of the platform, a reproducible packer, and bounded reading
//! that follows no link. [`config`] is a slug's OCI image configuration, whose digest is the slug's identity. [`slugs`] keeps
//! slugs on disk: staged, published by one rename, collected when nothing refers to them. [`layers`] keeps installed dependencies
//! between builds.
//!
//! Must not: run anything, follow a symbolic link out of a stranger's tree, know what an app or a release is, decide what is kept.

pub mod config;
pub mod digest;
pub mod layers;
pub mod slugs;
pub mod tree;

pub use config::{SlugConfig, SlugMeta};
pub use digest::Digest;
pub use layers::{LayerError, LayerKey, LayerStore};
pub use slugs::{Published, SlugError, SlugStore, StagedSlug};
