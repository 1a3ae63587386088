//! `PUT` and `GET /uploads/SECRET`: an upload's bytes. Nobody is asked who they are; the address is the permission.

use super::MAX_ARCHIVE_BYTES;
use super::part::{Filled, Part, has_room, sentence};
use crate::git::body::{BodyError, Encoding, GitBody};
use crate::http::blocking;
use crate::http::error::Refusal;
use crate::state::State;
use crate::table::{About, Routes};
use api::error::ErrorId;
use axum::body::Body;
use axum::extract::{self, Path};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::ids::{AccountId, SourceId};
use engine::Engine;
use engine::ops::sources::{self, Source};
use http::{HeaderMap, StatusCode, header};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// Uploads that come in at once.
const MAX_UPLOADS: usize = 32;
/// Of one account.
const MAX_UPLOADS_OF_ACCOUNT: usize = 4;
/// From the first byte to the answer: 2.5 Mbit/s for the largest archive.
const UPLOAD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// What is read of a body whose address opens nothing, so that an honest client gets to reading the answer.
const STRANGERS_BYTES: u64 = 1024 * 1024;
const STRANGERS_TIME: Duration = Duration::from_secs(5);
/// Pieces between a client and the disk.
const PIECES: usize = 8;

/// Routes of this module.
pub fn routes() -> Routes {
    let about = |summary| About::ticket(summary).bytes("application/gzip");
    Routes::new()
        .put("/uploads/{secret}", take, about("Upload an archive"))
        .get("/uploads/{secret}", give, about("Read what was uploaded"))
        .without_body_limit()
}

/// The path of an upload's address.
pub fn upload_path(secret: &str) -> String {
    format!("/uploads/{secret}")
}

/// The uploads that are coming in, with the accounts that opened their places.
#[derive(Default)]
pub struct Uploads(Arc<Mutex<HashMap<SourceId, AccountId>>>);

/// The right to fill a place; given back when dropped.
struct Claim {
    open: Arc<Mutex<HashMap<SourceId, AccountId>>>,
    source: SourceId,
}

impl Uploads {
    fn claim(&self, source: SourceId, account: AccountId) -> Result<Claim, Refusal> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains_key(&source) {
            return Err(Refusal::new(ErrorId::Conflict, "Somebody is uploading here at this moment."));
        }
        let own = open.values().filter(|other| **other == account).count();
        if open.len() >= MAX_UPLOADS || own >= MAX_UPLOADS_OF_ACCOUNT {
            return Err(Refusal::new(
                ErrorId::Unavailable,
                "Too many uploads are under way; try again in a moment.",
            ));
        }
        open.insert(source, account);
        Ok(Claim { open: Arc::clone(&self.0), source })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.source);
    }
}

async fn take(
    extract::State(state): extract::State<State>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let mut body = GitBody::new(body, Encoding::Identity);
    let engine = state.engine.clone();
    match blocking(move || sources::to_write(&engine, &secret)).await {
        Ok(source) => in_time(take_known(&state, &source, &headers, body)).await,
        Err(refusal) => {
            body.discard_some(STRANGERS_BYTES, STRANGERS_TIME).await;
            Err(refusal)
        }
    }
}

async fn in_time(taking: impl Future<Output = Result<StatusCode, Refusal>>) -> Result<StatusCode, Refusal> {
    let told = || format!("The upload took more than {} minutes.", UPLOAD_LIMIT.as_secs() / 60);
    let late = |_| Refusal::new(ErrorId::BadRequest, told());
    tokio::time::timeout(UPLOAD_LIMIT, taking).await.map_err(late)?
}

/// A refused body is read out before the answer ends, within bounds: else clients that are still sending lose the answer.
async fn take_known(
    state: &State,
    source: &Source,
    headers: &HeaderMap,
    mut body: GitBody,
) -> Result<StatusCode, Refusal> {
    let taken = match admit(state, source, headers) {
        Ok(claim) => receive(state, claim, &mut body).await,
        Err(refusal) => Err(refusal),
    };
    if taken.is_err() {
        let _gone = body.discard().await;
    }
    taken.map(|()| StatusCode::OK)
}

fn admit(state: &State, source: &Source, headers: &HeaderMap) -> Result<Claim, Refusal> {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_ARCHIVE_BYTES) {
        return Err(not_stored(&io::ErrorKind::FileTooLarge.into()));
    }
    state.uploads.claim(source.id, source.account)
}

