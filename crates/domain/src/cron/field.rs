//! One field of a schedule: a list of numbers, names, ranges and steps, read into a set.

use super::schedule::{ScheduleError, shown};

/// Which field, and what may stand in it.
pub(super) struct Field {
    /// `day of month`
    pub name: &'static str,
    pub least: u8,
    pub most: u8,
    /// Words for the numbers from `least` on.
    pub words: &'static [&'static str],
}

pub(super) const MINUTE: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
pub(super) const HOUR: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
pub(super) const DAY: Field = Field { name: "day of month", least: 1, most: 31, words: &[] };
pub(super) const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 0 and 7 are Sunday.
pub(super) const WEEKDAY: Field = Field {
    name: "day of week",
    least: 0,
    most: 7,
    words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};
const SUNDAY: u8 = 7;

/// The numbers that fit a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Values {
    bits: u64,
    /// It begins with `*`, which matters for days and for changes of clocks.
    pub starred: bool,
}

impl Values {
    pub(super) const fn has(self, value: u8) -> bool {
        self.bits >> value & 1 == 1
    }

    /// The first that is not below `value`.
    pub(super) const fn at_least(self, value: u8) -> Option<u8> {
        if value > 63 {
            return None;
        }
        let rest = self.bits >> value;
        if rest == 0 { None } else { Some(value + rest.trailing_zeros() as u8) }
    }

    pub(super) fn all(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |value| self.has(*value))
    }
}

impl Field {
    pub(super) fn read(&self, given: &str) -> Result<Values, ScheduleError> {
        let mut bits = 0;
        for part in given.split(',') {
            let (from, to, step) = self.part(part).map_err(|problem| self.wrong(given, problem))?;
            bits |= (from..=to).step_by(usize::from(step)).fold(0, |bits, value| bits | 1 << value);
        }
        if self.most == SUNDAY && bits >> SUNDAY & 1 == 1 {
            bits = bits & !(1 << SUNDAY) | 1;
        }
        Ok(Values { bits, starred: given.starts_with('*') })
    }

    fn wrong(&self, given: &str, problem: String) -> ScheduleError {
        ScheduleError::Field { field: self.name, given: shown(given), problem }
    }

    /// `*`, `5`, `1-5`, `*/10`, `10-40/10`: from, to, step.
    fn part(&self, part: &str) -> Result<(u8, u8, u8), String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        // The last number of a week's `*` would be Sunday once more.
        let last = if self.most == SUNDAY { SUNDAY - 1 } else { self.most };
        let (from, to) = match (range, range.split_once('-'), step) {
            ("*", _, _) => (self.least, last),
            (_, Some((from, to)), _) => self.range(from, to)?,
            (_, None, None) => self.value(range).map(|value| (value, value))?,
            (_, None, Some(step)) => {
                let from = self.value(range)?;
                return Err(format!(
                    "a step needs a range. Fix: write \"*/{step}\" or \"{from}-{last}/{step}\""
                ));
            }
        };
        Ok((from, to, step.unwrap_or(1)))
    }

    fn range(&self, from: &str, to: &str) -> Result<(u8, u8), String> {
        let first = self.value(from)?;
        let last = match self.value(to)? {
            // `mon-sun`: the week ends with the day that it begins with.
            0 if first > 0 && to.eq_ignore_ascii_case("sun") => SUNDAY,
            last => last,
        };
        if first > last {
            let (from, to) = (shown(from), shown(to));
            return Err(format!(
                "the range {from}-{to} ends before it begins. Fix: write two, with a comma between them"
            ));
        }
        Ok((first, last))
    }

    fn step(&self, given: &str) -> Result<u8, String> {
        let count = self.most - self.least + 1;
        match number(given) {
            Some(step) if (1..=count).contains(&step) => Ok(step),
            Some(_) | None => {
                Err(format!("the step \"{}\" must be a number from 1 to {count}", shown(given)))
            }
        }
    }

    fn value(&self, given: &str) -> Result<u8, String> {
        let by_word = self.words.iter().position(|word| word.eq_ignore_ascii_case(given));
        let value = match by_word {
            Some(at) => u8::try_from(at).ok().map(|at| self.least + at),
            None => number(given).filter(|value| (self.least..=self.most).contains(value)),
        };
        value.ok_or_else(|| {
            let words = match self.words {
                [first, .., last] => format!(" or a name from {first} to {last}"),
                _ => String::new(),
            };
            format!("\"{}\" must be a number from {} to {}{words}", shown(given), self.least, self.most)
        })
    }
}

/// Digits alone: no sign, not empty.
fn number(given: &str) -> Option<u8> {
    let digits = given.bytes().all(|byte| byte.is_ascii_digit());
    if digits { given.parse().ok() } else { None }
}
