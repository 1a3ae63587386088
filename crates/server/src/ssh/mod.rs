//! Pushes, fetches and clones over SSH: a second way to the same repositories, with the same rules and the same output.
//!
//! Accounts are known by their public keys; the user name of the address counts for nothing. There is no password, no shell, no
//! terminal, no forwarding, no subsystem: `command` knows the two lines that git sends, and `session` runs git itself for them, as
//! `git::serve` does. Must not: give a client's words to a shell, or let a connection that is not used stay.

mod command;
mod door;
mod host_key;
mod session;

pub use host_key::HostKeyError;

use crate::state::State;
use door::Door;
use russh::keys::PrivateKey;
use russh::server::Config;
use russh::{MethodKind, MethodSet, SshId};
use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once.
const MAX_CONNECTIONS: usize = 100;
/// Somebody who has not shown a key that we know by then is sent away.
const LOGIN_WITHIN: Duration = Duration::from_secs(30);
/// Keys that a client may try. Agents offer all that they hold.
const MAX_ATTEMPTS: usize = 10;
/// Wrong keys cost a client this.
const REJECTION_TIME: Duration = Duration::from_millis(300);
/// Clients are asked for a sign of life during long builds; three that are not answered end the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// A client that sends nothing at all for so long, no sign of life either, is gone.
const IDLE: Duration = Duration::from_secs(120);
/// When the server ends, pushes are told so before their connections go.
const LAST_WORDS: Duration = Duration::from_secs(3);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client asks to have run, read as a connection reads it; for [`crate::strangers`].
pub fn read_command(bytes: &[u8]) {
    if let Some(command) = command::parse(bytes) {
        assert!(!command.repository.is_empty() && !command.repository.contains(['/', '\'', ' ', ';', '$']));
    }
}

/// Reads the server's key, or makes it.
pub fn prepare(keys: &Path) -> Result<Arc<Config>, HostKeyError> {
    Ok(Arc::new(config(host_key::ensure(keys)?)))
}

fn config(key: PrivateKey) -> Config {
    Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Dozen")),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: REJECTION_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        max_auth_attempts: MAX_ATTEMPTS,
        inactivity_timeout: Some(IDLE),
        keepalive_interval: Some(KEEP_ALIVE),
        nodelay: true,
        ..Config::default()
    }
}

/// Listens until the server ends.
pub async fn listen(listener: TcpListener, config: Arc<Config>, state: State) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(accepted) = state.shutdown.run_until_cancelled(next(&listener, &places)).await {
        match accepted {
            Ok((stream, place)) => {
                state.tasks.spawn(connection(stream, Arc::clone(&config), state.clone(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting an SSH connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn connection(stream: TcpStream, config: Arc<Config>, state: State, place: OwnedSemaphorePermit) {
    let shutdown = state.shutdown.clone();
    let door = Door::new(state);
    let known = door.known();
    let served = async {
        let session = russh::server::run_stream(config, stream, door).await?;
        let handle = session.handle();
        tokio::pin!(session);
        // Whoever logs in in time may stay; the session itself ends the idle ones.
        tokio::select! {
            ended = &mut session => return ended,
            () = known.cancelled() => {}
            () = tokio::time::sleep(LOGIN_WITHIN) => {
                let reason = "nobody logged in".to_owned();
                let _gone = handle.disconnect(russh::Disconnect::ByApplication, reason, String::new()).await;
                return Ok(());
            }
        }
        session.await
    };
    let stopped = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        ended = served => if let Err(error) = ended {
            tracing::debug!(%error, "an SSH connection ended early");
        },
        () = stopped => {}
    }
    drop(place);
}
