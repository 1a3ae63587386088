//! Pushes, fetches and clones over SSH: a second way to the same repositories, with the same rules and the same output.
//!
//! Accounts are known by their public keys; the user name of the address counts for nothing. There is no password, no shell, no
//! terminal, no forwarding, no subsystem: `command` knows the two lines that git sends, and `session` runs git itself for them, as
//! `git::serve` does. Must not: give a client's words to a shell, or let a connection that is not used stay.

mod command;
mod door;
mod host_key;
mod places;
mod session;

pub use host_key::HostKeyError;

use crate::state::State;
use door::Door;
use places::{Places, Stranger};
use russh::keys::PrivateKey;
use russh::server::{Config, Handler};
use russh::{MethodKind, MethodSet, SshId};
use std::borrow::Cow;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    let places = Places::new();
    while let Some(accepted) = state.shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            // Without a place the connection is closed at once: a queue of strangers would be one of friends as well.
            Ok((stream, peer)) => {
                if let Some(place) = places.stranger(peer.ip()) {
                    let (config, places) = (Arc::clone(&config), places.clone());
                    state.tasks.spawn(connection(Arrival { stream, place }, config, places, state.clone()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "accepting an SSH connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection with nothing known of its client.
struct Arrival {
    stream: TcpStream,
    place: Stranger,
}

async fn connection(arrival: Arrival, config: Arc<Config>, places: Places, state: State) {
    let shutdown = state.shutdown.clone();
    let door = Door::new(state);
    let known = door.known();
    let stopped = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    if let Err(error) = serve(arrival, config, door, known, &places, stopped).await {
        tracing::debug!(%error, "an SSH connection ended early");
    }
}

/// Serves a connection to its end. Its place is taken until the task that runs the session has ended, and so has its socket.
async fn serve<H: Handler + Send + 'static>(
    Arrival { stream, place }: Arrival,
    config: Arc<Config>,
    door: H,
    known: CancellationToken,
    places: &Places,
    stopped: impl Future<Output = ()>,
) -> Result<(), H::Error> {
    let deadline = Instant::now() + LOGIN_WITHIN;
    let socket = same_socket(&stream).map_err(russh::Error::from)?;
    tokio::pin!(stopped);
    let session = tokio::select! {
        greeted = russh::server::run_stream(config, stream, door) => greeted?,
        () = tokio::time::sleep_until(deadline) => return Ok(()),
        () = &mut stopped => return Ok(()),
    };
    tokio::pin!(session);
    // Whoever logs in in time may stay; the session itself ends the idle ones.
    let staying = tokio::select! {
        ended = &mut session => return ended,
        () = known.cancelled() => places.known(),
        () = tokio::time::sleep_until(deadline) => None,
        () = &mut stopped => None,
    };
    if staying.is_some() {
        drop(place);
        tokio::select! {
            ended = &mut session => return ended,
            () = &mut stopped => {}
        }
    }
    // The session would not hear a request to end while keys are being exchanged, and dropping it does not end its task.
    let _closed_already = socket.shutdown(Shutdown::Both);
    session.await
}

/// The socket once more, for ending it while a session has the stream.
fn same_socket(stream: &TcpStream) -> io::Result<std::net::TcpStream> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use places::MAX_STRANGERS_OF_ADDRESS;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Takes whoever comes for a stranger.
    struct Nobody;

    impl Handler for Nobody {
        type Error = russh::Error;
    }

    fn test_config() -> Arc<Config> {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).unwrap()
    }

    /// A client that says this and then nothing: how long it may stay, once its place is free again.
    async fn stay_of(says: &[u8], config: &Arc<Config>, places: &Places) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let arrival = Arrival { stream, place: places.stranger(peer.ip()).unwrap() };
        let others: Vec<_> =
            (1..MAX_STRANGERS_OF_ADDRESS).map(|_| places.stranger(peer.ip()).unwrap()).collect();
        assert!(places.stranger(peer.ip()).is_none(), "its place is taken");
        client.write_all(says).await.unwrap();
        let (begun, never) = (Instant::now(), std::future::pending());
        let served = serve(arrival, Arc::clone(config), Nobody, CancellationToken::new(), places, never);
        let heard = async {
            let mut heard = Vec::new();
            let _cut_off = client.read_to_end(&mut heard).await;
            assert!(heard.starts_with(b"SSH-2.0-Dozen"));
        };
        let (_why, ()) = tokio::join!(served, heard);
        assert!(places.stranger(peer.ip()).is_some(), "its place is free again");
        drop(others);
        begun.elapsed()
    }

    /// By a clock that runs when nothing else does.
    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_log_in_leaves_in_time() {
        let (config, places) = (test_config(), Places::new());
        for says in [&b""[..], b"SSH-2.0-half a line", b"SSH-2.0-silent\r\n", b"SSH-2.0-x\r\n\0\0\x01\0"] {
            let stayed = stay_of(says, &config, &places).await;
            assert!(
                stayed >= LOGIN_WITHIN && stayed < LOGIN_WITHIN + Duration::from_secs(1),
                "{stayed:?} after {:?}",
                String::from_utf8_lossy(says)
            );
        }
    }
}
