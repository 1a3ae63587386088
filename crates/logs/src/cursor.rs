//! Where a reader of an app's log has got to, as an opaque string that outlives the server.
//!
//! Lines of different writers reach the disk a little out of order, so one key is not enough to tell what was given out: a line may
//! appear late, with a time before that of lines given out already. A cursor therefore holds the last line given out of each writer
//! that was lately heard, and for all other writers a *horizon* that lies behind all of those. A line was given out
//!
//! - of a writer that is listed: if its sequence number is at most the listed one;
//! - of any other writer: if it is not after the horizon.
//!
//! So a cursor given back neither repeats nor misses a line that came at most a minute late.

use crate::line::OrderKey;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::ids::WriterId;
use std::fmt;
use std::str::FromStr;

/// How long a writer that says nothing stays listed, in the time of the lines.
const LISTED_MICROS: u64 = 60_000_000;
/// The most writers listed. Beyond it the one longest unheard is covered by the horizon.
const MAX_LISTED: usize = 32;
/// The first byte: the format.
const FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 32;
/// No cursor is longer than this; what is, is refused unread.
pub const MAX_CURSOR_CHARS: usize = (1 + (1 + MAX_LISTED) * ENTRY_BYTES).div_ceil(3) * 4;

/// Where a reader has got to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    horizon: OrderKey,
    /// The last line given out of each writer lately heard.
    heard: Vec<OrderKey>,
}

/// A string that is not a cursor, or of a format that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a position in a log that this server gave out")]
pub struct InvalidCursor;

impl Cursor {
    /// Before every line.
    pub const START: Self = Self { horizon: OrderKey::START, heard: Vec::new() };

    /// After every line up to and including `key`.
    pub const fn after(key: OrderKey) -> Self {
        Self { horizon: key, heard: Vec::new() }
    }

    /// After every line of before that instant (microseconds since 1970).
    pub fn at_time(micros: u64) -> Self {
        Self::after(OrderKey { micros, ..OrderKey::START }.before())
    }

    /// Whether the line of that key was not given out yet.
    pub fn is_before(&self, key: OrderKey) -> bool {
        match self.last_of(key.writer) {
            Some(last) => key.sequence > last.sequence,
            None => key > self.horizon,
        }
    }

    /// The last line given out of `writer`, if the cursor lists it.
    pub(crate) fn last_of(&self, writer: WriterId) -> Option<OrderKey> {
        self.heard.iter().copied().find(|heard| heard.writer == writer)
    }

    /// The instant before which no unlisted writer has anything to give.
    pub(crate) fn horizon(&self) -> OrderKey {
        self.horizon
    }

    /// Notes that the line of that key was given out.
    pub fn advance(&mut self, key: OrderKey) {
        match self.heard.iter_mut().find(|heard| heard.writer == key.writer) {
            Some(heard) => *heard = (*heard).max(key),
            None => self.heard.push(key),
        }
        let newest = self.heard.iter().map(|heard| heard.micros).max().unwrap_or(0);
        while let Some(oldest) = self.oldest_heard() {
            let stale = self.heard[oldest].micros.saturating_add(LISTED_MICROS) < newest;
            if !stale && self.heard.len() <= MAX_LISTED {
                return;
            }
            self.horizon = self.horizon.max(self.heard.swap_remove(oldest));
        }
    }

    fn oldest_heard(&self) -> Option<usize> {
        let by_key = self.heard.iter().enumerate().min_by_key(|(_, heard)| **heard);
        by_key.map(|(at, _)| at)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![FORMAT];
        for key in std::iter::once(&self.horizon).chain(&self.heard) {
            bytes.extend_from_slice(&key.micros.to_be_bytes());
            bytes.extend_from_slice(key.writer.as_uuid().as_bytes());
            bytes.extend_from_slice(&key.sequence.to_be_bytes());
        }
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() > MAX_CURSOR_CHARS {
            return Err(InvalidCursor);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let Some((&FORMAT, entries)) = bytes.split_first() else { return Err(InvalidCursor) };
        let (keys, rest) = entries.as_chunks::<ENTRY_BYTES>();
        match (keys, rest) {
            ([horizon, heard @ ..], []) if heard.len() <= MAX_LISTED => {
                Ok(Self { horizon: key_of(horizon), heard: heard.iter().map(key_of).collect() })
            }
            _ => Err(InvalidCursor),
        }
    }
}

fn key_of(bytes: &[u8; ENTRY_BYTES]) -> OrderKey {
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
    let writer = u128::from_be_bytes(std::array::from_fn(|i| bytes[8 + i]));
    OrderKey { micros: number(0), writer: WriterId::from_u128(writer), sequence: number(24) }
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
