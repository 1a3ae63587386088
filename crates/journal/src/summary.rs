//! What is in a segment: how many frames, from when to when, of which apps, and a mark every 64 KiB.
//!
//! The writer keeps one as it appends and puts it into the seal; a reader that finds a segment without a seal makes the same
//! one by reading. With it a search skips segments and chunks that cannot hold what it looks for.

use crate::codec::{layout, u32_at, u64_at, uuid_at};
use crate::frame::{FrameRef, Kind};
use domain::ids::AppId;

/// The distance between marks.
pub const CHUNK_BYTES: u64 = 64 * 1024;

/// Which apps a segment's frames belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppsSeen {
    #[default]
    None,
    One(AppId),
    /// More than one: a bit per app by [`AppsSeen::bit`], so a set bit means "perhaps".
    Several(u64),
}

impl AppsSeen {
    /// Of 64 bits the one that stands for `app`.
    pub fn bit(app: AppId) -> u64 {
        1 << (app.as_uuid().as_u128() % 64)
    }

    pub fn may_hold(&self, app: AppId) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => *one == app,
            Self::Several(bits) => bits & Self::bit(app) != 0,
        }
    }

    fn add(&mut self, app: AppId) {
        *self = match *self {
            Self::None => Self::One(app),
            Self::One(one) if one == app => Self::One(one),
            Self::One(one) => Self::Several(Self::bit(one) | Self::bit(app)),
            Self::Several(bits) => Self::Several(bits | Self::bit(app)),
        }
    }
}

/// The first frame that begins in a chunk of 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub offset: u32,
    /// The order time reached before this frame: a reader that begins here begins with this floor.
    pub order_floor: u64,
    pub sequence: u64,
    /// Apps of the frames from here to the next mark, a bit each by [`AppsSeen::bit`].
    pub apps: u64,
}

/// What is in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Lines and notices; the seal is not counted.
    pub frames: u64,
    pub first_sequence: u64,
    /// One past the last frame's.
    pub next_sequence: u64,
    /// Order time of the first and of the last frame, microseconds.
    pub first_order: u64,
    pub last_order: u64,
    pub apps: AppsSeen,
    pub marks: Vec<Mark>,
}

/// Why a seal's payload is not a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSummary {
    #[error("the summary is {found} bytes long, which is not a head and whole marks")]
    WrongLength { found: usize },
    #[error("the summary's form {found} of telling apps is unknown")]
    UnknownAppsForm { found: u32 },
}

/// frames, first and next sequence, first and last order: 8 each; form of apps: 4; marks: 4; apps: 16.
const HEAD_BYTES: usize = 64;
const MARK_BYTES: usize = 28;
/// The seal frame's own length, as the last bytes of the file: where to find the seal from the end.
const TRAILER_BYTES: usize = 4;
const APPS_NONE: u32 = 0;
const APPS_ONE: u32 = 1;
const APPS_SEVERAL: u32 = 2;

impl Summary {
    /// Notes a frame that begins at `offset`, to be called in the order of the file. `order_floor` is the order time reached
    /// before it (for a segment's first frame, the header's).
    pub fn observe(&mut self, frame: &FrameRef<'_>, offset: u64, order_floor: u64) {
        if frame.kind == Kind::Seal {
            return;
        }
        let order = order_floor.max(frame.stamp.wall_micros);
        if self.frames == 0 {
            self.first_sequence = frame.sequence;
            self.first_order = order;
        }
        self.frames += 1;
        self.next_sequence = frame.sequence.saturating_add(1);
        self.last_order = order;
        self.apps.add(frame.app);
        self.mark(frame, offset, order_floor);
    }

    fn mark(&mut self, frame: &FrameRef<'_>, offset: u64, order_floor: u64) {
        let bit = AppsSeen::bit(frame.app);
        match self.marks.last_mut() {
            Some(mark) if offset / CHUNK_BYTES == u64::from(mark.offset) / CHUNK_BYTES => mark.apps |= bit,
            Some(_) | None => self.marks.push(Mark {
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                order_floor,
                sequence: frame.sequence,
                apps: bit,
            }),
        }
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        HEAD_BYTES + self.marks.len() * MARK_BYTES + TRAILER_BYTES
    }

    /// The payload of the seal.
    pub fn to_payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.payload_bytes());
        for field in [self.frames, self.first_sequence, self.next_sequence, self.first_order, self.last_order]
        {
            payload.extend_from_slice(&field.to_le_bytes());
        }
        let (form, apps) = match self.apps {
            AppsSeen::None => (APPS_NONE, 0),
            AppsSeen::One(app) => (APPS_ONE, app.as_uuid().as_u128()),
            AppsSeen::Several(bits) => (APPS_SEVERAL, u128::from(bits)),
        };
        payload.extend_from_slice(&form.to_le_bytes());
        payload.extend_from_slice(&(self.marks.len() as u32).to_le_bytes());
        payload.extend_from_slice(&apps.to_be_bytes());
        for mark in &self.marks {
            payload.extend_from_slice(&mark.offset.to_le_bytes());
            payload.extend_from_slice(&mark.order_floor.to_le_bytes());
            payload.extend_from_slice(&mark.sequence.to_le_bytes());
            payload.extend_from_slice(&mark.apps.to_le_bytes());
        }
        let frame_bytes = layout::NAME + payload.len() + TRAILER_BYTES;
        payload.extend_from_slice(&(frame_bytes as u32).to_le_bytes());
        payload
    }

    pub fn parse(payload: &[u8]) -> Result<Self, InvalidSummary> {
        let wrong_length = InvalidSummary::WrongLength { found: payload.len() };
        let body = payload.len().checked_sub(HEAD_BYTES + TRAILER_BYTES).ok_or(wrong_length)?;
        if body % MARK_BYTES != 0 || body / MARK_BYTES != u32_at(payload, 44) as usize {
            return Err(wrong_length);
        }
        let marks = &payload[HEAD_BYTES..HEAD_BYTES + body];
        Ok(Self {
            frames: u64_at(payload, 0),
            first_sequence: u64_at(payload, 8),
            next_sequence: u64_at(payload, 16),
            first_order: u64_at(payload, 24),
            last_order: u64_at(payload, 32),
            apps: parse_apps(payload)?,
            marks: marks.chunks_exact(MARK_BYTES).map(parse_mark).collect(),
        })
    }

    /// Of the last bytes of a segment file, those of its seal, if its trailer speaks of one.
    pub(crate) fn seal_within(tail: &[u8]) -> Option<&[u8]> {
        let trailer = tail.len().checked_sub(TRAILER_BYTES)?;
        let seal_bytes = u32_at(tail, trailer) as usize;
        tail.get(tail.len().checked_sub(seal_bytes)?..)
    }
}

fn parse_apps(payload: &[u8]) -> Result<AppsSeen, InvalidSummary> {
    let apps = uuid_at(payload, 48);
    match u32_at(payload, 40) {
        APPS_NONE => Ok(AppsSeen::None),
        APPS_ONE => Ok(AppsSeen::One(AppId::from_uuid(apps))),
        APPS_SEVERAL => Ok(AppsSeen::Several(apps.as_u128() as u64)),
        found => Err(InvalidSummary::UnknownAppsForm { found }),
    }
}

fn parse_mark(bytes: &[u8]) -> Mark {
    Mark {
        offset: u32_at(bytes, 0),
        order_floor: u64_at(bytes, 4),
        sequence: u64_at(bytes, 12),
        apps: u64_at(bytes, 20),
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
