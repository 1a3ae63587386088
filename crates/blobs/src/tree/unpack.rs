//! From what somebody sent to a tar stream.

use flate2::read::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// What the contents of well-known files begin with.
const GZIP: &[u8] = &[0x1f, 0x8b];
const OTHERS: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip archive"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"BZh", "a bzip2 file"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"{", "a JSON text"),
];

/// Why there is no tar stream in it.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("reading the archive: {0}")]
    Read(#[from] io::Error),
    #[error("it is {0}; only gzipped tar archives (.tar.gz) are taken")]
    Other(&'static str),
}

/// What is not gzip is taken for a tar as it is, unless it is plainly something else.
pub fn unpack(archive: &mut dyn Read) -> Result<Box<dyn Read + '_>, UnpackError> {
    let mut archive = BufReader::new(archive);
    let begins = archive.fill_buf()?;
    if begins.starts_with(GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(archive)));
    }
    match OTHERS.iter().find(|(magic, _)| begins.starts_with(magic)) {
        Some((_, what)) => Err(UnpackError::Other(what)),
        None => Ok(Box::new(archive)),
    }
}
