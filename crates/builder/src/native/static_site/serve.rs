//! The static file server: HTTP/1.1 on one port, for as long as it is not told to stop.
//!
//! On SIGTERM or SIGINT it accepts no more, lets what is in flight end, and returns. Every wait has a limit: a head must arrive in
//! time, connections are counted, bodies are read a few pieces ahead.

use super::MissingPath;
use super::answer::{answer, text};
use super::body::SiteBody;
use super::file::Root;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
/// Threads that read files.
const MAX_BLOCKING_THREADS: usize = 16;
/// A request's head must be whole after this long, and a kept connection is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// What is in flight may take this long after SIGTERM: less than the platform's grace.
const DRAIN: Duration = Duration::from_secs(25);
/// Pause after a failing accept, such as for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What to serve, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticServer {
    pub address: SocketAddr,
    pub root: PathBuf,
    pub missing_path: MissingPath,
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the folder \"{root}\" cannot be served")]
    Root {
        root: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the runtime could not be started")]
    Runtime(#[source] io::Error),
}

/// Serves until SIGTERM or SIGINT. `started` is called once with the address in use.
pub fn serve(server: &StaticServer, started: &mut dyn FnMut(SocketAddr)) -> Result<(), ServeError> {
    let root =
        Root::open(&server.root).map_err(|source| ServeError::Root { root: server.root.clone(), source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let failed = |source| ServeError::Listen { address: server.address, source };
        let listener = TcpListener::bind(server.address).await.map_err(failed)?;
        started(listener.local_addr().map_err(failed)?);
        let stop = stop_signal().map_err(ServeError::Runtime)?;
        accept_until(stop, listener, Site { root: Arc::new(root), missing_path: server.missing_path }).await;
        Ok(())
    })
}

#[derive(Clone)]
struct Site {
    root: Arc<Root>,
    missing_path: MissingPath,
}

fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn accept_until(stop: impl Future<Output = ()>, listener: TcpListener, site: Site) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = tokio::select! {
            () = &mut stop => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = graceful.watch(connection(stream, site.clone()));
                tokio::spawn(async move {
                    // A client that breaks off or sends no HTTP is its own affair.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

fn connection(
    stream: TcpStream,
    site: Site,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    // Answers are written whole: waiting for more to send would only delay them. Without it they are merely slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(site.clone(), request));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}

async fn respond(site: Site, request: Request<Incoming>) -> Result<Response<SiteBody>, Infallible> {
    let (head, _body) = request.into_parts();
    let answered = tokio::task::spawn_blocking(move || answer(&site.root, site.missing_path, &head)).await;
    Ok(match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) | Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "500: the file could not be read\n"),
    })
}

#[cfg(test)]
mod tests;
