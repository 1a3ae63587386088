//! The frame codec. Little-endian, 72 bytes before the name; see the table in [`layout`].
//!
//! Decoding takes bytes of unknown origin: it never panics, never allocates, and checks every length before it is used.

use crate::frame::{FrameRef, Kind, Stamp, Stream};
use crate::segment::Marker;
use domain::ids::{AppId, ProcessId};
use domain::time::BootMillis;
use uuid::Uuid;

/// The version that this build writes, and the only one it reads.
pub const FRAME_VERSION: u8 = 1;
/// The longest display name.
pub const MAX_NAME_BYTES: usize = 80;
/// The longest payload. Lines are at most [`crate::MAX_LINE_BYTES`]; a seal's summary may be longer.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
/// The longest frame, and so the most that a reader ever has to hold to see one.
pub const MAX_FRAME_BYTES: usize = layout::NAME + MAX_NAME_BYTES + MAX_PAYLOAD_BYTES;

/// Where each field begins.
pub(crate) mod layout {
    pub const MARKER: usize = 0;
    /// CRC-32 of everything after it.
    pub const CRC: usize = 4;
    pub const VERSION: usize = 8;
    pub const KIND: usize = 9;
    pub const STREAM: usize = 10;
    pub const NAME_LENGTH: usize = 11;
    pub const PAYLOAD_LENGTH: usize = 12;
    pub const APP: usize = 16;
    /// The nil UUID: no process.
    pub const PROCESS: usize = 32;
    pub const WALL_MICROS: usize = 48;
    pub const BOOT_MILLIS: usize = 56;
    pub const SEQUENCE: usize = 64;
    pub const NAME: usize = 72;
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the frame is cut short: {needed} bytes are needed")]
    CutShort { needed: usize },
    #[error("no frame begins here")]
    NoMarker,
    #[error("frame version {found} is not {FRAME_VERSION}, the one this build reads")]
    UnknownVersion { found: u8 },
    #[error("the frame's kind {found} is unknown")]
    UnknownKind { found: u8 },
    #[error("the frame's stream {found} is unknown")]
    UnknownStream { found: u8 },
    #[error("the frame's name is {found} bytes long, over {MAX_NAME_BYTES}")]
    NameTooLong { found: usize },
    #[error("the frame's payload is {found} bytes long, over {MAX_PAYLOAD_BYTES}")]
    PayloadTooLong { found: usize },
    #[error("the frame's checksum does not match its bytes")]
    BadChecksum,
    #[error("the frame's name is not UTF-8")]
    NameNotUtf8,
}

/// Appends `frame` to `out`. A name over its limit is cut at a character; so is a payload, at a byte: callers split lines first
/// ([`crate::LineSplitter`]), so that nothing is cut.
pub fn encode(frame: &FrameRef<'_>, marker: Marker, out: &mut Vec<u8>) {
    let name = &frame.name.as_bytes()[..frame.name.floor_char_boundary(MAX_NAME_BYTES)];
    let payload = &frame.payload[..frame.payload.len().min(MAX_PAYLOAD_BYTES)];
    let start = out.len();
    out.reserve(layout::NAME + name.len() + payload.len());
    out.extend_from_slice(&head_of(frame, marker, name.len() as u8, payload.len() as u32));
    out.extend_from_slice(name);
    out.extend_from_slice(payload);
    let crc = crc32fast::hash(&out[start + layout::VERSION..]);
    out[start + layout::CRC..start + layout::VERSION].copy_from_slice(&crc.to_le_bytes());
}

fn head_of(frame: &FrameRef<'_>, marker: Marker, name_length: u8, payload_length: u32) -> [u8; layout::NAME] {
    let mut head = [0; layout::NAME];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(layout::MARKER, &marker.to_bytes());
    put(layout::VERSION, &[FRAME_VERSION, frame.kind.code(), frame.stream.code(), name_length]);
    put(layout::PAYLOAD_LENGTH, &payload_length.to_le_bytes());
    put(layout::APP, frame.app.as_uuid().as_bytes());
    if let Some(process) = frame.process {
        put(layout::PROCESS, process.as_uuid().as_bytes());
    }
    put(layout::WALL_MICROS, &frame.stamp.wall_micros.to_le_bytes());
    put(layout::BOOT_MILLIS, &frame.stamp.boot.0.to_le_bytes());
    put(layout::SEQUENCE, &frame.sequence.to_le_bytes());
    head
}

