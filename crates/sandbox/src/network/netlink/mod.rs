//! The netlink protocol as far as links, addresses, routes and packet rules need it: messages are written ([`Message`]), read
//! ([`received`]) and exchanged ([`Socket`]). It knows nothing of what a message means.
//!
//! A message is a header of 16 bytes, a fixed part that depends on its kind, and attributes: {length, kind, payload}, padded to
//! four bytes and nested at will. Integers are of the machine's byte order unless the attribute says otherwise.

mod message;
mod received;
mod socket;

pub(super) use message::{Flags, Message};
pub(super) use received::Attributes;
pub(super) use socket::{Protocol, Socket};

/// Bytes of the header of every message: length, kind, flags, sequence, port.
const HEADER_BYTES: usize = 16;
/// Bytes of the header of every attribute: length, kind.
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// Messages and attributes begin at multiples of this.
const ALIGNMENT: usize = 4;
/// Set in an attribute's kind when its payload is attributes.
const NESTED: u16 = 1 << 15;
/// The bits of an attribute's kind that are not flags.
const KIND_MASK: u16 = 0x3fff;

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}
