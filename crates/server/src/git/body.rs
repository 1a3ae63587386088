//! Request bodies of git clients: possibly gzip, possibly chunked, up to half a gigabyte, fed piece by piece to git's standard
//! input. Nothing is read ahead of what git takes.

use super::command::MAX_PACK_BYTES;
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use std::io::{self, Write};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A client that sends nothing for so long is gone.
const IDLE: Duration = Duration::from_secs(60);
/// Decoded bytes at most: a little over what git itself refuses, so that git gives the answer.
const MAX_BYTES: u64 = MAX_PACK_BYTES + 64 * 1024 * 1024;
/// After git has had enough, this much more is read and thrown away so that the client gets to read the answer.
const MAX_DISCARDED: u64 = 1024 * 1024 * 1024;
/// Compressed bytes decoded at once: a thousandfold of it is the most memory that a hostile body takes.
const DECODE_PIECE: usize = 4 * 1024;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// By the `Content-Encoding` header; `None` for one that we do not read.
    pub fn from_header(header: Option<&str>) -> Option<Self> {
        match header.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Identity),
            Some("gzip" | "x-gzip") => Some(Self::Gzip),
            Some(_) => None,
        }
    }
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the client sent nothing for {} s", IDLE.as_secs())]
    Idle,
    #[error("the client hung up")]
    Gone(#[source] axum::Error),
    #[error("the body is not the gzip stream that its header promises")]
    Gzip(#[source] io::Error),
    #[error("the body is larger than {MAX_BYTES} bytes")]
    TooLarge,
}

/// A body as a sequence of decoded pieces.
pub struct GitBody {
    stream: BodyDataStream,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    /// Compressed bytes that are not decoded yet.
    compressed: Bytes,
    read: u64,
}

impl GitBody {
    pub fn new(body: Body, encoding: Encoding) -> Self {
        let decoder = match encoding {
            Encoding::Identity => None,
            Encoding::Gzip => Some(MultiGzDecoder::new(Vec::new())),
        };
        Self { stream: body.into_data_stream(), decoder, compressed: Bytes::new(), read: 0 }
    }

    /// The next piece, never empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let piece = match self.next_decoded()? {
                Some(piece) => piece,
                None => match self.next_raw().await? {
                    Some(raw) if self.decoder.is_some() => {
                        self.compressed = raw;
                        continue;
                    }
                    Some(raw) => raw,
                    None => return self.end(),
                },
            };
            if !piece.is_empty() {
                return self.counted(piece).map(Some);
            }
        }
    }

    async fn next_raw(&mut self) -> Result<Option<Bytes>, BodyError> {
        let next = tokio::time::timeout(IDLE, self.stream.next()).await.map_err(|_| BodyError::Idle)?;
        next.transpose().map_err(BodyError::Gone)
    }

    /// A piece out of the compressed bytes at hand; `None` if there are none.
    fn next_decoded(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(decoder) = self.decoder.as_mut().filter(|_| !self.compressed.is_empty()) else {
            return Ok(None);
        };
        let part = self.compressed.split_to(self.compressed.len().min(DECODE_PIECE));
        decoder.write_all(&part).map_err(BodyError::Gzip)?;
        Ok(Some(std::mem::take(decoder.get_mut()).into()))
    }

    /// Checks the gzip trailer.
    fn end(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(decoder) = self.decoder.take() else { return Ok(None) };
        let rest: Bytes = decoder.finish().map_err(BodyError::Gzip)?.into();
        if rest.is_empty() { Ok(None) } else { self.counted(rest).map(Some) }
    }

    fn counted(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        self.read += piece.len() as u64;
        if self.read > MAX_BYTES { Err(BodyError::TooLarge) } else { Ok(piece) }
    }

    /// Feeds `first` and the rest to git, then closes its input. Whatever happens to either side, this ends; a client that still
    /// sends after git has stopped reading is read out.
    pub async fn feed(
        mut self,
        first: Option<Bytes>,
        mut input: impl AsyncWrite + Unpin,
    ) -> Result<(), BodyError> {
        let mut read = first;
        loop {
            let piece = match read.take() {
                Some(piece) => piece,
                None => match self.next().await? {
                    Some(piece) => piece,
                    None => return Ok(()),
                },
            };
            if input.write_all(&piece).await.is_err() {
                drop(input);
                return self.discard().await;
            }
        }
    }

    /// Reads and drops what the client still sends, within bounds, so that it gets to reading its answer.
    pub async fn discard(mut self) -> Result<(), BodyError> {
        self.discard_up_to(MAX_DISCARDED).await
    }

    /// The same for somebody who has shown nothing that counts: no more than so much of it, and for no longer.
    pub async fn discard_some(&mut self, bytes: u64, time: Duration) {
        let _ended_or_cut_off = tokio::time::timeout(time, self.discard_up_to(bytes)).await;
    }

    async fn discard_up_to(&mut self, bytes: u64) -> Result<(), BodyError> {
        let mut left = bytes;
        while let Some(bytes) = self.next_raw().await? {
            left = left.checked_sub(bytes.len() as u64).ok_or(BodyError::TooLarge)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Whether the handler looked at the first piece.
    #[derive(PartialEq, Eq)]
    enum Peeked {
        Yes,
        No,
    }

    async fn fed(chunks: Vec<Vec<u8>>, encoding: Encoding) -> Result<Vec<u8>, BodyError> {
        let unpeeked = fed_after(Peeked::No, chunks.clone(), encoding).await?;
        let peeked = fed_after(Peeked::Yes, chunks, encoding).await?;
        assert_eq!(unpeeked, peeked);
        Ok(peeked)
    }

    async fn fed_after(
        peeked: Peeked,
        chunks: Vec<Vec<u8>>,
        encoding: Encoding,
    ) -> Result<Vec<u8>, BodyError> {
        let body = Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, io::Error>)));
        let mut body = GitBody::new(body, encoding);
        let first = if peeked == Peeked::Yes { body.next().await? } else { None };
        let mut input = Vec::new();
        body.feed(first, &mut input).await?;
        Ok(input)
    }

    #[tokio::test]
    async fn both_encodings_arrive_whole() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_le_bytes()).collect();
        let pieces = |bytes: &[u8], size: usize| bytes.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(fed(pieces(&text, 10_000), Encoding::Identity).await.unwrap(), text);
        for size in [1000, 70_000, 10_000_000] {
            assert_eq!(fed(pieces(&gzip(&text), size), Encoding::Gzip).await.unwrap(), text);
        }
        assert_eq!(fed(vec![], Encoding::Identity).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn damaged_gzip_is_refused() {
        let mut cut = gzip(b"hello, hello, hello");
        cut.truncate(cut.len() - 6);
        for bad in [b"not gzip at all".to_vec(), cut] {
            assert!(matches!(fed(vec![bad], Encoding::Gzip).await, Err(BodyError::Gzip(_))));
        }
    }

    #[tokio::test]
    async fn a_git_that_stops_reading_does_not_stop_the_client() {
        let body = Body::from_stream(stream::iter((0..100).map(|_| Ok::<_, io::Error>(vec![0u8; 10_000]))));
        let (input, other) = tokio::io::duplex(64);
        drop(other);
        assert!(
            GitBody::new(body, Encoding::Identity).feed(Some(Bytes::from_static(b"x")), input).await.is_ok()
        );
    }

    /// By a clock that runs when nothing else does.
    #[tokio::test(start_paused = true)]
    async fn of_a_stranger_little_is_read_and_not_for_long() {
        let read = Arc::new(AtomicUsize::new(0));
        let body = |pause: Duration| {
            let read = Arc::clone(&read);
            let pieces = stream::unfold((), move |()| {
                let read = Arc::clone(&read);
                async move {
                    tokio::time::sleep(pause).await;
                    read.fetch_add(1000, Ordering::Relaxed);
                    Some((Ok::<_, io::Error>(vec![0u8; 1000]), ()))
                }
            });
            GitBody::new(Body::from_stream(pieces), Encoding::Identity)
        };
        let (begun, limit) = (tokio::time::Instant::now(), Duration::from_secs(5));
        body(Duration::ZERO).discard_some(10_000, limit).await;
        assert_eq!(read.swap(0, Ordering::Relaxed), 11_000);
        body(Duration::from_secs(2)).discard_some(10_000, limit).await;
        assert_eq!((read.load(Ordering::Relaxed), begun.elapsed().as_secs()), (2000, 5));
    }

    #[test]
    fn encodings() {
        for (header, expected) in [
            (None, Some(Encoding::Identity)),
            (Some("gzip"), Some(Encoding::Gzip)),
            (Some("br"), None),
            (Some("gzip, gzip"), None),
        ] {
            assert_eq!(Encoding::from_header(header), expected);
        }
    }
}
