//! Public keys by which accounts are known over SSH.

mod parse;

use super::{Done, acting_account, record};
use crate::context::{Actor, Context};
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use domain::account::SshKey;
use domain::event::ResourceKind;
use domain::ids::KeyId;
use domain::policy::{self, Action, Resource};
use domain::scope::Scope;
pub use parse::{KeyRefused, PublicKey};
use store::Reader;

/// Keys of one account.
const KEYS_OF_ACCOUNT: usize = 100;

/// The account's own keys, oldest first.
pub fn list(engine: &Engine, context: &Context) -> Result<Vec<SshKey>, Error> {
    let account = acting_account(context)?;
    policy::authorise(&context.actor, Action::KeyRead, &Resource::Account(account))?;
    engine.read(|reader| Ok(reader.ssh_keys_of(account)?))
}

/// One of them by id or fingerprint.
pub fn info(engine: &Engine, context: &Context, key: &str) -> Result<SshKey, Error> {
    engine.read(|reader| find(reader, context, key, Action::KeyRead))
}

/// Adds a key. One that the account has already is given back as it is.
pub fn add(engine: &Engine, context: &Context, text: &str) -> Result<SshKey, Error> {
    let account = acting_account(context)?;
    policy::authorise(&context.actor, Action::KeyCreate, &Resource::Account(account))?;
    let parsed = PublicKey::parse(text).map_err(|refused| {
        Error::invalid(format!("This is no public key that can be used: {refused}.")).with_hint(
            "Send a line such as \"ssh-ed25519 AAAA... ada@example.com\"; ssh-keygen -t ed25519 makes one.",
        )
    })?;
    engine.write(|writer| {
        if let Some(id) = idempotency::earlier::<KeyId>(engine, writer, context, ResourceKind::Key)? {
            return find(writer, context, &id.to_string(), Action::KeyRead);
        }
        let known = writer.ssh_key_by_fingerprint(&parsed.fingerprint)?;
        match known {
            Some(known) if known.account.id == account => return Ok(known),
            Some(_) => return Err(Error::invalid("This key belongs to another account already.")),
            None => {}
        }
        let keys = writer.ssh_keys_of(account)?;
        if keys.len() >= KEYS_OF_ACCOUNT {
            return Err(Error::conflict(format!("This account has {KEYS_OF_ACCOUNT} keys already.")));
        }
        let owner = writer.account_ref(account)?.ok_or_else(|| Error::forbidden("The account is gone."))?;
        let key = SshKey {
            id: KeyId::from_uuid(engine.uuid()),
            account: owner,
            public_key: parsed.line,
            fingerprint: parsed.fingerprint,
            comment: parsed.comment,
            created_at: engine.now(),
        };
        writer.insert_ssh_key(&key)?;
        let done = Done::new(Action::KeyCreate.name(), None, ResourceKind::Key, key.id);
        record(engine, writer, context, done.after("fingerprint", &key.fingerprint))?;
        idempotency::keep(engine, writer, context, ResourceKind::Key, key.id.to_string())?;
        Ok(key)
    })
}

pub fn remove(engine: &Engine, context: &Context, key: &str) -> Result<SshKey, Error> {
    engine.write(|writer| {
        let key = find(writer, context, key, Action::KeyRemove)?;
        writer.delete_ssh_key(key.id)?;
        let done = Done::new(Action::KeyRemove.name(), None, ResourceKind::Key, key.id);
        record(engine, writer, context, done.before("fingerprint", &key.fingerprint))?;
        Ok(key)
    })
}

/// Who may act by a key; the caller has seen proof that its private half is at hand.
pub fn authenticate(engine: &Engine, fingerprint: &str) -> Result<Option<Actor>, Error> {
    engine.read(|reader| {
        let Some(key) = reader.ssh_key_by_fingerprint(fingerprint)? else { return Ok(None) };
        let Some(account) = reader.account(key.account.id)? else { return Ok(None) };
        Ok(Some(Actor::Account { id: account.id, role: account.role, scope: Scope::Global }))
    })
}

fn find(reader: &Reader<'_>, context: &Context, key: &str, action: Action) -> Result<SshKey, Error> {
    let account = acting_account(context)?;
    policy::authorise(&context.actor, action, &Resource::Account(account))?;
    let found = reader
        .ssh_keys_of(account)?
        .into_iter()
        .find(|known| known.id.to_string() == key || known.fingerprint == key);
    found.ok_or_else(|| Error::not_found("key", "Couldn't find that key."))
}
