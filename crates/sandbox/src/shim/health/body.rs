//! The body of an answer, freed of its framing. Pure: bytes come in as they arrive.

/// Longest line that gives a chunk's size.
const MAX_SIZE_LINE_BYTES: usize = 256;
/// Most digits of a chunk's size: no more is read than a few kilobytes in any case.
const MAX_SIZE_DIGITS: usize = 8;

/// How the rest of a body is framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// All until the connection ends.
    UntilEnd,
    Chunked(Chunk),
    /// All of it has come.
    Complete,
}

/// Where in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// In the line with its size.
    Size(Vec<u8>),
    Data(u64),
    /// In the line end after its data, of which the first half may have come.
    After {
        returned: bool,
    },
}

/// The framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl Framing {
    pub const fn chunked() -> Self {
        Self::Chunked(Chunk::Size(Vec::new()))
    }

    /// Adds to `body` what of `bytes` belongs to it. The trailer is of no interest: the last chunk's size ends the body.
    pub fn push(&mut self, mut bytes: &[u8], body: &mut Vec<u8>) -> Result<(), Malformed> {
        while !bytes.is_empty() && *self != Self::Complete {
            bytes = self.take(bytes, body)?;
        }
        Ok(())
    }

    fn take<'a>(&mut self, bytes: &'a [u8], body: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Complete => Ok(&[]),
            Self::UntilEnd => {
                body.extend_from_slice(bytes);
                Ok(&[])
            }
            Self::Length(left) => {
                let rest = move_data(left, bytes, body);
                if *left == 0 {
                    *self = Self::Complete;
                }
                Ok(rest)
            }
            Self::Chunked(Chunk::Data(left)) => {
                let rest = move_data(left, bytes, body);
                if *left == 0 {
                    *self = Self::Chunked(Chunk::After { returned: false });
                }
                Ok(rest)
            }
            Self::Chunked(Chunk::After { returned }) => match bytes[0] {
                b'\r' if !*returned => {
                    *returned = true;
                    Ok(&bytes[1..])
                }
                b'\n' => {
                    *self = Self::chunked();
                    Ok(&bytes[1..])
                }
                _ => Err(Malformed),
            },
            Self::Chunked(Chunk::Size(line)) => {
                if bytes[0] != b'\n' {
                    line.push(bytes[0]);
                    let too_long = line.len() > MAX_SIZE_LINE_BYTES;
                    return if too_long { Err(Malformed) } else { Ok(&bytes[1..]) };
                }
                *self = match parse_size(line)? {
                    0 => Self::Complete,
                    size => Self::Chunked(Chunk::Data(size)),
                };
                Ok(&bytes[1..])
            }
        }
    }
}

fn move_data<'a>(left: &mut u64, bytes: &'a [u8], body: &mut Vec<u8>) -> &'a [u8] {
    let count = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    body.extend_from_slice(&bytes[..count]);
    *left -= count as u64;
    &bytes[count..]
}

/// Hexadecimal digits, perhaps an extension after a semicolon.
fn parse_size(line: &[u8]) -> Result<u64, Malformed> {
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.is_empty() || digits.len() > MAX_SIZE_DIGITS || !plain {
        return Err(Malformed);
    }
    u64::from_str_radix(digits, 16).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut framing: Framing, bytes: &[u8]) -> Result<(String, bool), Malformed> {
        let mut body = Vec::new();
        framing.push(bytes, &mut body)?;
        Ok((String::from_utf8(body).unwrap(), framing == Framing::Complete))
    }

    #[test]
    fn each_framing_knows_its_end() {
        let chunked = Framing::chunked;
        for (framing, bytes, body, complete) in [
            (Framing::UntilEnd, "abc", "abc", false),
            (Framing::Length(2), "abc", "ab", true),
            (Framing::Length(9), "abc", "abc", false),
            (chunked(), "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", "abc0123456789", true),
            (chunked(), "3\r\nab", "ab", false),
            (chunked(), "0\r\n", "", true),
        ] {
            assert_eq!(read(framing, bytes.as_bytes()), Ok((body.to_owned(), complete)), "{bytes}");
        }
        for bad in ["x\r\n", "\r\n", "-1\r\n", "fffffffff\r\n", "1\r\nabc", "1\r\na\r\r\n", &"1".repeat(300)]
        {
            assert_eq!(read(chunked(), bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }
}
