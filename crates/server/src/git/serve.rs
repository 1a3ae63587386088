//! The smart HTTP protocol: `/NAME.git/info/refs`, `/NAME.git/git-receive-pack`, `/NAME.git/git-upload-pack`.

use super::body::{Encoding, GitBody};
use super::child::Request;
use super::command::{Service, protocol};
use super::entry::{self, Admitted};
use super::pkt;
use crate::http::auth::parse_credentials;
use crate::http::call::{assigned_id, authenticate};
use crate::http::error::Refusal;
use crate::state::State;
use crate::table::{About, Routes};
use api::error::ErrorId;
use axum::body::Body;
use axum::extract::{self, Path, Query};
use axum::response::{IntoResponse, Response};
use domain::policy::Action;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;

/// Longest wait before a refused push may come again, told in `Retry-After`.
const RETRY_SECONDS: &str = "15";

/// Routes of this module.
pub fn routes() -> Routes {
    let fetch = |summary| About::app(Action::SourceRead, summary);
    Routes::new()
        .get(
            "/{repository}/info/refs",
            advertise,
            fetch("Git: list refs before a fetch or push; a push needs what pushing needs")
                .bytes("application/x-git-upload-pack-advertisement"),
        )
        .post(
            "/{repository}/git-receive-pack",
            receive_pack,
            About::app(Action::BuildCreate, "Git: push, which builds and releases")
                .bytes("application/x-git-receive-pack-result"),
        )
        .post(
            "/{repository}/git-upload-pack",
            upload_pack,
            fetch("Git: clone or fetch").bytes("application/x-git-upload-pack-result"),
        )
        .without_body_limit()
}

#[derive(Deserialize)]
struct AdvertiseQuery {
    service: Option<String>,
}

/// What a git client gets for a refusal: its text, since git prints no JSON.
struct GitRefusal(Refusal);

impl From<Refusal> for GitRefusal {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for GitRefusal {
    fn into_response(self) -> Response {
        let hints = self.0.body.hints.iter().map(|hint| format!("\n{hint}")).collect::<String>();
        let text = format!("{}{hints}\n", self.0.body.message);
        let mut response = (self.0.status, text).into_response();
        let headers = response.headers_mut();
        match self.0.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    header::HeaderValue::from_static("Basic realm=\"Dozen git\""),
                );
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_SECONDS));
            }
            _ => {}
        }
        response
    }
}

async fn admit(
    state: &State,
    repository: &str,
    service: Service,
    request: &http::request::Parts,
) -> Result<Admitted, GitRefusal> {
    let credentials = parse_credentials(&request.headers).ok_or_else(Refusal::unauthorised)?;
    let caller = authenticate(state, credentials, assigned_id(request)).await?;
    Ok(entry::admit(state, caller.context(), repository, service).await?)
}

async fn advertise(
    extract::State(state): extract::State<State>,
    Path(repository): Path<String>,
    Query(query): Query<AdvertiseQuery>,
    request: extract::Request,
) -> Result<Response, GitRefusal> {
    let (parts, _) = request.into_parts();
    let dumb = || {
        Refusal::new(
            ErrorId::Forbidden,
            "Only git's smart HTTP protocol is spoken here; update your git client.",
        )
    };
    let service = query.service.as_deref().and_then(Service::from_name).ok_or_else(dumb)?;
    let admitted = admit(&state, &repository, service, &parts).await?;
    let protocol = protocol_of(&parts.headers);
    let asked = Request {
        tool: state.repositories.tool(),
        service,
        repository: &admitted.repository,
        protocol,
        environment: Vec::new(),
    };
    let refs = asked.advertise().await.map_err(|error| failed(&error))?;
    // Protocol version 2 begins with its capabilities at once.
    let versioned = service == Service::UploadPack && protocol.is_some_and(|text| text.contains("version=2"));
    let header = if versioned { Vec::new() } else { pkt::service_header(service.name()) };
    Ok(answer(service, "advertisement", Body::from([header, refs].concat())))
}

