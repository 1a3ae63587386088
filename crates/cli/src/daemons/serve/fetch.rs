//! Gets archives from where people say that they are, through the one client for outbound requests.

use domain::cause::chain;
use outbound::{Allowed, DownloadError, DownloadLimits, Outbound, Trust};
use server::ports::{Fetch, FetchError, FetchLimits};
use std::io::Write;

/// Archives at any https address.
pub struct Archives(Outbound);

impl Archives {
    pub fn new(allowed: &[Allowed]) -> Self {
        Self(Outbound::new(allowed.to_vec(), Trust::System))
    }
}

impl Fetch for Archives {
    fn fetch(&self, url: &str, limits: &FetchLimits, into: &mut dyn Write) -> Result<(), FetchError> {
        let limits = DownloadLimits { bytes: limits.bytes, time: limits.time };
        match self.0.download(url, &limits, into) {
            Ok(_) => Ok(()),
            Err(error @ DownloadError::Store(_)) => Err(FetchError::NotStored(chain(&error))),
            Err(error @ DownloadError::Forbidden(_)) => Err(FetchError::Refused(format!(
                "{error}. An administrator can allow it by the setting DOZEN_FETCH_ALLOW"
            ))),
            Err(error) => Err(FetchError::Refused(chain(&error))),
        }
    }
}
