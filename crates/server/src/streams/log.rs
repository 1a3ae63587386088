//! Log sessions. Without tail: the lines, then an orderly end. With tail: for as long as the client stays and the server lives;
//! a client that comes again with `Last-Event-ID` goes on after that line.

use super::feed::Form;
use super::right::Leash;
use super::ticket::LogTicket;
use super::{Gone, Pen, answer, sheet};
use crate::http::error::Refusal;
use crate::places::Place;
use crate::ports::{Follow, LogFeed, LogNext, LogQuery, LogSource};
use crate::state::State;
use api::error::ErrorId;
use axum::response::Response;
use domain::ids::AccountId;
use http::HeaderMap;
use std::time::{Duration, Instant};

/// How long one look at the log lasts: the delay with which a stream notices that the server ends.
const LOOK: Duration = Duration::from_secs(1);
/// Silence that no proxy and no client takes for a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Longer cursors are not ours.
const MAX_CURSOR: usize = 256;

pub async fn open(
    state: &State,
    wanted: &LogTicket,
    headers: &HeaderMap,
    leash: Leash,
    place: Place<AccountId>,
) -> Result<Response, Refusal> {
    let query = query(wanted, headers);
    let logs = state.logs.clone();
    let opened =
        tokio::task::spawn_blocking(move || logs.open(&query)).await.map_err(|_| Refusal::internal())?;
    let feed = opened.map_err(|reason| Refusal::new(ErrorId::Unavailable, reason))?;
    let form = Form::of(headers);
    let (pen, body) = sheet(place);
    state.tasks.spawn_blocking(move || copy(feed, &pen, form, leash));
    Ok(answer(form.content_type(), body))
}

fn query(wanted: &LogTicket, headers: &HeaderMap) -> LogQuery {
    let after = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    LogQuery {
        app: wanted.app,
        lines: wanted.lines,
        follow: if wanted.tail { Follow::GoOn } else { Follow::Stop },
        name: wanted.dyno.clone(),
        process_type: wanted.process_type.clone(),
        source: wanted.source.as_deref().and_then(parse_source),
        process: None,
        after: after.filter(|text| !text.is_empty() && text.len() <= MAX_CURSOR).map(str::to_owned),
    }
}

/// `app`, `heroku`; anything else does not filter.
fn parse_source(text: &str) -> Option<LogSource> {
    match text {
        "app" => Some(LogSource::App),
        "heroku" | "dozen" => Some(LogSource::Heroku),
        _ => None,
    }
}

fn copy(mut feed: Box<dyn LogFeed>, pen: &Pen, form: Form, mut leash: Leash) {
    let mut spoken = Instant::now();
    while leash.holds() {
        let written = match feed.next(LOOK) {
            LogNext::End => return,
            LogNext::Lines(records) => pen.write(form.render(&records)),
            LogNext::Quiet if spoken.elapsed() < HEARTBEAT => {
                if pen.pieces.is_closed() {
                    return;
                }
                continue;
            }
            LogNext::Quiet => form.heartbeat().map_or(Ok(()), |beat| pen.write(beat)),
        };
        if matches!(written, Err(Gone)) {
            return;
        }
        spoken = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::AppId;

    #[test]
    fn queries() {
        let wanted = LogTicket {
            app: AppId::from_u128(1),
            lines: 10,
            tail: true,
            dyno: Some("web.1".into()),
            process_type: None,
            source: Some("heroku".into()),
        };
        let mut headers = HeaderMap::new();
        assert_eq!(query(&wanted, &headers).after, None);
        headers.insert("last-event-id", "abc".parse().unwrap());
        let found = query(&wanted, &headers);
        assert_eq!((found.after.as_deref(), found.follow), (Some("abc"), Follow::GoOn));
        assert_eq!((found.source, found.lines), (Some(LogSource::Heroku), 10));
        headers.insert("last-event-id", "x".repeat(300).parse().unwrap());
        assert_eq!(query(&wanted, &headers).after, None);
        assert_eq!(parse_source("router"), None);
    }
}
