//! Schedules against tables of what is due, and against a look at every minute.

use super::due::{Due, GRACE_SECONDS, MOST_COUNTED, Missed, due};
use super::*;
use crate::time::WallMillis;
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn wall(text: &str) -> WallMillis {
    WallMillis(text.parse::<Timestamp>().unwrap().as_millisecond() as u64)
}

fn text(at: WallMillis) -> String {
    Timestamp::from_millisecond(at.0 as i64).unwrap().to_string()
}

/// The next instants, as UTC.
fn next(fields: &str, place: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (schedule(fields), zone(place));
    let first = schedule.next_after(wall(after), &zone);
    std::iter::successors(first, |at| schedule.next_after(*at, &zone)).take(count).map(text).collect()
}

#[track_caller]
fn check(fields: &str, place: &str, after: &str, expected: &[&str]) {
    assert_eq!(next(fields, place, after, expected.len()), expected, "{fields} in {place} after {after}");
}

#[test]
fn fields() {
    let new_year = "2026-01-01T00:00:00Z"; // a Thursday
    check("* * * * *", "UTC", new_year, &["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]);
    check(
        "*/25 * * * *",
        "UTC",
        new_year,
        &["2026-01-01T00:25:00Z", "2026-01-01T00:50:00Z", "2026-01-01T01:00:00Z"],
    );
    check(
        "5,50-52/2 3 * * *",
        "UTC",
        new_year,
        &["2026-01-01T03:05:00Z", "2026-01-01T03:50:00Z", "2026-01-01T03:52:00Z", "2026-01-02T03:05:00Z"],
    );
    check(
        "0 0 * * MON-fri/2",
        "UTC",
        new_year,
        &["2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z"],
    );
    check(
        "0 0 * * sat-sun",
        "UTC",
        new_year,
        &["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-10T00:00:00Z"],
    );
    check("0 0 * * 7", "UTC", new_year, &["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]);
    check(
        "0 12 1 feb,Jun *",
        "UTC",
        new_year,
        &["2026-02-01T12:00:00Z", "2026-06-01T12:00:00Z", "2027-02-01T12:00:00Z"],
    );
    check("0 0 29 2 *", "UTC", new_year, &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    check("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]);
    check("0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]);
    check("0 0 * * *", "UTC", "2025-12-31T23:59:59.999Z", &["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
}

#[test]
fn nicknames() {
    let new_year = "2026-01-01T00:00:00Z";
    check("@hourly", "UTC", new_year, &["2026-01-01T01:00:00Z"]);
    check("@daily", "UTC", new_year, &["2026-01-02T00:00:00Z"]);
    check("@MIDNIGHT", "UTC", new_year, &["2026-01-02T00:00:00Z"]);
    check("@weekly", "UTC", new_year, &["2026-01-04T00:00:00Z"]);
    check("@monthly", "UTC", new_year, &["2026-02-01T00:00:00Z"]);
    check("@yearly", "UTC", new_year, &["2027-01-01T00:00:00Z"]);
    check("@annually", "UTC", new_year, &["2027-01-01T00:00:00Z"]);
}

#[test]
fn days_of_month_and_of_week() {
    let new_year = "2026-01-01T00:00:00Z";
    // Both are named: either.
    check(
        "0 0 13 * fri",
        "UTC",
        new_year,
        &["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"],
    );
    // One begins with a star: both must fit.
    check("0 0 */2 * fri", "UTC", new_year, &["2026-01-09T00:00:00Z", "2026-01-23T00:00:00Z"]);
    check("0 0 13 * */5", "UTC", new_year, &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"]);
    // A day that no February has is no reason for refusal if Mondays fit as well.
    check("0 0 30 2 mon", "UTC", new_year, &["2026-02-02T00:00:00Z"]);
}

#[test]
fn clocks_are_put_forward() {
    // Berlin, 29 March 2026: from 2:00 to 3:00, at 1:00 UTC.
    let before = "2026-03-28T12:00:00Z";
    check("30 2 * * *", "Europe/Berlin", before, &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    check("0,20,40 2 * * *", "Europe/Berlin", before, &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    check(
        "0 2,3 * * *",
        "Europe/Berlin",
        before,
        &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"],
    );
    check("0 3 * * *", "Europe/Berlin", before, &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
    check(
        "0 * * * *",
        "Europe/Berlin",
        "2026-03-28T23:30:00Z",
        &["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
    );
    check("*/20 2 * * *", "Europe/Berlin", before, &["2026-03-30T00:00:00Z", "2026-03-30T00:20:00Z"]);
    // New York, 8 March 2026: from 2:00 to 3:00, at 7:00 UTC.
    check(
        "15 2 * * sun",
        "America/New_York",
        "2026-03-07T12:00:00Z",
        &["2026-03-08T07:00:00Z", "2026-03-15T06:15:00Z"],
    );
    check(
        "*/30 * * * *",
        "America/New_York",
        "2026-03-08T06:10:00Z",
        &["2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"],
    );
    // Lord Howe, 4 October 2026: from 2:00 to 2:30, at 15:30 UTC of the day before.
    check(
        "10,20,30,40 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        &["2026-10-03T15:30:00Z", "2026-10-03T15:40:00Z", "2026-10-04T15:10:00Z"],
    );
    check(
        "0 * * * *",
        "Australia/Lord_Howe",
        "2026-10-03T14:00:00Z",
        &["2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z", "2026-10-03T17:00:00Z"],
    );
    // Samoa left out 30 December 2011 altogether.
    check(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-28T23:00:00Z",
        &["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"],
    );
    // Nobody's clocks change.
    check("30 2 * * *", "UTC", "2026-03-28T12:00:00Z", &["2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"]);
}

#[test]
fn clocks_are_put_back() {
    // Berlin, 25 October 2026: from 3:00 to 2:00, at 1:00 UTC.
    let before = "2026-10-24T12:00:00Z";
    check("30 2 * * *", "Europe/Berlin", before, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    check("30 2 * * *", "Europe/Berlin", "2026-10-25T00:40:00Z", &["2026-10-26T01:30:00Z"]);
    check("0 3 * * *", "Europe/Berlin", before, &["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]);
    check(
        "30 * * * *",
        "Europe/Berlin",
        "2026-10-25T00:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
    );
    check(
        "*/30 2 * * *",
        "Europe/Berlin",
        before,
        &[
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:00:00Z",
        ],
    );
    // What comes again after the change is not passed over for being earlier on the clock.
    check(
        "* 1 * * */3",
        "Australia/Lord_Howe",
        "2026-04-04T14:59:00Z",
        &["2026-04-04T15:00:00Z", "2026-04-04T15:01:00Z"],
    );
    // New York, 1 November 2026: from 2:00 to 1:00, at 6:00 UTC.
    check(
        "0,30 1 * * *",
        "America/New_York",
        "2026-10-31T12:00:00Z",
        &["2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:00:00Z"],
    );
    // Lord Howe, 5 April 2026: from 2:00 to 1:30, at 15:00 UTC of the day before.
    check(
        "0,45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T12:00:00Z",
        &["2026-04-04T14:00:00Z", "2026-04-04T14:45:00Z", "2026-04-05T14:30:00Z"],
    );
    check(
        "45 * * * *",
        "Australia/Lord_Howe",
        "2026-04-04T14:00:00Z",
        &["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-04T16:15:00Z"],
    );
}

#[test]
fn mistakes_name_their_field() {
    let cases = [
        "",
        "* * * *",
        "0 0 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * foo *",
        "* * * * 8",
        "* * * * Montag",
        "-1 * * * *",
        "+5 * * * *",
        "5- * * * *",
        "1,,2 * * * *",
        "30-10 * * * *",
        "* * * * sat-mon",
        "5/15 * * * *",
        "*/0 * * * *",
        "*/90 * * * *",
        "*/x * * * *",
        "1-5-7 * * * *",
        "a\u{1b}[31m * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "@reboot",
        "@",
        "é * * * *",
    ];
    let told: Vec<_> = cases
        .iter()
        .map(|text| format!("{text:?}\n    {}", text.parse::<Schedule>().expect_err(text)))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(matches!("*".repeat(601).parse::<Schedule>(), Err(ScheduleError::TooLong { bytes: 601 })));
}

#[test]
fn zones() {
    assert_eq!(zone("europe/berlin").name(), "Europe/Berlin");
    assert!(zone("UTC").is_utc());
    assert_eq!(Zone::default().name(), "UTC");
    for unknown in ["Berlin", "new york", "Etc/Unknown", "", "../../etc/passwd", "CET-1CEST", "Mars/Olympus"]
    {
        let error = unknown.parse::<Zone>().expect_err(unknown).to_string();
        assert!(error.contains(unknown) && error.contains("Fix: use"), "{error}");
    }
    assert!("Berlin".parse::<Zone>().unwrap_err().to_string().ends_with("such as Europe/Berlin"));
    assert!("new york".parse::<Zone>().unwrap_err().to_string().ends_with("such as America/New_York"));
    let kept: (Schedule, Zone) = serde_json::from_str(r#"[" 5  4 * * sun ","Europe/Berlin"]"#).unwrap();
    assert_eq!(serde_json::to_string(&kept).unwrap(), r#"["5 4 * * sun","Europe/Berlin"]"#);
}

#[test]
fn what_has_come() {
    let (every_minute, daily) = (schedule("* * * * *"), schedule("0 6 * * *"));
    let look =
        |schedule: &Schedule, since: &str, now: &str| due(schedule, &Zone::UTC, wall(since), wall(now));
    let run = |at: &str| Some(wall(at));
    let missed = |first: &str, count| Some(Missed { first: wall(first), count });
    let (at, before) = ("2026-01-02T06:00:00Z", "2026-01-01T06:00:00Z");
    let on_time = Due { run: run(at), missed: None, until: wall(at) };
    assert_eq!(look(&daily, before, at), on_time);
    assert_eq!(look(&daily, before, "2026-01-02T06:05:00Z"), on_time, "just within the grace");
    let now = "2026-01-02T06:05:00.001Z";
    assert_eq!(look(&daily, before, now), Due { run: None, missed: missed(at, 1), until: wall(now) });
    assert_eq!(look(&daily, at, now), Due { run: None, missed: None, until: wall(now) });
    let down = look(&every_minute, "2026-01-01T00:00:00Z", "2026-01-01T00:03:30Z");
    let (first, last) = ("2026-01-01T00:01:00Z", "2026-01-01T00:03:00Z");
    assert_eq!(down, Due { run: run(last), missed: missed(first, 2), until: wall(last) });
    let years = look(&every_minute, "2026-01-01T00:00:00Z", "2036-01-01T00:00:30Z");
    let last = "2036-01-01T00:00:00Z";
    assert_eq!(years, Due { run: run(last), missed: missed(first, MOST_COUNTED), until: wall(last) });
    assert_eq!(GRACE_SECONDS, 300);
}

/// A field as text, and the numbers that fit.
fn field(least: u8, most: u8, zero: Option<u8>) -> BoxedStrategy<(String, BTreeSet<u8>)> {
    let single = move |value: u8| if Some(value) == zero { 0 } else { value };
    let star = (1..=(most - least)).prop_map(move |step| {
        let last = if zero.is_some() { most - 1 } else { most };
        (format!("*/{step}"), (least..=last).step_by(step.into()).collect())
    });
    let list = proptest::collection::btree_set(least..=most, 1..4).prop_map(move |values| {
        let text: Vec<_> = values.iter().map(u8::to_string).collect();
        (text.join(","), values.into_iter().map(single).collect())
    });
    let last = if zero.is_some() { most - 1 } else { most };
    let all = Just(("*".to_owned(), (least..=last).collect()));
    prop_oneof![all, star, list].boxed()
}

type Fields = [(String, BTreeSet<u8>); 5];

fn fields_strategy() -> impl Strategy<Value = Fields> {
    (field(0, 59, None), field(0, 23, None), field(1, 31, None), field(1, 12, None), field(0, 7, Some(7)))
        .prop_map(|(minute, hour, day, month, weekday)| [minute, hour, day, month, weekday])
}

/// `None`: it would never be due.
fn of_fields(fields: &Fields) -> Option<Schedule> {
    match fields.each_ref().map(|(text, _)| text.as_str()).join(" ").parse() {
        Ok(schedule) => Some(schedule),
        Err(ScheduleError::Never { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Whether a clock's time fits, by the page's rules and nothing of the code above.
fn fits(fields: &Fields, shown: DateTime) -> bool {
    let has = |index: usize, value: i8| fields[index].1.contains(&(value as u8));
    let starred = |index: usize| fields[index].0.starts_with('*');
    let weekday = shown.weekday().to_sunday_zero_offset();
    let day = match (starred(2), starred(4)) {
        (false, false) => has(2, shown.day()) || has(4, weekday),
        (_, _) => has(2, shown.day()) && has(4, weekday),
    };
    day && has(0, shown.minute()) && has(1, shown.hour()) && has(3, shown.month())
}

/// Every due instant of some hours, by looking at each minute.
fn by_looking(fields: &Fields, zone: &Zone, from: Timestamp, hours: i64) -> Vec<Timestamp> {
    let elapsed = fields[0].0.starts_with('*') || fields[1].0.starts_with('*');
    let mut found = Vec::new();
    let mut latest_shown: Option<DateTime> = None;
    for minutes in -26 * 60..=hours * 60 {
        let at = from + minutes.minutes();
        let shown = zone.0.to_datetime(at);
        let mut new = latest_shown.map_or(shown, |latest| latest + 1.minute());
        let mut is_due = elapsed && fits(fields, shown);
        while !elapsed && new <= shown {
            is_due |= fits(fields, new);
            new += 1.minute();
        }
        latest_shown = latest_shown.max(Some(shown));
        if is_due && minutes > 0 {
            found.push(at);
        }
    }
    found
}

/// What is rare comes all the same, however many changes of clocks lie between.
#[test]
fn a_day_of_both_a_month_and_a_week_is_found_over_twelve_years() {
    for (text, after, expected) in [
        ("* * */28 2 2", "2011-02-01T23:59:00Z", "2022-02-01"),
        ("0 12 */31 2 0", "2093-02-01T13:00:00Z", "2099-02-01"),
        ("* * */31 2 4", "2198-02-03T00:00:00Z", "2210-02-01"),
    ] {
        for name in ["UTC", "Europe/Berlin", "Africa/Casablanca"] {
            let after = after.parse::<Timestamp>().unwrap().as_millisecond() as u64;
            let schedule = text.parse::<Schedule>();
            let next = schedule.ok().and_then(|schedule| schedule.next_after(WallMillis(after), &zone(name)));
            let next = next.map(|next| Timestamp::from_millisecond(next.0 as i64).unwrap());
            let shown = next.map(|next| next.to_zoned(zone(name).0).date().to_string());
            assert_eq!(shown.as_deref(), Some(expected), "{text} in {name}");
        }
    }
}

/// Around changes of clocks, and where there are none.
const PLACES: [(&str, &str); 8] = [
    ("UTC", "2026-02-27T22:00:00Z"),
    ("Europe/Berlin", "2026-03-28T20:00:00Z"),
    ("Europe/Berlin", "2026-10-24T20:00:00Z"),
    ("America/New_York", "2026-03-08T02:00:00Z"),
    ("America/New_York", "2026-11-01T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T10:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T10:00:00Z"),
    ("Asia/Kathmandu", "2026-12-31T10:00:00Z"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Strictly later, nothing that fits lies between, and nothing else is due.
    #[test]
    fn nothing_is_left_out_and_nothing_comes_twice(fields in fields_strategy(), place in 0..PLACES.len(), after in 0_i64..600) {
        let (name, from) = PLACES[place];
        let zone = zone(name);
        let from = from.parse::<Timestamp>().unwrap() + after.minutes();
        let Some(schedule) = of_fields(&fields) else { return Ok(()) };
        let hours = 30;
        let last = (from + hours.hours()).as_millisecond() as u64;
        let start = WallMillis(from.as_millisecond() as u64);
        let next = |at: &WallMillis| schedule.next_after(*at, &zone).filter(|at| at.0 <= last);
        let found: Vec<_> = std::iter::successors(next(&start), next).map(text).collect();
        let expected: Vec<_> = by_looking(&fields, &zone, from, hours).iter().map(Timestamp::to_string).collect();
        let mut pairs = found.iter().map(Some).chain([None]).zip(expected.iter().map(Some).chain([None]));
        let differs = pairs.find(|(found, expected)| found != expected);
        prop_assert!(differs.is_none(), "{} in {} from {}: {:?}", schedule, name, from, differs);
    }

    #[test]
    fn the_next_is_later(fields in fields_strategy(), after in 0_u64..4_102_444_800_000) {
        let Some(schedule) = of_fields(&fields) else { return Ok(()) };
        for name in ["UTC", "Europe/Berlin", "Africa/Casablanca", "America/Nuuk"] {
            let next = schedule.next_after(WallMillis(after), &zone(name));
            prop_assert!(next.is_some_and(|next| next.0 > after), "{} in {} after {}: {:?}", schedule, name, after, next);
        }
    }

    #[test]
    fn no_text_breaks_the_parser(given in "\\PC{0,40}") {
        let _ = given.parse::<Schedule>();
        let _ = given.parse::<Zone>();
    }

    #[test]
    fn what_was_read_reads_the_same_again(given in "[-*/,0-9@a-z ]{0,5} [*/0-9,-]{1,5} [*/0-9,-]{1,5} [*/0-9,-]{1,5} [*a-u0-7]{1,3}") {
        if let Ok(schedule) = given.parse::<Schedule>() {
            prop_assert_eq!(schedule.as_str().parse::<Schedule>(), Ok(schedule));
        }
    }
}
