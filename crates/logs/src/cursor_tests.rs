//! Tests of `cursor`.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

fn key(micros: u64, writer: u128, sequence: u64) -> OrderKey {
    OrderKey { micros, writer: WriterId::from_u128(writer), sequence }
}

fn after_all(keys: &[OrderKey]) -> Cursor {
    keys.iter().fold(Cursor::START, |mut cursor, key| {
        cursor.advance(*key);
        cursor
    })
}

#[test]
fn a_late_line_of_another_writer_is_still_to_come() {
    let cursor = after_all(&[key(100, 1, 5), key(200, 2, 9)]);
    let cases = [
        (key(200, 2, 9), false),
        (key(100, 1, 5), false),
        (key(90, 1, 4), false),
        (key(201, 2, 10), true),
        (key(100, 1, 6), true),
        (key(50, 3, 0), true),
    ];
    for (key, to_come) in cases {
        assert_eq!(cursor.is_before(key), to_come, "{key:?}");
    }
}

#[test]
fn writers_unheard_for_a_minute_are_covered_by_the_horizon() {
    let cursor = after_all(&[key(SECOND, 1, 5), key(2 * SECOND, 2, 1), key(90 * SECOND, 3, 0)]);
    assert_eq!(cursor.heard, [key(90 * SECOND, 3, 0)]);
    assert_eq!(cursor.horizon, key(2 * SECOND, 2, 1));
    assert!(!cursor.is_before(key(SECOND, 1, 5)) && !cursor.is_before(key(2 * SECOND, 2, 1)));
    assert!(cursor.is_before(key(2 * SECOND, 2, 2)) && cursor.is_before(key(30 * SECOND, 1, 6)));
}

#[test]
fn a_point_in_time_is_before_the_lines_of_that_instant() {
    let cursor = Cursor::at_time(500);
    assert!(cursor.is_before(key(500, 0, 0)) && !cursor.is_before(key(499, u128::MAX, u64::MAX)));
    assert!(Cursor::at_time(0).is_before(key(0, 1, 0)));
}

#[test]
fn strings_that_are_no_cursor_are_refused() {
    let good = after_all(&[key(1, 1, 1)]).to_string();
    let bad = [
        "",
        "1",
        "AA",
        "!",
        "Ag",
        &good[1..],
        &good[..good.len() - 1],
        &"A".repeat(100_000),
        &format!("{good}AAAA"),
    ];
    for text in bad {
        assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text:.20}");
    }
}

proptest! {
    /// The string gives the same cursor back, whatever was advanced over, and stays within its limit.
    #[test]
    fn strings_come_back(keys in prop::collection::vec((0..200 * SECOND, 0..50_u128, any::<u64>()), 0..80)) {
        let keys: Vec<_> = keys.into_iter().map(|(micros, writer, sequence)| key(micros, writer, sequence)).collect();
        let cursor = after_all(&keys);
        let text = cursor.to_string();
        prop_assert!(text.len() <= MAX_CURSOR_CHARS);
        prop_assert_eq!(text.parse::<Cursor>(), Ok(cursor));
    }

    /// Any order of arrival: what was given out is not given again; what came at most a minute late is given once.
    #[test]
    fn nothing_twice_and_nothing_missed(
        lines in prop::collection::vec((0..6_u128, 0..20 * SECOND), 1..60),
        stop in any::<prop::sample::Index>(),
    ) {
        // Arrival order: as generated. Each writer's own lines have rising times and sequence numbers.
        let mut clocks = [(0, 0); 6];
        let arrived: Vec<_> = lines.iter().map(|(writer, step)| {
            let (time, sequence) = &mut clocks[*writer as usize];
            *time += step / 20;
            *sequence += 1;
            key(*time, *writer, *sequence)
        }).collect();
        let (given, rest) = arrived.split_at(stop.index(arrived.len()));
        let cursor: Cursor = after_all(given).to_string().parse().unwrap();
        for key in given {
            prop_assert!(!cursor.is_before(*key));
        }
        for key in rest {
            prop_assert!(cursor.is_before(*key));
        }
    }

    #[test]
    fn any_text_parses_or_does_not(text in "[A-Za-z0-9_-]{0,200}") {
        let _ = text.parse::<Cursor>();
    }
}
