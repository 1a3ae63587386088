//! What a build says, line by line, in Heroku's form: `-----> ` before a heading, seven spaces before a detail, ` !     ` before
//! what went wrong.
//!
//! Lines that come out of the sandbox are a stranger's bytes: they are cut at a length, control characters (escape sequences
//! with them) are dropped, and after the limit only their number is told. Lines of our own may quote what a stranger wrote into
//! files: they are cleaned and cut as well, and never left out.

/// Where lines go: the pusher's terminal, the build's record. Lines come whole, without line end, already safe to print.
pub trait Output {
    fn line(&mut self, line: &str);
}

impl<F: FnMut(&str)> Output for F {
    fn line(&mut self, line: &str) {
        self(line);
    }
}

/// For tests and for callers that keep all lines.
impl Output for Vec<String> {
    fn line(&mut self, line: &str) {
        self.push(line.to_owned());
    }
}

/// Longest line passed on, in bytes; longer ones are cut into several.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Stands for what was cut off.
const CUT: char = '…';

pub(crate) struct Printer<'a> {
    output: &'a mut dyn Output,
    left: u64,
    limit: u64,
    dropped_bytes: u64,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(output: &'a mut dyn Output, limit: u64) -> Self {
        Self { output, left: limit, limit, dropped_bytes: 0 }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.own("-----> ", text);
    }

    pub(crate) fn detail(&mut self, text: &str) {
        self.own("       ", text);
    }

    pub(crate) fn warning(&mut self, text: &str) {
        self.own(" !     ", text);
    }

    fn own(&mut self, mark: &str, text: &str) {
        self.output.line(&format!("{mark}{}", quoted(text, MAX_LINE_BYTES)));
    }

    /// A line of the sandbox's output, counted against the limit.
    pub(crate) fn passed_on(&mut self, line: &[u8]) {
        let cost = line.len() as u64 + 1;
        if self.dropped_bytes > 0 || cost > self.left {
            if self.dropped_bytes == 0 {
                let limit = self.limit;
                self.warning(&format!(
                    "More than {limit} bytes of output: the rest is not shown, the build goes on"
                ));
            }
            self.dropped_bytes += cost;
            return;
        }
        self.left -= cost;
        self.output.line(&printable(line));
    }

    /// Tells how much was not shown.
    pub(crate) fn end(&mut self) {
        if self.dropped_bytes > 0 {
            let dropped = self.dropped_bytes;
            self.warning(&format!("{dropped} bytes of output were not shown"));
        }
    }
}

/// Text without control characters. Tabs stay; a carriage return keeps what follows it, as a terminal would show.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.rsplit(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// A text of ours that may quote a stranger's, fit for a terminal: in one line, without control characters, cut at a length in bytes.
pub fn quoted(text: &str, most: usize) -> String {
    let is_cut = text.len() > most;
    let text = &text[..text.floor_char_boundary(most)];
    let clean = text.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c });
    let clean = clean.filter(|c| !c.is_control() || *c == '\t');
    clean.chain(is_cut.then_some(CUT)).collect()
}

/// Makes lines of pieces.
#[derive(Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece.strip_suffix(b"\n").unwrap_or(piece));
            while self.partial.len() > MAX_LINE_BYTES {
                let rest = self.partial.split_off(MAX_LINE_BYTES);
                line(&std::mem::replace(&mut self.partial, rest));
            }
            if piece.ends_with(b"\n") {
                line(&std::mem::take(&mut self.partial));
            }
        }
    }

    /// What came without a line end.
    pub(crate) fn end(&mut self, line: &mut dyn FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&std::mem::take(&mut self.partial));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_made_safe() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            (b"dos\r", "dos"),
            (b"10%\r50%\rdone", "done"),
            (b"a\tb", "a\tb"),
            (b"\x1b[2J\x07red", "[2Jred"),
            (b"\xff", "\u{fffd}"),
        ];
        for (given, expected) in cases {
            assert_eq!(printable(given), *expected);
        }
    }

    #[test]
    fn what_we_quote_is_made_safe_as_well() {
        let mut lines: Vec<String> = Vec::new();
        let mut printer = Printer::new(&mut lines, 0);
        let text = "a\x1b]0;title\x07\u{9b}2Jb\nc\rd\te";
        printer.heading(text);
        printer.detail(text);
        printer.warning(text);
        printer.detail(&"é".repeat(MAX_LINE_BYTES));
        let long = lines.pop().expect("four");
        assert_eq!(lines, ["-----> ", "       ", " !     "].map(|mark| format!("{mark}a]0;title2Jb c d\te")));
        assert_eq!(long, format!("       {}…", "é".repeat(MAX_LINE_BYTES / 2)));
        assert_eq!(quoted("aéb", 2), "a…");
        assert_eq!(quoted("aéb", 4), "aéb");
    }

    #[test]
    fn output_beyond_the_limit_is_counted_and_told() {
        let mut lines: Vec<String> = Vec::new();
        let mut printer = Printer::new(&mut lines, 12);
        for line in ["12345", "67890", "x", "y"] {
            printer.passed_on(line.as_bytes());
        }
        printer.heading("Still told");
        printer.end();
        let expected = [
            "12345",
            "67890",
            " !     More than 12 bytes of output: the rest is not shown, the build goes on",
            "-----> Still told",
            " !     4 bytes of output were not shown",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn long_lines_are_cut() {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        lines.push(&[b'x'; 3 * MAX_LINE_BYTES / 2], &mut |line| got.push(line.len()));
        lines.push(b"y\nz", &mut |line| got.push(line.len()));
        lines.end(&mut |line| got.push(line.len()));
        assert_eq!(got, [MAX_LINE_BYTES, MAX_LINE_BYTES / 2 + 1, 1]);
    }

    proptest! {
        #[test]
        fn pieces_make_the_same_lines(text in "[a-c\n]{0,60}", cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
            places.sort_unstable();
            let (mut lines, mut got) = (Lines::default(), Vec::new());
            let mut keep = |line: &[u8]| got.push(String::from_utf8(line.to_vec()).expect("ASCII"));
            for pair in places.windows(2) {
                lines.push(&text.as_bytes()[pair[0]..pair[1]], &mut keep);
            }
            lines.end(&mut keep);
            let expected: Vec<String> = text.lines().map(str::to_owned).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
