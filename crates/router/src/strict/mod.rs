//! A strict reading of what clients send, in front of the lenient parser of the HTTP library.
//!
//! Two programs that disagree about where a request ends can be made to see different requests ("smuggling"). The library accepts
//! several spellings that others read differently, so every byte from a client first passes [`Inbound`]: it finds where heads and
//! bodies end by one exact grammar, passes on only what obeys it, and never forwards a head that has two readings. It is pure:
//! no I/O, no clock. The library then sees whole, checked heads only.

mod chunk;
mod head;
mod inbound;

pub(crate) use head::{Framing, HeadFacts, Refusal};
pub(crate) use inbound::{Decision, Inbound, Step};

/// One header line, its name and the line ending included.
pub(crate) const HEADER_LINE_BYTES: usize = 8 * 1024;
/// The request line.
pub(crate) const REQUEST_LINE_BYTES: usize = 8 * 1024;
/// The whole head.
pub(crate) const HEAD_BYTES: usize = 128 * 1024;
pub(crate) const HEADERS: usize = 1000;
pub(crate) const HEADER_NAME_BYTES: usize = 1000;
pub(crate) const METHOD_BYTES: usize = 127;
/// Size line of a chunk, extensions included.
pub(crate) const CHUNK_LINE_BYTES: usize = 1024;
/// Trailers of a chunked request, which are read and dropped.
pub(crate) const TRAILER_BYTES: usize = 8 * 1024;
