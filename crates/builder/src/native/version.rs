//! Versions and the ranges that manifests ask for, as intervals of three numbers. Python writes ranges by PEP 440 (and Poetry's
//! `^`), Node.js by npm's rules; what neither knows is an error, never a guess.

/// `3.11.7`. What follows the third number does not count.
pub(crate) type Version = [u64; 3];

/// Who wrote a range: they differ in what a short version means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Python,
    Npm,
}

/// Alternatives, each a list of intervals of which all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range(Vec<Vec<Interval>>);

/// From `low`, included, up to `high`, not included; or everything but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    low: Version,
    high: Option<Version>,
    inside: bool,
}

/// Numbers as written: one to three.
#[derive(Debug, Clone, Copy)]
struct Partial {
    numbers: Version,
    count: usize,
}

/// The numbers of a full version.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = [0; 3];
    for (place, part) in numbers.iter_mut().zip(text.trim().trim_start_matches('v').split('.')) {
        *place = parse_number(part)?;
    }
    Some(numbers)
}

/// The digits that a part of a version begins with. Larger numbers are nobody's version, and one more than these can be told.
fn parse_number(part: &str) -> Option<u64> {
    let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
    digits.parse::<u32>().ok().map(u64::from)
}

impl Range {
    pub(crate) fn parse(text: &str, dialect: Dialect) -> Option<Self> {
        let alternatives: Option<Vec<_>> = match dialect {
            Dialect::Python => text.split("||").map(|part| parse_all(part.split(','), dialect)).collect(),
            Dialect::Npm => text.split("||").map(parse_npm).collect(),
        };
        alternatives.map(Self)
    }

    pub(crate) fn contains(&self, version: Version) -> bool {
        self.0.iter().any(|all| all.iter().all(|interval| interval.contains(version)))
    }
}

impl Interval {
    const fn from(low: Version) -> Self {
        Self { low, high: None, inside: true }
    }

    const fn below(high: Version) -> Self {
        Self { low: [0; 3], high: Some(high), inside: true }
    }

    const fn between(low: Version, high: Version) -> Self {
        Self { low, high: Some(high), inside: true }
    }

    fn contains(&self, version: Version) -> bool {
        (version >= self.low && self.high.is_none_or(|high| version < high)) == self.inside
    }
}

fn parse_npm(text: &str) -> Option<Vec<Interval>> {
    if let Some((low, high)) = text.split_once(" - ") {
        let (low, high) = (Partial::parse(low)?, Partial::parse(high)?);
        return Some(vec![Interval::between(low.numbers, high.after())]);
    }
    let joined = join_operators(text);
    parse_all(joined.split_whitespace(), Dialect::Npm)
}

/// `>= 18` as `>=18`.
fn join_operators(text: &str) -> String {
    let mut joined = String::new();
    for c in text.trim().chars() {
        let follows_operator = joined.ends_with(['<', '>', '=', '^', '~']);
        if !(c.is_whitespace() && follows_operator) {
            joined.push(c);
        }
    }
    joined
}

fn parse_all<'a>(parts: impl Iterator<Item = &'a str>, dialect: Dialect) -> Option<Vec<Interval>> {
    parts.map(str::trim).filter(|part| !part.is_empty()).map(|part| parse_one(part, dialect)).collect()
}

fn parse_one(text: &str, dialect: Dialect) -> Option<Interval> {
    let end = text.find(|c: char| !"<>=!~^".contains(c)).unwrap_or(text.len());
    let (operator, rest) = text.split_at(end);
    let partial = Partial::parse(rest)?;
    if partial.count == 0 {
        return Some(Interval::from([0; 3]));
    }
    let is_short = dialect == Dialect::Npm || rest.trim().ends_with(['*', 'x', 'X']);
    let next = if is_short { partial.after() } else { partial.successor() };
    let low = partial.numbers;
    match operator {
        "" | "=" | "==" | "===" => Some(Interval::between(low, next)),
        "!=" => Some(Interval { inside: false, ..Interval::between(low, next) }),
        ">=" => Some(Interval::from(low)),
        ">" => Some(Interval::from(next)),
        "<" => Some(Interval::below(low)),
        "<=" => Some(Interval::below(next)),
        "^" => Some(Interval::between(low, partial.after_caret())),
        "~" => Some(Interval::between(low, partial.shortened(2).after())),
        "~=" if partial.count > 1 => {
            Some(Interval::between(low, partial.shortened(partial.count - 1).after()))
        }
        _ => None,
    }
}

