//! Where hooks report: `DATA/run/hook.sock`. Only processes of our own uid are heard, and each must name a push that is under
//! way.

use super::receive;
use super::wire::{self, FORMAT, Hello, HookKind, Message, Verdict, WireError};
use crate::short_path::ShortPath;
use crate::state::State;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// A hook introduces itself at once.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// A hook that takes no message for so long is stuck or stopped.
const TAKE_WITHIN: Duration = Duration::from_secs(60);
/// After the verdict: time for the hook to leave, and to finish a message that it was sending.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds the socket, in place of one that an earlier server left.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let short = ShortPath::open(path)?;
    let listener = UnixListener::bind(short.path())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Listens until the server ends.
pub async fn listen(listener: UnixListener, state: State) {
    while let Some(accepted) = state.shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let heard = state.clone();
                state.tasks.spawn(async move {
                    if let Err(error) = hear(stream, &heard).await {
                        tracing::info!(%error, "a git hook was not heard to its end");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a git hook failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A conversation that went wrong before it began.
#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("a process of uid {0} posed as a git hook")]
    Stranger(u32),
    #[error("a git hook did not introduce itself within {} s", HELLO_WITHIN.as_secs())]
    Silent,
    #[error("a git hook began with something else than a greeting")]
    NoHello,
    #[error("a git hook speaks format {0}, this server speaks format {FORMAT}")]
    Format(u32),
}

async fn hear(stream: UnixStream, state: &State) -> Result<(), DeskError> {
    let peer = stream.peer_cred().map_err(WireError::Broken)?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        return Err(DeskError::Stranger(peer.uid()));
    }
    let (mut reader, writer) = stream.into_split();
    let mut voice = Voice { writer };
    let hello = tokio::time::timeout(HELLO_WITHIN, wire::read_async(&mut reader))
        .await
        .map_err(|_| DeskError::Silent)??;
    let Some(Message::Hello(hello)) = hello else { return Err(DeskError::NoHello) };
    if hello.format != FORMAT {
        voice.end(Verdict::Refuse).await?;
        return Err(DeskError::Format(hello.format));
    }
    let verdict = answer(state, &hello, &mut reader, &mut voice).await?;
    voice.end(verdict).await?;
    let _left = tokio::time::timeout(LEAVE_WITHIN, read_out(&mut reader)).await;
    Ok(())
}

async fn answer(
    state: &State,
    hello: &Hello,
    reader: &mut OwnedReadHalf,
    voice: &mut Voice,
) -> Result<Verdict, WireError> {
    let Some(push) = state.pushes.find(&hello.push) else {
        voice.say(" !     This push is not known to the server; it was restarted. Push again.").await?;
        return Ok(Verdict::Refuse);
    };
    match hello.hook {
        HookKind::PreReceive => receive::before(state, &push, &hello.updates, reader, voice).await,
        HookKind::PostReceive => receive::after(state, &push, voice).await.map(|()| Verdict::Accept),
    }
}

/// What a hook was still sending. Closing over unread bytes would make its last read fail.
async fn read_out(reader: &mut OwnedReadHalf) -> Result<(), WireError> {
    while wire::read_async(reader).await?.is_some() {}
    Ok(())
}

/// The server's side of a conversation with a hook.
pub struct Voice {
    writer: OwnedWriteHalf,
}

impl Voice {
    pub async fn send(&mut self, message: Message) -> Result<(), WireError> {
        let bytes = message.encode();
        let sent = tokio::time::timeout(TAKE_WITHIN, self.writer.write_all(&bytes)).await;
        Ok(sent.map_err(io::Error::from)??)
    }

    /// Text for the person who pushes, whole lines.
    pub async fn text(&mut self, text: String) -> Result<(), WireError> {
        self.send(Message::Output(text.into_bytes())).await
    }

    pub async fn say(&mut self, line: &str) -> Result<(), WireError> {
        self.text(format!("{line}\n")).await
    }

    async fn end(&mut self, verdict: Verdict) -> Result<(), WireError> {
        self.send(Message::Verdict(verdict)).await
    }
}
