//! What one frame says. [`FrameRef`] borrows (encoding and decoding allocate nothing); [`Frame`] owns.

use domain::ids::{AppId, ProcessId};
use domain::time::BootMillis;
use rustix::time::{ClockId, clock_gettime};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The app's standard output.
    Stdout,
    /// The app's standard error.
    Stderr,
    /// The platform about a process: state changes, errors with a code.
    Platform,
    /// A router's access line.
    Router,
    /// The server about an app: releases, builds, config.
    Api,
}

impl Stream {
    pub const ALL: [Self; 5] = [Self::Stdout, Self::Stderr, Self::Platform, Self::Router, Self::Api];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::Platform => 3,
            Self::Router => 4,
            Self::Api => 5,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Stdout),
            2 => Some(Self::Stderr),
            3 => Some(Self::Platform),
            4 => Some(Self::Router),
            5 => Some(Self::Api),
            _ => None,
        }
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A line.
    Line,
    /// Lines were dropped before this frame; the payload is a [`crate::DroppedNotice`].
    Dropped,
    /// The end of a segment; the payload is its [`crate::Summary`]. Takes no sequence number.
    Seal,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Line => 1,
            Self::Dropped => 2,
            Self::Seal => 3,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Line),
            2 => Some(Self::Dropped),
            3 => Some(Self::Seal),
            _ => None,
        }
    }
}

/// One instant on both clocks: the wall for people and for order across writers, the boot clock for waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub wall_micros: u64,
    pub boot: BootMillis,
}

impl Stamp {
    /// Reads both clocks (no system call on common machines: the kernel's vDSO answers).
    pub fn now() -> Self {
        let (wall, boot) = (clock_gettime(ClockId::Realtime), clock_gettime(ClockId::Boottime));
        let positive = |value: i64| u64::try_from(value).unwrap_or(0);
        Self {
            wall_micros: positive(wall.tv_sec) * 1_000_000 + positive(wall.tv_nsec) / 1000,
            boot: BootMillis(positive(boot.tv_sec) * 1000 + positive(boot.tv_nsec) / 1_000_000),
        }
    }
}

/// A line to append: everything of a frame but its sequence number, which the writer gives.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub app: AppId,
    /// The process that the line is from or about, if any.
    pub process: Option<ProcessId>,
    /// `web.1`, `router`, `api`.
    pub name: &'a str,
    pub stream: Stream,
    pub stamp: Stamp,
    /// The line without its newline. Longer than [`crate::MAX_LINE_BYTES`]: it becomes several lines.
    pub payload: &'a [u8],
}

/// One frame, borrowed from the buffer it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRef<'a> {
    pub kind: Kind,
    pub app: AppId,
    pub process: Option<ProcessId>,
    pub name: &'a str,
    pub stream: Stream,
    pub stamp: Stamp,
    pub sequence: u64,
    pub payload: &'a [u8],
}

impl FrameRef<'_> {
    pub fn to_frame(&self) -> Frame {
        Frame {
            kind: self.kind,
            app: self.app,
            process: self.process,
            name: self.name.to_owned(),
            stream: self.stream,
            stamp: self.stamp,
            sequence: self.sequence,
            payload: self.payload.to_vec(),
        }
    }
}

/// One frame, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub app: AppId,
    pub process: Option<ProcessId>,
    pub name: String,
    pub stream: Stream,
    pub stamp: Stamp,
    pub sequence: u64,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn as_ref(&self) -> FrameRef<'_> {
        FrameRef {
            kind: self.kind,
            app: self.app,
            process: self.process,
            name: &self.name,
            stream: self.stream,
            stamp: self.stamp,
            sequence: self.sequence,
            payload: &self.payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_disk_never_change() {
        assert_eq!(Stream::ALL.map(Stream::code), [1, 2, 3, 4, 5]);
        assert_eq!([Kind::Line, Kind::Dropped, Kind::Seal].map(Kind::code), [1, 2, 3]);
        for stream in Stream::ALL {
            assert_eq!(Stream::from_code(stream.code()), Some(stream));
        }
    }

    #[test]
    fn the_clock_reads_a_plausible_instant() {
        let (a, b) = (Stamp::now(), Stamp::now());
        assert!(a.wall_micros > 1_600_000_000_000_000 && b.boot >= a.boot);
    }
}
