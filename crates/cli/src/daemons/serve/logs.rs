//! The log hub, as the engine and the front door see it.

use domain::cause::chain;
use domain::ids::AppId;
use engine::context::Context;
use engine::ports::{AppLog, LogLine, LogStream};
use engine::reference::AppRef;
use engine::{Engine, ops};
use journal::Stream;
use logs::{Cursor, Filter, Hub, Line, NameFilter, OwnLine, Redactor, Source, Start, Tail, render};
use server::ports::{Follow, LogFeed, LogHub, LogNext, LogQuery, LogRecord, LogSource};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Lines handed over at once.
const LINES_AT_ONCE: usize = 500;

/// The server's own lines go to the hub.
pub struct HubLog(pub Arc<Hub>);

impl AppLog for HubLog {
    fn append(&self, app: AppId, line: LogLine) {
        let stream = match line.stream {
            LogStream::Api => Stream::Api,
            LogStream::Platform => Stream::Platform,
        };
        self.0.append(&OwnLine { app, process: line.process, stream, name: &line.name, text: &line.text });
    }
}

/// Serves queries and tails.
pub struct HubFeeds {
    pub hub: Arc<Hub>,
    pub engine: Engine,
    pub runtime: Handle,
}

impl LogHub for HubFeeds {
    fn open(&self, query: &LogQuery) -> Result<Box<dyn LogFeed>, String> {
        let redactor = Arc::new(self.redactor(query.app));
        let filter = render_filter(query);
        match query.follow {
            Follow::Stop => Ok(Box::new(Past(Some(self.past(query, &filter, &redactor))))),
            Follow::GoOn => {
                let cursor = query.after.as_deref().and_then(|after| after.parse::<Cursor>().ok());
                let start = cursor.map_or(Start::Last(query.lines), Start::After);
                let tail =
                    self.hub.tail(query.app, filter, start, redactor).map_err(|error| chain(&error))?;
                Ok(Box::new(Following { tail, runtime: self.runtime.clone() }))
            }
        }
    }
}

impl HubFeeds {
    fn past(&self, query: &LogQuery, filter: &Filter, redactor: &Redactor) -> Vec<LogRecord> {
        let lines = self.hub.query(query.app, filter, query.lines, redactor);
        lines.iter().map(|line| record(line, &Cursor::after(line.key))).collect()
    }

    /// Blanks the values of config vars that look like secrets.
    fn redactor(&self, app: AppId) -> Redactor {
        let vars = ops::config::get(&self.engine, &Context::system("logs"), &AppRef::from(app));
        match vars {
            Ok(vars) => {
                let secrets =
                    vars.iter().filter(|(key, value)| key.names_a_secret() || has_password(value.expose()));
                Redactor::new(secrets.map(|(_, value)| value.expose().as_str()))
            }
            // Without the values nothing can be blanked; the app is gone or the ledger is away, and so are its readers soon.
            Err(_) => Redactor::none(),
        }
    }
}

/// `scheme://user:password@host`
fn has_password(value: &str) -> bool {
    let user_info =
        value.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next()?.rsplit_once('@'));
    user_info.is_some_and(|(user_info, _)| user_info.contains(':'))
}

fn render_filter(query: &LogQuery) -> Filter {
    let exact = query.name.clone().map(NameFilter::Exact);
    let of_type = query.process_type.clone().map(NameFilter::Type);
    let source = query.source.map(|source| match source {
        LogSource::App => Source::App,
        LogSource::Heroku => Source::Heroku,
    });
    Filter { source, name: exact.or(of_type), stream: None, process: query.process }
}

fn record(line: &Line, cursor: &Cursor) -> LogRecord {
    let message = String::from_utf8_lossy(&line.text).into_owned();
    LogRecord { cursor: cursor.to_string(), line: render(line), message }
}

/// Lines of the past, given out once.
struct Past(Option<Vec<LogRecord>>);

impl LogFeed for Past {
    fn next(&mut self, _: Duration) -> LogNext {
        match self.0.take() {
            Some(lines) if !lines.is_empty() => LogNext::Lines(lines),
            Some(_) | None => LogNext::End,
        }
    }
}

/// Lines as they come.
struct Following {
    tail: Tail,
    runtime: Handle,
}

impl LogFeed for Following {
    fn next(&mut self, at_most: Duration) -> LogNext {
        let first = self.runtime.block_on(async { tokio::time::timeout(at_most, self.tail.next()).await });
        let Ok(first) = first else { return LogNext::Quiet };
        let Some(first) = first else { return LogNext::End };
        let mut lines = vec![record(&first, self.tail.cursor())];
        while lines.len() < LINES_AT_ONCE {
            let Some(line) = self.tail.try_next() else { break };
            lines.push(record(&line, self.tail.cursor()));
        }
        LogNext::Lines(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn urls_with_passwords_are_secrets() {
        for (value, expected) in [
            ("postgres://ada:secret@db/1", true),
            ("postgres://ada@db/1", false),
            ("https://example.com/a:b@c", false),
            ("production", false),
        ] {
            assert_eq!(has_password(value), expected, "{value}");
        }
    }
}
