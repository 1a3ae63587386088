//! The route table: every path that answers, with what it asks of the caller, what it takes and what it gives.
//!
//! Handlers register through [`Routes`], so a route that is not in the table does not exist. The published description of the API,
//! the page that says which of Heroku's links there are, and the tests of every route as every role are made from it. Must not:
//! decide anything about a request; operations authorise by themselves, and a test holds them to what is written here.

use crate::state::State;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use domain::policy::Action;

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    /// Parameters in braces: `/apps/{app}`.
    pub path: &'static str,
    pub about: About,
}

/// What a route is for.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// `Rename an app, or change its maintenance mode`.
    pub summary: &'static str,
    pub needs: Needs,
    /// The name of the type of its JSON body.
    pub takes: Option<&'static str>,
    pub gives: Gives,
}

/// What a caller must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Anybody may ask.
    Nothing,
    /// The address itself holds a secret.
    Ticket,
    /// Any valid token; the answer is about the caller's own account.
    Token,
    /// A role over some app which allows this, or the right to make apps.
    SomeApp(Action),
    /// A role over the app that the path names which allows this.
    App(Action),
    /// A role over the installation which allows this.
    Installation(Action),
}

/// What comes back when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// An object of this type, with this status.
    One(u16, &'static str),
    /// A list of objects of this type, by pages.
    Many(&'static str),
    /// Bytes that are no JSON.
    Bytes(&'static str),
    /// Always a refusal: clients ask for it and go on when they are told so.
    Refusal(u16),
}

impl About {
    const fn new(summary: &'static str, needs: Needs) -> Self {
        Self { summary, needs, takes: None, gives: Gives::One(200, "Empty") }
    }

    pub const fn open(summary: &'static str) -> Self {
        Self::new(summary, Needs::Nothing)
    }

    pub const fn ticket(summary: &'static str) -> Self {
        Self::new(summary, Needs::Ticket)
    }

    pub const fn account(summary: &'static str) -> Self {
        Self::new(summary, Needs::Token)
    }

    pub const fn some_app(action: Action, summary: &'static str) -> Self {
        Self::new(summary, Needs::SomeApp(action))
    }

    pub const fn app(action: Action, summary: &'static str) -> Self {
        Self::new(summary, Needs::App(action))
    }

    pub const fn installation(action: Action, summary: &'static str) -> Self {
        Self::new(summary, Needs::Installation(action))
    }

    #[must_use]
    pub const fn takes(self, body: &'static str) -> Self {
        Self { takes: Some(body), ..self }
    }

    #[must_use]
    pub const fn one(self, object: &'static str) -> Self {
        Self { gives: Gives::One(200, object), ..self }
    }

    #[must_use]
    pub const fn created(self, object: &'static str) -> Self {
        Self { gives: Gives::One(201, object), ..self }
    }

    #[must_use]
    pub const fn accepted(self) -> Self {
        Self { gives: Gives::One(202, "Empty"), ..self }
    }

    #[must_use]
    pub const fn many(self, object: &'static str) -> Self {
        Self { gives: Gives::Many(object), ..self }
    }

    #[must_use]
    pub const fn bytes(self, media_type: &'static str) -> Self {
        Self { gives: Gives::Bytes(media_type), ..self }
    }

    #[must_use]
    pub const fn refused(self, status: u16) -> Self {
        Self { gives: Gives::Refusal(status), ..self }
    }
}

/// Routes with their handlers.
#[derive(Default)]
pub struct Routes {
    router: Router<State>,
    table: Vec<Route>,
}

macro_rules! methods {
    ($($name:ident = $method:literal),+) => {
        impl Routes {
            $(
                #[must_use]
                pub fn $name<H, T>(self, path: &'static str, handler: H, about: About) -> Self
                where
                    H: Handler<T, State>,
                    T: 'static,
                {
                    self.add($method, path, routing::$name(handler), about)
                }
            )+
        }
    };
}

methods!(get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE");

impl Routes {
    pub fn new() -> Self {
        Self::default()
    }

    fn add(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<State>,
        about: About,
    ) -> Self {
        self.router = self.router.route(path, handler);
        self.table.push(Route { method, path, about });
        self
    }

    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// For bodies that are read piece by piece and bounded by their reader.
    #[must_use]
    pub fn without_body_limit(mut self) -> Self {
        self.router = self.router.layer(DefaultBodyLimit::disable());
        self
    }

    pub fn into_router(self) -> Router<State> {
        self.router
    }

    pub fn into_table(self) -> Vec<Route> {
        self.table
    }
}

/// Whether a path has the shape of a route's: a segment in braces takes any one segment.
pub fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if wanted.starts_with('{') => {
                if segment.is_empty() {
                    return false;
                }
            }
            (Some(wanted), Some(segment)) if wanted == segment => {}
            (_, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for (pattern, path, expected) in [
            ("/apps", "/apps", true),
            ("/apps/{app}", "/apps/x", true),
            ("/apps/{}", "/apps/", false),
            ("/apps/{app}", "/apps/x/y", false),
            ("/apps/{app}/addons", "/apps/x/y", false),
            ("/", "/", true),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }
}
