//! What comes back for a request, judged as it arrives: a status of 200 to 399, and the text in the body if one is wanted. Pure;
//! reads no more than it needs, and no more than its bounds allow.

use super::attempt::Verdict;
use super::body::{Framing, Malformed};

/// Longest head, interim answers included.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// As much of a body is looked at.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest answer, framing included. A chunk of one byte has six.
const MAX_ANSWER_BYTES: usize = MAX_HEAD_BYTES + 8 * MAX_BODY_BYTES;
/// Most headers of an answer.
const MAX_HEADERS: usize = 100;
/// Longest repetition of an answer's own words, in characters.
const MAX_SHOWN: usize = 200;

/// An answer on its way.
pub struct Answer {
    /// The text that the body must hold.
    content: Option<String>,
    part: Part,
    /// Bytes that have come.
    length: usize,
    /// Those of them that were interim heads.
    interim: usize,
}

enum Part {
    Head { bytes: Vec<u8> },
    Body { status: Status, framing: Framing, body: Vec<u8>, searched: usize },
}

struct Status {
    code: u16,
    reason: String,
}

/// Whether more may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coming {
    More,
    Nothing,
}

impl Answer {
    pub const fn new(content: Option<String>) -> Self {
        Self { content, part: Part::Head { bytes: Vec::new() }, length: 0, interim: 0 }
    }

    /// More of it has come.
    pub fn push(&mut self, bytes: &[u8]) -> Verdict {
        self.length += bytes.len();
        let verdict = match &mut self.part {
            Part::Head { bytes: head } => {
                head.extend_from_slice(bytes);
                self.read_head()
            }
            Part::Body { .. } => self.read_body(bytes),
        };
        match verdict {
            Verdict::Undecided if self.length > MAX_ANSWER_BYTES => {
                failed(&format!("the answer is longer than {MAX_ANSWER_BYTES} bytes"))
            }
            verdict => verdict,
        }
    }

    /// The connection was closed.
    pub fn end(&mut self) -> Verdict {
        match &self.part {
            Part::Head { bytes } if bytes.is_empty() => {
                Verdict::Failed("the connection was closed without an answer".to_owned())
            }
            Part::Head { .. } => {
                Verdict::Failed("the connection was closed within the answer's head".to_owned())
            }
            Part::Body { .. } => self.judge(Coming::Nothing),
        }
    }

    /// The connection failed.
    pub fn broken(&self, reason: &str) -> Verdict {
        Verdict::Failed(match &self.part {
            Part::Head { .. } => reason.to_owned(),
            Part::Body { status, body, .. } => format!("{}; then {reason}", describe(status, body)),
        })
    }

    /// The time was over before it could be judged.
    pub fn late(&self, seconds: u32) -> String {
        match &self.part {
            Part::Head { .. } => format!("no answer within {seconds} s"),
            Part::Body { status, body, .. } if !status.is_good() => describe(status, body),
            Part::Body { status, body, .. } => {
                format!("{}; its body did not end within {seconds} s", describe(status, body))
            }
        }
    }

    fn read_head(&mut self) -> Verdict {
        loop {
            let Part::Head { bytes } = &mut self.part else { return Verdict::Undecided };
            let (status, framing, length) = match parse_head(bytes) {
                Head::Partial if self.interim + bytes.len() > MAX_HEAD_BYTES => return too_long_a_head(),
                Head::Partial => return Verdict::Undecided,
                Head::Malformed => return failed("the answer is not HTTP"),
                Head::Interim { length } => {
                    bytes.drain(..length);
                    self.interim += length;
                    if self.interim > MAX_HEAD_BYTES {
                        return too_long_a_head();
                    }
                    continue;
                }
                Head::Final { status, framing, length } => (status, framing, length),
            };
            let rest = bytes.split_off(length);
            self.part = Part::Body { status, framing, body: Vec::new(), searched: 0 };
            return self.read_body(&rest);
        }
    }

