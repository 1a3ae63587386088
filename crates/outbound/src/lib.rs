//! The one client for requests that the server makes because somebody named an address.
//!
//! A name is resolved, what it leads to is checked, and the connection goes to exactly that address: nobody can have it resolved
//! to another one in between. Addresses of this machine, of private networks and of nothing at all are refused, unless a setting
//! allows them by name; each redirect is a new request with the same checks. No proxy of the environment is used, since it would
//! do the resolving. Size and time are bounded.
//!
//! Must not: send a credential of ours, follow anything but https, keep a connection for the next request.

mod address;
mod allow;
mod download;
mod resolve;
mod url;

pub use address::refusal;
pub use allow::{Allowed, BadAllowed};
pub use download::{DownloadError, DownloadLimits};
pub use url::{BadUrl, Url};

use resolve::CheckedResolver;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How we introduce ourselves.
const USER_AGENT: &str = concat!("dozen/", env!("CARGO_PKG_VERSION"));

/// Who signs the certificates that are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// What the operating system trusts (`SSL_CERT_FILE` names another file).
    System,
    /// These certificates alone.
    Only(Vec<CertificateDer<'static>>),
}

/// Makes requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    allowed: Arc<[Allowed]>,
    roots: Arc<Vec<Certificate<'static>>>,
}

impl Outbound {
    /// `allowed` is reached although it would be refused otherwise.
    pub fn new(allowed: Vec<Allowed>, trust: Trust) -> Self {
        let certificates = match trust {
            Trust::System => rustls_native_certs::load_native_certs().certs,
            Trust::Only(certificates) => certificates,
        };
        let roots = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        Self { allowed: allowed.into(), roots: Arc::new(roots) }
    }

    /// For one request, with no memory of others.
    fn agent(&self, time_left: Duration) -> Agent {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::clone(&self.roots)))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(USER_AGENT)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(time_left)))
            .timeout_global(Some(time_left))
            .build();
        let resolver = CheckedResolver::new(Arc::clone(&self.allowed));
        Agent::with_parts(config, DefaultConnector::default(), resolver)
    }
}
