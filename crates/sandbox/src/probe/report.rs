//! What the probe found, as `dozen doctor` shows it and as the launcher obeys it. Pure.

use super::layer::Layer;
use serde::{Deserialize, Serialize};

/// The only form of the report there is.
pub(super) const FORMAT: u32 = 1;

/// Everything found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    pub format: u32,
    pub privilege: Privilege,
    /// `uname -r`.
    pub kernel: String,
    /// One for each of [`Layer::ALL`], in that order.
    pub layers: Vec<LayerReport>,
}

/// With what rights the launcher runs, and so which form the installation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    Root,
    OrdinaryUser,
}

/// What was found of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    pub layer: Layer,
    pub requirement: Requirement,
    #[serde(flatten)]
    pub state: State,
}

/// Whether apps start without the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// No.
    Required,
    /// Yes.
    Optional,
}

/// Whether the layer is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Present { detail: String },
    Missing { why: String, fix: String },
}

/// Which network apps get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkForm {
    /// A network namespace per app.
    PerApp,
    /// The host's.
    Shared,
}

impl ProbeReport {
    pub fn state(&self, layer: Layer) -> Option<&State> {
        self.layers.iter().find(|report| report.layer == layer).map(|report| &report.state)
    }

    /// Whether the launcher and the shim may count on the layer.
    pub fn has(&self, layer: Layer) -> bool {
        matches!(self.state(layer), Some(State::Present { .. }))
    }

    /// A namespace per app needs all three of its layers; without the rules it would be a network without walls.
    pub fn network_form(&self) -> NetworkForm {
        let all =
            [Layer::NetworkNamespace, Layer::Veth, Layer::Nftables].into_iter().all(|layer| self.has(layer));
        if all && self.privilege == Privilege::Root { NetworkForm::PerApp } else { NetworkForm::Shared }
    }
}

/// Whether a setting may excuse the absence of a required layer. Without these a process cannot even be made apart from the
/// host's, and there is no form without a sandbox.
pub(super) const fn is_excusable(layer: Layer, privilege: Privilege) -> bool {
    match layer {
        Layer::MountNamespace | Layer::PidNamespace => false,
        Layer::UserNamespace => matches!(privilege, Privilege::Root),
        Layer::UidSwitch => matches!(privilege, Privilege::OrdinaryUser),
        Layer::IpcNamespace
        | Layer::UtsNamespace
        | Layer::CgroupNamespace
        | Layer::NoCapabilities
        | Layer::NoNewPrivs
        | Layer::Seccomp
        | Layer::Landlock
        | Layer::NetworkNamespace
        | Layer::Veth
        | Layer::Nftables
        | Layer::CgroupMemory
        | Layer::CgroupCpu
        | Layer::CgroupPids
        | Layer::CgroupKill
        | Layer::IdmappedMounts => true,
    }
}

/// What is asked of a layer, given who asks: root gives each app a user id and a network, an ordinary user a user namespace.
pub(super) const fn requirement(layer: Layer, privilege: Privilege) -> Requirement {
    match layer {
        Layer::MountNamespace
        | Layer::PidNamespace
        | Layer::NoCapabilities
        | Layer::NoNewPrivs
        | Layer::Seccomp => Requirement::Required,
        Layer::UserNamespace => match privilege {
            Privilege::Root => Requirement::Optional,
            Privilege::OrdinaryUser => Requirement::Required,
        },
        Layer::UidSwitch | Layer::NetworkNamespace | Layer::Veth | Layer::Nftables => match privilege {
            Privilege::Root => Requirement::Required,
            Privilege::OrdinaryUser => Requirement::Optional,
        },
        Layer::Landlock
        | Layer::IpcNamespace
        | Layer::UtsNamespace
        | Layer::CgroupNamespace
        | Layer::CgroupMemory
        | Layer::CgroupCpu
        | Layer::CgroupPids
        | Layer::CgroupKill
        | Layer::IdmappedMounts => Requirement::Optional,
    }
}
