//! Writing messages. Pure.

use super::{ATTRIBUTE_HEADER_BYTES, HEADER_BYTES, NESTED, aligned};

/// What a message asks for, `NLM_F_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Flags(u16);

impl Flags {
    const REQUEST: u16 = 0x1;
    const ACKNOWLEDGE: u16 = 0x4;

    /// Change what exists.
    pub const CHANGE: Self = Self(Self::REQUEST | Self::ACKNOWLEDGE);
    /// Make it; fail if it exists.
    pub const CREATE_NEW: Self = Self(Self::REQUEST | Self::ACKNOWLEDGE | 0x400 | 0x200);
    /// Make it; if it exists, so be it (packet rules), or it is changed where the kind of thing allows.
    pub const CREATE: Self = Self(Self::REQUEST | Self::ACKNOWLEDGE | 0x400);
    /// Make it, or put it in the place of what exists.
    pub const CREATE_OR_REPLACE: Self = Self(Self::REQUEST | Self::ACKNOWLEDGE | 0x400 | 0x100);
    /// Make it, after those that exist.
    pub const CREATE_LAST: Self = Self(Self::REQUEST | Self::ACKNOWLEDGE | 0x400 | 0x800);
    /// Answer with one thing.
    pub const GET: Self = Self(Self::REQUEST | Self::ACKNOWLEDGE);
    /// Answer with everything.
    pub const DUMP: Self = Self(Self::REQUEST | 0x300);
    /// No answer: the ends of a batch.
    pub const UNANSWERED: Self = Self(Self::REQUEST);

    pub const fn wants_acknowledgement(self) -> bool {
        self.0 & Self::ACKNOWLEDGE != 0
    }
}

/// A message being written. Its sequence number is set by the socket that sends it.
#[derive(Debug, Clone)]
pub(in crate::network) struct Message {
    bytes: Vec<u8>,
    flags: Flags,
}

impl Message {
    /// A message of a kind, with the fixed part that the kind begins with.
    pub fn new(kind: u16, flags: Flags, fixed_part: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.0.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed_part);
        let mut message = Self { bytes, flags };
        message.pad();
        message
    }

    pub const fn flags(&self) -> Flags {
        self.flags
    }

    pub fn attribute(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let length = ATTRIBUTE_HEADER_BYTES + payload.len();
        self.attribute_header(length, kind);
        self.bytes.extend_from_slice(payload);
        self.pad();
        self
    }

    /// Text with the zero byte that the kernel wants after it.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut payload = text.as_bytes().to_vec();
        payload.push(0);
        self.attribute(kind, &payload)
    }

    pub fn native_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    pub fn network_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// An attribute whose payload `write` writes.
    pub fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.nested_after(kind, &[], write)
    }

    /// An attribute whose payload is some bytes and then what `write` writes.
    pub fn nested_after(&mut self, kind: u16, fixed_part: &[u8], write: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.attribute_header(ATTRIBUTE_HEADER_BYTES, kind | NESTED);
        self.bytes.extend_from_slice(fixed_part);
        self.pad();
        write(self);
        let length = length_of(self.bytes.len() - start);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// The whole message, numbered.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("messages here are far shorter than 4 GB");
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        debug_assert!(self.bytes.len() >= HEADER_BYTES);
        self.bytes
    }

    fn attribute_header(&mut self, length: usize, kind: u16) {
        self.bytes.extend_from_slice(&length_of(length).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }
}

fn length_of(attribute_bytes: usize) -> u16 {
    u16::try_from(attribute_bytes).expect("attributes here are far shorter than 64 KB")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from `netlink.h`, for a little-endian machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_message_is_laid_out_as_the_kernel_reads_it() {
        let mut message = Message::new(16, Flags::CREATE_NEW, &[0; 16]);
        message.text(3, "dz0").nested(18, |info| {
            info.attribute(1, b"veth");
        });
        let bytes = message.finish(7);
        #[rustfmt::skip]
        let expected = [
            // length 52, kind 16, flags REQUEST|ACK|CREATE|EXCL, sequence 7, port 0
            52, 0, 0, 0,  16, 0,  0x05, 0x06,  7, 0, 0, 0,  0, 0, 0, 0,
            // the fixed part
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            // name
            8, 0, 3, 0, b'd', b'z', b'0', 0,
            // nested: 12 bytes, kind 18 with the nested bit
            12, 0, 18, 0x80,
            8, 0, 1, 0, b'v', b'e', b't', b'h',
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn attributes_are_padded_but_their_length_is_not() {
        for (payload, padded) in [(0, 4), (1, 8), (3, 8), (4, 8), (5, 12)] {
            let mut message = Message::new(0, Flags::GET, &[]);
            message.attribute(1, &vec![0xff; payload]);
            let bytes = message.finish(1);
            assert_eq!(bytes.len(), 16 + padded);
            assert_eq!(usize::from(u16::from_ne_bytes([bytes[16], bytes[17]])), 4 + payload);
        }
    }
}