    fn read_body(&mut self, bytes: &[u8]) -> Verdict {
        let Part::Body { framing, body, .. } = &mut self.part else { return Verdict::Undecided };
        let pushed = framing.push(bytes, body);
        body.truncate(MAX_BODY_BYTES);
        match pushed {
            Ok(()) if *framing == Framing::Complete || body.len() >= MAX_BODY_BYTES => {
                self.judge(Coming::Nothing)
            }
            Ok(()) => self.judge(Coming::More),
            // What came before may be all that is wanted.
            Err(Malformed) => match self.judge(Coming::More) {
                Verdict::Undecided => failed("the answer's body is not framed as HTTP wants it"),
                decided @ (Verdict::Passed | Verdict::Failed(_)) => decided,
            },
        }
    }

    fn judge(&mut self, coming: Coming) -> Verdict {
        let Part::Body { status, body, searched, .. } = &mut self.part else { return Verdict::Undecided };
        if !status.is_good() {
            let has_line = body.trim_ascii_start().contains(&b'\n');
            let enough = coming == Coming::Nothing || has_line || body.len() > 4 * MAX_SHOWN;
            return if enough { Verdict::Failed(describe(status, body)) } else { Verdict::Undecided };
        }
        let Some(content) = &self.content else { return Verdict::Passed };
        if holds(&body[*searched..], content.as_bytes()) {
            return Verdict::Passed;
        }
        *searched = body.len().saturating_sub(content.len() - 1);
        if coming == Coming::More {
            return Verdict::Undecided;
        }
        let looked_at = if body.len() >= MAX_BODY_BYTES { " (its first 64 KiB)" } else { "" };
        Verdict::Failed(format!(
            "{}; its body{looked_at} does not hold \"{}\"",
            describe(status, body),
            shown(content.as_bytes())
        ))
    }
}

impl Status {
    fn is_good(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

enum Head {
    Partial,
    Malformed,
    /// 1xx: another head follows.
    Interim {
        length: usize,
    },
    Final {
        status: Status,
        framing: Framing,
        length: usize,
    },
}

fn parse_head(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Malformed,
    };
    let code = response.code.unwrap_or_default();
    if (100..200).contains(&code) && code != 101 {
        return Head::Interim { length };
    }
    let status = Status { code, reason: shown(response.reason.unwrap_or_default().as_bytes()) };
    match find_framing(code, response.headers) {
        Ok(framing) => Head::Final { status, framing, length },
        Err(Malformed) => Head::Malformed,
    }
}

/// RFC 9112, section 6.3.
fn find_framing(code: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, Malformed> {
    let values = |name: &str| {
        let name = name.to_owned();
        headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(&name))
            .map(|header| header.value)
    };
    if code == 204 || code == 304 {
        return Ok(Framing::Complete);
    }
    if let Some(coding) = values("transfer-encoding").next_back() {
        let chunked = coding.trim_ascii().to_ascii_lowercase().ends_with(b"chunked");
        return Ok(if chunked { Framing::chunked() } else { Framing::UntilEnd });
    }
    let Some(length) = values("content-length").next() else { return Ok(Framing::UntilEnd) };
    let length = std::str::from_utf8(length).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match length.ok_or(Malformed)? {
        0 => Ok(Framing::Complete),
        length => Ok(Framing::Length(length)),
    }
}

/// `503 Service Unavailable: the first line of the body`
fn describe(status: &Status, body: &[u8]) -> String {
    let first = body.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = first.map(|line| format!(": {}", shown(line.trim_ascii()))).unwrap_or_default();
    let reason = if status.reason.is_empty() { String::new() } else { format!(" {}", status.reason) };
    format!("{}{reason}{line}", status.code)
}

/// Short and without control characters: it lands in a log and on terminals.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MAX_SHOWN)]).into_owned();
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(MAX_SHOWN).map(plain).collect()
}

fn holds(body: &[u8], content: &[u8]) -> bool {
    body.windows(content.len()).any(|window| window == content)
}

fn too_long_a_head() -> Verdict {
    failed(&format!("the answer's head is longer than {MAX_HEAD_BYTES} bytes"))
}

