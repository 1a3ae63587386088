//! The next instant at which a schedule is due.

use super::{Schedule, Zone};
use crate::time::WallMillis;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// Days looked at for one that fits: the 29th of February can be eight years away, a 1st of February that is a Saturday twelve (no leap year
/// is 2100), and clocks may be changed on it.
const DAYS: usize = 12 * 366 + 2;
/// Changes of a zone's clocks looked at between two times that fit: four a year where they are put back for Ramadan. A time of day that
/// one change takes away comes the day after.
const CHANGES: usize = 64;

impl Schedule {
    /// The first instant later than `after` at which it is due. `None`: not before the end of the calendar.
    pub fn next_after(&self, after: WallMillis, zone: &Zone) -> Option<WallMillis> {
        let after = Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
        let next = if self.goes_by_elapsed_time() {
            self.next_elapsed(after, &zone.0)
        } else {
            self.next_fixed(after, &zone.0)
        };
        u64::try_from(next?.as_millisecond()).ok().map(WallMillis)
    }

    /// What clocks show grows with time but where they are put back, and there the later of two instants is never due.
    fn next_fixed(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = minute_of(zone.to_datetime(after))?;
        loop {
            let fits = self.next_shown(from)?;
            let at = instant_of(fits, zone)?;
            if at > after {
                return Some(at);
            }
            from = next_minute(fits)?;
        }
    }

    /// Between two changes of clocks what they show and what elapses are the same.
    fn next_elapsed(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let (mut since, mut from) = (after, next_minute(minute_of(zone.to_datetime(after))?)?);
        for _ in 0..CHANGES {
            let offset = zone.to_offset(since);
            let at = offset.to_timestamp(self.next_shown(from)?).ok()?;
            let change = zone.following(since).next().map(|change| change.timestamp());
            let Some(change) = change.filter(|change| at >= *change) else { return Some(at) };
            // Put back, they may show a time before `from` once more.
            since = change;
            let shows = zone.to_datetime(since);
            let minute = minute_of(shows)?;
            from = if minute == shows { minute } else { next_minute(minute)? };
        }
        None
    }

    /// The first time of a clock that fits, not before `from`, which is a whole minute.
    fn next_shown(&self, from: DateTime) -> Option<DateTime> {
        let (mut day, mut earliest) = (from.date(), (from.hour(), from.minute()));
        for _ in 0..DAYS {
            if self.fits_day(day)
                && let Some((hour, minute)) = self.next_time(earliest)
            {
                return Some(day.at(hour, minute, 0, 0));
            }
            (day, earliest) = (day.tomorrow().ok()?, (0, 0));
        }
        None
    }

    fn fits_day(&self, day: Date) -> bool {
        let has = |values: super::field::Values, value: i8| {
            u8::try_from(value).is_ok_and(|value| values.has(value))
        };
        let by_day = has(self.days, day.day());
        let by_weekday = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let either = !self.days.starred && !self.weekdays.starred;
        has(self.months, day.month()) && if either { by_day || by_weekday } else { by_day && by_weekday }
    }

    fn next_time(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        let (hour, minute) = (u8::try_from(hour).ok()?, u8::try_from(minute).ok()?);
        let same_hour =
            self.minutes.at_least(minute).filter(|_| self.hours.has(hour)).map(|minute| (hour, minute));
        let (hour, minute) = match same_hour {
            Some(found) => found,
            None => (self.hours.at_least(hour + 1)?, self.minutes.at_least(0)?),
        };
        Some((i8::try_from(hour).ok()?, i8::try_from(minute).ok()?))
    }
}

/// The instant for a time of a clock: of two the first, of none the first after the gap.
fn instant_of(shown: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // By the offset that holds after the change the time lies before it.
            let before_change = after.to_timestamp(shown).ok()?;
            let mut changes = zone.following(before_change).map(|change| change.timestamp());
            changes.find(|change| zone.to_datetime(*change) > shown)
        }
    }
}

fn minute_of(shown: DateTime) -> Option<DateTime> {
    shown.with().second(0).subsec_nanosecond(0).build().ok()
}

fn next_minute(minute: DateTime) -> Option<DateTime> {
    minute.checked_add(1.minute()).ok()
}
