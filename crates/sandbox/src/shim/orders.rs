//! What the launcher tells a shim: the spec, and what follows from the launcher's own settings; and the descriptors beside it.

use crate::cgroup::{CgroupSettings, Controller, InvalidGroupName};
use crate::format::Format;
pub use crate::launcher::UserIds;
use crate::probe::{LayerSet, NetworkForm, Privilege};
use crate::spec::ProcessSpec;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Everything a shim needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    pub format: Format,
    pub spec: ProcessSpec,
    /// The data folder.
    pub data: PathBuf,
    /// Who the shim becomes.
    pub shim: UserIds,
    /// Who the app's process becomes.
    pub app: UserIds,
    /// Where the toolchain of the spec lies on this machine.
    pub toolchain_prefix: Option<PathBuf>,
    /// What a build is shown as the certificate authorities to trust.
    pub certificates: Option<PathBuf>,
    /// As an ordinary user the sandbox has a user namespace, and nobody becomes anybody else.
    pub privilege: Privilege,
    /// Whether the process lives in its app's network or in the host's.
    pub network: NetworkForm,
    /// Layers that this machine lacks, or that are hidden, and that settings allow going without.
    pub without: LayerSet,
    pub cgroup: CgroupOrders,
    /// Between two looks at what the process uses.
    pub sample_millis: u64,
}

/// What the shim needs to find its control groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupOrders {
    delegated: Option<PathBuf>,
    name: String,
    hidden: Vec<Controller>,
}

impl From<&CgroupSettings> for CgroupOrders {
    fn from(settings: &CgroupSettings) -> Self {
        Self {
            delegated: settings.delegated.clone(),
            name: settings.name.as_str().to_owned(),
            hidden: settings.hidden.clone(),
        }
    }
}

impl CgroupOrders {
    pub fn to_settings(&self) -> Result<CgroupSettings, InvalidGroupName> {
        Ok(CgroupSettings {
            delegated: self.delegated.clone(),
            name: self.name.parse()?,
            hidden: self.hidden.clone(),
        })
    }
}

/// What a shim begins with.
pub struct Given {
    pub orders: Orders,
    /// The run folder's lock, held by this open file description.
    pub lock: OwnedFd,
    /// The sealed memfd. Only the app's own process reads it.
    pub environment: OwnedFd,
    /// The control socket, listening since before the run folder appeared: whoever sees a process can ask its shim.
    pub control: OwnedFd,
    /// Those that came with the spawn request.
    pub passed: Vec<OwnedFd>,
}

/// Why a message is not a launcher's orders.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    #[error("the orders are not what this version understands")]
    Parse(#[from] serde_json::Error),
    #[error("the orders came with {0} descriptors; lock, environment and control socket are three")]
    Descriptors(usize),
}

impl Given {
    /// Reads a message: the orders, and lock, environment, control socket and the passed descriptors in this order.
    pub fn read(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<Self, OrdersError> {
        let orders = serde_json::from_slice(bytes)?;
        let count = descriptors.len();
        let mut descriptors = descriptors.into_iter();
        match (descriptors.next(), descriptors.next(), descriptors.next()) {
            (Some(lock), Some(environment), Some(control)) => {
                Ok(Self { orders, lock, environment, control, passed: descriptors.collect() })
            }
            _ => Err(OrdersError::Descriptors(count)),
        }
    }
}
