//! Answers that come in their own time: log lines and the output of builds and release phases. Their addresses hold a secret of
//! their own, so no token is sent along, and errors name the host only.

use super::error::unexpected_answer;
use super::{Client, ClientError, MAX_ANSWER_BYTES, ServerUrl};
use std::io::{self, BufRead, BufReader, Read};
use ureq::http::{Method, Request, StatusCode, header};
use ureq::{AsSendBody, BodyReader, SendBody};

/// How an address of a stream is shown in errors.
const SHOWN: &str = "the stream";

/// What a stream's address answered.
pub enum Stream {
    Open(Lines),
    /// 404: there is nothing there (yet, or any more).
    Absent,
}

/// Text by the line, as it comes.
pub struct Lines {
    reader: BufReader<BodyReader<'static>>,
}

impl Client {
    /// Plain text, such as the output of a build.
    ///
    /// # Errors
    /// The address is none that may be asked, no answer came, or it was a refusal.
    pub fn open_text(&self, url: &str) -> Result<Stream, ClientError> {
        self.open(url, "text/plain", None)
    }

    /// Server-sent events, such as log lines, from behind an event's id if one is given.
    ///
    /// # Errors
    /// As [`Client::open_text`].
    pub fn open_events(&self, url: &str, after: Option<&str>) -> Result<Stream, ClientError> {
        self.open(url, "text/event-stream", after)
    }

    /// Sends an archive to an address that takes it, with a length that is known before.
    ///
    /// # Errors
    /// The address is none that may be asked, it was not taken whole, or it was refused.
    pub fn upload(&self, url: &str, archive: &mut dyn Read, bytes: u64) -> Result<(), ClientError> {
        let origin = origin_of(url)?;
        let builder = Request::builder().method(Method::PUT).uri(url);
        let builder =
            builder.header(header::USER_AGENT, &self.user_agent).header(header::CONTENT_LENGTH, bytes);
        let request = builder.body(SendBody::from_reader(archive));
        let fail = |source| ClientError::transport(&Method::PUT, &origin.to_string(), source);
        let (parts, mut body) = self.run_stream(request).map_err(fail)?.into_parts();
        let read = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec().unwrap_or_default();
        if parts.status.is_success() {
            return Ok(());
        }
        Err(unexpected_answer("the upload", parts.status, &parts.headers, &read))
    }

    fn open(&self, url: &str, accept: &str, after: Option<&str>) -> Result<Stream, ClientError> {
        let origin = origin_of(url)?;
        let builder = Request::builder().uri(url).header(header::ACCEPT, accept);
        let builder = builder.header(header::USER_AGENT, &self.user_agent);
        let request = match after {
            Some(id) => builder.header("Last-Event-ID", id).body(()),
            None => builder.body(()),
        };
        let fail = |source| ClientError::transport(&Method::GET, &origin.to_string(), source);
        let (parts, mut body) = self.run_stream(request).map_err(fail)?.into_parts();
        match parts.status {
            StatusCode::NOT_FOUND => Ok(Stream::Absent),
            status if status.is_success() => {
                Ok(Stream::Open(Lines { reader: BufReader::new(body.into_reader()) }))
            }
            status => {
                let read = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec().unwrap_or_default();
                Err(unexpected_answer(SHOWN, status, &parts.headers, &read))
            }
        }
    }

    fn run_stream(
        &self,
        request: Result<Request<impl AsSendBody>, ureq::http::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        self.agent.run(request?)
    }
}

/// Scheme, host and port: refuses addresses to which nothing should be sent in the clear.
fn origin_of(url: &str) -> Result<ServerUrl, ClientError> {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    Ok(url[..end].parse()?)
}

/// A line, or what of it had come when the stream ended.
const MAX_LINE_BYTES: u64 = crate::sse::MAX_EVENT as u64;

impl Lines {
    /// The next line without its end; `None` after the last. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// The connection broke, or a line is too long.
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let complete = line.pop_if(|byte| *byte == b'\n').is_some();
        if !complete && read as u64 == MAX_LINE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server sent a line that is too long",
            ));
        }
        line.pop_if(|byte| *byte == b'\r');
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

/// The bytes as they come, for output that need not be lines.
impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_cut_out_and_checked() {
        for (url, origin) in [
            ("https://a.example:8443/streams/secret", "https://a.example:8443"),
            ("https://a.example:8443?secret", "https://a.example:8443"),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1"),
        ] {
            assert_eq!(origin_of(url).expect(url).to_string(), origin);
        }
        for url in ["http://a.example/x", "file:///etc/passwd", "x", ""] {
            assert!(origin_of(url).is_err(), "{url}");
        }
    }
}
