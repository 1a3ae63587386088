//! `net.ipv4.ip_forward` of the calling thread's namespace.

use super::error::NetworkError;
use super::report::Forwarding;
use std::fs;

const PATH: &str = "/proc/sys/net/ipv4/ip_forward";

/// Turns forwarding on unless it is.
pub(super) fn turn_on() -> Result<Forwarding, NetworkError> {
    let failed = |source| NetworkError::Forwarding { path: PATH, source };
    if fs::read_to_string(PATH).map_err(failed)?.trim() == "1" {
        return Ok(Forwarding::AlreadyOn);
    }
    fs::write(PATH, "1").map_err(failed)?;
    Ok(Forwarding::TurnedOn)
}
