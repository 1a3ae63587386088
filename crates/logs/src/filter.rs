//! Which of an app's lines are wanted.

use crate::line::Source;
use domain::ids::{AppId, ProcessId};
use journal::{FrameRef, Kind, Stream};

/// Every condition given must hold. The default wants all lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub source: Option<Source>,
    pub name: Option<NameFilter>,
    pub stream: Option<Stream>,
    /// One process, whatever others of the same name there are.
    pub process: Option<ProcessId>,
}

/// A process by its name or by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFilter {
    /// `web.1`, `router`, `api`: exactly that.
    Exact(String),
    /// `web`: `web.1`, `web.2`, ...
    Type(String),
}

impl NameFilter {
    /// `web.1` means that process; `web` means every process of the type (and `router` the router).
    pub fn parse(text: &str) -> Self {
        match text.rsplit_once('.') {
            Some((_, number)) if is_number(number) => Self::Exact(text.to_owned()),
            Some(_) | None => Self::Type(text.to_owned()),
        }
    }

    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Type(wanted) => match name.strip_prefix(wanted.as_str()) {
                Some("") => true,
                Some(rest) => rest.strip_prefix('.').is_some_and(is_number),
                None => false,
            },
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Filter {
    /// Whether a frame's line is wanted among those of `app`. Notices of dropped lines always are: the lines may have been wanted
    /// ones. So is one of the nil app, which a writer uses when it has lost count of whose the lines were.
    pub(crate) fn wants(&self, app: AppId, frame: &FrameRef<'_>) -> bool {
        match frame.kind {
            Kind::Dropped => frame.app == app || frame.app == AppId::from_u128(0),
            Kind::Line | Kind::Seal => {
                frame.app == app
                    && self.source.is_none_or(|source| source == Source::of(frame.stream))
                    && self.stream.is_none_or(|stream| stream == frame.stream)
                    && self.process.is_none_or(|process| frame.process == Some(process))
                    && self.name.as_ref().is_none_or(|name| name.matches(frame.name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::Stamp;

    #[test]
    fn names() {
        let cases = [
            ("web.1", "web.1", true),
            ("web.1", "web.11", false),
            ("web", "web.1", true),
            ("web", "web.12", true),
            ("web", "web", true),
            ("web", "webhook.1", false),
            ("web", "web.1.2", false),
            ("web", "worker.1", false),
            ("router", "router", true),
            ("run.4821", "run.4821", true),
            ("", "web.1", false),
        ];
        for (filter, name, expected) in cases {
            assert_eq!(NameFilter::parse(filter).matches(name), expected, "{filter} on {name}");
        }
    }

    #[test]
    fn all_conditions_hold_together_and_notices_always_pass() {
        let app = AppId::from_u128(1);
        let frame = |kind, stream, name| FrameRef {
            kind,
            app,
            process: None,
            name,
            stream,
            stamp: Stamp::default(),
            sequence: 0,
            payload: b"",
        };
        let (heroku, web) = (Some(Source::Heroku), Some(NameFilter::parse("web")));
        let cases = [
            (Filter::default(), Stream::Stdout, "web.1", true),
            (Filter { source: heroku, ..Filter::default() }, Stream::Stdout, "web.1", false),
            (
                Filter { source: heroku, name: web.clone(), ..Filter::default() },
                Stream::Platform,
                "web.1",
                true,
            ),
            (
                Filter { source: heroku, name: web.clone(), ..Filter::default() },
                Stream::Router,
                "router",
                false,
            ),
            (Filter { stream: Some(Stream::Stderr), ..Filter::default() }, Stream::Stdout, "web.1", false),
            (Filter { source: Some(Source::App), ..Filter::default() }, Stream::Api, "api", true),
        ];
        for (filter, stream, name, expected) in cases {
            assert_eq!(filter.wants(app, &frame(Kind::Line, stream, name)), expected, "{filter:?} on {name}");
            let nobodys = FrameRef { app: AppId::from_u128(0), ..frame(Kind::Dropped, stream, name) };
            assert!(filter.wants(app, &nobodys));
            assert!(!filter.wants(AppId::from_u128(2), &frame(Kind::Line, stream, name)));
            assert!(filter.wants(app, &frame(Kind::Dropped, stream, name)));
        }
    }
}
