//! Reading messages. Pure and total: whatever the bytes are, the answer is a message, an error, or the end.

use super::{ATTRIBUTE_HEADER_BYTES, HEADER_BYTES, KIND_MASK, aligned};
use crate::network::error::NetlinkError;
use std::io;

const KIND_NOOP: u16 = 1;
const KIND_ERROR: u16 = 2;
const KIND_DONE: u16 = 3;
const FLAG_DUMP_INTERRUPTED: u16 = 16;

/// One message of an answer.
#[derive(Debug)]
pub(in crate::network) struct Received<'a> {
    pub sequence: u32,
    /// What was listed changed meanwhile: the list may be neither the old nor the new one.
    pub interrupted: bool,
    pub body: Body<'a>,
}

/// What it says.
#[derive(Debug)]
pub(in crate::network) enum Body<'a> {
    /// Done as asked.
    Acknowledged,
    /// Not done.
    Refused(io::Error),
    /// The end of a list.
    ListEnd,
    /// Nothing.
    Noop,
    /// A thing: its kind, and the fixed part and attributes together.
    Thing { payload: &'a [u8] },
}

/// The messages in what one call received.
pub(in crate::network) fn messages(
    mut bytes: &[u8],
) -> impl Iterator<Item = Result<Received<'_>, NetlinkError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let parsed = split_message(bytes);
        bytes = parsed.as_ref().map_or(&[], |(_, rest)| *rest);
        Some(parsed.map(|(message, _)| message))
    })
}

fn split_message(bytes: &[u8]) -> Result<(Received<'_>, &[u8]), NetlinkError> {
    let header =
        bytes.first_chunk::<HEADER_BYTES>().ok_or(NetlinkError::Malformed("a header is cut short"))?;
    let length = u32_at(header, 0) as usize;
    let payload = bytes.get(HEADER_BYTES..length).ok_or(NetlinkError::Malformed("a message is cut short"))?;
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let flags = u16::from_ne_bytes([header[6], header[7]]);
    let body = match kind {
        KIND_NOOP => Body::Noop,
        KIND_ERROR | KIND_DONE => ended(kind, payload)?,
        _ => Body::Thing { payload },
    };
    let interrupted = flags & FLAG_DUMP_INTERRUPTED != 0;
    let rest = bytes.get(aligned(length)..).unwrap_or(&[]);
    Ok((Received { sequence: u32_at(header, 8), interrupted, body }, rest))
}

/// An acknowledgement, a refusal or the end of a list: all begin with an error number, negated; zero is none.
fn ended<'a>(kind: u16, payload: &[u8]) -> Result<Body<'a>, NetlinkError> {
    let code = match payload.first_chunk::<4>() {
        Some(bytes) => i32::from_ne_bytes(*bytes),
        None if kind == KIND_DONE => 0,
        None => return Err(NetlinkError::Malformed("an acknowledgement is cut short")),
    };
    Ok(match (kind, code) {
        (KIND_DONE, 0) => Body::ListEnd,
        (_, 0) => Body::Acknowledged,
        (_, code) => Body::Refused(io::Error::from_raw_os_error(code.saturating_neg())),
    })
}

fn u32_at(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// The attributes in a payload. Stops at the first one that does not fit.
#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes after a fixed part; none if the payload is shorter than it.
    pub fn after(payload: &'a [u8], fixed_bytes: usize) -> Self {
        Self(payload.get(aligned(fixed_bytes)..).unwrap_or(&[]))
    }

    /// The payload of the first attribute of a kind.
    pub fn get(mut self, wanted: u16) -> Option<&'a [u8]> {
        self.find_map(|(kind, payload)| (kind == wanted).then_some(payload))
    }

    pub fn native_u32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    }

    pub fn network_u32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Text up to its zero byte.
    pub fn text(self, kind: u16) -> Option<String> {
        let bytes = self.get(kind)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    pub fn nested(self, kind: u16) -> Self {
        Self(self.get(kind).unwrap_or(&[]))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.0.first_chunk::<ATTRIBUTE_HEADER_BYTES>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND_MASK;
        let payload = self.0.get(ATTRIBUTE_HEADER_BYTES..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or(&[]);
        Some((kind, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Message};
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        Message::new(kind, Flags::GET, payload).finish(9)
    }

    #[test]
    fn reads_each_kind_of_answer() {
        let mut bytes = message(KIND_ERROR, &0_i32.to_ne_bytes());
        bytes.extend(message(KIND_ERROR, &(-17_i32).to_ne_bytes()));
        bytes.extend(message(16, b"thing..."));
        bytes.extend(message(KIND_NOOP, &[]));
        bytes.extend(message(KIND_DONE, &0_i32.to_ne_bytes()));
        let all: Vec<_> = messages(&bytes).map(|message| format!("{:?}", message.unwrap().body)).collect();
        let expected = [
            "Acknowledged",
            "Refused(Os { code: 17, kind: AlreadyExists, message: \"File exists\" })",
            "Thing { payload: [116, 104, 105, 110, 103, 46, 46, 46] }",
            "Noop",
            "ListEnd",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_the_end() {
        let whole = message(16, b"thing...");
        for end in 1..whole.len() {
            let all: Vec<_> = messages(&whole[..end]).collect();
            assert!(matches!(all.as_slice(), [Err(NetlinkError::Malformed(_))]), "{end}: {all:?}");
        }
    }

    #[test]
    fn attributes_are_found_by_kind() {
        let mut written = Message::new(0, Flags::GET, &[]);
        written.text(1, "dz0").native_u32(2, 1400).network_u32(3, 5).nested(4, |inner| {
            inner.text(1, "deep");
        });
        let bytes = written.finish(0);
        let attributes = Attributes::after(&bytes, HEADER_BYTES);
        assert_eq!(attributes.text(1).as_deref(), Some("dz0"));
        assert_eq!(attributes.native_u32(2), Some(1400));
        assert_eq!(attributes.network_u32(3), Some(5));
        assert_eq!(attributes.nested(4).text(1).as_deref(), Some("deep"));
        assert_eq!(attributes.get(5), None);
        assert_eq!(attributes.count(), 4);
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(messages(&bytes).count() <= bytes.len());
            prop_assert!(Attributes(&bytes).count() <= bytes.len());
        }
    }
}
