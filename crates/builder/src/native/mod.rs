//! Our own builders. Each decides purely what is to be done ([`rust`], [`python`], [`node`], [`static_site`]); [`crate::Builder`]
//! does it.

pub(crate) mod manifests;
pub mod node;
pub mod plan;
pub mod python;
pub(crate) mod runtime;
pub mod rust;
pub mod static_site;
pub(crate) mod version;

use crate::error::Fault;
pub use manifests::ManifestError;
pub use runtime::RuntimeError;

/// Why a native builder cannot build this source.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    #[error(transparent)]
    Rust(#[from] rust::RustError),
    #[error(transparent)]
    Python(#[from] python::PythonError),
    #[error(transparent)]
    Node(#[from] node::NodeError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Static(#[from] static_site::StaticfileError),
}

impl NativeError {
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Rust(rust::RustError::NoToolchain | rust::RustError::Binaries(_))
            | Self::Runtime(RuntimeError::None { .. }) => Fault::Platform,
            Self::Rust(rust::RustError::NoLockfile | rust::RustError::NotOneBinary { .. })
            | Self::Python(_)
            | Self::Node(_)
            | Self::Manifest(_)
            | Self::Runtime(RuntimeError::Absent { .. } | RuntimeError::NotUnderstood { .. })
            | Self::Static(_) => Fault::App,
        }
    }
}
