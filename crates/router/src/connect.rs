//! Opens connections to processes, and remembers for a short while which ones refused.

use crate::drain::DoorKey;
use crate::metered::{Meter, Metered};
use crate::pool::Link;
use domain::endpoint::Endpoint;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Header lines of a response, and what is read ahead of one: Heroku takes lines up to 512 kB.
const RESPONSE_HEAD_BYTES: usize = 512 * 1024;
const RESPONSE_HEADERS: usize = 1000;
/// Refusing processes remembered at most; beyond, the memory is dropped whole.
const QUARANTINED: usize = 4096;

/// Why a process could not be connected to. No byte of a request was sent.
#[derive(Debug)]
pub(crate) enum ConnectFailure {
    /// Nobody listens, or there is no way there.
    Refused,
    TimedOut,
    /// We could not even try.
    Ours(io::Error),
}

/// Opens a connection and starts the task that drives it.
pub(crate) async fn connect(endpoint: Endpoint, wait: Duration) -> Result<Link, ConnectFailure> {
    let stream = match tokio::time::timeout(wait, TcpStream::connect(endpoint.0)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failure_of(error)),
        Err(_) => return Err(ConnectFailure::TimedOut),
    };
    stream.set_nodelay(true).map_err(ConnectFailure::Ours)?;
    let meter = Arc::new(Meter::default());
    let io = TokioIo::new(Metered::new(stream, Arc::clone(&meter)));
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true).max_headers(RESPONSE_HEADERS).max_buf_size(RESPONSE_HEAD_BYTES);
    let handshake = builder.handshake(io).await;
    let (sender, driver) = handshake.map_err(|error| ConnectFailure::Ours(io::Error::other(error)))?;
    // Its errors reach the request that is on it; one without a request just ends.
    tokio::task::spawn_local(async move { driver.with_upgrades().await.ok() });
    Ok(Link { sender, meter })
}

fn failure_of(error: io::Error) -> ConnectFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable => ConnectFailure::Refused,
        ErrorKind::TimedOut => ConnectFailure::TimedOut,
        _ => ConnectFailure::Ours(error),
    }
}

/// The processes that refused a connection lately, by one thread's experience.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    until: HashMap<DoorKey, Instant>,
}

impl Quarantine {
    pub(crate) fn add(&mut self, door: DoorKey, wait: Duration) {
        if self.until.len() >= QUARANTINED {
            self.until.clear();
        }
        self.until.insert(door, Instant::now() + wait);
    }

    pub(crate) fn holds(&self, door: DoorKey) -> bool {
        !self.until.is_empty() && self.until.get(&door).is_some_and(|until| *until > Instant::now())
    }

    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        self.until.retain(|_, until| *until > now);
    }
}
