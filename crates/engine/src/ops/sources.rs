//! Uploads: places that somebody may put an archive into, each opened by a secret of its own, one for writing and one for reading.
//!
//! The row is made first, the bytes come into a part file, and when they are whole the part takes its name and the row says so:
//! what was answered with success is there after any crash, and what was not is collected.

use super::{Done, acting_account, app_resource, authorised_app, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::AppRef;
use domain::event::ResourceKind;
use domain::ids::{AppId, SourceId};
use domain::policy::{self, Action, Resource};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::time::WallMillis;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use store::tables::sources::SourcesInUse;
use store::{Reader, Writer};

pub use store::tables::sources::{Source, Upload};

/// How long a place can be written to and read from.
const LIFETIME_MILLIS: u64 = 2 * 60 * 60 * 1000;
/// Places of one account that wait for an upload at once.
const OPEN_PLACES: u64 = 64;
/// Uploads of one account that are kept at once, and their bytes.
const KEPT_UPLOADS: u64 = 1000;
const KEPT_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// What the name of an upload that is not whole ends in.
const PART: &str = "part";

/// A place, with the secrets that open it. They are kept nowhere.
#[derive(Debug)]
pub struct NewSource {
    pub source: Source,
    pub put: Secret<String>,
    pub get: Secret<String>,
}

/// Makes a place for an upload: for one app, or for any of the account's.
pub fn create(engine: &Engine, context: &Context, app: Option<&AppRef>) -> Result<NewSource, Error> {
    let account = acting_account(context)?;
    let random = || Secret::new(hex::encode(engine.random::<32>()));
    let (put, get) = (random(), random());
    engine.write(|writer| {
        let app = authorised_place(writer, context, app)?;
        let now = engine.now();
        let used = writer.sources_in_use(account, now)?;
        if used.empty >= OPEN_PLACES {
            return Err(Error::conflict(format!("{OPEN_PLACES} uploads of this account are open already."))
                .with_hint(CLOSED_IN_TIME));
        }
        check_kept(used, 0)?;
        let id = SourceId::from_uuid(engine.uuid());
        let expires_at = WallMillis(now.0 + LIFETIME_MILLIS);
        let source = Source { id, account, app, upload: None, created_at: now, expires_at };
        writer.insert_source(
            &source,
            &secret_hash("put", put.expose()),
            &secret_hash("get", get.expose()),
        )?;
        record(
            engine,
            writer,
            context,
            Done::new(Action::SourceCreate.name(), app, ResourceKind::Source, id),
        )?;
        Ok(NewSource { source, put, get })
    })
}

const CLOSED_IN_TIME: &str = "They are closed two hours after they were opened.";

/// Whether an account may keep one more upload of so many bytes.
fn check_kept(used: SourcesInUse, more: u64) -> Result<(), Error> {
    if used.full < KEPT_UPLOADS && used.bytes.saturating_add(more) <= KEPT_BYTES {
        return Ok(());
    }
    let told = format!(
        "This account keeps {} uploads with {} MB; {KEPT_UPLOADS} with {} MB are allowed.",
        used.full,
        used.bytes / 1024 / 1024,
        KEPT_BYTES / 1024 / 1024
    );
    Err(Error::conflict(told).with_hint(CLOSED_IN_TIME))
}

/// The app that a place is bound to, if it is to be. A deploy token's places are its app's.
fn authorised_place(
    reader: &Reader<'_>,
    context: &Context,
    app: Option<&AppRef>,
) -> Result<Option<AppId>, Error> {
    let own = match context.actor.scope() {
        Scope::Deploy(app) => Some(AppRef::Id(app)),
        Scope::Global => None,
    };
    match app.or(own.as_ref()) {
        Some(app) => authorised_app(reader, context, app, Action::SourceCreate).map(|app| Some(app.id)),
        None => authorise_unbound(reader, context).map(|()| None),
    }
}

/// Of its own account everybody is the owner; a place that is for any app is for those who may build one.
fn authorise_unbound(reader: &Reader<'_>, context: &Context) -> Result<(), Error> {
    let account = acting_account(context)?;
    policy::authorise(&context.actor, Action::SourceCreate, &Resource::Account(account))?;
    if policy::authorise(&context.actor, Action::AppCreate, &Resource::Installation).is_ok() {
        return Ok(());
    }
    for app in reader.apps_of(account)? {
        let resource = app_resource(reader, context, &app)?;
        if policy::authorise(&context.actor, Action::BuildCreate, &resource).is_ok() {
            return Ok(());
        }
    }
    Err(Error::forbidden("There is no app that this account may build, so it may upload nothing.")
        .with_hint("Ask the owner of an app to share it with you: `dozen access:add EMAIL --role operator`."))
}

/// The place that a secret for writing opens.
pub fn to_write(engine: &Engine, secret: &str) -> Result<Source, Error> {
    let hash = secret_hash("put", secret);
    let found = engine.read(|reader| Ok(reader.source_to_write(&hash)?))?;
    found.filter(|source| source.expires_at > engine.now()).ok_or_else(no_such_place)
}

/// The place that a secret for reading opens; `None`: it is no secret of ours, or no longer.
pub fn to_read(engine: &Engine, secret: &str) -> Result<Option<Source>, Error> {
    let hash = secret_hash("get", secret);
    let found = engine.read(|reader| Ok(reader.source_to_read(&hash)?))?;
    Ok(found.filter(|source| source.expires_at > engine.now()))
}

fn no_such_place() -> Error {
    Error::not_found("source", "This upload is not known or no longer open.")
        .with_hint("Ask for another with POST /sources.")
}

/// Where the bytes of a place lie once they are whole.
pub fn file(engine: &Engine, source: SourceId) -> PathBuf {
    engine.0.settings.uploads_folder.join(source.to_string())
}

/// A name for bytes that are still coming, in a folder that is there.
pub fn part_file(engine: &Engine) -> io::Result<PathBuf> {
    let folder = &engine.0.settings.uploads_folder;
    fs::create_dir_all(folder)?;
    Ok(folder.join(engine.uuid().to_string()).with_extension(PART))
}

/// Keeps what has come whole: `part`, flushed by the caller. The same bytes once more are no second upload, others are refused.
pub fn keep(engine: &Engine, source: SourceId, part: &Path, upload: &Upload) -> Result<(), Error> {
    engine.write_quietly(|writer| {
        let kept = writer.source(source)?.ok_or_else(no_such_place)?;
        match kept.upload {
            Some(there) if there == *upload => Ok(()),
            Some(_) => Err(Error::conflict("Something else was uploaded here already.")
                .with_hint("Ask for another upload with POST /sources.")),
            None => {
                check_kept(writer.sources_in_use(kept.account, engine.now())?, upload.bytes)?;
                take_name(part, &file(engine, source))
                    .map_err(|error| Error::unavailable("The upload cannot be stored.").with_source(error))?;
                writer.set_upload(source, upload)?;
                Ok(())
            }
        }
    })
}

fn take_name(part: &Path, file: &Path) -> io::Result<()> {
    fs::rename(part, file)?;
    file.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Closes the places whose time is over.
pub(crate) fn close_expired(engine: &Engine) -> Result<(), Error> {
    let now = engine.now();
    let expired = engine.read(|reader| Ok(reader.sources_before(now)?))?;
    for source in expired {
        remove(&file(engine, source.id));
        engine.write_quietly(|writer: &Writer<'_>| Ok(writer.delete_source(source.id)?))?;
    }
    Ok(())
}

/// Which leftovers are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// Files without a row: their app or account is gone.
    Closed,
    /// Parts too: nothing is being uploaded.
    All,
}

/// Removes files that no place has any more.
pub(crate) fn remove_leftovers(engine: &Engine, which: Leftovers) -> Result<(), Error> {
    let folder = &engine.0.settings.uploads_folder;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let told = format!("The folder {} cannot be read.", folder.display());
            return Err(Error::unavailable(told).with_source(error));
        }
    };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if is_leftover(engine, &path, which)? {
            remove(&path);
        }
    }
    Ok(())
}

fn is_leftover(engine: &Engine, path: &Path, which: Leftovers) -> Result<bool, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.ends_with(PART) {
        return Ok(which == Leftovers::All);
    }
    match name.parse::<SourceId>() {
        Ok(id) => Ok(engine.read(|reader| Ok(reader.source(id)?))?.is_none()),
        Err(_) => Ok(false),
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "an upload is left behind")
        }
        Err(_) | Ok(()) => {}
    }
}

/// A secret has 256 random bits: a plain hash cannot be searched.
fn secret_hash(purpose: &str, secret: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"dozen source 1:")
        .chain_update(purpose)
        .chain_update(b":")
        .chain_update(secret)
        .finalize()
        .into()
}
