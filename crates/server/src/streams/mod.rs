//! Streams that are fetched by their address alone: log sessions, the output of builds and of release phases. The address holds
//! a signed ticket that says what it opens and until when; nothing is stored, and a restart of the server voids all tickets.

mod feed;
mod log;
mod output;
mod right;
mod ticket;

pub use ticket::{LogTicket, Target, Ticket, Tickets};

use crate::http::blocking;
use crate::http::error::Refusal;
use crate::places::{Place, Places, Room};
use crate::state::State;
use crate::table::{About, Routes};
use api::error::ErrorId;
use axum::body::Body;
use axum::extract::{self, Path};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::ids::AccountId;
use engine::error::Kind;
use futures_util::stream;
use http::{HeaderMap, header};
use right::Leash;
use std::io;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Open streams at once, and those of one account. Each holds a thread while it waits.
const STREAMS: Room = Room { all: 256, of_one: 64 };
/// A client that takes nothing for so long counts as gone.
const DEAF: Duration = Duration::from_secs(30);
/// Pieces on their way to a client. One that does not read waits with its stream, and holds up nobody else.
const PIECES: usize = 16;

/// What streams share.
pub struct Streams {
    pub tickets: Tickets,
    places: Places<AccountId>,
}

impl Streams {
    /// `None`: the operating system gave no randomness.
    pub fn new() -> Option<Self> {
        Some(Self { tickets: Tickets::new()?, places: Places::new(STREAMS) })
    }
}

/// Routes of this module.
pub fn routes() -> Routes {
    Routes::new().get(
        "/streams/{ticket}",
        open,
        About::ticket("Read a log, or the output of a build or release phase").bytes("text/plain"),
    )
}

async fn open(
    extract::State(state): extract::State<State>,
    Path(ticket): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let expired =
        || Refusal::not_found("stream", "This stream is not known or no longer open; ask for it again.");
    let Ticket { target, token } = state.streams.tickets.read(&ticket).ok_or_else(expired)?;
    let claim = target.claim(token.ok_or_else(expired)?);
    let engine = state.engine.clone();
    let holder = blocking(move || Ok(claim.look(&engine).map_err(|error| (error.kind(), error)))).await?;
    let account = holder.map_err(|(kind, error)| match kind {
        Kind::Unavailable | Kind::Internal => Refusal::from(error),
        _gone_or_not_allowed => expired(),
    })?;
    let busy = || Refusal::new(ErrorId::Unavailable, "Too many streams are open; try again in a moment.");
    let place = state.streams.places.enter(account).ok_or_else(busy)?;
    let leash = Leash::new(state.engine.clone(), claim, state.shutdown.clone());
    match target {
        Target::Log(wanted) => log::open(&state, &wanted, &headers, leash, place).await,
        Target::Build { build, .. } => output::of_build(&state, build, leash, place).await,
        Target::Release { app, release, job } => {
            output::of_release(&state, app, release, job, leash, place).await
        }
    }
}

/// The writing end of a stream, for a thread that may wait.
struct Pen {
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    runtime: Handle,
    patience: Duration,
    _place: Place<AccountId>,
}

/// Nobody reads any more.
struct Gone;

impl Pen {
    /// Waits for a slow client, and not for a deaf one.
    fn write(&self, text: impl Into<Bytes>) -> Result<(), Gone> {
        let sent = async { self.pieces.send_timeout(Ok(text.into()), self.patience).await };
        self.runtime.block_on(sent).map_err(|_| Gone)
    }
}

/// A body and the pen that writes it. The body ends, orderly, when the pen is dropped.
fn sheet(place: Place<AccountId>) -> (Pen, Body) {
    let (pieces, queue) = mpsc::channel(PIECES);
    let body = stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) });
    let pen = Pen { pieces, runtime: Handle::current(), patience: DEAF, _place: place };
    (pen, Body::from_stream(body))
}

fn answer(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

const PLAIN: &str = "text/plain; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_client_that_takes_nothing_frees_its_place() {
        let places = Places::new(Room { all: 1, of_one: 1 });
        let account = AccountId::from_u128(1);
        let (pen, body) = sheet(places.enter(account).unwrap());
        let pen = Pen { patience: Duration::from_millis(10), ..pen };
        assert!(places.enter(account).is_none());
        let writing =
            tokio::task::spawn_blocking(move || (0..=PIECES).filter(|_| pen.write("x").is_ok()).count());
        assert_eq!(writing.await.unwrap(), PIECES, "what is on its way, and no more");
        assert!(places.enter(account).is_some());
        drop(body);
    }
}
