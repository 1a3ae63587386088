//! `net.ipv4.ip_forward` of the calling thread's namespace.

use super::error::NetworkError;
use super::report::{Forwarding, ForwardingState};
use std::fs;
use std::io;

const PATH: &str = "/proc/sys/net/ipv4/ip_forward";

pub(super) fn state() -> Result<ForwardingState, NetworkError> {
    let text = fs::read_to_string(PATH).map_err(|source| failed("read", source))?;
    Ok(if text.trim() == "0" { ForwardingState::Off } else { ForwardingState::On })
}

/// Turns forwarding on unless it is.
pub(super) fn turn_on() -> Result<Forwarding, NetworkError> {
    match state()? {
        ForwardingState::On => Ok(Forwarding::AlreadyOn),
        ForwardingState::Off => {
            fs::write(PATH, "1").map_err(|source| failed("write", source))?;
            Ok(Forwarding::TurnedOn)
        }
    }
}

#[cfg(any(test, feature = "lab"))]
pub(super) fn turn_off() -> Result<(), NetworkError> {
    fs::write(PATH, "0").map_err(|source| failed("write", source))
}

fn failed(operation: &'static str, source: io::Error) -> NetworkError {
    NetworkError::Forwarding { operation, path: PATH, source }
}
