//! The end of the input in Heroku's mode: the client never half-closes; after the last byte of its standard input it sends 0x04.
//! A terminal makes an end of file of that by itself, pipes need us to. Pure; the clock is the caller's.

/// What ends the input.
const END_OF_TRANSMISSION: u8 = 0x04;

/// Who turns 0x04 into an end of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndRule {
    /// The line discipline of a terminal: every byte passes.
    Terminal,
    /// We: a last 0x04 with silence after it is the end. One that other bytes follow was data.
    Pipes,
}

/// Holds back a 0x04 until it is known what it was.
#[derive(Debug)]
pub struct InputFilter {
    rule: EndRule,
    held: bool,
}

impl InputFilter {
    pub const fn new(rule: EndRule) -> Self {
        Self { rule, held: false }
    }

    /// What of the bytes so far is data.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(bytes.len() + 1);
        if bytes.is_empty() {
            return data;
        }
        if std::mem::take(&mut self.held) {
            data.push(END_OF_TRANSMISSION);
        }
        data.extend_from_slice(bytes);
        if self.rule == EndRule::Pipes && data.last() == Some(&END_OF_TRANSMISSION) {
            data.pop();
            self.held = true;
        }
        data
    }

    /// Whether silence now means the end.
    pub const fn ends_on_silence(&self) -> bool {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_last_byte_ends_the_input() {
        type Case<'a> = (&'a [&'a [u8]], &'a [u8], bool);
        let cases: [Case<'_>; 7] = [
            (&[b"hello\n", b"\x04"], b"hello\n", true),
            (&[b"hello\n\x04"], b"hello\n", true),
            (&[b"\x04"], b"", true),
            (&[b"a\x04", b"b"], b"a\x04b", false),
            (&[b"a\x04b"], b"a\x04b", false),
            (&[b"\x04\x04"], b"\x04", true),
            (&[b"\x04", b"", b"\x04"], b"\x04", true),
        ];
        for (chunks, data, ends) in cases {
            let mut filter = InputFilter::new(EndRule::Pipes);
            let found: Vec<u8> = chunks.iter().flat_map(|chunk| filter.push(chunk)).collect();
            assert_eq!((found.as_slice(), filter.ends_on_silence()), (data, ends), "{chunks:?}");
        }
    }

    #[test]
    fn a_terminal_gets_every_byte() {
        let mut filter = InputFilter::new(EndRule::Terminal);
        assert_eq!(filter.push(b"x\x04"), b"x\x04");
        assert!(!filter.ends_on_silence());
    }
}