impl Partial {
    /// `3`, `3.11`, `3.11.*`, `v20.x`, `*`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let text = text.split(['-', '+']).next().unwrap_or(text);
        let mut partial = Self { numbers: [0; 3], count: 0 };
        for part in text.split('.').take(3) {
            if matches!(part, "*" | "x" | "X") {
                return Some(partial);
            }
            partial.numbers[partial.count] = parse_number(part)?;
            partial.count += 1;
        }
        Some(partial)
    }

    fn shortened(self, count: usize) -> Self {
        let count = count.min(self.count);
        let mut numbers = self.numbers;
        numbers[count..].fill(0);
        Self { numbers, count }
    }

    /// The first version that no longer begins with these numbers.
    fn after(self) -> Version {
        let mut numbers = self.numbers;
        numbers[self.count.saturating_sub(1)] += 1;
        numbers[self.count..].fill(0);
        numbers
    }

    /// The next version after exactly this one, missing numbers being 0.
    const fn successor(self) -> Version {
        [self.numbers[0], self.numbers[1], self.numbers[2] + 1]
    }

    /// The first that changes the leftmost number that is not 0.
    fn after_caret(self) -> Version {
        let place = self.numbers[..self.count].iter().position(|number| *number > 0);
        self.shortened(place.map_or(self.count, |place| place + 1)).after()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_hold_what_their_languages_say() {
        let cases: &[(Dialect, &str, &[&str], &[&str])] = &[
            (Dialect::Python, ">=3.9", &["3.9.0", "3.11.7", "4.0.0"], &["3.8.9"]),
            (Dialect::Python, ">=3.9,<3.12", &["3.11.7"], &["3.12.0", "3.8.0"]),
            (Dialect::Python, "==3.11.*", &["3.11.0", "3.11.9"], &["3.12.0"]),
            (Dialect::Python, "==3.11", &["3.11.0"], &["3.11.7"]),
            (Dialect::Python, "<=3.11", &["3.11.0"], &["3.11.7"]),
            (Dialect::Python, ">3.11", &["3.11.1"], &["3.11.0"]),
            (Dialect::Python, "~=3.11", &["3.11.7", "3.12.0"], &["4.0.0"]),
            (Dialect::Python, "~=3.11.2", &["3.11.7"], &["3.12.0", "3.11.1"]),
            (Dialect::Python, "^3.11", &["3.11.0", "3.13.1"], &["4.0.0", "3.10.0"]),
            (Dialect::Python, ">=3.9, !=3.9.7", &["3.9.8"], &["3.9.7"]),
            (Dialect::Python, "*", &["2.7.1"], &[]),
            (Dialect::Npm, "20", &["20.0.0", "20.20.2"], &["19.9.9", "21.0.0"]),
            (Dialect::Npm, "20.x", &["20.20.2"], &["18.0.0"]),
            (Dialect::Npm, ">= 18", &["18.0.0", "22.1.0"], &["16.0.0"]),
            (Dialect::Npm, "^18.12.0 || >=20", &["18.13.0", "21.0.0"], &["18.11.0", "19.0.0"]),
            (Dialect::Npm, "18 - 20", &["18.0.0", "20.20.2"], &["21.0.0", "17.0.0"]),
            (Dialect::Npm, "~20.1", &["20.1.9"], &["20.2.0"]),
            (Dialect::Npm, ">=18 <21", &["20.20.2"], &["21.0.0"]),
            (Dialect::Npm, ">20", &["21.0.0"], &["20.20.2"]),
            (Dialect::Npm, "^0.2.3", &["0.2.4"], &["0.3.0"]),
            (Dialect::Npm, "v20.20.2", &["20.20.2"], &["20.20.3"]),
            (Dialect::Npm, "", &["1.0.0"], &[]),
            (Dialect::Npm, ">3.4294967295", &["4.0.0"], &["3.9.0"]),
        ];
        for (dialect, text, inside, outside) in cases {
            let range = Range::parse(text, *dialect).unwrap_or_else(|| panic!("{text:?} parses"));
            let holds = |version: &&str| range.contains(parse_version(version).expect("a version"));
            assert!(inside.iter().all(holds), "{text:?} should hold all of {inside:?}");
            assert!(!outside.iter().any(holds), "{text:?} should hold none of {outside:?}");
        }
        for text in ["lts/*", "latest", ">=", "=>3", "~=3", "3.a", ">18446744073709551615", "^4294967296"] {
            assert_eq!(Range::parse(text, Dialect::Python), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[0-9.*x<>=!~^|, v-]{0,24}", dialect in prop::bool::ANY) {
            let _ = Range::parse(&text, if dialect { Dialect::Python } else { Dialect::Npm });
        }
    }
}
