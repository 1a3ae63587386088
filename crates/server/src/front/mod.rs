//! The one TCP port: TLS, then by the first bytes either HTTP (API, git, log streams) or a rendezvous.
//!
//! Must not: know any route or process. It gets an [`axum::Router`] and a function for each rendezvous, and owns the limits that
//! no handler should have to think of: connections, handshake, header size and count, idle time, and an orderly end.

mod activity;
mod linger;
mod sniff;
mod tls;

pub use sniff::RENDEZVOUS_PREFIX;
pub use tls::{Certificate, server_config};

use crate::places::{Place, Places, Room, network_of};
use activity::Activity;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use linger::Linger;
use sniff::{FirstBytes, Opening};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer;

/// Connections at once, and those of one address; further ones are closed.
const CONNECTIONS: Room = Room { all: 2048, of_one: 256 };
/// From accept to the end of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the handshake to the first byte, and from one request's end to the next one's complete head, whatever is said below the
/// level of requests meanwhile.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client that was told that its idle connection ends may take to let it go.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(10);
/// All headers of one request together. Clients send `Request-Id` lists of 7 KB.
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 200;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// An HTTP/2 peer is asked this often whether it is still there, and has this long to answer.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failed accept (out of descriptors): long enough for one to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long open requests may take to end once the server was told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// What answers on the port.
pub struct Front {
    pub listener: TcpListener,
    pub certificate: Arc<Certificate>,
    pub routes: axum::Router,
    pub rendezvous: Meet,
}

/// A connection that opened with a rendezvous secret.
pub struct Arrival {
    pub secret: String,
    /// What followed the secret's `?`.
    pub query: String,
    pub stream: TlsStream<TcpStream>,
}

/// Serves an arrival to its end.
pub type Meet = Arc<dyn Fn(Arrival) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Front {
    /// Serves until the token is cancelled and every connection has ended or [`SHUTDOWN_GRACE`] is over.
    pub async fn serve(self, shutdown: CancellationToken) -> io::Result<()> {
        let acceptor = TlsAcceptor::from(server_config(self.certificate)?);
        let places = Places::new(CONNECTIONS);
        let connections = TaskTracker::new();
        let door = Arc::new(Door { acceptor, routes: self.routes, rendezvous: self.rendezvous, shutdown });
        while let Some((stream, place)) = next_connection(&self.listener, &places, &door.shutdown).await {
            let door = Arc::clone(&door);
            connections.spawn(async move {
                door.connection(stream).await;
                drop(place);
            });
        }
        drop(self.listener);
        connections.close();
        let ended = tokio::time::timeout(SHUTDOWN_GRACE, connections.wait()).await;
        if ended.is_err() {
            tracing::warn!(left = connections.len(), "connections were still open when the server ended");
        }
        Ok(())
    }
}

/// The next connection that gets a place, or `None` once the server was told to stop. One without a place is closed at once: a
/// queue of strangers would be one of friends as well.
async fn next_connection(
    listener: &TcpListener,
    places: &Places<IpAddr>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, Place<IpAddr>)> {
    let next = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match places.enter(network_of(peer.ip())) {
                    Some(place) => return (stream, place),
                    None => tracing::debug!(%peer, "a connection found no place"),
                },
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(next).await
}

/// What every connection needs.
struct Door {
    acceptor: TlsAcceptor,
    routes: axum::Router,
    rendezvous: Meet,
    shutdown: CancellationToken,
}

impl Door {
    async fn connection(&self, stream: TcpStream) {
        let opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.handshake(stream)).await;
        let Ok(Some(stream)) = opened else { return };
        if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
            return self.http(FirstBytes::none(stream)).await;
        }
        match self.shutdown.run_until_cancelled(sniff::opening(stream, IDLE_TIMEOUT)).await {
            Some(Ok(Opening::Http(stream))) => self.http(stream).await,
            Some(Ok(Opening::Rendezvous { secret, query, stream })) => {
                (self.rendezvous)(Arrival { secret, query, stream }).await;
            }
            // Nobody spoke, or the server ends.
            Some(Err(_)) | None => {}
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        stream.set_nodelay(true).ok()?;
        keep_alive(&stream);
        if sniff::is_plain_http(&stream).await {
            answer_plain(stream).await;
            return None;
        }
        match self.acceptor.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
        }
    }

    async fn http(&self, stream: FirstBytes<TlsStream<TcpStream>>) {
        serve_http(Linger::new(stream), self.routes.clone(), &self.shutdown).await;
    }
}

/// Serves requests until the client has no more, has asked nothing for a while, or the server is to end.
async fn serve_http<S>(stream: S, routes: axum::Router, shutdown: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let builder = http_builder();
    let service = TowerToHyperService::new(activity.layer(routes));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return log_end(ended),
        () = shutdown.cancelled() => {}
        () = activity.idle_for(IDLE_TIMEOUT) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => log_end(ended),
        // It says goodbye to nobody, or to somebody who does not listen.
        () = activity.idle_for(GOODBYE_TIMEOUT) => {}
    }
}

fn http_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .adaptive_window(true);
    builder
}

fn log_end(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Finds out about peers that vanished without a word: log streams and pushes wait for hours.
fn keep_alive(stream: &TcpStream) {
    let probes = socket2::TcpKeepalive::new().with_time(PING_INTERVAL).with_interval(PING_TIMEOUT);
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "a connection goes without keep-alive probes");
    }
}

const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 57\r\n\
    Connection: close\r\n\r\nThis port speaks HTTPS only: ask again with https:// ...\n";

async fn answer_plain(mut stream: TcpStream) {
    if stream.write_all(PLAIN_ANSWER.as_bytes()).await.is_ok() {
        let mut stream = Linger::new(stream);
        let _ended = stream.shutdown().await;
    }
}

#[cfg(test)]
mod idle_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_answer_states_its_length() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
