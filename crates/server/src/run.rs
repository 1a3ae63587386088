//! Puts the front door together and runs it until it is told to stop.

use crate::ca::{Authority, CaError};
use crate::front::{Arrival, Certificate, Front, Meet};
use crate::git::entry::MAX_FETCHES;
use crate::git::push::Pushes;
use crate::git::{GitRepositories, desk, prepare_hooks, serve};
use crate::handlers::missing;
use crate::intake::{self, Uploads};
use crate::ports::{Doctor, Fetch, LogHub, SourceTrees};
use crate::rendezvous::Rendezvous;
use crate::settings::Settings;
use crate::ssh::{self, HostKeyError};
use crate::state::{Shared, State};
use crate::streams::{self, Streams};
use crate::table::{Route, Routes};
use crate::{handlers, http};
use axum::Router;
use axum::middleware;
use engine::Engine;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often the certificate is looked at. Wall clocks jump, so often.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(60 * 60);
/// How long pushes and streams may take to end once the connections have.
const TASKS_GRACE: Duration = Duration::from_secs(5);

/// Everything that the front door is made of.
pub struct ServerParts {
    /// Bound; its port is what clients see.
    pub listener: std::net::TcpListener,
    /// For pushes over SSH; `None`: there are none.
    pub ssh: Option<std::net::TcpListener>,
    /// The data folder. Used here: `keys` (of SSH), `ca`, `run/hook.sock`; `run` must exist.
    pub data: PathBuf,
    pub settings: Settings,
    pub engine: Engine,
    /// The same that the engine was opened with.
    pub repositories: GitRepositories,
    pub trees: Arc<dyn SourceTrees>,
    pub fetch: Arc<dyn Fetch>,
    pub logs: Arc<dyn LogHub>,
    pub doctor: Arc<dyn Doctor>,
}

/// Why the front door did not open.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("the server's certificate")]
    Certificate(#[from] CaError),
    #[error("the folder of git hooks {path}")]
    Hooks { path: PathBuf, source: io::Error },
    #[error("the socket of git hooks {path}")]
    HookSocket { path: PathBuf, source: io::Error },
    #[error("the key that SSH clients know this server by")]
    HostKey(#[from] HostKeyError),
    #[error("the operating system gave no randomness")]
    NoRandomness,
    #[error("the listening socket")]
    Listener(#[source] io::Error),
}

/// Serves until `shutdown` is cancelled; then lets what is open end, within bounds.
pub async fn run(parts: ServerParts, shutdown: CancellationToken) -> Result<(), ServerError> {
    run_telling(parts, shutdown, || {}).await
}

/// The same; `ready` is called once, when the certificates exist and the next connection is answered.
pub async fn run_telling(
    parts: ServerParts,
    shutdown: CancellationToken,
    ready: impl FnOnce(),
) -> Result<(), ServerError> {
    let authority = Authority::new(&parts.data.join("ca"), &certificate_names(&parts.settings));
    let certificate = Certificate::new(authority.ensure(SystemTime::now())?);
    let hooks = parts.repositories.tool().hooks.clone();
    let wrong = |source| ServerError::Hooks { path: hooks.clone(), source };
    prepare_hooks(&hooks, &parts.settings.hook_binary).map_err(wrong)?;
    let hook_socket = parts.data.join("run/hook.sock");
    let wrong = |source| ServerError::HookSocket { path: hook_socket.clone(), source };
    let desk = desk::bind(&hook_socket).map_err(wrong)?;
    parts.listener.set_nonblocking(true).map_err(ServerError::Listener)?;
    let listener = tokio::net::TcpListener::from_std(parts.listener).map_err(ServerError::Listener)?;

    let ssh = parts.ssh.map(|listener| open_ssh(listener, &parts.data.join("keys"))).transpose()?;

    let state: State = Arc::new(Shared {
        rendezvous: Arc::new(Rendezvous::new(parts.engine.clone())),
        engine: parts.engine,
        settings: parts.settings,
        repositories: parts.repositories,
        trees: parts.trees,
        fetch: parts.fetch,
        logs: parts.logs,
        doctor: parts.doctor,
        pushes: Pushes::default(),
        fetches: Arc::new(Semaphore::new(MAX_FETCHES)),
        uploads: Uploads::default(),
        streams: Streams::new().ok_or(ServerError::NoRandomness)?,
        hook_socket,
        shutdown: shutdown.clone(),
        tasks: TaskTracker::new(),
    });
    state.tasks.spawn(desk::listen(desk, state.clone()));
    if let Some((listener, config)) = ssh {
        state.tasks.spawn(ssh::listen(listener, config, state.clone()));
    }
    state.tasks.spawn(renew(authority, Arc::clone(&certificate), shutdown.clone()));
    let front = Front { listener, certificate, routes: routes(state.clone()), rendezvous: meet(&state) };
    ready();
    front.serve(shutdown).await.map_err(ServerError::Listener)?;
    state.tasks.close();
    if tokio::time::timeout(TASKS_GRACE, state.tasks.wait()).await.is_err() {
        tracing::warn!(left = state.tasks.len(), "pushes or streams were still open when the server ended");
    }
    Ok(())
}

fn open_ssh(
    listener: std::net::TcpListener,
    keys: &Path,
) -> Result<(tokio::net::TcpListener, Arc<russh::server::Config>), ServerError> {
    let config = ssh::prepare(keys)?;
    listener.set_nonblocking(true).map_err(ServerError::Listener)?;
    Ok((tokio::net::TcpListener::from_std(listener).map_err(ServerError::Listener)?, config))
}

fn certificate_names(settings: &Settings) -> Vec<String> {
    let mut names = vec![settings.base_domain.to_string()];
    names.extend(settings.names.iter().cloned());
    names
}

/// Everything that answers, with what it is for.
pub fn route_table() -> Vec<Route> {
    all_routes().into_table()
}

fn all_routes() -> Routes {
    handlers::routes().merge(serve::routes()).merge(streams::routes()).merge(intake::routes())
}

fn routes(state: State) -> Router {
    all_routes()
        .into_router()
        .fallback(missing::route)
        .method_not_allowed_fallback(missing::method)
        .layer(middleware::from_fn(http::request_id::assign))
        .with_state(state)
}

fn meet(state: &State) -> Meet {
    let rendezvous = Arc::clone(&state.rendezvous);
    Arc::new(move |arrival: Arrival| {
        let rendezvous = Arc::clone(&rendezvous);
        Box::pin(async move { rendezvous.connect(&arrival.secret, &arrival.query, arrival.stream).await })
    })
}

/// Looks at the certificate from time to time and shows a new one when the old one is about to expire.
async fn renew(authority: Authority, certificate: Arc<Certificate>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(CERTIFICATE_LOOK)).await.is_some() {
        let looking = authority.clone();
        let looked = tokio::task::spawn_blocking(move || looking.ensure(SystemTime::now())).await;
        match looked {
            Ok(Ok(key)) => certificate.replace(key),
            Ok(Err(error)) => {
                tracing::error!(cause = domain::cause::chain(&error), "the certificate could not be renewed")
            }
            Err(error) => tracing::error!(%error, "looking at the certificate ended by a panic"),
        }
    }
}
