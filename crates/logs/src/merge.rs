//! Lines of one app, of all its writers, in order, from a cursor on: the heart of a tail.
//!
//! Every writer is read by a [`Feed`] that holds at most its next line. The line with the lowest key is next, once it is old
//! enough ([`REORDER_MILLIS`]) that no writer can still come with a lower one. Everything is read from the disk, so a reader that
//! falls behind costs no memory.

use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::line::{Line, OrderKey};
use crate::settings::REORDER_MILLIS;
use domain::ids::{AppId, WriterId};
use domain::time::BootMillis;
use journal::{Event, Position, ReadError, SegmentReader, Stamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::PathBuf;

/// Frames that a merge looks at before other tails have their turn.
const FRAMES_PER_TURN: usize = 20_000;

/// What is next.
#[derive(Debug)]
pub(crate) enum Next {
    Line(Box<Line>),
    /// The next line is too young.
    At(BootMillis),
    /// A feed has read its share and found nothing yet: ask again soon.
    StillReading,
    /// Nothing until a writer writes.
    Nothing,
}

/// Merges the writers of one app.
#[derive(Debug)]
pub(crate) struct Merge {
    app: AppId,
    filter: Filter,
    /// Where the reader began; lines given out since are behind the feeds' positions.
    start: Cursor,
    feeds: BTreeMap<WriterId, Feed>,
    /// The next line of each feed that has one.
    heads: BinaryHeap<Reverse<(OrderKey, WriterId)>>,
    /// Feeds without a line at hand that may have more to read.
    unread: Vec<WriterId>,
}

/// One writer's lines.
#[derive(Debug)]
struct Feed {
    reader: SegmentReader,
    lines: VecDeque<Line>,
    state: FeedState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FeedState {
    /// Has been read to its end, or has a line at hand.
    Quiet,
    /// Is in the list of feeds to read.
    Unread,
}

impl Merge {
    pub fn new(app: AppId, filter: Filter, start: Cursor) -> Self {
        Self { app, filter, start, feeds: BTreeMap::new(), heads: BinaryHeap::new(), unread: Vec::new() }
    }

    pub fn app(&self) -> AppId {
        self.app
    }

    pub fn start(&self) -> &Cursor {
        &self.start
    }

    pub fn knows(&self, writer: WriterId) -> bool {
        self.feeds.contains_key(&writer)
    }

    /// Begins to read a writer, from a position before which nothing is wanted.
    pub fn add(&mut self, folder: PathBuf, position: Position, order_floor: u64) {
        let mut reader = SegmentReader::at(folder, position, order_floor);
        if let Some(last) = self.start.last_of(position.writer) {
            reader = reader.after_sequence(last.sequence);
        }
        self.feeds.insert(position.writer, Feed { reader, lines: VecDeque::new(), state: FeedState::Unread });
        self.unread.push(position.writer);
    }

    /// The writer has written.
    pub fn wake(&mut self, writer: WriterId) {
        if let Some(feed) = self.feeds.get_mut(&writer)
            && feed.lines.is_empty()
            && feed.state == FeedState::Quiet
        {
            feed.state = FeedState::Unread;
            self.unread.push(writer);
        }
    }

    /// The next line. What it gives is given once.
    pub fn next(&mut self, now: Stamp) -> Next {
        if !self.read_unread() {
            return Next::StillReading;
        }
        let Some(Reverse((_, writer))) = self.heads.peek().copied() else { return Next::Nothing };
        let Some(feed) = self.feeds.get_mut(&writer) else { return Next::Nothing };
        let Some(line) = feed.lines.front() else { return Next::Nothing };
        if let Some(at) = too_young_until(line, now) {
            return Next::At(at);
        }
        self.heads.pop();
        match feed.lines.pop_front() {
            Some(line) => {
                self.went_on(writer);
                Next::Line(Box::new(line))
            }
            None => Next::Nothing,
        }
    }

    /// A line of that feed was taken.
    fn went_on(&mut self, writer: WriterId) {
        let Some(feed) = self.feeds.get_mut(&writer) else { return };
        match feed.lines.front() {
            Some(line) => self.heads.push(Reverse((line.key, writer))),
            None => {
                feed.state = FeedState::Unread;
                self.unread.push(writer);
            }
        }
    }

    /// Reads on until every feed has a line at hand or is at its end; false if one of them needs more time.
    fn read_unread(&mut self) -> bool {
        let mut unfinished = Vec::new();
        let mut budget = FRAMES_PER_TURN;
        while let Some(writer) = self.unread.pop() {
            let Some(feed) = self.feeds.get_mut(&writer) else { continue };
            match feed.read(self.app, &self.filter, &self.start, &mut budget) {
                Ok(Read::Line(key)) => self.heads.push(Reverse((key, writer))),
                Ok(Read::End) => {}
                Ok(Read::Unfinished) => unfinished.push(writer),
                // The folder is gone, or cannot be read; should it come back, the index tells.
                Err(error) => {
                    tracing::debug!(%writer, error = &error as &dyn std::error::Error, "a tail leaves a writer");
                    self.feeds.remove(&writer);
                }
            }
        }
        self.unread = unfinished;
        self.unread.is_empty()
    }
}

enum Read {
    Line(OrderKey),
    End,
    Unfinished,
}

impl Feed {
    /// Reads to the next line that is wanted.
    fn read(
        &mut self,
        app: AppId,
        filter: &Filter,
        start: &Cursor,
        budget: &mut usize,
    ) -> Result<Read, ReadError> {
        self.state = FeedState::Unread;
        while *budget > 0 {
            *budget -= 1;
            let since = self.reader.order_floor();
            let writer = self.reader.position().writer;
            match self.reader.next_event()? {
                Event::Idle => {
                    self.state = FeedState::Quiet;
                    return Ok(Read::End);
                }
                Event::Frame { frame, order, lost_before, .. } => {
                    let key = OrderKey { micros: order, writer, sequence: frame.sequence };
                    if !start.is_before(key) {
                        continue;
                    }
                    if lost_before > 0 {
                        self.lines.push_back(Line::tells_lost(&frame, key, app, lost_before, since));
                    }
                    if filter.wants(app, &frame) {
                        self.lines.push_back(Line { app, ..Line::of_frame(&frame, writer, order) });
                    }
                }
                Event::Damaged { .. } | Event::Unreadable { .. } | Event::SegmentEnd { .. } => {}
            }
            if let Some(line) = self.lines.front() {
                self.state = FeedState::Quiet;
                return Ok(Read::Line(line.key));
            }
        }
        Ok(Read::Unfinished)
    }
}

/// Until when the line is to be held back, if it is. Either clock may say that it is old enough: the wall may have been set, and a
/// boot time of another boot says nothing.
fn too_young_until(line: &Line, now: Stamp) -> Option<BootMillis> {
    let wall_age_millis = now.wall_micros.saturating_sub(line.wall_micros) / 1000;
    let boot_age_millis = now.boot.millis_since(line.boot);
    let other_boot = line.boot.millis_since(now.boot) > REORDER_MILLIS;
    let age = wall_age_millis.max(boot_age_millis);
    let young = age < REORDER_MILLIS && !other_boot;
    young.then(|| now.boot.plus_millis(REORDER_MILLIS - age))
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
