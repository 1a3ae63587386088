//! The control socket: `status`, `load` and `drain` for the users who may. Requests are answered by the supervisor, through a bounded
//! queue, so that a status is a consistent look between two loads.

mod folder;
pub(crate) mod wire;

pub use folder::FolderError;
pub(crate) use folder::{ControlFolder, LOCK_FILE, open_directory, remove_dead_siblings, socket_path};

use crate::shared::{Serial, Shared};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::{Answer, Ask, CONTROL_FORMAT, Outcome, REQUEST_BYTES, Report, Request};

/// Connections at once; more wait in the socket's queue.
const CONNECTIONS: usize = 16;
/// A request must be read and its answer taken in this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads acknowledge a table in this time, or the answer says that they did not.
const ACKNOWLEDGE: Duration = Duration::from_secs(2);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A question to the supervisor.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<Report>),
    /// Answered with the serial whose acknowledgement is to be awaited, or with why the table was not taken.
    Load(oneshot::Sender<Result<Serial, String>>),
    Drain(oneshot::Sender<Report>),
}

/// Serves the socket until dropped.
pub(crate) async fn serve(
    listener: UnixListener,
    uids: Vec<u32>,
    shared: Arc<Shared>,
    questions: mpsc::Sender<Question>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a control connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let caller = Caller { uids: uids.clone(), shared: Arc::clone(&shared), questions: questions.clone() };
        tokio::task::spawn_local(async move {
            if let Err(error) =
                tokio::time::timeout(PATIENCE, caller.converse(stream)).await.unwrap_or(Ok(()))
            {
                tracing::debug!(%error, "a control connection broke");
            }
            drop(place);
        });
    }
}

/// What one control connection needs.
struct Caller {
    uids: Vec<u32>,
    shared: Arc<Shared>,
    questions: mpsc::Sender<Question>,
}

impl Caller {
    async fn converse(self, stream: UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        if !self.uids.contains(&uid) {
            tracing::warn!(uid, "a control connection of a user who may not was closed");
            return Ok(());
        }
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        (&mut stream).take(REQUEST_BYTES).read_until(b'\n', &mut line).await?;
        let outcome = match parse(&line) {
            Ok(ask) => self.ask(ask).await,
            Err(reason) => Outcome::Error(reason),
        };
        let mut answer = serde_json::to_vec(&Answer { format: CONTROL_FORMAT, outcome })?;
        answer.push(b'\n');
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }

    async fn ask(&self, ask: Ask) -> Outcome {
        let reported = match ask {
            Ask::Status => self.question(Question::Status).await,
            Ask::Drain => self.question(Question::Drain).await,
            Ask::Load => match self.question(Question::Load).await {
                Some(Ok(serial)) => {
                    let acknowledged = self.shared.wait_acknowledged(serial);
                    if tokio::time::timeout(ACKNOWLEDGE, acknowledged).await.is_err() {
                        return Outcome::Error("a thread has not taken the table in time".into());
                    }
                    self.question(Question::Status).await
                }
                Some(Err(_)) => self.question(Question::Status).await,
                None => None,
            },
        };
        reported.map_or_else(|| Outcome::Error("the router is ending".into()), Outcome::Report)
    }

    async fn question<T>(&self, question: fn(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.questions.send(question(sender)).await.ok()?;
        receiver.await.ok()
    }
}

fn parse(line: &[u8]) -> Result<Ask, String> {
    let request: Request =
        serde_json::from_slice(line).map_err(|error| format!("the request cannot be understood: {error}"))?;
    if request.format != CONTROL_FORMAT {
        return Err(format!("this router speaks control format {CONTROL_FORMAT}, not {}", request.format));
    }
    Ok(request.request)
}
