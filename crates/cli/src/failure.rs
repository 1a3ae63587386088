//! What the user is told when a command does not succeed: one line, its causes, what to do.

use crate::exit::Code;
use crate::text::Style;
use api::client::ClientError;
use api::client::forwarder::ForwarderError;
use api::client::rendezvous::RendezvousError;
use std::error::Error;
use std::io;

/// A command that did not succeed.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    message: String,
    /// Further causes, the nearest first.
    causes: Vec<String>,
    hints: Vec<String>,
    /// The server's id of the error, by which documentation and other clients know it.
    id: Option<String>,
    /// The reader of our output has gone: nothing is wrong and nobody listens.
    silent: bool,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            code: Code::Failed,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            id: None,
            silent: false,
        }
    }

    /// With everything that an error says, its sources included.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(error.to_string());
        failure.causes = causes_of(error);
        failure
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// As it is printed.
    pub fn render(&self, style: Style) -> String {
        let mut text = format!("{} {}\n", style.red("error:"), self.message);
        for cause in &self.causes {
            text += &format!("  because {cause}\n");
        }
        for hint in &self.hints {
            text += &format!("{} {hint}\n", style.cyan("hint:"));
        }
        if let Some(id) = &self.id {
            text += &format!("{}\n", style.dim(&format!("error id: {id}")));
        }
        text
    }
}

/// The sources of an error, without those that only repeat the one before them.
fn causes_of(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        next = cause.source();
        // The HTTP library puts the kind before what the system says.
        let text = cause.to_string().trim_start_matches("io: ").to_owned();
        if !last.contains(&text) {
            causes.push(text.clone());
        }
        last = text;
    }
    causes
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let Some(body) = error.api() else { return from_unanswered(&error) };
        let mut failure = Self::new(body.message.clone()).code(Code::Refused);
        failure.hints.clone_from(&body.hints);
        failure.id = Some(body.id.clone());
        if body.id == "unauthorized" && body.hints.is_empty() {
            failure.hints.push("Log in with `dozen login`, or check DOZEN_TOKEN.".to_owned());
        }
        failure
    }
}

fn from_unanswered(error: &ClientError) -> Failure {
    let failure = Failure::of(error);
    if error.is_distrust() {
        return failure.hint(
            "The server's certificate is not trusted. If the server has its own certificate authority, pass its file: `dozen login --ca-file CA.PEM`, or set DOZEN_CA_FILE.",
        );
    }
    if error.may_pass() {
        return failure.hint(
            "Is the server running? Which one is meant is shown by `dozen auth:whoami` and set by DOZEN_URL.",
        );
    }
    failure
}

impl From<ForwarderError> for Failure {
    fn from(error: ForwarderError) -> Self {
        Self::of(&error)
    }
}

impl From<RendezvousError> for Failure {
    fn from(error: RendezvousError) -> Self {
        Self::of(&error).code(Code::NotRun)
    }
}

/// Standard output that nobody reads any more is not a failure: `dozen logs | head`.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        let code = if silent { Code::Done } else { Code::Failed };
        Self { silent, code, ..Self::of(&error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::error::{ErrorBody, ErrorId};

    #[test]
    fn a_refusal_shows_reason_hints_and_id() {
        let body =
            ErrorBody::not_found("app", "There is no app named hallo.").with_hint("Did you mean hello?");
        let failure = Failure::from(ClientError::Api { status: 404, body: Box::new(body) });
        assert_eq!(failure.code, Code::Refused);
        insta::assert_snapshot!(failure.render(Style::Plain), @r"
        error: There is no app named hallo.
        hint: Did you mean hello?
        error id: not_found
        ");
    }

    #[test]
    fn a_missing_login_is_told_what_to_do() {
        let body = ErrorBody::new(ErrorId::Unauthorized, "The token is not valid.");
        let text = Failure::from(ClientError::Api { status: 401, body: Box::new(body) }).render(Style::Plain);
        assert!(text.contains("dozen login"), "{text}");
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let outer = Outer(io::Error::other("inner"));
        insta::assert_snapshot!(Failure::of(&outer).render(Style::Plain), @r"
        error: outer
          because inner
        ");
    }
}
