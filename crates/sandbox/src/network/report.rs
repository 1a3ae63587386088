//! What is told of networks: plain values, serialisable for `dozen doctor` and for the launcher's answers.

use domain::ids::AppId;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// An app's network, in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppNetwork {
    pub app: AppId,
    pub index: u32,
    /// Where all of the app's processes listen.
    pub address: Ipv4Addr,
    /// The host's address as the app sees it.
    pub gateway: Ipv4Addr,
    /// The host's end of the link.
    pub interface: String,
    pub mtu: u32,
    /// The pinned namespace: open it and `setns`.
    pub pin: PathBuf,
}

/// A network found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundNetwork {
    pub app: AppId,
    pub state: FoundState,
}

/// How much of a network is there. Whatever is not `Complete` is made whole by `create` and taken away by `remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FoundState {
    /// Namespace and link.
    Complete { index: u32 },
    /// A namespace that no link leads to.
    NoLink,
    /// A pin without a namespace (after a reboot), with or without its link.
    NoNamespace,
}

/// What `install` found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub forwarding: Forwarding,
    pub uplink: Option<Uplink>,
    /// Chains of other people that drop forwarded packets by default: apps reach nothing outside until they let the range pass.
    pub foreign_drops: Vec<ForeignDrop>,
}

/// What `inspect` found, for `dozen doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    pub rules: RulesState,
    /// Whether the kernel forwards packets at all.
    pub forwarding: ForwardingState,
    pub uplink: Option<Uplink>,
    /// As in [`Installed::foreign_drops`].
    pub foreign_drops: Vec<ForeignDrop>,
}

/// The value of `net.ipv4.ip_forward`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardingState {
    On,
    Off,
}

/// The interface of the default route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    pub interface: String,
    pub mtu: u32,
}

/// What became of `net.ipv4.ip_forward`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarding {
    /// Apps may not leave this machine: left as it is.
    NotNeeded,
    AlreadyOn,
    /// It was off, and is on now. It stays on when the rules are removed, for others may have come to need it.
    TurnedOn,
}

/// A base chain of another table at the forward hook whose policy is drop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ForeignDrop {
    pub family: String,
    pub table: String,
    pub chain: String,
}

/// Whether the table is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulesState {
    InForce,
    /// Absent, or not what these settings give: somebody flushed or changed it, or another version wrote it.
    Differ,
}
