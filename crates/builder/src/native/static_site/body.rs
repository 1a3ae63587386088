//! Response bodies: a text, or a piece of a file that is read on a blocking thread, a few pieces ahead of the client and no more.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

const PIECE_BYTES: usize = 64 * 1024;
/// Pieces read ahead of a slow client.
const PIECES_AHEAD: usize = 2;

/// A body of known length.
#[derive(Debug)]
pub(super) enum SiteBody {
    Text(Option<Bytes>),
    File { pieces: mpsc::Receiver<io::Result<Bytes>>, left: u64 },
}

/// The file changed under us, or could not be read: the connection must end, or the client would take a cut answer for whole.
#[derive(Debug, thiserror::Error)]
#[error("a file of the site could not be read to its end")]
pub(super) struct ReadFailed(#[source] io::Error);

impl From<Infallible> for ReadFailed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl SiteBody {
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(super) const fn empty() -> Self {
        Self::Text(None)
    }

    /// Streams `length` bytes from `first` on.
    pub(super) fn file(file: File, first: u64, length: u64) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        tokio::task::spawn_blocking(move || {
            // An error of sending means that the client has gone: nothing is left to be done.
            if let Err(error) = read_pieces(file, first, length, &sender) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Self::File { pieces, left: length }
    }
}

fn read_pieces(
    mut file: File,
    first: u64,
    length: u64,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(first))?;
    let mut left = length;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let mut piece = vec![0; want];
        file.read_exact(&mut piece)?;
        left -= want as u64;
        if sender.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl Body for SiteBody {
    type Data = Bytes;
    type Error = ReadFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadFailed>>> {
        match &mut *self {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::File { pieces, left } => pieces.poll_recv(context).map(|piece| match piece {
                Some(Ok(piece)) => {
                    *left -= piece.len() as u64;
                    Some(Ok(Frame::data(piece)))
                }
                Some(Err(error)) => Some(Err(ReadFailed(error))),
                None if *left > 0 => Some(Err(ReadFailed(io::ErrorKind::UnexpectedEof.into()))),
                None => None,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::File { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            Self::File { left, .. } => *left,
        })
    }
}
