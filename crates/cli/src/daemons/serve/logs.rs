//! The log hub, as the engine and the front door see it: what goes out is blanked of what the app's releases keep secret. The values
//! are looked up after the lines were read, so that whatever a process was started with is known before its lines are shown.

use domain::cause::chain;
use domain::config_vars::ConfigVars;
use domain::ids::{AppId, ReleaseId};
use engine::context::Context;
use engine::error::Error as EngineError;
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
/// Newest releases of an app whose secrets are blanked: older ones' processes have ended, and their lines go by age.
const BLANKED_RELEASES: u32 = 20;

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
        let mut secrets = Secrets { engine: self.engine.clone(), app: query.app, known: None };
        // Nobody is let in whose lines could not be shown.
        secrets.redactor().map_err(|error| error.message().to_owned())?;
        let filter = render_filter(query);
        match query.follow {
            Follow::Stop => {
                let past =
                    self.past(query, &filter, &mut secrets).map_err(|error| error.message().to_owned());
                Ok(Box::new(Past(Some(past?))))
            }
            Follow::GoOn => {
                let cursor = query.after.as_deref().and_then(|after| after.parse::<Cursor>().ok());
                let start = cursor.map_or(Start::Last(query.lines), Start::After);
                let tail = self.hub.tail(query.app, filter, start).map_err(|error| chain(&error))?;
                Ok(Box::new(Following { tail, runtime: self.runtime.clone(), secrets }))
            }
        }
    }
}

impl HubFeeds {
    fn past(
        &self,
        query: &LogQuery,
        filter: &Filter,
        secrets: &mut Secrets,
    ) -> Result<Vec<LogRecord>, EngineError> {
        let lines = self.hub.query(query.app, filter, query.lines);
        let redactor = secrets.redactor()?;
        let positions = lines.iter().map(|line| Cursor::after(line.key)).collect::<Vec<_>>();
        Ok(lines.into_iter().zip(&positions).map(|(line, after)| record(line, after, redactor)).collect())
    }
}

/// What the lines of one app may not show: the values of config vars that look like secrets, of all releases whose processes may
/// have written them.
struct Secrets {
    engine: Engine,
    app: AppId,
    /// With the newest release when they were looked up.
    known: Option<(Option<ReleaseId>, Redactor)>,
}

impl Secrets {
    /// An error if the values cannot be read: then nothing may be shown.
    fn redactor(&mut self) -> Result<&Redactor, EngineError> {
        let (context, app) = (Context::system("logs"), AppRef::from(self.app));
        let newest = ops::config::newest_release(&self.engine, &context, &app)?;
        let known = match self.known.take().filter(|(of, _)| *of == newest) {
            Some(known) => known,
            None => {
                let vars = ops::config::of_newest_releases(&self.engine, &context, &app, BLANKED_RELEASES)?;
                (newest, redactor_of(&vars))
            }
        };
        Ok(&self.known.insert(known).1)
    }
}

fn redactor_of(releases: &[ConfigVars]) -> Redactor {
    let vars = releases.iter().flat_map(ConfigVars::iter);
    let secrets = vars.filter(|(key, value)| key.names_a_secret() || has_password(value.expose()));
    Redactor::new(secrets.map(|(_, value)| value.expose().as_str()))
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

fn record(mut line: Line, cursor: &Cursor, redactor: &Redactor) -> LogRecord {
    redactor.redact(&mut line.text);
    let message = String::from_utf8_lossy(&line.text).into_owned();
    LogRecord { cursor: cursor.to_string(), line: render(&line), message }
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
    secrets: Secrets,
}

impl LogFeed for Following {
    fn next(&mut self, at_most: Duration) -> LogNext {
        let first = self.runtime.block_on(async { tokio::time::timeout(at_most, self.tail.next()).await });
        let Ok(first) = first else { return LogNext::Quiet };
        let Some(first) = first else { return LogNext::End };
        let mut lines = vec![(first, self.tail.cursor().clone())];
        while lines.len() < LINES_AT_ONCE {
            let Some(line) = self.tail.try_next() else { break };
            lines.push((line, self.tail.cursor().clone()));
        }
        match self.secrets.redactor() {
            Ok(redactor) => LogNext::Lines(
                lines.into_iter().map(|(line, after)| record(line, &after, redactor)).collect(),
            ),
            Err(error) => {
                tracing::warn!(error = chain(&error), "a log stream ends: what is secret cannot be read");
                LogNext::End
            }
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod url_tests {
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
