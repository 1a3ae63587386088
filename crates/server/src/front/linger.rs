//! Closes a connection so that the peer can read the last answer: after our side is shut, what the peer still sends is read and
//! thrown away for a moment. Closing with unread bytes makes the kernel send a reset, and a reset eats answers (a refused 10 MB
//! header, an early error to an upload).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long, and how much, a peer may go on sending after our last word.
const LINGER_TIME: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 32 * 1024 * 1024;
const PIECE: usize = 16 * 1024;

/// A stream that lingers when shut down.
pub struct Linger<S> {
    stream: S,
    end: End,
}

enum End {
    Open,
    Draining { left: usize, deadline: Pin<Box<Sleep>> },
    Done,
}

impl<S> Linger<S> {
    pub const fn new(stream: S) -> Self {
        Self { stream, end: End::Open }
    }
}

impl<S: AsyncRead + Unpin> Linger<S> {
    /// Ready when the peer has closed, has sent too much, or has had its time.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let End::Draining { left, deadline } = &mut self.end else { return Poll::Ready(()) };
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut piece = [0u8; PIECE];
            let mut buf = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            let count = buf.filled().len();
            if read.is_err() || count == 0 || count > *left {
                return Poll::Ready(());
            }
            *left -= count;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.end {
                End::Open => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                    let deadline = Box::pin(tokio::time::sleep(LINGER_TIME));
                    self.end = End::Draining { left: LINGER_BYTES, deadline };
                }
                End::Draining { .. } => {
                    ready!(self.poll_drained(cx));
                    self.end = End::Done;
                }
                End::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn reads_on_after_its_last_word() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Linger::new(server);
        let ending = tokio::spawn(async move {
            server.write_all(b"bye").await.unwrap();
            server.shutdown().await
        });
        // More than the pipe holds: this ends only because the server reads on.
        client.write_all(&[0; 10_000]).await.unwrap();
        let mut answer = [0; 3];
        client.read_exact(&mut answer).await.unwrap();
        drop(client);
        assert!(ending.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_ever() {
        let (client, server) = tokio::io::duplex(64);
        assert!(Linger::new(server).shutdown().await.is_ok());
        drop(client);
    }
}
