//! A line as the hub gives it out, and its place in the order of all lines.

use domain::ids::{AppId, ProcessId, WriterId};
use domain::time::BootMillis;
use journal::{DroppedNotice, FrameRef, Kind, Stream};

use crate::render::render_instant;

/// The place of a line among all lines: by time, then writer, then the writer's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// Order time: the wall time, or that of the writer's earlier line if the clock was set back. Microseconds.
    pub micros: u64,
    pub writer: WriterId,
    pub sequence: u64,
}

impl OrderKey {
    /// Before every line.
    pub const START: Self = Self { micros: 0, writer: WriterId::from_u128(0), sequence: 0 };

    /// The key just before this one: no line lies between the two.
    pub(crate) fn before(self) -> Self {
        let writer = self.writer.as_uuid().as_u128();
        match (self.sequence.checked_sub(1), writer.checked_sub(1), self.micros.checked_sub(1)) {
            (Some(sequence), _, _) => Self { sequence, ..self },
            (None, Some(writer), _) => {
                Self { writer: WriterId::from_u128(writer), sequence: u64::MAX, ..self }
            }
            (None, None, Some(micros)) => {
                Self { micros, writer: WriterId::from_u128(u128::MAX), sequence: u64::MAX }
            }
            (None, None, None) => self,
        }
    }
}

/// Who speaks, as the word before the bracket: `app[web.1]`, `heroku[router]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The app's own output, and what people did to it (`app[api]`).
    App,
    /// The platform.
    Heroku,
}

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Heroku => "heroku",
        }
    }

    pub const fn of(stream: Stream) -> Self {
        match stream {
            Stream::Stdout | Stream::Stderr | Stream::Api => Self::App,
            Stream::Platform | Stream::Router => Self::Heroku,
        }
    }
}

/// One line of an app's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub key: OrderKey,
    pub app: AppId,
    pub process: Option<ProcessId>,
    pub source: Source,
    pub stream: Stream,
    /// `web.1`, `router`, `api`; `log-shuttle` and `logplex` for lines about lost lines, as Heroku names them.
    pub name: String,
    /// When it was written, microseconds since 1970; for people.
    pub wall_micros: u64,
    /// The same instant on the clock of the machine's boot.
    pub boot: BootMillis,
    /// Any bytes, without a newline at the end.
    pub text: Vec<u8>,
}

/// The names under which Heroku tells of lines lost on the way.
const LOCAL_FORWARDER: &str = "log-shuttle";
const LOG_ROUTER: &str = "logplex";

impl Line {
    /// The line that a frame shows as; `order` is its order time.
    pub(crate) fn of_frame(frame: &FrameRef<'_>, writer: WriterId, order: u64) -> Self {
        let line = Self {
            key: OrderKey { micros: order, writer, sequence: frame.sequence },
            app: frame.app,
            process: frame.process,
            source: Source::of(frame.stream),
            stream: frame.stream,
            name: frame.name.to_owned(),
            wall_micros: frame.stamp.wall_micros,
            boot: frame.stamp.boot,
            text: Vec::new(),
        };
        match frame.kind {
            Kind::Line | Kind::Seal => Self { text: frame.payload.to_vec(), ..line },
            Kind::Dropped => line.tells_dropped(frame.payload),
        }
    }

    fn tells_dropped(self, payload: &[u8]) -> Self {
        let text = match DroppedNotice::parse(payload) {
            Ok(notice) => {
                let since = render_instant(notice.since_micros);
                format!("Error L12: {} messages dropped since {since}.", notice.count)
            }
            Err(_) => "Error L12: an unknown number of messages was dropped.".to_owned(),
        };
        Self { source: Source::App, name: LOCAL_FORWARDER.to_owned(), text: text.into_bytes(), ..self }
    }

    /// The line that tells that `count` lines of this writer, the last of them just before `self`, are gone from the journal.
    pub(crate) fn tells_lost(
        frame: &FrameRef<'_>,
        key: OrderKey,
        app: AppId,
        count: u64,
        since_micros: u64,
    ) -> Self {
        let text = format!("Error L13: {count} messages lost since {}.", render_instant(since_micros));
        Self {
            key: key.before(),
            app,
            process: frame.process,
            source: Source::App,
            stream: Stream::Platform,
            name: LOCAL_FORWARDER.to_owned(),
            wall_micros: frame.stamp.wall_micros,
            boot: frame.stamp.boot,
            text: text.into_bytes(),
        }
    }

    /// The last line of a tail whose reader was too slow.
    pub(crate) fn tells_slow_reader(
        last: OrderKey,
        app: AppId,
        now: journal::Stamp,
        count: u64,
        since_micros: u64,
    ) -> Self {
        let since = render_instant(since_micros);
        let text =
            format!("L11 (Tail buffer overflow) -> This tail session dropped {count} messages since {since}");
        Self {
            key: last,
            app,
            process: None,
            source: Source::Heroku,
            stream: Stream::Platform,
            name: LOG_ROUTER.to_owned(),
            wall_micros: now.wall_micros,
            boot: now.boot,
            text: text.into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::render;

    fn key(micros: u64, writer: u128, sequence: u64) -> OrderKey {
        OrderKey { micros, writer: WriterId::from_u128(writer), sequence }
    }

    #[test]
    fn order_is_time_then_writer_then_sequence() {
        let sorted = [key(1, 9, 9), key(2, 1, 5), key(2, 1, 6), key(2, 2, 0), key(3, 0, 0)];
        assert!(sorted.is_sorted());
    }

    #[test]
    fn lines_about_lost_lines_in_herokus_words() {
        let notice = DroppedNotice { count: 222, since_micros: 1_383_600_691_125_756 };
        let stamp = journal::Stamp { wall_micros: 1_383_600_692_000_000, boot: BootMillis(7) };
        let frame = |kind, payload| FrameRef {
            kind,
            app: AppId::from_u128(1),
            process: None,
            name: "log-shuttle",
            stream: Stream::Platform,
            stamp,
            sequence: 4,
            payload,
        };
        let payload = notice.to_payload();
        let writer = WriterId::from_u128(9);
        let dropped = Line::of_frame(&frame(Kind::Dropped, &payload), writer, stamp.wall_micros);
        let head = "2013-11-04T21:31:32.000000+00:00 app[log-shuttle]: Error";
        let since = "since 2013-11-04T21:31:31.125756+00:00.";
        assert_eq!(render(&dropped), format!("{head} L12: 222 messages dropped {since}"));
        let unknown = Line::of_frame(&frame(Kind::Dropped, b"short"), writer, stamp.wall_micros);
        assert_eq!(render(&unknown), format!("{head} L12: an unknown number of messages was dropped."));
        let next = frame(Kind::Line, b"next");
        let lost = Line::tells_lost(&next, key(5, 9, 4), AppId::from_u128(1), 3, notice.since_micros);
        assert_eq!(render(&lost), format!("{head} L13: 3 messages lost {since}"));
        assert_eq!(lost.key, key(5, 9, 3), "its place is just before the line that came through");
    }

    #[test]
    fn before_is_the_nearest_lower_key() {
        let cases = [
            (key(5, 7, 3), key(5, 7, 2)),
            (key(5, 7, 0), key(5, 6, u64::MAX)),
            (key(5, 0, 0), key(4, u128::MAX, u64::MAX)),
            (OrderKey::START, OrderKey::START),
        ];
        for (of, expected) in cases {
            assert_eq!(of.before(), expected);
        }
    }
}
