//! One writer's segments, kept by following it.

use crate::cursor::Cursor;
use crate::index::Damage;
use domain::ids::{AppId, WriterId};
use journal::{
    AppsSeen, Event, Mark, Position, ReadError, Sealed, SegmentLook, SegmentReader, Summary, WriterFolder,
};
use std::path::PathBuf;

/// Whether a segment may still grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// Its writer may append. The marks of what was read so far.
    Open { marks: Vec<Mark> },
    /// It ends with a seal, where the marks are.
    Sealed,
    /// It has no seal, but its writer went on in a later one.
    Unsealed { marks: Vec<Mark> },
    /// Its header cannot be used.
    Unreadable,
}

/// What is known of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub number: u64,
    pub bytes: u64,
    pub modified_seconds: u64,
    pub first_order: u64,
    /// Order time of the last frame; never below that of the segment before.
    pub last_order: u64,
    pub first_sequence: u64,
    pub next_sequence: u64,
    pub apps: AppsSeen,
    pub state: SegmentState,
}

/// A segment to search.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub folder: PathBuf,
    pub writer: WriterId,
    pub number: u64,
    pub last_order: u64,
    /// The sequence number that the next segment begins with, if there is one.
    pub successor_sequence: Option<u64>,
    /// Those of the seal if the segment has one.
    pub marks: Option<Vec<Mark>>,
}

/// The apps of the frames that one pass read.
#[derive(Debug, Default)]
pub(super) struct Touched {
    apps: Vec<AppId>,
    all: bool,
}

/// More apps than this in one pass count as all.
const MAX_TOUCHED: usize = 16;

impl Touched {
    fn add(&mut self, app: AppId) {
        if self.all || self.apps.contains(&app) {
            return;
        }
        self.all = self.apps.len() >= MAX_TOUCHED;
        self.apps.push(app);
    }

    pub fn merge(&mut self, other: Self) {
        self.all |= other.all;
        other.apps.into_iter().for_each(|app| self.add(app));
    }

    fn add_all(&mut self) {
        self.all = true;
    }

    pub fn any(&self) -> bool {
        self.all || !self.apps.is_empty()
    }

    pub fn may_hold(&self, app: AppId) -> bool {
        self.all || self.apps.contains(&app)
    }
}

/// Follows one writer.
#[derive(Debug)]
pub(super) struct Follower {
    folder: PathBuf,
    reader: SegmentReader,
    segments: Vec<SegmentFacts>,
    /// The summary of the segment being read.
    summary: Summary,
    begun: bool,
}

impl Follower {
    pub fn new(folder: PathBuf, writer: WriterId) -> Self {
        let reader = SegmentReader::from_start(folder.clone(), writer);
        Self { folder, reader, segments: Vec::new(), summary: Summary::default(), begun: false }
    }

    pub fn segments(&self) -> &[SegmentFacts] {
        &self.segments
    }

    pub fn forget_segment(&mut self, number: u64) {
        self.segments.retain(|segment| segment.number != number);
    }

    pub fn drop_vanished_segments(&mut self) {
        let Ok(listed) = WriterFolder::open(&self.folder).and_then(|folder| folder.segments()) else {
            return;
        };
        self.segments.retain(|segment| listed.iter().any(|file| file.number == segment.number));
    }

    /// Reads everything new.
    pub fn read_on(&mut self, damage: &mut Damage, touched: &mut Touched) -> Result<(), ReadError> {
        if !self.begun {
            self.take_sealed(touched)?;
            self.begun = true;
        }
        loop {
            match self.reader.next_event()? {
                Event::Idle => break,
                Event::Frame { frame, position, order, lost_before } => {
                    if self.segments.last().is_none_or(|last| last.number != position.segment) {
                        self.segments.push(SegmentFacts::new(position.segment, frame.sequence, order));
                        self.summary = Summary::default();
                    }
                    damage.lost_frames += lost_before;
                    touched.add(frame.app);
                    self.summary.observe(&frame, position.offset, order);
                }
                Event::Damaged { bytes, .. } => damage.damaged_bytes += bytes,
                Event::Unreadable { segment, .. } => {
                    damage.unreadable_segments += 1;
                    self.end_segment(segment, SegmentState::Unreadable);
                }
                Event::SegmentEnd { segment, sealed: Sealed::BySeal } => {
                    self.end_segment(segment, SegmentState::Sealed)
                }
                Event::SegmentEnd { segment, sealed: Sealed::BySuccessor } => {
                    let marks = self.summary.marks.clone();
                    self.end_segment(segment, SegmentState::Unsealed { marks });
                }
            }
        }
        self.note_open_segment();
        Ok(())
    }

    /// Takes the segments that are sealed from their seals, and begins reading with the first that is not.
    fn take_sealed(&mut self, touched: &mut Touched) -> Result<(), ReadError> {
        let folder = WriterFolder::open(&self.folder)?;
        let writer = self.reader.position().writer;
        for segment in folder.segments()? {
            let Some(SegmentLook { file, header: Ok(_), seal: Some(summary) }) = folder.look(segment.number)
            else {
                break;
            };
            touched.add_all();
            let mut facts = SegmentFacts::new(file.number, summary.first_sequence, summary.first_order);
            facts.note(&summary, SegmentState::Sealed);
            (facts.bytes, facts.modified_seconds) = (file.bytes, file.modified_seconds);
            self.segments.push(facts);
        }
        if let Some(last) = self.segments.last() {
            let reader =
                SegmentReader::after_segment(self.folder.clone(), writer, last.number, last.last_order);
            self.reader = reader.after_sequence(last.next_sequence.saturating_sub(1));
        }
        Ok(())
    }

