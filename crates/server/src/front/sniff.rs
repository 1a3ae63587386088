//! Tells a rendezvous from HTTP by the first bytes after the handshake, and gives the bytes back to whoever serves the connection.
//!
//! A rendezvous opens with `rdv` and 64 hexadecimal digits: no HTTP method begins so. One client ends that line with CR LF in the
//! same write, another writes nothing after it, so the line's end is looked for only in what is already here.

use crate::secrets::{SECRET_DIGITS, is_secret_shape};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a rendezvous secret begins with.
pub const RENDEZVOUS_PREFIX: &str = "rdv";
const LINE: usize = RENDEZVOUS_PREFIX.len() + SECRET_DIGITS;
/// The whole opening line: secret, query, CR LF.
const MAX_OPENING: usize = 512;
/// A rendezvous line is one write of its client.
const OPENING_WITHIN: Duration = Duration::from_secs(10);

/// How a connection began.
pub enum Opening<S> {
    Http(FirstBytes<S>),
    Rendezvous { secret: String, query: String, stream: S },
}

/// Whether the peer's first byte is a letter: a TLS record begins with 0x16, an HTTP request with its method.
pub async fn is_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0u8; 1];
    matches!(stream.peek(&mut first).await, Ok(1) if first[0].is_ascii_uppercase())
}

/// Reads until it is clear what the peer wants. The first bytes may take `idle`; whoever has begun has [`OPENING_WITHIN`].
pub async fn opening<S: AsyncRead + Unpin>(mut stream: S, idle: Duration) -> io::Result<Opening<S>> {
    let mut read = BytesMut::with_capacity(MAX_OPENING);
    tokio::time::timeout(idle, read_more(&mut stream, &mut read)).await??;
    if !may_be_rendezvous(&read) {
        return Ok(Opening::Http(FirstBytes { first: read.freeze(), stream }));
    }
    tokio::time::timeout(OPENING_WITHIN, rest_of_opening(stream, read)).await?
}

async fn rest_of_opening<S: AsyncRead + Unpin>(mut stream: S, mut read: BytesMut) -> io::Result<Opening<S>> {
    while read.len() < LINE {
        read_more(&mut stream, &mut read).await?;
        if !may_be_rendezvous(&read) {
            return Ok(Opening::Http(FirstBytes { first: read.freeze(), stream }));
        }
    }
    finish(read, stream).await
}

async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, read: &mut BytesMut) -> io::Result<()> {
    match stream.read_buf(read).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn may_be_rendezvous(read: &[u8]) -> bool {
    let prefix = RENDEZVOUS_PREFIX.as_bytes();
    let shared = read.len().min(prefix.len());
    read.get(..shared) == prefix.get(..shared)
}

async fn finish<S: AsyncRead + Unpin>(mut read: BytesMut, mut stream: S) -> io::Result<Opening<S>> {
    let line = read.split_to(LINE);
    let secret = line.get(RENDEZVOUS_PREFIX.len()..).unwrap_or_default();
    if !is_secret_shape(secret) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let secret = String::from_utf8_lossy(secret).into_owned();
    while !read.is_empty() && !read.contains(&b'\n') {
        if read.len() > MAX_OPENING {
            return Err(io::ErrorKind::InvalidData.into());
        }
        read_more(&mut stream, &mut read).await?;
    }
    let query = read[..].split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii();
    let query = String::from_utf8_lossy(query).trim_start_matches('?').to_owned();
    Ok(Opening::Rendezvous { secret, query, stream })
}

/// A stream some of whose bytes were read already.
pub struct FirstBytes<S> {
    first: Bytes,
    stream: S,
}

impl<S> FirstBytes<S> {
    pub fn none(stream: S) -> Self {
        Self { first: Bytes::new(), stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..count]);
        self.first.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn opened(chunks: &[&[u8]]) -> io::Result<Opening<tokio::io::DuplexStream>> {
        let (mut client, server) = tokio::io::duplex(4096);
        let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        let writer = tokio::spawn(async move {
            for chunk in chunks {
                client.write_all(&chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let opening = opening(server, Duration::from_secs(60)).await;
        writer.await.unwrap();
        opening
    }

    #[tokio::test]
    async fn http_gets_its_bytes_back() {
        for chunks in [
            &[b"GET / HTTP/1.1\r\n".as_slice()] as &[&[u8]],
            &[b"r", b"d", b"x / HTTP/1.1\r\n"],
            &[b"P", b"OST"],
        ] {
            let Ok(Opening::Http(mut stream)) = opened(chunks).await else { panic!("{chunks:?}") };
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, chunks.concat());
        }
    }

    #[tokio::test]
    async fn a_rendezvous_is_recognised_with_and_without_line_end() {
        let secret = "0a".repeat(32);
        let bare = format!("rdv{secret}");
        let line = format!("rdv{secret}\r\n");
        let query = format!("rdv{secret}?mode=framed\r\n");
        let cases: [(&[&[u8]], &str); 4] = [
            (&[bare.as_bytes()], ""),
            (&[line.as_bytes()], ""),
            (&[query.as_bytes()], "mode=framed"),
            (
                &[b"rd", &query.as_bytes()[2..30], &query.as_bytes()[30..70], &query.as_bytes()[70..]],
                "mode=framed",
            ),
        ];
        for (chunks, expected) in cases {
            let Ok(Opening::Rendezvous { secret: found, query, .. }) = opened(chunks).await else {
                panic!("{chunks:?}")
            };
            assert_eq!((found, query.as_str()), (secret.clone(), expected));
        }
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        let upper = format!("rdv{}\r\n", "0A".repeat(32));
        let endless = format!("rdv{}?{}", "0a".repeat(32), "x".repeat(2000));
        for bad in [b"".as_slice(), b"rdv", upper.as_bytes(), endless.as_bytes()] {
            assert!(opened(&[bad]).await.is_err());
        }
    }
}
