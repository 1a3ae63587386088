//! Times for people: when, and how long ago. In UTC, and said so.

use api::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `2026-01-31 12:00:00 UTC (~ 5m ago)`.
pub fn render_when(when: Timestamp, now: Timestamp) -> String {
    let text = when.to_string().replace('T', " ").replace('Z', " UTC");
    format!("{text} ({})", render_ago(when, now))
}

/// `~ 5m ago`, in the largest unit that fits. A moment of the future, by a clock that differs, is now.
fn render_ago(when: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_unix_seconds() - when.as_unix_seconds()).max(0);
    let (number, unit) = match seconds {
        ..MINUTE => (seconds, "s"),
        MINUTE..HOUR => (seconds / MINUTE, "m"),
        HOUR..DAY => (seconds / HOUR, "h"),
        DAY.. => (seconds / DAY, "d"),
    };
    format!("~ {number}{unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_that_fits() {
        let at = Timestamp::from_unix_seconds;
        for (seconds, text) in [
            (-5, "~ 0s ago"),
            (0, "~ 0s ago"),
            (59, "~ 59s ago"),
            (60, "~ 1m ago"),
            (7199, "~ 1h ago"),
            (200_000, "~ 2d ago"),
        ] {
            assert_eq!(render_ago(at(1000), at(1000 + seconds)), text);
        }
    }

    #[test]
    fn when() {
        let when: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        let now = Timestamp::from_unix_seconds(when.as_unix_seconds() + 300);
        assert_eq!(render_when(when, now), "2026-01-31 12:00:00 UTC (~ 5m ago)");
    }
}