/// A frame whose bytes were found whole and true, before its fields are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedFrame {
    /// Bytes from the frame's first to its last.
    pub length: usize,
    kind: Kind,
    stream: Stream,
    name_length: usize,
}

/// Decodes the frame that `bytes` begin with.
pub fn decode(bytes: &[u8], marker: Marker) -> Result<(FrameRef<'_>, usize), DecodeError> {
    let checked = CheckedFrame::check(bytes, marker)?;
    Ok((checked.view(bytes)?, checked.length))
}

impl CheckedFrame {
    /// Checks marker, version, lengths and checksum of the frame that `bytes` begin with.
    pub fn check(bytes: &[u8], marker: Marker) -> Result<Self, DecodeError> {
        let found = bytes.len().min(layout::CRC);
        if bytes[..found] != marker.to_bytes()[..found] {
            return Err(DecodeError::NoMarker);
        }
        if bytes.len() < layout::NAME {
            return Err(DecodeError::CutShort { needed: layout::NAME });
        }
        let checked = Self::of_head(bytes)?;
        let frame = bytes.get(..checked.length).ok_or(DecodeError::CutShort { needed: checked.length })?;
        if crc32fast::hash(&frame[layout::VERSION..]) != u32_at(frame, layout::CRC) {
            return Err(DecodeError::BadChecksum);
        }
        Ok(checked)
    }

    fn of_head(head: &[u8]) -> Result<Self, DecodeError> {
        let (version, kind, stream) = (head[layout::VERSION], head[layout::KIND], head[layout::STREAM]);
        if version != FRAME_VERSION {
            return Err(DecodeError::UnknownVersion { found: version });
        }
        let kind = Kind::from_code(kind).ok_or(DecodeError::UnknownKind { found: kind })?;
        let stream = Stream::from_code(stream).ok_or(DecodeError::UnknownStream { found: stream })?;
        let name_length = usize::from(head[layout::NAME_LENGTH]);
        if name_length > MAX_NAME_BYTES {
            return Err(DecodeError::NameTooLong { found: name_length });
        }
        let payload_length = u32_at(head, layout::PAYLOAD_LENGTH) as usize;
        if payload_length > MAX_PAYLOAD_BYTES {
            return Err(DecodeError::PayloadTooLong { found: payload_length });
        }
        Ok(Self { length: layout::NAME + name_length + payload_length, kind, stream, name_length })
    }

    /// The fields of the frame; `bytes` are those that were checked.
    pub fn view<'a>(&self, bytes: &'a [u8]) -> Result<FrameRef<'a>, DecodeError> {
        let payload_at = layout::NAME + self.name_length;
        let name =
            std::str::from_utf8(&bytes[layout::NAME..payload_at]).map_err(|_| DecodeError::NameNotUtf8)?;
        let process = uuid_at(bytes, layout::PROCESS);
        Ok(FrameRef {
            kind: self.kind,
            app: AppId::from_uuid(uuid_at(bytes, layout::APP)),
            process: (!process.is_nil()).then(|| ProcessId::from_uuid(process)),
            name,
            stream: self.stream,
            stamp: Stamp {
                wall_micros: u64_at(bytes, layout::WALL_MICROS),
                boot: BootMillis(u64_at(bytes, layout::BOOT_MILLIS)),
            },
            sequence: u64_at(bytes, layout::SEQUENCE),
            payload: &bytes[payload_at..self.length],
        })
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    Uuid::from_bytes(array_at(bytes, at))
}

/// Callers have checked that `bytes` reach that far.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
