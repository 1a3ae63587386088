//! The smart HTTP protocol: `/NAME.git/info/refs`, `/NAME.git/git-receive-pack`, `/NAME.git/git-upload-pack`.

use super::body::{Encoding, GitBody};
use super::child::{Request, keep_up};
use super::command::{Service, protocol};
use super::hook::{PUSH_VARIABLE, SOCKET_VARIABLE};
use super::pkt;
use super::push::{Push, Stranded};
use crate::http::auth::parse_credentials;
use crate::http::blocking;
use crate::http::call::{Caller, assigned_id, authenticate};
use crate::http::error::Refusal;
use crate::state::State;
use crate::table::{About, Routes};
use api::error::ErrorId;
use axum::body::Body;
use axum::extract::{self, Path, Query};
use axum::response::{IntoResponse, Response};
use domain::policy::Action;
use engine::ops;
use engine::ops::apps::AppInfo;
use engine::reference::AppRef;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::path::PathBuf;
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

/// Somebody who may do this to this repository.
struct Admitted {
    caller: Caller,
    app: AppInfo,
    repository: PathBuf,
}

async fn admit(
    state: &State,
    repository: &str,
    service: Service,
    request: &http::request::Parts,
) -> Result<Admitted, GitRefusal> {
    let credentials = parse_credentials(&request.headers).ok_or_else(Refusal::unauthorised)?;
    let caller = authenticate(state, credentials, assigned_id(request)).await?;
    let missing = || Refusal::not_found("app", "There is no repository here: use https://HOST:PORT/APP.git.");
    let name = repository.strip_suffix(".git").ok_or_else(missing)?;
    let action = match service {
        Service::ReceivePack => Action::BuildCreate,
        Service::UploadPack => Action::SourceRead,
    };
    let (engine, context, app) = (state.engine.clone(), caller.context(), AppRef::new(name));
    let repositories = state.repositories.clone();
    let (app, repository) = blocking(move || {
        let app = ops::apps::authorise_app(&engine, &context, &app, action)?;
        let made = repositories.ensure(app.app.id);
        let repository = made.map_err(|error| {
            engine::Error::unavailable("The repository cannot be used.").with_source(error)
        })?;
        Ok((app, repository))
    })
    .await?;
    Ok(Admitted { caller, app, repository })
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
    let asked = Request {
        tool: state.repositories.tool(),
        service,
        repository: &admitted.repository,
        protocol: protocol_of(&parts.headers),
        environment: Vec::new(),
    };
    let (answer_body, exchange) = asked.serve(body, None, None).map_err(|error| failed(&error))?;
    state.tasks.spawn(exchange);
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
    let busy =
        || Refusal::new(ErrorId::Unavailable, "Too many pushes are under way; push again in a moment.");
    let Some(place) = state.pushes.place(admitted.app.app.id) else {
        let _gone = body.discard().await;
        return Err(busy().into());
    };
    let first = body.next().await.map_err(|error| Refusal::new(ErrorId::BadRequest, format!("{error}.")))?;
    let preface = first.as_deref().and_then(pkt::shallow_advice);
    let app = &admitted.app.app;
    let url = state.settings.app_url(&app.name);
    let push = Arc::new(Push::new(app.id, admitted.caller.context(), url));
    let secret = state.pushes.begin(push).ok_or_else(busy)?;
    let asked = Request {
        tool: state.repositories.tool(),
        service,
        repository: &admitted.repository,
        protocol: protocol_of(&parts.headers),
        environment: vec![
            (PUSH_VARIABLE, secret.clone().into()),
            (SOCKET_VARIABLE, state.hook_socket.clone().into_os_string()),
        ],
    };
    let served = asked.serve(body, first, preface);
    let (answer_body, exchange) = match served {
        Ok(served) => served,
        Err(error) => {
            let _never_began = state.pushes.end(&secret);
            return Err(failed(&error).into());
        }
    };
    let (pushed, repository) = (Arc::clone(&state), admitted.repository);
    state.tasks.spawn(async move {
        exchange.await;
        if let Some(stranded) = pushed.pushes.end(&secret) {
            settle(&pushed, stranded).await;
        }
        drop(place);
        pushed.shutdown.run_until_cancelled(keep_up(pushed.repositories.tool(), &repository)).await;
    });
    Ok(answer(service, "result", answer_body))
}

/// Git ended without moving the ref of a release that stands: we move it, if git kept the objects.
async fn settle(state: &State, stranded: Stranded) {
    let repositories = state.repositories.clone();
    let settled = tokio::task::spawn_blocking(move || {
        repositories.catch_up(stranded.app, &stranded.update.branch, &stranded.update.commit)
    });
    match settled.await {
        Ok(Ok(moved)) => tracing::warn!(?moved, "git ended before it had moved a ref"),
        other => tracing::error!(?other, "a ref that git did not move could not be moved"),
    }
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
