//! What the launcher tells a shim: the spec, and what follows from the launcher's own settings. Passed as a sealed memfd; the
//! descriptors have fixed numbers.

use crate::cgroup::{CgroupSettings, Controller, InvalidGroupName};
use crate::environment::{EnvironmentError, SealedEnvironment};
use crate::format::Format;
pub use crate::launcher::UserIds;
use crate::probe::LayerSet;
use crate::spec::ProcessSpec;
use rustix::fs::{MemfdFlags, SealFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// The word that makes this binary a shim: its only argument.
pub const SHIM_WORD: &str = "shim";

pub const ORDERS_FD: RawFd = 3;
pub const LOCK_FD: RawFd = 4;
pub const ENVIRONMENT_FD: RawFd = 5;
/// The control socket, listening since before the run folder appeared: whoever sees a process can ask its shim.
pub const CONTROL_FD: RawFd = 6;
/// The first of those that came with the spawn request.
pub const FIRST_PASSED_FD: RawFd = 7;

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
    pub rust_prefix: Option<PathBuf>,
    /// Layers that this machine lacks, or that are hidden, and that settings allow going without.
    pub without: LayerSet,
    pub cgroup: CgroupOrders,
    /// How many descriptors follow [`CONTROL_FD`].
    pub passed: u8,
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

/// Why the inherited descriptors are not a launcher's orders.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    #[error("this form of the program is started by the launcher only: descriptor {0} is missing")]
    Missing(RawFd),
    #[error("cannot read the orders")]
    Read(#[source] std::io::Error),
    #[error("the orders are not what this version understands")]
    Parse(#[source] serde_json::Error),
    #[error("cannot hand over the orders")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

impl Orders {
    /// As a descriptor to be inherited.
    pub fn to_memfd(&self) -> Result<OwnedFd, OrdersError> {
        let failed = |errno: rustix::io::Errno| OrdersError::Write(errno.into());
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("orders", flags).map_err(failed)?);
        file.write_all(&serde_json::to_vec(self).map_err(OrdersError::Parse)?).map_err(OrdersError::Write)?;
        file.rewind().map_err(OrdersError::Write)?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&file, seals).map_err(failed)?;
        Ok(file.into())
    }
}

/// What a shim finds when it starts.
pub struct Inherited {
    pub orders: Orders,
    /// The run folder's lock, held by this open file description.
    pub lock: OwnedFd,
    pub environment: OwnedFd,
    pub control: OwnedFd,
    pub passed: Vec<OwnedFd>,
}

impl Inherited {
    /// Takes the descriptors. To be called once, first of all.
    pub fn take() -> Result<Self, OrdersError> {
        let mut bytes = Vec::new();
        File::from(take(ORDERS_FD)?).read_to_end(&mut bytes).map_err(OrdersError::Read)?;
        let orders: Orders = serde_json::from_slice(&bytes).map_err(OrdersError::Parse)?;
        let lock = take(LOCK_FD)?;
        let environment = take(ENVIRONMENT_FD)?;
        let control = take(CONTROL_FD)?;
        let passed = (0..RawFd::from(orders.passed)).map(|number| take(FIRST_PASSED_FD + number));
        Ok(Self { lock, environment, control, passed: passed.collect::<Result<_, _>>()?, orders })
    }
}

/// Owns an inherited descriptor and marks it close-on-exec.
fn take(number: RawFd) -> Result<OwnedFd, OrdersError> {
    // SAFETY: a query on a number; nothing is owned yet.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(OrdersError::Missing(number));
    }
    // SAFETY: the descriptor is open, and this process has just started: nobody else in it owns the number.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)
        .map_err(|_| OrdersError::Missing(number))?;
    Ok(descriptor)
}

impl Orders {
    /// Checks that an environment's descriptor is sealed, without reading it.
    pub fn check_environment(descriptor: OwnedFd) -> Result<SealedEnvironment, OrdersError> {
        Ok(SealedEnvironment::from_fd(descriptor)?)
    }
}