async fn upload_pack(
    state: extract::State<State>,
    repository: Path<String>,
    request: extract::Request,
) -> Result<Response, GitRefusal> {
    let (parts, body) = request.into_parts();
    let service = Service::UploadPack;
    let admitted = admit(&state, &repository, service, &parts).await?;
    let body = git_body(&parts, service, body).await?;
    let place = match entry::take_fetch(&state) {
        Ok(place) => place,
        Err(busy) => {
            let _gone = body.discard().await;
            return Err(busy.into());
        }
    };
    let asked = Request {
        tool: state.repositories.tool(),
        service,
        repository: &admitted.repository,
        protocol: protocol_of(&parts.headers),
        environment: Vec::new(),
    };
    let (answer_body, exchange) = asked.serve(body, None, None).map_err(|error| failed(&error))?;
    state.tasks.spawn(async move {
        exchange.await;
        drop(place);
    });
    Ok(answer(service, "result", answer_body))
}

async fn receive_pack(
    state: extract::State<State>,
    repository: Path<String>,
    request: extract::Request,
) -> Result<Response, GitRefusal> {
    let (parts, body) = request.into_parts();
    let service = Service::ReceivePack;
    let admitted = admit(&state, &repository, service, &parts).await?;
    let mut body = git_body(&parts, service, body).await?;
    let place = match entry::take_place(&state, &admitted) {
        Ok(place) => place,
        Err(busy) => {
            let _gone = body.discard().await;
            return Err(busy.into());
        }
    };
    let first = body.next().await.map_err(|error| Refusal::new(ErrorId::BadRequest, format!("{error}.")))?;
    let preface = first.as_deref().and_then(pkt::shallow_advice);
    let (begun, environment) = entry::begin_push(&state, &admitted, place)?;
    let asked = Request {
        tool: state.repositories.tool(),
        service,
        repository: &admitted.repository,
        protocol: protocol_of(&parts.headers),
        environment,
    };
    let served = asked.serve(body, first, preface);
    let (answer_body, exchange) = match served {
        Ok(served) => served,
        Err(error) => {
            entry::forget_push(&state, &begun);
            return Err(failed(&error).into());
        }
    };
    let (pushed, repository) = (Arc::clone(&state), admitted.repository);
    state.tasks.spawn(async move {
        exchange.await;
        entry::end_push(&pushed, begun, &repository).await;
    });
    Ok(answer(service, "result", answer_body))
}

/// The body of a request, if it is what it should be; else it is read out and refused.
async fn git_body(parts: &http::request::Parts, service: Service, body: Body) -> Result<GitBody, Refusal> {
    match encoding_of(parts, service) {
        Ok(encoding) => Ok(GitBody::new(body, encoding)),
        Err(refusal) => {
            let _gone = GitBody::new(body, Encoding::Identity).discard().await;
            Err(refusal)
        }
    }
}

fn encoding_of(parts: &http::request::Parts, service: Service) -> Result<Encoding, Refusal> {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let expected = format!("application/x-{}-request", service.name());
    if text(header::CONTENT_TYPE) != Some(expected.as_str()) {
        return Err(Refusal::new(ErrorId::BadRequest, format!("The body must be of type {expected}.")));
    }
    let unread = || Refusal::new(ErrorId::BadRequest, "Only gzip is read as a content encoding.");
    Encoding::from_header(text(header::CONTENT_ENCODING)).ok_or_else(unread)
}

fn protocol_of(headers: &HeaderMap) -> Option<&str> {
    protocol(headers.get("git-protocol")?.to_str().ok()?)
}

fn answer(service: Service, kind: &str, body: Body) -> Response {
    let content_type = format!("application/x-{}-{kind}", service.name());
    let headers =
        [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache, max-age=0".to_owned())];
    (headers, body).into_response()
}

fn failed(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "a git child could not be run");
    Refusal::new(ErrorId::Unavailable, "The repository cannot be served at this moment.")
}
