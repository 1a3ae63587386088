//! Where a chunked body ends. The exact grammar only: hexadecimal size, CRLF everywhere, printable extensions, bounded lines.

use super::{CHUNK_LINE_BYTES, TRAILER_BYTES};
use crate::codes::RequestFault;

/// A scanner over one chunked body, fed in pieces of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the size's digits: how many there were, and their value.
    Size {
        digits: u8,
        value: u64,
    },
    /// In the extensions, `length` bytes into the line.
    Extension {
        length: usize,
        value: u64,
    },
    /// The size line's LF is due.
    SizeEnd {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In the trailers, which have `total` bytes so far; `line` of them since the last line ending.
    Trailer {
        total: usize,
        line: usize,
    },
    TrailerLf {
        total: usize,
        line: usize,
    },
    Done,
}

/// What a piece of a body was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// All of it belongs to the body, which goes on.
    More,
    /// The body ends after this many bytes of the piece.
    End(usize),
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Size { digits: 0, value: 0 } }
    }

    pub(super) fn scan(&mut self, piece: &[u8]) -> Result<Scan, RequestFault> {
        let mut position = 0;
        while position < piece.len() {
            if let At::Data { left } = self.at {
                position += self.skip_data(left, piece.len() - position);
                continue;
            }
            self.at = next(self.at, piece[position]).ok_or(RequestFault::BadChunk)?;
            position += 1;
            if self.at == At::Done {
                return Ok(Scan::End(position));
            }
        }
        Ok(Scan::More)
    }

    fn skip_data(&mut self, left: u64, available: usize) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        let left = left - taken as u64;
        self.at = if left == 0 { At::DataCr } else { At::Data { left } };
        taken
    }
}

/// The state after one byte of framing; `None` if the byte may not stand there.
fn next(at: At, byte: u8) -> Option<At> {
    match at {
        At::Size { digits, value } => size(digits, value, byte),
        At::Extension { length, value } => extension(length, value, byte),
        At::SizeEnd { value: 0 } => (byte == b'\n').then_some(At::Trailer { total: 0, line: 0 }),
        At::SizeEnd { value } => (byte == b'\n').then_some(At::Data { left: value }),
        At::DataCr => (byte == b'\r').then_some(At::DataLf),
        At::DataLf => (byte == b'\n').then_some(At::Size { digits: 0, value: 0 }),
        At::Trailer { total, line } => trailer(total + 1, line, byte),
        At::TrailerLf { line: 0, .. } => (byte == b'\n').then_some(At::Done),
        At::TrailerLf { total, .. } => (byte == b'\n').then_some(At::Trailer { total: total + 1, line: 0 }),
        At::Data { .. } | At::Done => None,
    }
}

/// At most 15 digits, so that no sum of sizes can overflow.
fn size(digits: u8, value: u64, byte: u8) -> Option<At> {
    match (byte as char).to_digit(16) {
        Some(digit) if digits < 15 => {
            Some(At::Size { digits: digits + 1, value: value * 16 + u64::from(digit) })
        }
        Some(_) => None,
        None if digits == 0 => None,
        None if byte == b'\r' => Some(At::SizeEnd { value }),
        None => (byte == b';').then_some(At::Extension { length: 1, value }),
    }
}

fn extension(length: usize, value: u64, byte: u8) -> Option<At> {
    match byte {
        b'\r' => Some(At::SizeEnd { value }),
        b'\t' | 0x20..=0x7e if length < CHUNK_LINE_BYTES => Some(At::Extension { length: length + 1, value }),
        _ => None,
    }
}

fn trailer(total: usize, line: usize, byte: u8) -> Option<At> {
    match byte {
        b'\r' => Some(At::TrailerLf { total, line }),
        b'\t' | 0x20..=0x7e | 0x80.. if total < TRAILER_BYTES => Some(At::Trailer { total, line: line + 1 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(body: &[u8]) -> Result<Scan, RequestFault> {
        Chunks::new().scan(body)
    }

    #[test]
    fn bodies_end_where_their_grammar_says() {
        let whole: [&[u8]; 5] = [
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"5;name=value\r\nhello\r\n0\r\n\r\n",
            b"A\r\n0123456789\r\n000\r\n\r\n",
            b"1\r\nx\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n",
        ];
        for body in whole {
            let mut followed = body.to_vec();
            followed.extend_from_slice(b"GET / HTTP/1.1");
            assert_eq!(scan(&followed), Ok(Scan::End(body.len())), "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(scan(b"5\r\nhel"), Ok(Scan::More));
    }

    #[test]
    fn what_others_might_read_differently_is_refused() {
        let bad: [&[u8]; 14] = [
            b"\r\n",
            b"x\r\n",
            b"+5\r\n",
            b"-1\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"0x5\r\n",
            b"5\nhello",
            b"5\r\rhello",
            b"5\r\nhello0\r\n",
            b"5\r\nhello\n0\r\n",
            b"1234567890abcdef\r\n",
            b"5;\nhello",
            b"0\r\nX: y\n\r\n",
        ];
        for body in bad {
            assert_eq!(scan(body), Err(RequestFault::BadChunk), "{}", String::from_utf8_lossy(body));
        }
        let long = [b"5;".as_slice(), &[b'a'; CHUNK_LINE_BYTES + 1]].concat();
        assert_eq!(scan(&long), Err(RequestFault::BadChunk));
        let trailers = [b"0\r\n".as_slice(), &[b'a'; TRAILER_BYTES + 1]].concat();
        assert_eq!(scan(&trailers), Err(RequestFault::BadChunk));
    }

    proptest! {
        /// The verdict does not depend on how the bytes were cut by the network.
        #[test]
        fn pieces_do_not_matter(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5),
            cut in 1usize..7,
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let mut scanner = Chunks::new();
            let mut seen = 0;
            for piece in body.chunks(cut) {
                match scanner.scan(piece) {
                    Ok(Scan::More) => seen += piece.len(),
                    Ok(Scan::End(length)) => { seen += length; break; }
                    Err(fault) => prop_assert!(false, "{fault:?}"),
                }
            }
            prop_assert_eq!(seen, body.len());
        }
    }
}
