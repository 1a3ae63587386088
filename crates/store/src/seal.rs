//! Sealing of secrets: XChaCha20-Poly1305 under a key per app, which is itself sealed under the master key.
//!
//! The master key lives outside the ledger and its backups. Every sealed value is bound to what it belongs to (its *place*), so
//! that values cannot be moved between apps or releases by editing the database. Layout: version, nonce, ciphertext with tag.

use crate::error::{Result, StoreError};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use domain::ids::AppId;
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
pub const NONCE_BYTES: usize = 24;
pub const KEY_BYTES: usize = 32;
/// What the check value seals.
const CHECK_TEXT: &[u8] = b"dozen";

/// Random bytes for one sealing; never used twice. Made by the engine from its random port.
pub struct Nonce(pub [u8; NONCE_BYTES]);

/// The key that seals the apps' keys.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// The key that seals one app's secrets.
pub struct AppKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let key = bytes.try_into().map_err(|_| StoreError::MasterKeyLength(bytes.len()))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// A value by which a later start recognises this key.
    pub(crate) fn check_value(&self, nonce: &Nonce) -> Result<Vec<u8>> {
        seal(&self.0, nonce, "master key check", CHECK_TEXT)
    }

    pub(crate) fn verify(&self, check_value: &[u8]) -> Result<()> {
        let opened =
            open(&self.0, "master key check", check_value).map_err(|_| StoreError::WrongMasterKey)?;
        if opened.as_slice() == CHECK_TEXT { Ok(()) } else { Err(StoreError::WrongMasterKey) }
    }

    pub(crate) fn wrap(&self, app: AppId, key: &AppKey, nonce: &Nonce) -> Result<Vec<u8>> {
        seal(&self.0, nonce, &key_place(app), key.0.as_slice())
    }

    pub(crate) fn unwrap(&self, app: AppId, wrapped: &[u8]) -> Result<AppKey> {
        let place = key_place(app);
        let opened = open(&self.0, &place, wrapped)?;
        let key = opened.as_slice().try_into().map_err(|_| StoreError::Unsealable { what: place })?;
        Ok(AppKey::from_bytes(key))
    }
}

impl AppKey {
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn seal(&self, place: &str, nonce: &Nonce, plain: &[u8]) -> Result<Vec<u8>> {
        seal(&self.0, nonce, place, plain)
    }

    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        open(&self.0, place, sealed)
    }
}

fn key_place(app: AppId) -> String {
    format!("key of app {app}")
}

fn cipher(key: &[u8; KEY_BYTES]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(Key::from_slice(key))
}

fn seal(key: &[u8; KEY_BYTES], nonce: &Nonce, place: &str, plain: &[u8]) -> Result<Vec<u8>> {
    let payload = Payload { msg: plain, aad: place.as_bytes() };
    let sealed = cipher(key).encrypt(XNonce::from_slice(&nonce.0), payload);
    let sealed = sealed.map_err(|_| StoreError::Seal { what: place.to_owned() })?;
    Ok([&[VERSION], nonce.0.as_slice(), &sealed].concat())
}

fn open(key: &[u8; KEY_BYTES], place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let unsealable = || StoreError::Unsealable { what: place.to_owned() };
    let body = sealed.strip_prefix(&[VERSION]).ok_or_else(unsealable)?;
    let (nonce, text) = body.split_at_checked(NONCE_BYTES).ok_or_else(unsealable)?;
    let payload = Payload { msg: text, aad: place.as_bytes() };
    let plain = cipher(key).decrypt(XNonce::from_slice(nonce), payload).map_err(|_| unsealable())?;
    Ok(Zeroizing::new(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce([7; NONCE_BYTES]);

    #[test]
    fn seals_are_bound_to_key_place_and_content() {
        let key = AppKey::from_bytes([1; 32]);
        let sealed = key.seal("here", &NONCE, b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(key.open("here", &sealed).unwrap().as_slice(), b"hunter2");
        assert!(key.open("there", &sealed).is_err());
        assert!(AppKey::from_bytes([2; 32]).open("here", &sealed).is_err());
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(key.open("here", &damaged).is_err(), "byte {index}");
            assert!(key.open("here", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_master_key_is_recognised() {
        let master = MasterKey::from_bytes(&[3; 32]).unwrap();
        let check = master.check_value(&NONCE).unwrap();
        assert!(master.verify(&check).is_ok());
        let other = MasterKey::from_bytes(&[4; 32]).unwrap();
        assert!(matches!(other.verify(&check), Err(StoreError::WrongMasterKey)));
        assert!(matches!(MasterKey::from_bytes(&[0; 16]), Err(StoreError::MasterKeyLength(16))));
        let app = AppId::from_u128(1);
        let wrapped = master.wrap(app, &AppKey::from_bytes([9; 32]), &NONCE).unwrap();
        assert_eq!(*master.unwrap(app, &wrapped).unwrap().0, [9; 32]);
        assert!(master.unwrap(AppId::from_u128(2), &wrapped).is_err());
    }
}
