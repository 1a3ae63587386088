//! What this kernel and this user can isolate with, found by trying, and whether that is enough to start apps.
//!
//! [`run`] tries each [`Layer`] in a child or a thread of its own that ends right after, so that nothing stays behind;
//! [`verdict`] is pure. There is no unsandboxed form: a required layer that is missing is a refusal, unless the operator named it in
//! `DOZEN_ALLOW_WEAKER`. `DOZEN_PROBE_MASK` hides layers, so that each fall-back can be run anywhere.

mod attempt;
mod layer;
mod layers;
mod report;
mod restrictions;
mod steps;
mod verdict;

pub use layer::{Layer, LayerSet, UnknownLayer};
pub use report::{LayerReport, NetworkForm, Privilege, ProbeReport, Requirement, State};
pub use verdict::{Refusal, RefusedLayer, Weakness, WeaknessCause, verdict};

use crate::cgroup::{CgroupSettings, Cgroups, Controller};
use layers::Machine;
use nix::sys::utsname::uname;
use nix::unistd::Uid;

/// Hidden layers: the parsed value of `DOZEN_PROBE_MASK`.
pub type Mask = LayerSet;
/// Layers that may be missing: the parsed value of `DOZEN_ALLOW_WEAKER`.
pub type AllowWeaker = LayerSet;

/// A user of the range that is set aside for apps by default.
const DEFAULT_APP_UID: u32 = 2_000_000;

/// Tries every layer.
pub fn run(mask: &Mask, cgroups: &CgroupSettings) -> ProbeReport {
    run_for(mask, cgroups, DEFAULT_APP_UID)
}

/// Tries every layer, user ids with one that apps will have.
pub fn run_for(mask: &Mask, cgroups: &CgroupSettings, app_uid: u32) -> ProbeReport {
    run_with(mask, Cgroups::detect(cgroups).map_err(|error| error.to_string()), app_uid)
}

/// The same where it is known already what became of control groups, reasons included.
pub fn run_with(mask: &Mask, cgroups: Result<Cgroups, String>, app_uid: u32) -> ProbeReport {
    let privilege = if Uid::effective().is_root() { Privilege::Root } else { Privilege::OrdinaryUser };
    let kernel = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let machine = Machine { privilege, kernel, app_uid, cgroups };
    let report_of = |layer| LayerReport {
        layer,
        requirement: report::requirement(layer, privilege),
        state: if mask.contains(layer) { masked() } else { layers::check(layer, &machine) },
    };
    let layers = Layer::ALL.into_iter().map(report_of).collect();
    ProbeReport { format: report::FORMAT, privilege, kernel: machine.kernel, layers }
}

fn masked() -> State {
    let why = "hidden by DOZEN_PROBE_MASK".to_owned();
    State::Missing { why, fix: "take it out of DOZEN_PROBE_MASK".to_owned() }
}

/// The controllers that hidden layers stand for, to be hidden from [`Cgroups`] too.
pub fn hidden_controllers(mask: &Mask) -> Vec<Controller> {
    let controllers = [
        (Layer::CgroupMemory, Controller::Memory),
        (Layer::CgroupCpu, Controller::Cpu),
        (Layer::CgroupPids, Controller::Pids),
        (Layer::CgroupKill, Controller::Unified),
    ];
    controllers
        .into_iter()
        .filter(|(layer, _)| mask.contains(*layer))
        .map(|(_, controller)| controller)
        .collect()
}
