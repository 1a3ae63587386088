//! The local certificate authority: makes the authority that users trust once (`ca.pem`) and the certificate that the front door
//! shows, and renews the latter.
//!
//! Wall clocks jump, so both begin in the past, and whether a stored certificate still serves is asked of the same verifier that
//! clients use: every name, now and [`RENEW_BEFORE`] from now. Whatever does not pass is made anew; the authority is kept as long
//! as it can be, because people have told their machines to trust it.

mod files;

pub use files::CaError;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A server certificate with less than this left is renewed.
pub const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Below the 398 days that some clients put as a limit on server certificates.
const SERVER_DAYS: u32 = 365;
const AUTHORITY_DAYS: u32 = 20 * 365;
/// How far into the past a certificate begins: clocks of servers and clients differ.
const BACKDATE_DAYS: u32 = 7;
/// The authority begins here, whatever the clock says on the day it is made: a clock that was ahead may come back.
const AUTHORITY_BEGINS: (i32, u8, u8) = (2020, 1, 1);

/// The authority's folder and the names that the server answers to.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
    names: Vec<String>,
}

impl Authority {
    /// `extra` are names besides the loopback ones: base domain, host name. Names that no certificate can carry are left out.
    pub fn new(folder: &Path, extra: &[String]) -> Self {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        for name in extra {
            let lower = name.to_ascii_lowercase();
            if ServerName::try_from(lower.clone()).is_ok() && !names.contains(&lower) {
                names.push(lower);
            }
        }
        Self { folder: folder.to_owned(), names }
    }

    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join(files::CA_CERTIFICATE)
    }

    /// Reads what is stored, makes what is missing or no longer serves, and returns the certificate to show.
    pub fn ensure(&self, now: SystemTime) -> Result<Arc<CertifiedKey>, CaError> {
        files::create_folder(&self.folder)?;
        let authority = self.authority(now)?;
        let stored = self.stored_server().filter(|found| self.serves(&authority.certificate, found, now));
        let (chain, key) = match stored {
            Some(found) => found,
            None => self.issue(&authority, now)?,
        };
        certified(chain, key)
    }

    fn authority(&self, now: SystemTime) -> Result<StoredAuthority, CaError> {
        match files::read_pair(&self.folder, files::CA_CERTIFICATE, files::CA_KEY)? {
            Some((certificate_pem, key_pem)) => {
                StoredAuthority::parse(certificate_pem, &key_pem, &self.folder)
            }
            None => {
                let (certificate_pem, key_pem) = make_authority(now)?;
                files::write_pair(
                    &self.folder,
                    (files::CA_CERTIFICATE, &certificate_pem),
                    (files::CA_KEY, &key_pem),
                )?;
                StoredAuthority::parse(certificate_pem, &key_pem, &self.folder)
            }
        }
    }

    /// A stored pair that cannot be read is the same as none: it is only a renewal away.
    fn stored_server(&self) -> Option<Pair> {
        let (certificate, key) =
            files::read_pair(&self.folder, files::SERVER_CERTIFICATE, files::SERVER_KEY).ok().flatten()?;
        parse_pair(&certificate, &key).ok()
    }

    fn serves(&self, authority: &CertificateDer<'static>, pair: &Pair, now: SystemTime) -> bool {
        let Ok(verifier) = verifier(authority) else { return false };
        let Some(leaf) = pair.0.first() else { return false };
        let at = |time: SystemTime| {
            UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
        };
        let passes = |name: &String, time: SystemTime| {
            let Ok(name) = ServerName::try_from(name.as_str()) else { return false };
            verifier.verify_server_cert(leaf, &[], &name, &[], at(time)).is_ok()
        };
        self.names.iter().all(|name| passes(name, now) && passes(name, now + RENEW_BEFORE))
            && certified(pair.0.clone(), pair.1.clone_key()).is_ok()
    }

    fn issue(&self, authority: &StoredAuthority, now: SystemTime) -> Result<Pair, CaError> {
        let key = generate_key()?;
        let mut names = self.names.clone();
        names.push("*.localhost".to_owned());
        let mut params = CertificateParams::new(names).map_err(CaError::Make)?;
        params.distinguished_name = common_name("Dozen server");
        params.not_before = (now - DAY * BACKDATE_DAYS).into();
        params.not_after = (now + DAY * SERVER_DAYS).into();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        debug_assert!(params.subject_alt_names.iter().any(|san| matches!(san, SanType::IpAddress(_))));
        let leaf = params.signed_by(&key, &authority.issuer).map_err(CaError::Make)?;
        let chain = format!("{}{}", leaf.pem(), authority.certificate_pem);
        let key_pem = key.serialize_pem();
        files::write_pair(&self.folder, (files::SERVER_CERTIFICATE, &chain), (files::SERVER_KEY, &key_pem))?;
        parse_pair(&chain, &key_pem)
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

struct StoredAuthority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl StoredAuthority {
    /// A damaged authority is an error, never replaced: that would silently break everybody's trust.
    fn parse(certificate_pem: String, key_pem: &str, folder: &Path) -> Result<Self, CaError> {
        let damaged = || CaError::Damaged { folder: folder.to_owned() };
        let key = KeyPair::from_pem(key_pem).map_err(|_| damaged())?;
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| damaged())?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(|_| damaged())?;
        Ok(Self { certificate, certificate_pem, issuer })
    }
}