    /// The segment `number` will not change any more.
    fn end_segment(&mut self, number: u64, state: SegmentState) {
        if self.segments.last().is_none_or(|last| last.number != number) {
            let (sequence, order) =
                self.segments.last().map_or((0, 0), |last| (last.next_sequence, last.last_order));
            self.segments.push(SegmentFacts::new(number, sequence, order));
            self.summary = Summary::default();
        }
        let summary = std::mem::take(&mut self.summary);
        self.note_last(&summary, state);
    }

    fn note_open_segment(&mut self) {
        if let Some(SegmentState::Open { .. }) = self.segments.last().map(|last| &last.state) {
            let summary = std::mem::take(&mut self.summary);
            self.note_last(&summary, SegmentState::Open { marks: summary.marks.clone() });
            self.summary = summary;
        }
    }

    fn note_last(&mut self, summary: &Summary, state: SegmentState) {
        let Some(last) = self.segments.last_mut() else { return };
        last.note(summary, state);
        let file = WriterFolder::open(&self.folder).ok().and_then(|folder| folder.segment(last.number));
        if let Some(file) = file {
            (last.bytes, last.modified_seconds) = (file.bytes, file.modified_seconds);
        }
    }

    pub fn candidates(&self, writer: WriterId, app: AppId) -> impl Iterator<Item = Candidate> {
        let successors = self.segments.iter().skip(1).map(|next| Some(next.first_sequence)).chain([None]);
        let held =
            self.segments.iter().zip(successors).filter(move |(segment, _)| segment.apps.may_hold(app));
        held.map(move |(segment, successor_sequence)| Candidate {
            folder: self.folder.clone(),
            writer,
            number: segment.number,
            last_order: segment.last_order,
            successor_sequence,
            marks: segment.state.marks().map(<[Mark]>::to_vec),
        })
    }

    pub fn may_hold_after(&self, writer: WriterId, app: AppId, cursor: &Cursor) -> bool {
        self.segments
            .iter()
            .any(|segment| segment.apps.may_hold(app) && segment.reaches_beyond(writer, cursor))
    }

    /// The last mark of which all lines before were given out.
    pub fn start_after(&self, writer: WriterId, cursor: &Cursor) -> (Position, u64) {
        let wanted = self.segments.iter().find(|segment| segment.reaches_beyond(writer, cursor));
        let Some(segment) = wanted.or(self.segments.last()) else {
            return (Position { writer, segment: 0, offset: 0 }, 0);
        };
        let given_out = |mark: &Mark| match cursor.last_of(writer) {
            Some(last) => mark.sequence <= last.sequence.saturating_add(1),
            None => mark.order_floor < cursor.horizon().micros,
        };
        let marks = match &segment.state {
            SegmentState::Open { marks } | SegmentState::Unsealed { marks } => marks.clone(),
            SegmentState::Sealed => seal_marks(&self.folder, segment.number),
            SegmentState::Unreadable => Vec::new(),
        };
        let (offset, floor) = marks
            .iter()
            .rfind(|mark| given_out(mark))
            .map_or((0, 0), |mark| (u64::from(mark.offset), mark.order_floor));
        (Position { writer, segment: segment.number, offset }, floor)
    }
}

/// The marks in a sealed segment's seal; none if it is gone.
pub(crate) fn seal_marks(folder: &std::path::Path, number: u64) -> Vec<Mark> {
    let look = WriterFolder::open(folder).ok().and_then(|folder| folder.look(number));
    look.and_then(|look| look.seal).map(|summary| summary.marks).unwrap_or_default()
}

impl SegmentState {
    fn marks(&self) -> Option<&[Mark]> {
        match self {
            Self::Open { marks } | Self::Unsealed { marks } => Some(marks),
            Self::Sealed | Self::Unreadable => None,
        }
    }
}

impl SegmentFacts {
    fn new(number: u64, first_sequence: u64, first_order: u64) -> Self {
        Self {
            number,
            bytes: 0,
            modified_seconds: 0,
            first_order,
            last_order: first_order,
            first_sequence,
            next_sequence: first_sequence,
            apps: AppsSeen::None,
            state: SegmentState::Open { marks: Vec::new() },
        }
    }

    fn note(&mut self, summary: &Summary, state: SegmentState) {
        self.last_order = self.last_order.max(summary.last_order);
        self.next_sequence = self.next_sequence.max(summary.next_sequence);
        self.apps = summary.apps;
        self.state = state;
    }

    /// Whether it has lines after `cursor`.
    fn reaches_beyond(&self, writer: WriterId, cursor: &Cursor) -> bool {
        match cursor.last_of(writer) {
            Some(last) => self.next_sequence > last.sequence.saturating_add(1),
            None => self.last_order >= cursor.horizon().micros,
        }
    }
}
