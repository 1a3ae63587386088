//! What can go wrong with networks. Every variant names its object.

use super::range::InvalidRange;
use domain::ids::AppId;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A failed operation on an app's network, or on the rules of all.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "app {app} has index {index}, but the range of apps' addresses ends at index {last}; set a larger range"
    )]
    BeyondRange { app: AppId, index: u32, last: u32 },
    #[error(
        "{interface} belongs to {owner}, not to app {app}: two apps have one index, or another installation uses the same prefix"
    )]
    InterfaceTaken { interface: String, owner: String, app: AppId },
    #[error(
        "{address} of app {app} is already routed to interface {interface}: another installation uses the same range of addresses"
    )]
    AddressTaken { address: Ipv4Addr, app: AppId, interface: u32 },
    #[error("{interface} was just made and is gone: something else on this machine deletes interfaces")]
    LinkVanished { interface: String },
    #[error("app {app} has no network namespace at {path}")]
    NoNamespace { app: AppId, path: PathBuf },
    #[error("could not start a thread to {purpose}")]
    Thread { purpose: &'static str, source: io::Error },
    #[error("could not make a network namespace")]
    NewNamespace(#[source] io::Error),
    #[error("could not enter the network namespace of {path}")]
    EnterNamespace { path: PathBuf, source: io::Error },
    #[error("could not {operation} {path}")]
    Pin { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("could not {operation} {object}")]
    Netlink { operation: &'static str, object: String, source: NetlinkError },
    #[error("could not {operation} {path}, by which IPv4 packets are forwarded")]
    Forwarding { operation: &'static str, path: &'static str, source: io::Error },
    #[error(transparent)]
    Range(#[from] InvalidRange),
}

/// A failed exchange with the kernel over netlink.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    #[error("could not open a netlink socket")]
    Open(#[source] io::Error),
    #[error("could not send to the kernel")]
    Send(#[source] io::Error),
    #[error("could not receive from the kernel")]
    Receive(#[source] io::Error),
    #[error("the kernel refused")]
    Refused(#[source] io::Error),
    #[error("the kernel's answer is not well formed: {0}")]
    Malformed(&'static str),
    #[error("the kernel's answer has more than {limit} messages")]
    TooLong { limit: usize },
}

impl NetlinkError {
    /// The error number with which the kernel refused.
    pub(super) fn refusal(&self) -> Option<i32> {
        match self {
            Self::Refused(source) => source.raw_os_error(),
            Self::Open(_) | Self::Send(_) | Self::Receive(_) | Self::Malformed(_) | Self::TooLong { .. } => {
                None
            }
        }
    }
}

/// Names the operation and its object beside a netlink failure.
pub(super) trait Doing<T> {
    fn doing(self, operation: &'static str, object: impl Into<String>) -> Result<T, NetworkError>;
}

impl<T> Doing<T> for Result<T, NetlinkError> {
    fn doing(self, operation: &'static str, object: impl Into<String>) -> Result<T, NetworkError> {
        self.map_err(|source| NetworkError::Netlink { operation, object: object.into(), source })
    }
}
