//! From a name to addresses that may be asked. The connection is made to what this returns and to nothing else.

use crate::address::{observe_own, refusal};
use crate::allow::Allowed;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A name that leads to where we do not ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}, {why}: the server does not ask there")]
pub struct Forbidden {
    pub host: String,
    pub address: IpAddr,
    pub why: &'static str,
}

/// Resolves as the machine does, then checks.
#[derive(Debug)]
pub(crate) struct CheckedResolver {
    inner: DefaultResolver,
    allowed: Arc<[Allowed]>,
}

impl CheckedResolver {
    pub(crate) fn new(allowed: Arc<[Allowed]>) -> Self {
        Self { inner: DefaultResolver::default(), allowed }
    }
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        match forbidden(host, &found, &observe_own(), &self.allowed) {
            None => Ok(found),
            Some(forbidden) => Err(ureq::Error::Other(Box::new(forbidden))),
        }
    }
}

/// One address that is refused is enough: an honest name has none.
fn forbidden(host: &str, found: &[SocketAddr], own: &[IpAddr], allowed: &[Allowed]) -> Option<Forbidden> {
    found.iter().map(SocketAddr::ip).find_map(|address| {
        if allowed.iter().any(|allowed| allowed.covers(host, address)) {
            return None;
        }
        refusal(address, own).map(|why| Forbidden { host: host.to_owned(), address, why })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_address_spoils_a_name() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443)).collect()
        };
        let checked = |found: &[&str], allowed: &[Allowed]| forbidden("h", &addresses(found), &[], allowed);
        assert_eq!(checked(&["1.1.1.1", "2a00::1"], &[]), None);
        assert_eq!(checked(&["1.1.1.1", "10.0.0.1"], &[]).unwrap().address.to_string(), "10.0.0.1");
        assert_eq!(checked(&["10.0.0.1"], &["10.0.0.0/24".parse().unwrap()]), None);
        assert_eq!(checked(&["10.0.0.1"], &["h".parse().unwrap()]), None);
        assert!(checked(&["10.0.0.1", "127.0.0.1"], &["10.0.0.0/24".parse().unwrap()]).is_some());
    }
}
