//! `logs`: the newest lines, or the lines as they come.

use crate::failure::Failure;
use crate::output::Format;
use crate::session::{AppFlags, Session};
use crate::text::Style;
use api::client::stream::{Lines, Stream};
use api::client::{Client, ClientError};
use api::log_session::{CreateLogSession, DEFAULT_LINES};
use api::sse::{Event, Parser};
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// The wait before a tail that ended is taken up again, unless the server says otherwise.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);
/// Longest wait that a server may ask for.
const MAX_RETRY: Duration = Duration::from_secs(30);
/// How often in a row a tail is taken up again without a line in between.
const MAX_FRUITLESS: u32 = 20;

/// `dozen logs`.
#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    flags: AppFlags,
    /// How many lines of the past
    #[arg(short, long, value_name = "COUNT", default_value_t = DEFAULT_LINES)]
    num: u64,
    /// Go on with lines as they come
    #[arg(short, long)]
    tail: bool,
    /// Only lines of this source: app, or heroku for the platform's and the router's
    #[arg(short, long)]
    source: Option<String>,
    /// Only lines of this process, such as web.1
    #[arg(short, long, value_name = "NAME", visible_alias = "dyno")]
    dyno_name: Option<String>,
    /// Only lines of processes of this type, such as web
    #[arg(short, long, value_name = "TYPE", visible_alias = "process-type", conflicts_with = "dyno_name")]
    ps: Option<String>,
}

impl Logs {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        // `--ps web.1` is how older clients name one process.
        let (process_type, dyno) = match self.ps {
            Some(name) if name.contains('.') => (None, Some(name)),
            other => (other, self.dyno_name),
        };
        let request = CreateLogSession {
            dyno,
            process_type,
            lines: Some(self.num),
            source: self.source,
            tail: Some(self.tail),
        };
        let created = at.ask(|client, app| client.create_log_session(app, &request))?;
        let mut reader =
            Reader { session, client: &at.client, url: &created.logplex_url, parser: Parser::default() };
        if self.tail { reader.tail() } else { reader.read_once().map(drop).map_err(Failure::from) }
    }
}

struct Reader<'a> {
    session: &'a Session,
    client: &'a Client,
    url: &'a str,
    parser: Parser,
}

/// Why reading stopped before it should have.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the log stream broke off")]
    Broken(#[source] std::io::Error),
    #[error(transparent)]
    Event(#[from] api::sse::EventTooLong),
    #[error("{}", .0.render(Style::Plain))]
    Output(Failure),
}

/// What one connection brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    Lines,
    Nothing,
    /// The server knows of no such stream any more.
    End,
}

impl Reader<'_> {
    /// From the last event on until the server ends the stream.
    fn read_once(&mut self) -> Result<Brought, ReadError> {
        match self.client.open_events(self.url, self.parser.last_id())? {
            Stream::Absent => Ok(Brought::End),
            Stream::Open(lines) => self.print_all(lines),
        }
    }

    fn print_all(&mut self, mut lines: Lines) -> Result<Brought, ReadError> {
        let mut brought = Brought::Nothing;
        while let Some(line) = lines.next_line().map_err(ReadError::Broken)? {
            if let Some(event) = self.parser.line(&line)? {
                self.print(&event).map_err(ReadError::Output)?;
                brought = Brought::Lines;
            }
        }
        Ok(brought)
    }

    fn print(&self, event: &Event) -> Result<(), Failure> {
        let render = |line: &str| match self.session.output.format {
            Format::Text => render_line(line, self.session.output.style),
            Format::Json => render_line_json(line),
        };
        self.session.output.print(&event.data.split('\n').map(render).collect::<String>())
    }

    /// Takes the stream up again whenever it ends or breaks, behind the last line that was printed.
    fn tail(&mut self) -> Result<(), Failure> {
        let mut fruitless = 0;
        loop {
            match self.read_once() {
                Ok(Brought::End) => {
                    self.session.output.note("The log stream has ended.");
                    return Ok(());
                }
                Ok(Brought::Lines) => fruitless = 0,
                Ok(Brought::Nothing) => fruitless += 1,
                Err(ReadError::Broken(error)) => {
                    fruitless += 1;
                    self.session
                        .output
                        .warn(&format!("the log stream broke off ({error}); taking it up again"));
                }
                Err(ReadError::Client(error)) if error.may_pass() => fruitless += 1,
                Err(error) => return Err(error.into()),
            }
            if fruitless > MAX_FRUITLESS {
                return Err(Failure::new("the log stream cannot be taken up again"));
            }
            let asked = self.parser.retry_millis().map(Duration::from_millis);
            std::thread::sleep(asked.unwrap_or(DEFAULT_RETRY).min(MAX_RETRY));
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Client(error) => error.into(),
            ReadError::Output(failure) => failure,
            ReadError::Broken(_) | ReadError::Event(_) => Self::of(&error),
        }
    }
}

/// The parts of `2026-01-31T12:00:00.123456+00:00 app[web.1]: hello`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct LogLine<'a> {
    at: &'a str,
    source: &'a str,
    process: &'a str,
    message: &'a str,
}

fn parse_line(line: &str) -> Option<LogLine<'_>> {
    let (head, message) = line.split_once("]: ").or_else(|| Some((line.strip_suffix("]:")?, "")))?;
    let (at, origin) = head.split_once(' ')?;
    let (source, process) = origin.split_once('[')?;
    let plain = !source.is_empty() && !source.contains(' ') && !process.contains([' ', '[', ']']);
    plain.then_some(LogLine { at, source, process, message })
}

fn render_line(line: &str, style: Style) -> String {
    let Some(parts) = parse_line(line) else { return format!("{line}\n") };
    let head = format!("{} {}[{}]:", parts.at, parts.source, parts.process);
    let head = if parts.source == "app" { style.cyan(&head) } else { style.dim(&head) };
    if parts.message.is_empty() { format!("{head}\n") } else { format!("{head} {}\n", parts.message) }
}

/// One object a line. What is not of the form is a message alone.
fn render_line_json(line: &str) -> String {
    let plain = LogLine { at: "", source: "", process: "", message: line };
    let parts = parse_line(line).unwrap_or(plain);
    serde_json::to_string(&parts).expect("texts are JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2026-01-31T12:00:00.123456+00:00 app[web.1]: GET /]: 200";

    #[test]
    fn lines_are_taken_apart() {
        let parsed = parse_line(LINE).expect("a log line");
        let at = "2026-01-31T12:00:00.123456+00:00";
        assert_eq!(parsed, LogLine { at, source: "app", process: "web.1", message: "GET /]: 200" });
        for odd in ["", "hello", "]: ", "a b]: c", "a []: c", "a b c[d]: e"] {
            assert_eq!(parse_line(odd), None, "{odd}");
            assert_eq!(render_line(odd, Style::Colour), format!("{odd}\n"));
        }
    }

    #[test]
    fn plain_text_is_passed_on_as_it_came() {
        for line in [LINE, "2026-01-31T12:00:00+00:00 heroku[router]:", "x"] {
            assert_eq!(render_line(line, Style::Plain), format!("{line}\n"));
        }
        assert!(render_line(LINE, Style::Colour).contains("\u{1b}[36m"));
    }

    #[test]
    fn json_lines() {
        insta::assert_snapshot!(render_line_json(LINE), @r#"{"at":"2026-01-31T12:00:00.123456+00:00","source":"app","process":"web.1","message":"GET /]: 200"}"#);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_printed_whole(line in "[^\n]{0,80}") {
            proptest::prop_assert_eq!(render_line(&line, Style::Plain), format!("{line}\n"));
        }
    }
}
