//! A repeated POST gets the first answer.
//!
//! The check and the keeping happen in the operation's own write transaction, of which there is one at a time: a repeat that
//! arrives while the first is being done waits for it and then finds its answer.

use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use domain::event::ResourceKind;
use domain::ids::AccountId;
use sha2::{Digest, Sha256};
use std::str::FromStr;
use store::tables::idempotency::{FirstAnswer, Repeatable};
use store::{Reader, Writer};

/// How long a first answer counts.
pub const WINDOW_MILLIS: u64 = 10 * 60 * 1000;

/// The HTTP status that goes with a made resource.
pub(crate) const CREATED: u16 = 201;

/// The id of what the first request made, if this is a repeat of it.
pub(crate) fn earlier<T: FromStr>(
    engine: &Engine,
    reader: &Reader<'_>,
    context: &Context,
    resource: ResourceKind,
) -> Result<Option<T>, Error> {
    let Some(answer) = first_answer(engine, reader, context)? else { return Ok(None) };
    if answer.resource != resource {
        return Err(Error::internal("a repeated request belongs to another kind of resource"));
    }
    let id = answer
        .resource_id
        .parse()
        .map_err(|_| Error::internal("a repeated request names no valid resource"))?;
    Ok(Some(id))
}

/// Refuses a repeat whose first answer held a secret, which is kept nowhere.
pub(crate) fn refuse_repeat(engine: &Engine, writer: &Writer<'_>, context: &Context) -> Result<(), Error> {
    match first_answer(engine, writer, context)? {
        None => Ok(()),
        Some(_) => Err(Error::conflict(
            "This request was already done. Its answer held a secret, which is shown once and never stored.",
        )
        .with_hint("Send the request again with another Idempotency-Key, and revoke the token that you did not receive.")),
    }
}

/// Keeps the answer of the first request.
pub(crate) fn keep(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    resource: ResourceKind,
    resource_id: String,
) -> Result<(), Error> {
    let Some(request) = repeatable(context) else { return Ok(()) };
    let answer = FirstAnswer {
        body_hash: request.body_hash.to_vec(),
        resource,
        resource_id,
        status: CREATED,
        at: engine.now(),
        boot_id: engine.boot_id(),
        boot_at: engine.boot(),
    };
    Ok(writer.keep_first_answer(&request, &answer)?)
}

fn first_answer(
    engine: &Engine,
    reader: &Reader<'_>,
    context: &Context,
) -> Result<Option<FirstAnswer>, Error> {
    let Some(request) = repeatable(context) else { return Ok(None) };
    let kept = reader.first_answer(&request)?.filter(|answer| still_counts(engine, answer));
    match kept {
        Some(answer) if answer.body_hash != request.body_hash => Err(Error::invalid(
            "This key was used within the last ten minutes for a request with another body.",
        )
        .with_hint("Use a new Idempotency-Key (or Request-Id) for a new request.")),
        kept => Ok(kept),
    }
}

fn still_counts(engine: &Engine, answer: &FirstAnswer) -> bool {
    let age = if answer.boot_id == engine.boot_id() {
        engine.boot().millis_since(answer.boot_at)
    } else {
        engine.now().0.saturating_sub(answer.at.0)
    };
    age < WINDOW_MILLIS
}

fn repeatable(context: &Context) -> Option<Repeatable> {
    let actor: AccountId = context.actor.account()?;
    let given = context.idempotency.as_ref()?;
    Some(Repeatable {
        actor,
        method: given.method.clone(),
        path: given.path.clone(),
        key_hash: Sha256::digest(&given.key).into(),
        body_hash: given.body_sha256,
    })
}
