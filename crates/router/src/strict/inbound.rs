//! Follows one client connection from head to head. Fed with bytes as they come; says how many may be passed on and when a head
//! is whole. Holds an unfinished head (bounded), never a body.

use super::chunk::{Chunks, Scan};
use super::head::{Framing, HeadFacts, Refusal, check_head};
use super::{HEAD_BYTES, HEADER_LINE_BYTES, REQUEST_LINE_BYTES};
use crate::codes::RequestFault;

/// The state of one connection's inbound direction.
#[derive(Debug)]
pub(crate) struct Inbound {
    phase: Phase,
    /// The head so far.
    head: Vec<u8>,
    /// Where the line that is being read begins in `head`.
    line: usize,
    /// Empty lines seen before the request line: some old clients send one after a body.
    empty_lines: u8,
}

#[derive(Debug)]
enum Phase {
    Head,
    Body(u64),
    Chunks(Chunks),
    /// After a head that asks for an upgrade: nothing passes until the answer is known.
    Undecided,
    /// Not HTTP any more.
    Tunnel,
    /// Nothing will ever be passed on again.
    Ended,
}

/// What to do with the bytes that were fed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All were taken in; more are needed for a whole head.
    NeedMore,
    /// So many bytes were taken, and [`Inbound::take_head`] has a whole, checked head.
    Head { taken: usize, facts: HeadFacts },
    /// So many bytes belong to the body and may be passed on.
    Pass(usize),
    /// None may be passed on before [`Inbound::decide`].
    Wait,
    /// The head is not acceptable. No byte passes from here on.
    Refused(Refusal),
    /// The body is not acceptable. No byte passes from here on.
    BadBody(RequestFault),
    /// As after a refusal.
    Ended,
}

/// The answer to a request for another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    StayHttp,
    Tunnel,
}

impl Inbound {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Head, head: Vec::new(), line: 0, empty_lines: 0 }
    }

    /// Between requests: no byte of a next one has come.
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.head.is_empty()
    }

    /// In the middle of a head.
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.phase, Phase::Head) && !self.head.is_empty()
    }

    /// The whole head that the last [`Step::Head`] told of.
    pub(crate) fn take_head(&mut self) -> Vec<u8> {
        self.line = 0;
        self.empty_lines = 0;
        std::mem::take(&mut self.head)
    }

    /// Tells whether the connection goes on with HTTP after a request for another protocol.
    pub(crate) fn decide(&mut self, decision: Decision) {
        if matches!(self.phase, Phase::Undecided) {
            self.phase = match decision {
                Decision::StayHttp => Phase::Head,
                Decision::Tunnel => Phase::Tunnel,
            };
        }
    }

    pub(crate) fn feed(&mut self, input: &[u8]) -> Step {
        let step = match &mut self.phase {
            Phase::Head => self.feed_head(input),
            Phase::Body(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.phase = Phase::Head;
                }
                Step::Pass(taken)
            }
            Phase::Chunks(chunks) => match chunks.scan(input) {
                Ok(Scan::More) => Step::Pass(input.len()),
                Ok(Scan::End(taken)) => {
                    self.phase = Phase::Head;
                    Step::Pass(taken)
                }
                Err(fault) => Step::BadBody(fault),
            },
            Phase::Undecided => Step::Wait,
            Phase::Tunnel => Step::Pass(input.len()),
            Phase::Ended => Step::Ended,
        };
        if matches!(step, Step::Refused(_) | Step::BadBody(_)) {
            self.phase = Phase::Ended;
            self.head = Vec::new();
        }
        step
    }

    fn feed_head(&mut self, input: &[u8]) -> Step {
        let mut taken = 0;
        while let Some(at) = memchr::memchr(b'\n', &input[taken..]) {
            let end = taken + at + 1;
            self.head.extend_from_slice(&input[taken..end]);
            taken = end;
            match self.end_line() {
                Ok(Line::More) => {}
                Ok(Line::EndOfHead) => return self.end_head(taken),
                Err(fault) => return Step::Refused(fault.into()),
            }
        }
        self.head.extend_from_slice(&input[taken..]);
        match self.check_sizes() {
            Ok(()) => Step::NeedMore,
            Err(fault) => Step::Refused(fault.into()),
        }
    }

    /// The head now ends with an LF: is it a proper line, and the last?
    fn end_line(&mut self) -> Result<Line, RequestFault> {
        let line = &self.head[self.line..];
        let fault = if self.line == 0 { RequestFault::BadRequestLine } else { RequestFault::BadHeader };
        if !line.ends_with(b"\r\n") {
            return Err(fault);
        }
        self.check_sizes()?;
        let is_empty = self.head.len() - self.line == 2;
        match (is_empty, self.line) {
            (true, 0) if self.empty_lines == 0 => {
                self.empty_lines = 1;
                self.head.clear();
                Ok(Line::More)
            }
            (true, 0) => Err(fault),
            (true, _) => Ok(Line::EndOfHead),
            (false, _) => {
                self.line = self.head.len();
                Ok(Line::More)
            }
        }
    }

    fn check_sizes(&self) -> Result<(), RequestFault> {
        let limit = if self.line == 0 { REQUEST_LINE_BYTES } else { HEADER_LINE_BYTES };
        if self.head.len() - self.line > limit || self.head.len() > HEAD_BYTES {
            return Err(RequestFault::OversizedHeader);
        }
        Ok(())
    }

    fn end_head(&mut self, taken: usize) -> Step {
        match check_head(&self.head) {
            Ok(facts) => {
                self.phase = match (&facts.upgrade, facts.framing) {
                    (Some(_), _) => Phase::Undecided,
                    (None, Framing::Length(0)) => Phase::Head,
                    (None, Framing::Length(length)) => Phase::Body(length),
                    (None, Framing::Chunked) => Phase::Chunks(Chunks::new()),
                };
                Step::Head { taken, facts }
            }
            Err(refusal) => Step::Refused(refusal),
        }
    }
}

