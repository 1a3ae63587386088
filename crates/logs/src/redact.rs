//! Blanking secret values in lines on their way out. What is kept on disk stays as the app wrote it.

/// What stands in place of a secret.
pub const REDACTED: &str = "[REDACTED]";
/// Shorter values are left alone: blanking every `true` or `5000` would spoil logs and hide nothing.
pub const MIN_SECRET_CHARS: usize = 6;

/// Blanks a set of values wherever they stand in a line, each exactly as given.
///
/// A value of several lines is blanked line by line, since the log holds lines. A value that the journal cut in two, because a line
/// was longer than 10,000 bytes, is not found.
#[derive(Clone, Default)]
pub struct Redactor {
    /// By first byte, so that most positions of a line cost one look.
    by_first: Vec<(u8, Vec<Vec<u8>>)>,
    first_bytes: [u64; 4],
}

/// Says how many values it knows, never which.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values: usize = self.by_first.iter().map(|(_, values)| values.len()).sum();
        write!(f, "Redactor({values} values)")
    }
}

impl Redactor {
    /// One that blanks nothing.
    pub fn none() -> Self {
        Self::default()
    }

    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = Self::default();
        let lines = values.into_iter().flat_map(|value| value.lines());
        for value in lines.filter(|value| value.chars().count() >= MIN_SECRET_CHARS) {
            redactor.add(value.as_bytes());
        }
        redactor
    }

    fn add(&mut self, value: &[u8]) {
        let first = value[0];
        self.first_bytes[usize::from(first / 64)] |= 1 << (first % 64);
        match self.by_first.iter_mut().find(|(byte, _)| *byte == first) {
            Some((_, values)) if values.iter().any(|known| known == value) => {}
            Some((_, values)) => values.push(value.to_vec()),
            None => self.by_first.push((first, vec![value.to_vec()])),
        }
    }

    /// Blanks `text` in place. Where values overlap, all that any of them covers is blanked, once.
    pub fn redact(&self, text: &mut Vec<u8>) {
        let covered = self.covered(text);
        if covered.is_empty() {
            return;
        }
        let mut redacted = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in covered {
            redacted.extend_from_slice(&text[at..start]);
            redacted.extend_from_slice(REDACTED.as_bytes());
            at = end;
        }
        redacted.extend_from_slice(&text[at..]);
        *text = redacted;
    }

    /// Where secrets stand, overlapping ones joined.
    fn covered(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut covered: Vec<(usize, usize)> = Vec::new();
        for (at, first) in text.iter().enumerate() {
            if self.first_bytes[usize::from(first / 64)] & (1 << (first % 64)) == 0 {
                continue;
            }
            let Some(length) = self.longest_at(*first, &text[at..]) else { continue };
            match covered.last_mut() {
                Some((_, end)) if *end > at => *end = (*end).max(at + length),
                Some(_) | None => covered.push((at, at + length)),
            }
        }
        covered
    }

    fn longest_at(&self, first: u8, text: &[u8]) -> Option<usize> {
        let (_, values) = self.by_first.iter().find(|(byte, _)| *byte == first)?;
        values.iter().filter(|value| text.starts_with(value)).map(Vec::len).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(values: &[&str], text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        Redactor::new(values.iter().copied()).redact(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn values_are_blanked_and_short_ones_are_not() {
        let cases: [(&[&str], &str, &str); 10] = [
            (&[], "nothing to hide", "nothing to hide"),
            (&["s3cret!"], "key=s3cret! end", "key=[REDACTED] end"),
            (&["s3cret!"], "s3cret!s3cret!", "[REDACTED][REDACTED]"),
            (&["short"], "short", "short"),
            (&["sécret"], "a sécret b", "a [REDACTED] b"),
            (&["S3CRET"], "s3cret", "s3cret"),
            (&["abcdef", "abcdefghi"], "abcdefghij", "[REDACTED]j"),
            (&["abcdef", "efghij"], "abcdefghij", "[REDACTED]"),
            (&["-----BEGIN-----\nMIIabc\nxy\n"], "MIIabc xy -----BEGIN-----", "[REDACTED] xy [REDACTED]"),
            (&["", "      "], "six spaces:      .", "six spaces:[REDACTED]."),
        ];
        for (values, text, expected) in cases {
            assert_eq!(redacted(values, text), expected, "{values:?}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", Redactor::new(["hunter22", "hunter22", "other-value"]));
        assert_eq!(shown, "Redactor(2 values)");
    }

    proptest! {
        #[test]
        fn no_value_is_left(values in prop::collection::vec("[ab]{6,9}", 0..5), text in "[abc]{0,60}") {
            let out = redacted(&values.iter().map(String::as_str).collect::<Vec<_>>(), &text);
            for value in &values {
                prop_assert!(!out.contains(value.as_str()), "{value} in {out}");
            }
            if !values.iter().any(|value| text.contains(value.as_str())) {
                prop_assert_eq!(out, text);
            }
        }
    }
}