async fn receive(state: &State, claim: Claim, body: &mut GitBody) -> Result<(), Refusal> {
    let (pieces, queue) = mpsc::channel(PIECES);
    let engine = state.engine.clone();
    let writing = tokio::task::spawn_blocking(move || write(&engine, queue));
    let sent = pass_on(body, pieces).await;
    let written = writing.await.map_err(|_| Refusal::internal())?;
    // The disk's reason is the better one: the client's is only that nobody took more.
    let filled = match (written, sent) {
        (Ok(filled), Ok(())) => filled,
        (Err(error), _) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(not_stored(&error)),
        (_, Err(error)) => {
            return Err(Refusal::new(ErrorId::BadRequest, format!("The upload was cut off: {error}.")));
        }
        (Err(error), Ok(())) => return Err(not_stored(&error)),
    };
    let engine = state.engine.clone();
    blocking(move || filled.keep(&engine, claim.source)).await
}

async fn pass_on(body: &mut GitBody, pieces: mpsc::Sender<Piece>) -> Result<(), BodyError> {
    while let Some(bytes) = body.next().await? {
        if pieces.send(Piece::Bytes(bytes)).await.is_err() {
            return Ok(());
        }
    }
    let _nobody_writes_any_more = pieces.send(Piece::End).await;
    Ok(())
}

/// What goes to the writing thread. An end that is not said is an upload that was cut off.
enum Piece {
    Bytes(Bytes),
    End,
}

fn write(engine: &Engine, mut queue: mpsc::Receiver<Piece>) -> io::Result<Filled> {
    let mut part = Part::create(engine)?;
    loop {
        match queue.blocking_recv() {
            Some(Piece::Bytes(bytes)) => part.write_all(&bytes)?,
            Some(Piece::End) => return part.finish(),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn not_stored(error: &io::Error) -> Refusal {
    let id = match error.kind() {
        io::ErrorKind::FileTooLarge => ErrorId::RequestTooLarge,
        _ => ErrorId::Unavailable,
    };
    if !matches!(error.kind(), io::ErrorKind::FileTooLarge) {
        tracing::warn!(%error, "an upload was not stored");
    }
    Refusal::new(id, sentence(error))
}

/// For whoever wants to look at what was uploaded.
async fn give(
    extract::State(state): extract::State<State>,
    Path(secret): Path<String>,
) -> Result<Response, Refusal> {
    let engine = state.engine.clone();
    let found = blocking(move || sources::to_read(&engine, &secret)).await?;
    let missing = || Refusal::not_found("source", "This upload is not known or no longer open.");
    let source = found.ok_or_else(missing)?;
    let upload = source.upload.ok_or_else(missing)?;
    let file = tokio::fs::File::open(sources::file(&state.engine, source.id)).await.map_err(|_| missing())?;
    let headers = [
        (header::CONTENT_TYPE, "application/gzip".to_owned()),
        (header::CONTENT_LENGTH, upload.bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

/// Whether there is room for another upload, before anybody is told where to send it.
pub fn check_room(engine: &Engine) -> Result<(), Refusal> {
    let room = sources::part_file(engine).and_then(|path| has_room(path.parent().unwrap_or(&path)));
    match room {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_stored(&io::ErrorKind::StorageFull.into())),
        Err(error) => Err(not_stored(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_leaves_room_for_others() {
        let uploads = Uploads::default();
        let claim = |source, account| {
            let claimed = uploads.claim(SourceId::from_u128(source), AccountId::from_u128(account));
            claimed.map_err(|refusal| refusal.status.as_u16())
        };
        let own: Vec<_> = (0..MAX_UPLOADS_OF_ACCOUNT as u128).map(|n| claim(n, 1).unwrap()).collect();
        assert_eq!(claim(0, 1).err(), Some(409), "one at a time into one place");
        assert_eq!(claim(100, 1).err(), Some(503));
        let others: Vec<_> =
            (own.len()..MAX_UPLOADS).map(|n| claim(1000 + n as u128, 2 + n as u128).unwrap()).collect();
        assert_eq!(claim(100, 1000).err(), Some(503), "there are places for so many");
        drop(own);
        assert!(claim(100, 1).is_ok());
        drop(others);
    }

    /// By a clock that runs when nothing else does.
    #[tokio::test(start_paused = true)]
    async fn an_upload_ends_in_time() {
        let late = in_time(std::future::pending()).await.unwrap_err();
        assert_eq!(late.body.message, "The upload took more than 30 minutes.");
        assert_eq!(in_time(async { Ok(StatusCode::OK) }).await.ok(), Some(StatusCode::OK));
    }
}
