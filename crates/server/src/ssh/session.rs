//! A git service for one channel: the same admission, the same git, the same hooks as over HTTPS.

use crate::git::Service;
use crate::git::child::Request;
use crate::git::entry::{self, Admitted, Begun};
use crate::http::error::Refusal;
use crate::state::State;
use domain::policy::Actor;
use engine::{Context, RequestId};
use russh::Channel;
use russh::server::Msg;
use tokio::sync::OwnedSemaphorePermit;

/// The number of standard error among a channel's streams.
const STDERR: Option<u32> = Some(1);
/// As git's own shell ends when it refuses.
const REFUSED: u32 = 128;

/// What a client wants, and who it is.
pub struct Asked {
    pub service: Service,
    pub repository: String,
    pub actor: Actor,
    pub protocol: Option<String>,
    pub request_id: RequestId,
}

/// Serves a channel to its end.
pub async fn serve(state: State, asked: Asked, channel: Channel<Msg>) {
    let request_id = asked.request_id.clone();
    let context = Context { actor: asked.actor, token: None, request_id, idempotency: None };
    match entry::admit(&state, context, &asked.repository, asked.service).await {
        Ok(admitted) => converse(&state, &asked, admitted, channel).await,
        Err(refusal) => refuse(channel, sentence(&refusal)).await,
    }
}

fn sentence(refusal: &Refusal) -> String {
    let hints = refusal.body.hints.iter().map(|hint| format!("{hint}\n")).collect::<String>();
    format!("{}\n{hints}", refusal.body.message)
}

/// Tells why nothing is done, and ends the channel.
pub async fn refuse(channel: Channel<Msg>, text: String) {
    let _heard = channel.extended_data_bytes(1, text.into_bytes()).await;
    end(&channel.split().1, REFUSED).await;
}

async fn end(writer: &russh::ChannelWriteHalf<Msg>, code: u32) {
    let _told = writer.exit_status(code).await;
    let _ended = writer.eof().await;
    let _closed = writer.close().await;
}

async fn converse(state: &State, asked: &Asked, admitted: Admitted, channel: Channel<Msg>) {
    let held = match asked.service {
        Service::UploadPack => entry::take_fetch(state).map(|place| (Held::Fetch(place), Vec::new())),
        Service::ReceivePack => entry::take_place(state, &admitted)
            .and_then(|place| entry::begin_push(state, &admitted, place))
            .map(|(begun, environment)| (Held::Push(begun), environment)),
    };
    let (held, environment) = match held {
        Ok(held) => held,
        Err(refusal) => return refuse(channel, sentence(&refusal)).await,
    };
    let request = Request {
        tool: state.repositories.tool(),
        service: asked.service,
        repository: &admitted.repository,
        protocol: asked.protocol.as_deref(),
        environment,
    };
    let (mut reader, writer) = channel.split();
    let (output, errors) = (writer.make_writer(), writer.make_writer_ext(STDERR));
    let code = request.converse(reader.make_reader(), output, errors).await.unwrap_or_else(|error| {
        tracing::warn!(%error, service = asked.service.name(), "a git child did not serve an SSH client to its end");
        REFUSED
    });
    end(&writer, code).await;
    match held {
        Held::Fetch(place) => drop(place),
        Held::Push(begun) => entry::end_push(state, begun, &admitted.repository).await,
    }
}

/// The right to a git child.
enum Held {
    Fetch(OwnedSemaphorePermit),
    Push(Begun),
}
