//! (shim)