fn make_authority(now: SystemTime) -> Result<(String, String), CaError> {
    let key = generate_key()?;
    let mut params = CertificateParams::new(Vec::new()).map_err(CaError::Make)?;
    let serial = crate::secrets::random_hex().unwrap_or_default();
    params.distinguished_name =
        common_name(&format!("Dozen local authority {}", serial.get(..8).unwrap_or_default()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let (year, month, day) = AUTHORITY_BEGINS;
    params.not_before = rcgen::date_time_ymd(year, month, day);
    params.not_after = (now + DAY * AUTHORITY_DAYS).into();
    let certificate = params.self_signed(&key).map_err(CaError::Make)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn generate_key() -> Result<KeyPair, CaError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(CaError::Make)
}

fn parse_pair(chain: &str, key: &str) -> Result<Pair, CaError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(CaError::Pem)?;
    Ok((certificates.map_err(CaError::Pem)?, key))
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, CaError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map(Arc::new).map_err(CaError::Unusable)
}

fn verifier(authority: &CertificateDer<'static>) -> Result<Arc<WebPkiServerVerifier>, CaError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).map_err(CaError::Unusable)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(CaError::Verifier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn leaf(key: &CertifiedKey) -> Vec<u8> {
        key.cert[0].as_ref().to_vec()
    }

    #[test]
    fn the_certificate_is_kept_until_it_needs_renewal() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), &["paas.example".to_owned()]);
        let now = SystemTime::now();
        let first = authority.ensure(now).unwrap();
        assert_eq!(leaf(&first), leaf(&authority.ensure(now).unwrap()), "kept");
        assert_eq!(leaf(&first), leaf(&authority.ensure(now + DAY * 300).unwrap()), "kept");
        let root = std::fs::read(authority.certificate_path()).unwrap();
        for later in [now + DAY * 340, now - DAY * 400, now + DAY * 3000] {
            let renewed = authority.ensure(later).unwrap();
            assert_ne!(leaf(&first), leaf(&renewed), "renewed");
        }
        assert_eq!(root, std::fs::read(authority.certificate_path()).unwrap(), "the authority stays");
    }

    #[test]
    fn another_name_means_another_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let first = Authority::new(folder.path(), &[]).ensure(now).unwrap();
        let wider = Authority::new(folder.path(), &["Paas.Example".to_owned(), "not a name".to_owned()]);
        assert_eq!(wider.names, ["localhost", "127.0.0.1", "::1", "paas.example"]);
        assert_ne!(leaf(&first), leaf(&wider.ensure(now).unwrap()));
    }

    #[test]
    fn keys_are_private_and_a_damaged_authority_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), &[]);
        authority.ensure(SystemTime::now()).unwrap();
        for key in [files::CA_KEY, files::SERVER_KEY] {
            let mode = std::fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        std::fs::write(folder.path().join(files::SERVER_CERTIFICATE), "torn").unwrap();
        assert!(authority.ensure(SystemTime::now()).is_ok(), "a torn server certificate is renewed");
        std::fs::write(folder.path().join(files::CA_KEY), "torn").unwrap();
        assert!(matches!(authority.ensure(SystemTime::now()), Err(CaError::Damaged { .. })));
    }
}
