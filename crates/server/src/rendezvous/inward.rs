//! From the client to the process.

use super::bridge::Form;
use super::descriptor::WriteEnd;
use super::input::InputFilter;
use api::frame::{Decoder, Frame, WindowSize};
use std::convert::Infallible;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// Silence after a last 0x04 for so long means that it ended the input.
const END_SILENCE: Duration = Duration::from_millis(250);
const PIECE: usize = 16 * 1024;

/// What goes to the process.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Data(Vec<u8>),
    Resize(WindowSize),
    End,
}

/// Where it goes.
pub enum Sink {
    Pipe(WriteEnd),
    Terminal(WriteEnd),
}

/// Turns the connection's bytes into pieces.
enum Reading {
    Raw(InputFilter),
    Framed(Decoder),
}

impl Reading {
    fn new(form: Form) -> Self {
        match form {
            Form::Raw(rule) => Self::Raw(InputFilter::new(rule)),
            Form::Framed => Self::Framed(Decoder::default()),
        }
    }

    fn pieces(&mut self, bytes: &[u8]) -> io::Result<Vec<Piece>> {
        match self {
            Self::Raw(filter) => Ok(vec![Piece::Data(filter.push(bytes))]),
            Self::Framed(decoder) => {
                decoder.push(bytes);
                let mut pieces = Vec::new();
                while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
                    pieces.push(piece_of(frame)?);
                }
                Ok(pieces)
            }
        }
    }

    const fn ends_on_silence(&self) -> bool {
        match self {
            Self::Raw(filter) => filter.ends_on_silence(),
            Self::Framed(_) => false,
        }
    }
}

fn piece_of(frame: Frame) -> io::Result<Piece> {
    match frame {
        Frame::Input(bytes) => Ok(Piece::Data(bytes)),
        Frame::InputEnd => Ok(Piece::End),
        Frame::Resize(size) => Ok(Piece::Resize(size)),
        Frame::Output(_) | Frame::ErrorOutput(_) | Frame::ExitCode(_) | Frame::Notice(_) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a client sent a frame that only servers send"))
        }
    }
}

/// Reads until the client leaves. After the end of the input it goes on reading, to notice that.
pub async fn receive(
    mut from: impl AsyncRead + Unpin,
    to: mpsc::Sender<Piece>,
    form: Form,
) -> io::Result<()> {
    let mut reading = Reading::new(form);
    let mut to = Some(to);
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer);
        let count = if reading.ends_on_silence() && to.is_some() {
            match tokio::time::timeout(END_SILENCE, read).await {
                Ok(count) => count,
                Err(_) => {
                    pass(&mut to, Piece::End).await;
                    continue;
                }
            }
        } else {
            read.await
        };
        let bytes = match count {
            Ok(0) => return Ok(()),
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            // A reset, or an end without the TLS word for it: the client is gone all the same.
            Err(_) => return Ok(()),
        };
        for piece in reading.pieces(bytes)? {
            pass(&mut to, piece).await;
        }
    }
}

/// Sends a piece on; after the last one, or once nobody takes them, pieces go nowhere.
async fn pass(to: &mut Option<mpsc::Sender<Piece>>, piece: Piece) {
    let last = piece == Piece::End;
    let taken = match to {
        Some(sender) => sender.send(piece).await.is_ok(),
        None => false,
    };
    if last || !taken {
        *to = None;
    }
}

/// Writes pieces to the process. Does not end: that the process stopped reading, or was told the end, ends no conversation.
pub async fn deliver(mut queue: mpsc::Receiver<Piece>, sink: Sink) -> Infallible {
    let mut sink = Some(sink);
    while let Some(piece) = queue.recv().await {
        let Some(open) = &mut sink else { continue };
        let written = match (open, piece) {
            (Sink::Pipe(pipe), Piece::Data(bytes)) => pipe.write_all(&bytes).await,
            (Sink::Terminal(master), Piece::Data(bytes)) => master.write_all(&bytes).await,
            (Sink::Terminal(master), Piece::End) => master.write_all(b"\x04").await,
            (Sink::Terminal(master), Piece::Resize(size)) => master.resize(size),
            (Sink::Pipe(_), Piece::Resize(_)) => Ok(()),
            (Sink::Pipe(_), Piece::End) => Err(io::ErrorKind::WriteZero.into()),
        };
        if written.is_err() {
            sink = None;
        }
    }
    // A pipe stays open for a client that is still there, has not ended its input, and only says nothing.
    std::future::pending().await
}
