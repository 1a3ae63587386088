//! Bytes of a pipe to lines.

/// The longest line kept whole; a longer one becomes several. Heroku's limit.
pub const MAX_LINE_BYTES: usize = 10_000;

/// Cuts a stream of bytes into lines, without newline and without a carriage return before it.
///
/// A line that has not ended is held back until it does, until it reaches [`MAX_LINE_BYTES`], or until [`LineSplitter::finish`].
/// Whole lines within one read are passed on without being copied.
#[derive(Debug, Default)]
pub struct LineSplitter {
    held: Vec<u8>,
}

impl LineSplitter {
    pub const fn new() -> Self {
        Self { held: Vec::new() }
    }

    /// Goes on where another left off, with what that one [held](Self::held).
    pub const fn holding(held: Vec<u8>) -> Self {
        Self { held }
    }

    /// The bytes of an unfinished line.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Takes the next bytes of the stream and gives each line that is complete.
    pub fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (ended, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.held.is_empty() {
                each_piece(without_return(ended), &mut line);
            } else {
                self.hold(ended, &mut line);
                each_piece(without_return(&self.held), &mut line);
                self.held.clear();
            }
        }
        self.hold(bytes, &mut line);
    }

    /// The stream has ended: gives the last line, if it had no newline.
    pub fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.held.is_empty() {
            line(&self.held);
        }
        self.held = Vec::new();
    }

    /// Whether bytes of an unfinished line are held, such as a prompt.
    pub fn holds_unfinished_line(&self) -> bool {
        !self.held.is_empty()
    }

    /// Adds to the unfinished line and passes on what exceeds the longest line. It is cut with a few bytes more at hand, so that
    /// the cut can be seen to lie between two characters.
    fn hold(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while self.held.len() + bytes.len() > MAX_LINE_BYTES {
            let (taken, rest) = bytes.split_at(bytes.len().min(MAX_LINE_BYTES + 1 - self.held.len()));
            self.held.extend_from_slice(taken);
            bytes = rest;
            let piece = first_piece(&self.held).len();
            line(&self.held[..piece]);
            self.held.drain(..piece);
        }
        self.held.extend_from_slice(bytes);
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Gives `line` in pieces of at most [`MAX_LINE_BYTES`]; an empty line is one empty piece.
pub(crate) fn each_piece(mut line: &[u8], piece: &mut impl FnMut(&[u8])) {
    while line.len() > MAX_LINE_BYTES {
        let first = first_piece(line);
        piece(first);
        line = &line[first.len()..];
    }
    piece(line);
}

/// At most [`MAX_LINE_BYTES`] from the start, not ending within a UTF-8 character if that can be avoided.
fn first_piece(line: &[u8]) -> &[u8] {
    let limit = line.len().min(MAX_LINE_BYTES);
    let is_continuation = |at: usize| line.get(at).is_some_and(|b| b & 0b1100_0000 == 0b1000_0000);
    let end = (limit.saturating_sub(3)..=limit).rev().find(|end| !is_continuation(*end)).unwrap_or(limit);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut splitter, mut lines) = (LineSplitter::new(), Vec::new());
        for read in reads {
            splitter.push(read, |line| lines.push(line.to_vec()));
        }
        splitter.finish(|line| lines.push(line.to_vec()));
        lines
    }

    fn text(reads: &[&str]) -> Vec<String> {
        let reads: Vec<_> = reads.iter().map(|read| read.as_bytes()).collect();
        split(&reads)
            .iter()
            .map(|line| std::str::from_utf8(line).expect("cut between characters").to_owned())
            .collect()
    }

    #[test]
    fn lines() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&[], &[]),
            (&[""], &[]),
            (&["\n"], &[""]),
            (&["a\nb\n"], &["a", "b"]),
            (&["a", "b", "\nc"], &["ab", "c"]),
            (&["a\r\nb\r", "\n"], &["a", "b"]),
            (&["a\rb\n\n"], &["a\rb", ""]),
            (&["no newline"], &["no newline"]),
        ];
        for (reads, expected) in cases {
            assert_eq!(text(reads), expected, "{reads:?}");
        }
    }

    #[test]
    fn a_long_line_becomes_several_cut_between_characters() {
        let exact = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(text(&[exact.as_str(), "\n"]).concat(), exact);
        assert_eq!(text(&[&format!("{exact}yy\n")]), [exact.clone(), "yy".to_owned()]);
        let umlauts = format!("x{}", "ä".repeat(MAX_LINE_BYTES));
        for reads in [vec![umlauts.as_str()], umlauts.split_inclusive('ä').collect()] {
            let lines = text(&reads);
            assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [9999, 10_000, 2]);
            assert_eq!(lines.concat(), umlauts);
        }
    }

    proptest! {
        /// However the bytes arrive, no byte but newlines (and returns before them) is lost, and no line is too long.
        #[test]
        fn nothing_is_lost(reads in prop::collection::vec(prop::collection::vec(
            (prop_oneof![Just(&b"\n"[..]), Just(&b"a"[..]), Just("ä".as_bytes())], 1..12_000_usize), 0..4), 0..4)) {
            // A run of newlines is one newline; runs of the others are long.
            let run = |(unit, count): &(&[u8], usize)| unit.repeat(if *unit == b"\n" { 1 } else { *count });
            let reads: Vec<Vec<u8>> = reads.iter().map(|runs| runs.iter().flat_map(run).collect()).collect();
            let slices: Vec<_> = reads.iter().map(Vec::as_slice).collect();
            let lines = split(&slices);
            prop_assert!(lines.iter().all(|line| line.len() <= MAX_LINE_BYTES && std::str::from_utf8(line).is_ok()));
            let kept: Vec<u8> = lines.concat();
            let sent: Vec<u8> = reads.concat().into_iter().filter(|b| *b != b'\n').collect();
            prop_assert!(kept == sent);
        }
    }
}