fn failed(reason: &str) -> Verdict {
    Verdict::Failed(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    /// The verdict on an answer that comes in pieces of this size and then ends.
    fn verdict(content: Option<&str>, bytes: &[u8], piece: usize) -> Verdict {
        let mut answer = Answer::new(content.map(str::to_owned));
        for piece in bytes.chunks(piece) {
            match answer.push(piece) {
                Verdict::Undecided => {}
                decided @ (Verdict::Passed | Verdict::Failed(_)) => return decided,
            }
        }
        answer.end()
    }

    fn told(content: Option<&str>, text: &str) -> String {
        let whole = verdict(content, text.as_bytes(), usize::MAX);
        assert_eq!(verdict(content, text.as_bytes(), 1), whole, "byte by byte: {text:?}");
        match whole {
            Verdict::Failed(reason) => reason,
            Verdict::Passed => "passed".to_owned(),
            Verdict::Undecided => "undecided".to_owned(),
        }
    }

    #[test]
    fn good_answers_pass() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 204\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(told(None, text), "passed", "{text}");
        }
        for text in [
            "HTTP/1.1 200 OK\r\n\r\nall is well",
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n6\r\ns well\r\n0\r\n\r\n",
        ] {
            assert_eq!(told(Some("is well"), text), "passed", "{text}");
        }
    }

    #[test]
    fn bad_answers_are_told_with_their_words() {
        let cases = [
            (
                None,
                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 30\r\n\r\n\n  no database\nand more text\n",
            ),
            (None, "HTTP/1.1 500\r\n\r\n"),
            (None, "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngone\r\n0\r\n\r\n"),
            (None, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            (None, "HTTP/1.1 500 x\u{1b}[2Jy\r\n\r\na\u{1b}[2Jb"),
            (None, "SSH-2.0-OpenSSH_9.2\r\n"),
            (None, ""),
            (None, "HTTP/1.1 20"),
            (None, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
            (Some("ok"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope"),
            (Some("ok"), "HTTP/1.1 204 No Content\r\n\r\nok"),
            (Some("ok"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        ];
        let told: Vec<String> =
            cases.iter().map(|(content, text)| format!("{:?}\n    {}", text, told(*content, text))).collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn no_more_is_read_than_the_bounds_allow() {
        let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD_BYTES));
        assert!(told(None, &head).contains("longer than 16384 bytes"));
        let body = format!("HTTP/1.1 200 OK\r\n\r\n{}ok", "x".repeat(MAX_BODY_BYTES));
        assert!(told(Some("ok"), &body).contains("(its first 64 KiB) does not hold \"ok\""));
    }

    /// What never says anything is an answer that is too long, not one that is awaited for ever.
    #[test]
    fn framing_counts_as_well() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (start, again, expected) in [
            ("", "HTTP/1.1 100 Continue\r\n\r\n", "head is longer than 16384 bytes"),
            (chunked, "1;\r\na\r\n", "(its first 64 KiB) does not hold"),
            (chunked, "00000001;abcdefghijklmn\r\na\r\n", "longer than 540672 bytes"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na", "\r", "not framed as HTTP"),
        ] {
            let mut answer = Answer::new(Some("ok".to_owned()));
            let mut verdict = answer.push(start.as_bytes());
            for _ in 0..100_000 {
                if verdict != Verdict::Undecided {
                    break;
                }
                verdict = answer.push(again.as_bytes());
            }
            assert!(
                matches!(&verdict, Verdict::Failed(why) if why.contains(expected)),
                "{again:?} {verdict:?}"
            );
        }
    }

    #[test]
    fn what_is_late_says_how_far_it_came() {
        let late = |text: &str| {
            let mut answer = Answer::new(Some("ok".to_owned()));
            answer.push(text.as_bytes());
            answer.late(5)
        };
        assert_eq!(late("HTTP/1."), "no answer within 5 s");
        assert_eq!(late("HTTP/1.1 500 Oh\r\n\r\nno"), "500 Oh: no");
        assert_eq!(late("HTTP/1.1 200 OK\r\n\r\nno"), "200 OK: no; its body did not end within 5 s");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_one_verdict(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            start in 0usize..4,
            piece in 1usize..50,
        ) {
            let starts: [&[u8]; 4] = [
                b"",
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\n",
            ];
            let all = [starts[start], &bytes].concat();
            let whole = verdict(Some("ab"), &all, usize::MAX);
            prop_assert_eq!(&whole, &verdict(Some("ab"), &all, piece));
            if let Verdict::Failed(reason) = whole {
                prop_assert!(!reason.chars().any(char::is_control) && reason.len() < 2_000);
            }
        }
    }
}
