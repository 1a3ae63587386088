//! The app's output on its way into the journal.

use super::journal::ProcessJournal;
use journal::{LineSplitter, Stream};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Read at once, and again while there is more: bounds how long one stream can keep the loop from everything else.
pub const READ_BYTES: usize = 16 * 1024;
/// Reads of one stream in one turn of the loop.
const READS_PER_TURN: usize = 4;

/// One pipe.
pub struct OutputStream {
    pipe: Option<OwnedFd>,
    stream: Stream,
    splitter: LineSplitter,
}

/// Whether there may be more to read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    More,
    Nothing,
}

impl OutputStream {
    pub const fn new(pipe: OwnedFd, stream: Stream) -> Self {
        Self { pipe: Some(pipe), stream, splitter: LineSplitter::new() }
    }

    /// With the beginning of a line that somebody else has read.
    pub const fn holding(pipe: OwnedFd, stream: Stream, held: Vec<u8>) -> Self {
        Self { pipe: Some(pipe), stream, splitter: LineSplitter::holding(held) }
    }

    pub const fn stream(&self) -> Stream {
        self.stream
    }

    /// The beginning of a line that has not ended yet.
    pub fn held(&self) -> &[u8] {
        self.splitter.held()
    }

    /// `None` once the app has closed its end.
    pub const fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// The pipe is readable: takes what is there, within bounds.
    pub fn read(&mut self, buffer: &mut [u8], journal: &mut ProcessJournal) {
        for _ in 0..READS_PER_TURN {
            if self.read_once(buffer, journal) == Progress::Nothing {
                return;
            }
        }
    }

    /// Nobody writes any more: takes everything, the last line without a newline included.
    pub fn drain(&mut self, buffer: &mut [u8], journal: &mut ProcessJournal) {
        while self.read_once(buffer, journal) == Progress::More {}
        self.end(journal);
    }

    fn read_once(&mut self, buffer: &mut [u8], journal: &mut ProcessJournal) -> Progress {
        let Some(pipe) = &self.pipe else { return Progress::Nothing };
        match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut *buffer)) {
            Err(Errno::AGAIN) => Progress::Nothing,
            Ok(0) | Err(_) => {
                self.end(journal);
                Progress::Nothing
            }
            Ok(count) => {
                let stream = self.stream;
                self.splitter.push(&buffer[..count], |line| journal.line(stream, line));
                Progress::More
            }
        }
    }

    fn end(&mut self, journal: &mut ProcessJournal) {
        self.pipe = None;
        let stream = self.stream;
        self.splitter.finish(|line| journal.line(stream, line));
    }
}
