//! A client that is a raw socket: it can send anything, and reads responses by the book.

use super::PATIENCE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A connection, with what was read ahead.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    timed_out: bool,
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the router accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_write_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        Self { stream, buffer: Vec::new(), timed_out: false }
    }

    pub fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new(), timed_out: false }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// The final response, interim ones skipped.
    pub fn response(&mut self) -> Response {
        loop {
            let response = self.any_response(BodyRule::ByHead);
            if response.status() >= 200 || response.status() == 101 {
                return response;
            }
        }
    }

    /// The response to a HEAD request.
    pub fn response_to_head(&mut self) -> Response {
        self.any_response(BodyRule::None)
    }

    /// The next response, interim ones too.
    pub fn any_response(&mut self, rule: BodyRule) -> Response {
        let head = self.head();
        let response = Response { head, body: Vec::new() };
        let status = response.status();
        if rule == BodyRule::None || status < 200 || status == 204 || status == 304 {
            return response;
        }
        let body = if response.header("transfer-encoding").is_some() {
            self.chunked()
        } else if let Some(length) = response.header("content-length") {
            self.exactly(length.parse().expect("a length"))
        } else {
            self.rest()
        };
        Response { body, ..response }
    }

    /// A head, its empty line left out. Empty at the end of the stream.
    pub fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return String::from_utf8_lossy(&head[..end]).into_owned();
            }
            if self.more() == 0 {
                return String::new();
            }
        }
    }

    /// Reads on. 0 at the end of the stream, and when nothing came in time.
    fn more(&mut self) -> usize {
        let mut piece = [0; 65536];
        let read = self.stream.read(&mut piece);
        self.timed_out = read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        let length = read.unwrap_or(0);
        self.buffer.extend_from_slice(&piece[..length]);
        length
    }

    /// So many bytes, or fewer if the stream ends.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.more() > 0 {}
        let length = length.min(self.buffer.len());
        self.buffer.drain(..length).collect()
    }

    /// Everything to the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            if self.more() == 0 {
                return String::new();
            }
        }
    }

    /// A chunked body; one that breaks off ends with the text `[broken off]`.
    pub fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let Ok(size) = usize::from_str_radix(&self.line(), 16) else {
                body.extend_from_slice(b"[broken off]");
                return body;
            };
            body.append(&mut self.exactly(size));
            self.line();
            if size == 0 {
                return body;
            }
        }
    }

    pub fn end_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// Whether the other side has closed, and sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.more() == 0 && self.buffer.is_empty() && !self.timed_out
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    ByHead,
    None,
}
