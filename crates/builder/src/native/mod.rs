//! Our own builders. Each decides purely what is to be done ([`rust`], [`static_site`]); [`crate::Builder`] does it.

pub mod rust;
pub mod static_site;

use crate::error::Fault;

/// Why a native builder cannot build this source.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    #[error(transparent)]
    Rust(#[from] rust::RustError),
    #[error(transparent)]
    Static(#[from] static_site::StaticfileError),
}

impl NativeError {
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Rust(rust::RustError::NoToolchain | rust::RustError::Binaries(_)) => Fault::Platform,
            Self::Rust(rust::RustError::NoLockfile | rust::RustError::NotOneBinary { .. })
            | Self::Static(_) => Fault::App,
        }
    }
}
