//! One attempt of a check: a connection, and for HTTP one request and its answer. Never blocks; its time is the caller's to watch.

use super::answer::Answer;
use crate::shim::readiness::{begin_connect, is_connected};
use domain::app_json::health::{Header, Probe};
use domain::time::BootMillis;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Reads in a turn. An app may send faster than its answer is judged, and the shim has more to do than to listen to it.
const READS_PER_TURN: usize = 8;

/// What an attempt has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Undecided,
    Passed,
    /// In words that follow what was asked.
    Failed(String),
}

/// A question under way.
pub struct Attempt {
    socket: OwnedFd,
    until: BootMillis,
    stage: Stage,
}

enum Stage {
    /// What is to be sent then, and how its answer is judged; nothing where a connection is all that is asked for.
    Connecting(Option<Exchange>),
    Sending(Exchange, usize),
    Receiving(Answer),
}

struct Exchange {
    request: Vec<u8>,
    answer: Answer,
}

impl Attempt {
    pub fn begin(address: SocketAddr, probe: &Probe, until: BootMillis) -> Result<Self, String> {
        let exchange = match probe {
            Probe::Http { path, headers, content, .. } => Some(Exchange {
                request: render_request(address, path, headers),
                answer: Answer::new(content.clone()),
            }),
            Probe::Listening { .. } | Probe::Uptime { .. } | Probe::Command { .. } => None,
        };
        let socket = begin_connect(address).map_err(in_words)?;
        Ok(Self { socket, until, stage: Stage::Connecting(exchange) })
    }

    pub const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    pub const fn until(&self) -> BootMillis {
        self.until
    }

    pub const fn waits_for(&self) -> PollFlags {
        match &self.stage {
            Stage::Connecting(_) | Stage::Sending(..) => PollFlags::OUT,
            Stage::Receiving(_) => PollFlags::IN,
        }
    }

    /// The socket is ready: goes as far as it goes without waiting and without reading for long.
    pub fn advance(&mut self, buffer: &mut [u8]) -> Verdict {
        for _ in 0..READS_PER_TURN {
            let stage = std::mem::replace(&mut self.stage, Stage::Connecting(None));
            let step = match stage {
                Stage::Connecting(exchange) => self.connected(exchange),
                Stage::Sending(exchange, sent) => self.send(exchange, sent),
                Stage::Receiving(answer) => self.receive(answer, buffer),
            };
            match step {
                Step::Next(stage) => self.stage = stage,
                Step::Wait(stage) => {
                    self.stage = stage;
                    return Verdict::Undecided;
                }
                Step::Decided(verdict) => return verdict,
            }
        }
        Verdict::Undecided
    }

    /// Its time is over.
    pub fn late(&self, seconds: u32) -> Verdict {
        Verdict::Failed(match &self.stage {
            Stage::Connecting(_) => format!("no connection within {seconds} s"),
            Stage::Sending(..) => format!("the request was not taken within {seconds} s"),
            Stage::Receiving(answer) => answer.late(seconds),
        })
    }

    fn connected(&self, exchange: Option<Exchange>) -> Step {
        if !is_connected(&self.socket) {
            let reason = match rustix::net::sockopt::socket_error(&self.socket) {
                Ok(Err(errno)) | Err(errno) => in_words(errno),
                // It has met itself: nobody listens.
                Ok(Ok(())) => in_words(Errno::CONNREFUSED),
            };
            return Step::Decided(Verdict::Failed(reason));
        }
        match exchange {
            Some(exchange) => Step::Next(Stage::Sending(exchange, 0)),
            None => Step::Decided(Verdict::Passed),
        }
    }

    fn send(&self, exchange: Exchange, sent: usize) -> Step {
        match rustix::net::send(&self.socket, &exchange.request[sent..], SendFlags::NOSIGNAL) {
            Ok(count) if sent + count == exchange.request.len() => {
                Step::Next(Stage::Receiving(exchange.answer))
            }
            Ok(count) => Step::Next(Stage::Sending(exchange, sent + count)),
            Err(Errno::INTR) => Step::Next(Stage::Sending(exchange, sent)),
            Err(Errno::AGAIN) => Step::Wait(Stage::Sending(exchange, sent)),
            Err(errno) => Step::Decided(Verdict::Failed(in_words(errno))),
        }
    }

    fn receive(&self, mut answer: Answer, buffer: &mut [u8]) -> Step {
        let verdict = match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((_, 0)) => answer.end(),
            Ok((_, count)) => answer.push(&buffer[..count]),
            Err(Errno::INTR) => Verdict::Undecided,
            Err(Errno::AGAIN) => return Step::Wait(Stage::Receiving(answer)),
            Err(errno) => answer.broken(&in_words(errno)),
        };
        match verdict {
            Verdict::Undecided => Step::Next(Stage::Receiving(answer)),
            decided @ (Verdict::Passed | Verdict::Failed(_)) => Step::Decided(decided),
        }
    }
}

enum Step {
    Next(Stage),
    Wait(Stage),
    Decided(Verdict),
}

/// The given headers come in place of ours of the same name.
fn render_request(address: SocketAddr, path: &str, headers: &[Header]) -> Vec<u8> {
    let host = address.to_string();
    let ours = [("Host", host.as_str()), ("User-Agent", "dozen-health-check"), ("Accept", "*/*")];
    let is_given = |name: &str| headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    let ours = ours.into_iter().filter(|(name, _)| !is_given(name));
    let given = headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in ours.chain(given).chain([("Connection", "close")]) {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn in_words(errno: Errno) -> String {
    match errno {
        Errno::CONNREFUSED => "connection refused".to_owned(),
        Errno::CONNRESET | Errno::PIPE => "the connection was reset".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_headers_win() {
        let address = "10.0.0.1:5000".parse().unwrap();
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        let text =
            |headers: &[Header]| String::from_utf8(render_request(address, "/h?a=b", headers)).unwrap();
        assert_eq!(
            text(&[]),
            "GET /h?a=b HTTP/1.1\r\nHost: 10.0.0.1:5000\r\nUser-Agent: dozen-health-check\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(
            text(&[header("host", "a.example"), header("X-A", "b")]),
            "GET /h?a=b HTTP/1.1\r\nUser-Agent: dozen-health-check\r\nAccept: */*\r\nhost: a.example\r\nX-A: b\r\n\
             Connection: close\r\n\r\n"
        );
    }
}
