//! The last lines of an app that a filter wants, found from the end backwards.
//!
//! Segments are taken latest first, and within one its chunks of 64 KiB last first, until no earlier one can hold a line that
//! belongs to the answer. Reads files only; holds at most the lines asked for.

use crate::filter::Filter;
use crate::index::{Candidate, seal_marks};
use crate::line::{Line, OrderKey};
use domain::ids::AppId;
use journal::{AppsSeen, Event, Mark, Position, ReadError, SegmentReader};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The last `count` lines, in order. `candidates` come latest first.
pub(crate) fn last_lines(candidates: Vec<Candidate>, app: AppId, filter: &Filter, count: usize) -> Vec<Line> {
    let mut answer = Answer { app, filter, count, lines: BTreeMap::new() };
    for candidate in candidates {
        if !answer.has_room_for(candidate.last_order) {
            break;
        }
        if let Err(error) = answer.search(&candidate) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot read a segment while searching");
        }
    }
    answer.lines.into_values().collect()
}

struct Answer<'a> {
    app: AppId,
    filter: &'a Filter,
    count: usize,
    lines: BTreeMap<OrderKey, Line>,
}

/// Frames from a mark to the next.
struct Chunk {
    start: u64,
    /// Where the next chunk begins; nothing for the last one.
    end: Option<u64>,
    order_floor: u64,
    first_sequence: Option<u64>,
    /// What the frame after the chunk should be numbered.
    successor_sequence: Option<u64>,
    /// No frame of the chunk has a later order time.
    last_order: u64,
}

impl Answer<'_> {
    /// Whether a line of that order time would belong to the answer.
    fn has_room_for(&self, order: u64) -> bool {
        self.count > 0
            && (self.lines.len() < self.count
                || self.lines.first_key_value().is_some_and(|(key, _)| order >= key.micros))
    }

    fn add(&mut self, line: Line) {
        self.lines.insert(line.key, line);
        if self.lines.len() > self.count {
            self.lines.pop_first();
        }
    }

    fn search(&mut self, candidate: &Candidate) -> Result<(), ReadError> {
        let marks =
            candidate.marks.clone().unwrap_or_else(|| seal_marks(&candidate.folder, candidate.number));
        for chunk in chunks(&marks, candidate, self.app) {
            if !self.has_room_for(chunk.last_order) {
                break;
            }
            self.search_chunk(candidate, &chunk)?;
        }
        Ok(())
    }

    fn search_chunk(&mut self, candidate: &Candidate, chunk: &Chunk) -> Result<(), ReadError> {
        let Candidate { folder, writer, number, .. } = candidate;
        let start = Position { writer: *writer, segment: *number, offset: chunk.start };
        let mut reader = SegmentReader::at(folder.clone(), start, chunk.order_floor);
        if let Some(before) = chunk.first_sequence.and_then(|first| first.checked_sub(1)) {
            reader = reader.after_sequence(before);
        }
        loop {
            let since = reader.order_floor();
            match reader.next_event()? {
                Event::Frame { frame, position, order, lost_before } => {
                    let beyond =
                        chunk.end.is_some_and(|end| position.offset >= end) || position.segment != *number;
                    let told = !beyond || chunk.successor_sequence == Some(frame.sequence);
                    let key = OrderKey { micros: order, writer: *writer, sequence: frame.sequence };
                    if lost_before > 0 && told {
                        self.add(Line::tells_lost(&frame, key, self.app, lost_before, since));
                    }
                    if beyond {
                        return Ok(());
                    }
                    if self.filter.wants(self.app, &frame) {
                        self.add(Line { app: self.app, ..Line::of_frame(&frame, *writer, order) });
                    }
                }
                Event::Idle => return Ok(()),
                Event::Damaged { .. } | Event::Unreadable { .. } | Event::SegmentEnd { .. } => {}
            }
        }
    }
}

/// The chunks that may hold lines of `app`, last first. Without marks the whole segment is one.
fn chunks(marks: &[Mark], candidate: &Candidate, app: AppId) -> Vec<Chunk> {
    let ends = marks.iter().skip(1).map(Some).chain([None]);
    let mut chunks: Vec<_> = marks
        .iter()
        .zip(ends)
        .filter(|(mark, _)| mark.apps & AppsSeen::bit(app) != 0)
        .map(|(mark, next)| Chunk {
            start: u64::from(mark.offset),
            end: next.map(|next| u64::from(next.offset)),
            order_floor: mark.order_floor,
            first_sequence: Some(mark.sequence),
            successor_sequence: next.map(|next| next.sequence).or(candidate.successor_sequence),
            last_order: next.map_or(candidate.last_order, |next| next.order_floor),
        })
        .collect();
    if marks.is_empty() {
        let successor_sequence = candidate.successor_sequence;
        let last_order = candidate.last_order;
        chunks.push(Chunk {
            start: 0,
            end: None,
            order_floor: 0,
            first_sequence: None,
            successor_sequence,
            last_order,
        });
    }
    chunks.sort_by_key(|chunk| Reverse(chunk.start));
    chunks
}
