//! The layers of a sandbox, by name. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that keeps an app apart from the rest of the machine, or that makes such a thing possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    UidSwitch,
    UserNamespace,
    MountNamespace,
    PidNamespace,
    IpcNamespace,
    UtsNamespace,
    CgroupNamespace,
    NoCapabilities,
    NoNewPrivs,
    Seccomp,
    Landlock,
    NetworkNamespace,
    Veth,
    Nftables,
    CgroupMemory,
    CgroupCpu,
    CgroupPids,
    CgroupKill,
    IdmappedMounts,
}

impl Layer {
    /// Every layer, in the order in which people are told of them.
    pub const ALL: [Self; 19] = [
        Self::UidSwitch,
        Self::UserNamespace,
        Self::MountNamespace,
        Self::PidNamespace,
        Self::NoCapabilities,
        Self::NoNewPrivs,
        Self::Seccomp,
        Self::NetworkNamespace,
        Self::Veth,
        Self::Nftables,
        Self::Landlock,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::CgroupMemory,
        Self::CgroupCpu,
        Self::CgroupPids,
        Self::CgroupKill,
        Self::IdmappedMounts,
    ];

    /// The name used in settings, in JSON and by `dozen doctor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UidSwitch => "uid_switch",
            Self::UserNamespace => "user_namespace",
            Self::MountNamespace => "mount_namespace",
            Self::PidNamespace => "pid_namespace",
            Self::IpcNamespace => "ipc_namespace",
            Self::UtsNamespace => "uts_namespace",
            Self::CgroupNamespace => "cgroup_namespace",
            Self::NoCapabilities => "no_capabilities",
            Self::NoNewPrivs => "no_new_privs",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::NetworkNamespace => "network_namespace",
            Self::Veth => "veth",
            Self::Nftables => "nftables",
            Self::CgroupMemory => "cgroup_memory",
            Self::CgroupCpu => "cgroup_cpu",
            Self::CgroupPids => "cgroup_pids",
            Self::CgroupKill => "cgroup_kill",
            Self::IdmappedMounts => "idmapped_mounts",
        }
    }

    /// What an app can do, or what Dozen cannot, while the layer is missing.
    pub const fn consequence_of_absence(self) -> &'static str {
        match self {
            Self::UidSwitch => {
                "apps, Dozen and whoever started it share one user id: only namespaces keep them apart, and what gets out of a sandbox is that user"
            }
            Self::UserNamespace => {
                "an ordinary user can make no other namespace either, so there is no sandbox at all"
            }
            Self::MountNamespace => "apps see and may change the host's files",
            Self::PidNamespace => {
                "apps see the host's processes, and a stopped app may leave children behind"
            }
            Self::IpcNamespace => "apps share System V memory, semaphores and message queues with the host",
            Self::UtsNamespace => "apps see the host's name",
            Self::CgroupNamespace => "apps see the host's control group paths",
            Self::NoCapabilities => "apps keep privileges of the user that starts them",
            Self::NoNewPrivs => "apps may gain privileges through setuid programs",
            Self::Seccomp => {
                "apps may make every system call, so that a fault of the kernel is a fault of the sandbox"
            }
            Self::Landlock => "one wall less around files and TCP ports; the others stand",
            Self::NetworkNamespace | Self::Veth => {
                "apps share the host's network: they reach each other, the host's loopback services and Dozen's own ports"
            }
            Self::Nftables => {
                "nothing refuses what apps send: they share the host's network and reach each other and the host's services"
            }
            Self::CgroupMemory => {
                "nothing limits an app's memory but a resource limit on the data of each of its processes, four times as high"
            }
            Self::CgroupCpu => "apps are not weighed against each other when the CPU is busy",
            Self::CgroupPids => {
                "only a resource limit per user id, or per sandbox as an ordinary user, keeps an app from starting too many processes"
            }
            Self::CgroupKill => "an app is ended by killing the first process of its pid namespace instead",
            Self::IdmappedMounts => "files that a build and an app share are owned by one of the two",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no layer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a layer of the sandbox; the layers are {}", valid_names())]
pub struct UnknownLayer {
    given: String,
}

fn valid_names() -> String {
    Layer::ALL.map(Layer::name).join(", ")
}

impl FromStr for Layer {
    type Err = UnknownLayer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.name() == text)
            .ok_or_else(|| UnknownLayer { given: text.chars().take(64).collect() })
    }
}

/// Some layers: a list with commas in settings, such as `seccomp,landlock`. Empty text is the empty set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerSet(BTreeSet<Layer>);

impl LayerSet {
    pub fn contains(&self, layer: Layer) -> bool {
        self.0.contains(&layer)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Layer> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Layer> for LayerSet {
    fn from_iter<T: IntoIterator<Item = Layer>>(layers: T) -> Self {
        Self(layers.into_iter().collect())
    }
}

impl FromStr for LayerSet {
    type Err = UnknownLayer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for LayerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Layer::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_one_name_in_settings_and_in_json() {
        let distinct: BTreeSet<_> = Layer::ALL.into_iter().collect();
        assert_eq!(distinct.len(), Layer::ALL.len());
        for layer in Layer::ALL {
            assert_eq!(layer.name().parse(), Ok(layer));
            assert_eq!(serde_json::to_value(layer).unwrap(), layer.name());
        }
    }

    #[test]
    fn lists_are_parsed_and_printed() {
        for (text, printed) in
            [("", ""), (" , ", ""), ("seccomp", "seccomp"), ("veth, seccomp,veth", "seccomp,veth")]
        {
            assert_eq!(text.parse::<LayerSet>().unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_valid_ones() {
        let error = "seccomp,sekkomp".parse::<LayerSet>().unwrap_err().to_string();
        assert!(error.starts_with("\"sekkomp\" is not a layer"), "{error}");
        for layer in Layer::ALL {
            assert!(error.contains(layer.name()), "{error}");
        }
    }
}
