//! Copies a pushed commit's tree out of git: the hook sends it as a tar, a thread extracts it. Between them lies a small queue,
//! so neither runs ahead of the other.

use super::desk::Voice;
use super::wire::{self, Message, WireError};
use crate::ports::{Packing, StageError, TreeForm};
use crate::state::State;
use domain::ids::BuildId;
use domain::names::{CommitId, ProjectPath};
use engine::builds;
use std::io::{self, Read};
use std::time::Duration;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;

/// Pieces between hook and extraction.
const PIECES: usize = 8;
/// `git archive` of a large tree starts within this time, and goes on.
const PIECE_WITHIN: Duration = Duration::from_secs(120);

/// Archives are padded; who has read the last entry may leave the padding.
const MAX_PADDING: usize = 1024 * 1024;

/// What became of a tree.
pub enum Staged {
    Whole,
    /// One sentence for the person who pushes.
    Refused(String),
}

/// Asks the hook for the tree and extracts it into the build's folder. Unless it is whole, nothing is left of it.
pub async fn receive(
    state: &State,
    build: BuildId,
    commit: &CommitId,
    project: Option<ProjectPath>,
    reader: &mut OwnedReadHalf,
    voice: &mut Voice,
) -> Result<Staged, WireError> {
    voice.send(Message::SendTree(commit.clone())).await?;
    let (pieces, queue) = mpsc::channel(PIECES);
    let folder = builds::source_folder(&state.engine, build);
    let trees = state.trees.clone();
    let form = TreeForm { packing: Packing::GitArchive, project };
    let extraction =
        tokio::task::spawn_blocking(move || trees.stage(&folder, &mut Pieces::new(queue), &form));
    let sent = pass_on(reader, pieces).await;
    let extracted = extraction.await;
    let staged = match (sent, extracted) {
        (Err(error), _) => Err(error),
        (Ok(Sent::Failed(reason)), _) => Ok(Staged::Refused(reason)),
        (Ok(_), Ok(Err(error))) => Ok(Staged::Refused(sentence(&error))),
        (Ok(Sent::Whole), Ok(Ok(()))) => return Ok(Staged::Whole),
        (Ok(Sent::NotWanted), Ok(Ok(()))) => Ok(Staged::Refused("the tree goes on after its end".to_owned())),
        (Ok(_), Err(_)) => {
            Ok(Staged::Refused("the tree could not be extracted: an internal error occurred".to_owned()))
        }
    };
    let engine = state.engine.clone();
    let _discarded = tokio::task::spawn_blocking(move || builds::discard(&engine, build)).await;
    staged
}

pub fn sentence(error: &StageError) -> String {
    match error {
        StageError::Refused(reason) => reason.clone(),
        StageError::Failed(reason) => format!("the tree could not be stored: {reason}"),
    }
}

enum Sent {
    Whole,
    /// Git could not make the archive.
    Failed(String),
    /// The extraction ended before the archive did.
    NotWanted,
}

async fn pass_on(reader: &mut OwnedReadHalf, pieces: mpsc::Sender<Piece>) -> Result<Sent, WireError> {
    let mut unread = 0;
    loop {
        let message =
            tokio::time::timeout(PIECE_WITHIN, wire::read_async(reader)).await.map_err(io::Error::from)??;
        match message {
            Some(Message::Tree(bytes)) => {
                let length = bytes.len();
                if pieces.send(Piece::Bytes(bytes)).await.is_err() {
                    unread += length;
                }
                if unread > MAX_PADDING {
                    return Ok(Sent::NotWanted);
                }
            }
            Some(Message::TreeEnd(end)) => {
                return match end.error {
                    Some(error) => Ok(Sent::Failed(error)),
                    None => {
                        // Whoever has read a whole archive need not ask for more.
                        let _asked = pieces.send(Piece::End).await;
                        Ok(Sent::Whole)
                    }
                };
            }
            Some(Message::Hello(_) | Message::Output(_) | Message::SendTree(_) | Message::Verdict(_))
            | None => {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// What goes to the extraction. An end that is not said is a tree that was cut off.
enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// The pieces as a reader.
struct Pieces {
    queue: mpsc::Receiver<Piece>,
    piece: io::Cursor<Vec<u8>>,
    ended: Ended,
}

#[derive(PartialEq, Eq)]
enum Ended {
    NotYet,
    Whole,
}

impl Pieces {
    fn new(queue: mpsc::Receiver<Piece>) -> Self {
        Self { queue, piece: io::Cursor::new(Vec::new()), ended: Ended::NotYet }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.ended == Ended::Whole {
                return Ok(count);
            }
            match self.queue.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.piece = io::Cursor::new(bytes),
                Some(Piece::End) => self.ended = Ended::Whole,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: Vec<Piece>) -> io::Result<Vec<u8>> {
        let (sender, queue) = mpsc::channel(PIECES);
        for piece in pieces {
            sender.try_send(piece).map_err(|_| io::Error::other("the queue is full"))?;
        }
        drop(sender);
        let mut bytes = Vec::new();
        Pieces::new(queue).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn a_tree_that_is_cut_off_is_an_error() {
        let bytes = |text: &[u8]| Piece::Bytes(text.to_vec());
        assert_eq!(read(vec![bytes(b"ab"), bytes(b""), bytes(b"c"), Piece::End]).unwrap(), b"abc");
        assert!(read(vec![bytes(b"ab")]).is_err());
        assert!(read(vec![]).is_err());
    }
}
