//! Which certificates a client believes.

use super::ClientError;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Roots of trust: exactly these, never those and others besides.
#[derive(Debug, Clone)]
pub enum Trust {
    /// What the operating system trusts: for a server with a public certificate.
    System,
    /// These certificates alone: for a server with its own authority.
    Only { origin: String, certificates: Vec<CertificateDer<'static>> },
}

impl Trust {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn from_file(path: &Path) -> Result<Self, ClientError> {
        let pem =
            std::fs::read(path).map_err(|source| ClientError::CaFile { path: path.to_owned(), source })?;
        Self::from_pem(&path.display().to_string(), &pem)
    }

    /// The certificates of a PEM text; `origin` says in errors where it came from.
    ///
    /// # Errors
    /// The text holds none, or a damaged one.
    pub fn from_pem(origin: &str, pem: &[u8]) -> Result<Self, ClientError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let bad =
            |source| ClientError::BadCertificate { origin: origin.to_owned(), source: Box::new(source) };
        match read.map_err(bad)? {
            none if none.is_empty() => Err(ClientError::NoCertificate { origin: origin.to_owned() }),
            certificates => Ok(Self::Only { origin: origin.to_owned(), certificates }),
        }
    }

    fn origin(&self) -> &str {
        match self {
            Self::System => "this system",
            Self::Only { origin, .. } => origin,
        }
    }

    /// The system's store may hold certificates that cannot be read; those are passed over, as every program does.
    fn certificates(&self) -> Vec<CertificateDer<'static>> {
        match self {
            Self::System => rustls_native_certs::load_native_certs().certs,
            Self::Only { certificates, .. } => certificates.clone(),
        }
    }

    pub(super) fn ureq_config(&self) -> Result<TlsConfig, ClientError> {
        let roots: Vec<_> =
            self.certificates().iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(provider)
            .build())
    }

    pub(super) fn rustls_config(&self) -> Result<Arc<ClientConfig>, ClientError> {
        let bad = |source: rustls::Error| ClientError::BadCertificate {
            origin: self.origin().to_owned(),
            source: Box::new(source),
        };
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(self.certificates());
        if added == 0 && ignored > 0 {
            return Err(ClientError::NoCertificate { origin: self.origin().to_owned() });
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_certificate_is_refused() {
        assert!(matches!(Trust::from_pem("x", b"hello"), Err(ClientError::NoCertificate { .. })));
        let key = rcgen::KeyPair::generate().expect("key").serialize_pem();
        assert!(matches!(Trust::from_pem("x", key.as_bytes()), Err(ClientError::NoCertificate { .. })));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Trust::from_file(Path::new("/nonexistent/ca.pem")).expect_err("missing");
        assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
    }
}
