//! Streams that are fetched by their address alone: log sessions, the output of builds and of release phases. The address holds
//! a signed ticket that says what it opens and until when; nothing is stored, and a restart of the server voids all tickets.

mod feed;
mod log;
mod output;
mod ticket;

pub use ticket::{LogTicket, Target, Tickets};

use crate::http::error::Refusal;
use crate::state::State;
use crate::table::{About, Routes};
use api::error::ErrorId;
use axum::body::Body;
use axum::extract::{self, Path};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};
use std::io;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Open streams at once. Each holds a thread while it waits.
const MAX_STREAMS: usize = 256;
/// Pieces on their way to a client. One that does not read waits with its stream, and holds up nobody else.
const PIECES: usize = 16;

/// What streams share.
pub struct Streams {
    pub tickets: Tickets,
    places: Arc<Semaphore>,
}

impl Streams {
    /// `None`: the operating system gave no randomness.
    pub fn new() -> Option<Self> {
        Some(Self { tickets: Tickets::new()?, places: Arc::new(Semaphore::new(MAX_STREAMS)) })
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
    let target = state.streams.tickets.read(&ticket).ok_or_else(expired)?;
    let busy = || Refusal::new(ErrorId::Unavailable, "Too many streams are open; try again in a moment.");
    let place = Arc::clone(&state.streams.places).try_acquire_owned().map_err(|_| busy())?;
    match target {
        Target::Log(wanted) => log::open(&state, &wanted, &headers, place).await,
        Target::Build(build) => output::of_build(&state, build, place).await,
        Target::Release { app, release, job } => output::of_release(&state, app, release, job, place).await,
    }
}

/// The writing end of a stream, for a thread that may wait.
struct Pen {
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    _place: OwnedSemaphorePermit,
}

/// Nobody reads any more.
struct Gone;

impl Pen {
    fn write(&self, text: impl Into<Bytes>) -> Result<(), Gone> {
        self.pieces.blocking_send(Ok(text.into())).map_err(|_| Gone)
    }
}

/// A body and the pen that writes it. The body ends, orderly, when the pen is dropped.
fn sheet(place: OwnedSemaphorePermit) -> (Pen, Body) {
    let (pieces, queue) = mpsc::channel(PIECES);
    let body = stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) });
    (Pen { pieces, _place: place }, Body::from_stream(body))
}

fn answer(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

const PLAIN: &str = "text/plain; charset=utf-8";
