//! What a writer does when it cannot write: drop, count, look again, tell.

use crate::dropped::DroppedNotice;
use crate::frame::{FrameRef, Kind, Stream};
use crate::writer::output::ShortWrite;
use crate::writer::space::Space;
use crate::writer::{Health, HoldReason, SegmentWriter};
use domain::ids::AppId;

/// How often a writer that holds looks whether it may begin again.
const RETRY_MILLIS: u64 = 1_000;
/// The name of notices, as Heroku's local log forwarder is called.
const NOTICE_NAME: &str = "log-shuttle";

impl SegmentWriter {
    pub(super) fn drop_line(&mut self, app: AppId) {
        self.stats.dropped += 1;
        self.tally.add(app, DroppedNotice { count: 1, since_micros: self.now.wall_micros });
    }

    /// Part of the buffer could not be written: its lines count as dropped, and the segment is left as it is, without a seal.
    pub(super) fn fell_short(&mut self, short: &ShortWrite) {
        self.stats.dropped += short.lost_lines;
        self.stats.appended -= short.lost_lines;
        for (app, notice) in &short.lost {
            self.tally.add(*app, *notice);
        }
        self.next_sequence = short.first_lost.unwrap_or(self.next_sequence);
        if short.empty && self.folder.remove_segment(self.next_segment - 1).is_ok() {
            self.next_segment -= 1;
        }
        self.output = None;
        self.hold(HoldReason::Refused(short.error));
    }

    pub(super) fn hold(&mut self, reason: HoldReason) {
        self.health = Health::Holding(reason);
        self.retry_at = self.now.boot.plus_millis(RETRY_MILLIS);
    }

    /// Whether lines may be written; if the writer holds, looks at most once a second whether there is room again.
    pub(super) fn may_write(&mut self) -> bool {
        match self.health {
            Health::Writing => true,
            Health::Holding(_) if self.now.boot < self.retry_at => false,
            Health::Holding(reason) => {
                if !self.space().is_some_and(|space| self.caps.floor.allows_again(space)) {
                    self.hold(reason);
                    return false;
                }
                self.health = Health::Writing;
                self.tell_dropped();
                self.health == Health::Writing
            }
        }
    }

    /// Writes a notice for each app that lost lines. What cannot be written is counted again.
    pub(super) fn tell_dropped(&mut self) {
        for (app, notice) in self.tally.take() {
            let payload = notice.to_payload();
            let frame = FrameRef {
                kind: Kind::Dropped,
                app,
                process: None,
                name: NOTICE_NAME,
                stream: Stream::Platform,
                stamp: self.now,
                sequence: 0,
                payload: &payload,
            };
            if self.encode(frame).is_err() {
                self.tally.add(app, notice);
            }
        }
        self.flush();
    }

    pub(super) fn space(&self) -> Option<Space> {
        rustix::fs::fstatvfs(&self.folder).ok().map(|stat| Space::of(&stat))
    }
}