enum Line {
    More,
    EndOfHead,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `input` in pieces of `cut` bytes; returns the heads, the number of body bytes passed, and the fault that ended it.
    fn drive(input: &[u8], cut: usize) -> (Vec<Vec<u8>>, usize, Option<RequestFault>) {
        let (mut inbound, mut heads, mut body) = (Inbound::new(), Vec::new(), 0);
        for piece in input.chunks(cut) {
            let mut rest = piece;
            while !rest.is_empty() {
                match inbound.feed(rest) {
                    Step::NeedMore => rest = &[],
                    Step::Head { taken, .. } => {
                        heads.push(inbound.take_head());
                        rest = &rest[taken..];
                    }
                    Step::Pass(taken) => {
                        body += taken;
                        rest = &rest[taken..];
                    }
                    Step::Refused(refusal) => return (heads, body, Some(refusal.fault)),
                    Step::BadBody(fault) => return (heads, body, Some(fault)),
                    Step::Wait | Step::Ended => return (heads, body, None),
                }
            }
        }
        (heads, body, None)
    }

    const TWO: &[u8] = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\r\n\
        POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";

    proptest! {
        #[test]
        fn requests_are_told_apart_however_they_are_cut(cut in 1usize..200) {
            let (heads, body, fault) = drive(TWO, cut);
            prop_assert_eq!(fault, None);
            prop_assert_eq!(heads.len(), 3);
            prop_assert!(heads[1].starts_with(b"POST /b"));
            prop_assert_eq!(body, 3 + 12);
        }
    }

    #[test]
    fn bad_bytes_are_refused_before_a_head_is_whole() {
        let long_header = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEADER_LINE_BYTES));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(1001));
        let huge =
            format!("GET / HTTP/1.1\r\nHost: h\r\n{}", format!("X: {}\r\n", "a".repeat(4000)).repeat(40));
        let cases: [(&[u8], RequestFault); 8] = [
            (b"GET / HTTP/1.1\nHost: h\n\n", RequestFault::BadRequestLine),
            (b"GET / HTTP/1.1\r\nHost: h\n\r\n", RequestFault::BadHeader),
            (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", RequestFault::BadHeader),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", RequestFault::BadRequestLine),
            (&[b'a'; REQUEST_LINE_BYTES + 1], RequestFault::OversizedHeader),
            (long_header.as_bytes(), RequestFault::OversizedHeader),
            (many.as_bytes(), RequestFault::OversizedHeader),
            (huge.as_bytes(), RequestFault::OversizedHeader),
        ];
        for (input, fault) in cases {
            for cut in [1, 7, 100_000] {
                assert_eq!(
                    drive(input, cut).2,
                    Some(fault),
                    "{:?}",
                    String::from_utf8_lossy(&input[..40.min(input.len())])
                );
            }
        }
    }

    #[test]
    fn nothing_passes_between_an_upgrade_request_and_its_answer() {
        let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let mut inbound = Inbound::new();
        assert!(matches!(inbound.feed(head), Step::Head { .. }));
        inbound.take_head();
        assert_eq!(inbound.feed(b"early"), Step::Wait);
        inbound.decide(Decision::Tunnel);
        assert_eq!(inbound.feed(b"\0\n anything"), Step::Pass(11));
    }
}
