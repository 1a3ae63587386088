//! `authorizations` and its verbs: the access tokens of one's account.

use crate::failure::Failure;
use crate::session::Session;
use crate::text::{Fields, Style, Table, render_heading, render_when};
use api::Timestamp;
use api::oauth::{Authorization, CreateAuthorization, UpdateAuthorization};
use clap::Args;

/// `dozen authorizations`.
#[derive(Debug, Args)]
pub struct List {}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let mut tokens = session.client()?.authorizations()?;
        tokens.sort_by(|a, b| a.description.cmp(&b.description).then(a.created_at.cmp(&b.created_at)));
        session.output.data(&tokens, |_| render_tokens(&tokens))
    }
}

fn render_tokens(tokens: &[Authorization]) -> String {
    let mut table = Table::default();
    for token in tokens {
        table.row([
            token.description.clone(),
            token.id.to_string(),
            token.scope.join(", "),
            render_end(token),
        ]);
    }
    table.render()
}

/// When it ends.
fn render_end(token: &Authorization) -> String {
    let seconds = token.access_token.as_ref().and_then(|access| access.expires_in);
    match seconds.and_then(|seconds| i64::try_from(seconds).ok()) {
        None => "lasts".to_owned(),
        Some(seconds) => {
            let end = Timestamp::from_unix_seconds(token.created_at.as_unix_seconds() + seconds);
            format!("until {end}")
        }
    }
}

/// `dozen authorizations:create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it is for
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Seconds until it ends. Default: never
    #[arg(short, long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// What it may be used for
    #[arg(short, long, value_name = "SCOPE", default_value = "global")]
    scope: String,
    /// Print the token alone
    #[arg(short = 'S', long)]
    short: bool,
}

impl Create {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let progress = session.output.begin("Creating an authorization");
        let made = client.create_authorization(&CreateAuthorization {
            description: self.description,
            expires_in: self.expires_in,
            scope: self.scope.split(',').map(|word| word.trim().to_owned()).collect(),
        })?;
        progress.done("");
        print_secret(session, &made, self.short)
    }
}

/// The token is whole in this answer and in no later one.
fn print_secret(session: &Session, made: &Authorization, short: bool) -> Result<(), Failure> {
    session.output.note("The token is shown this once.");
    let token = made.access_token.as_ref().map_or("", |access| access.token.expose());
    session.output.data(made, |style| {
        if short { format!("{token}\n") } else { render_token(made, session.now(), style) }
    })
}

fn render_token(token: &Authorization, now: Timestamp, style: Style) -> String {
    let mut fields = Fields::default();
    fields.add("ID", token.id.to_string());
    fields.add("Description", &token.description);
    fields.add("Scope", token.scope.join(", "));
    fields.add_some("Token", token.access_token.as_ref().map(|access| access.token.expose()));
    fields.add("Ends", render_end(token));
    fields.add("Made", render_when(token.created_at, now));
    render_heading("Authorization", style) + &fields.render(style)
}

/// `dozen authorizations:info`.
#[derive(Debug, Args)]
pub struct Info {
    /// Its id. Default: the token in use
    #[arg(default_value = "~")]
    id: String,
}

impl Info {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let token = session.client()?.authorization(&self.id)?;
        session.output.data(&token, |style| render_token(&token, session.now(), style))
    }
}

/// `dozen authorizations:revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Its id
    id: String,
}

impl Revoke {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let progress = session.output.begin("Revoking the authorization");
        let revoked = client.revoke_authorization(&self.id)?;
        progress.done(&revoked.description);
        session.output.data(&revoked, |_| String::new())
    }
}

/// `dozen authorizations:rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Its id
    id: String,
}

impl Rotate {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let own = client.authorization("~")?;
        let progress = session.output.begin("Rotating the authorization");
        let rotated = client.rotate_authorization(&self.id)?;
        progress.done(&rotated.description);
        if own.id == rotated.id {
            session.output.warn("this was the token in use: log in again with the new one");
        }
        print_secret(session, &rotated, false)
    }
}

/// `dozen authorizations:update`.
#[derive(Debug, Args)]
pub struct Update {
    /// Its id
    id: String,
    /// What it is for
    #[arg(short, long, value_name = "TEXT")]
    description: String,
}

impl Update {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let progress = session.output.begin("Updating the authorization");
        let change = UpdateAuthorization { description: Some(self.description) };
        let updated = client.update_authorization(&self.id, &change)?;
        progress.done(&updated.description);
        session.output.data(&updated, |_| String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn lists_and_one() {
        let mut lasting = samples::authorization("ci", None);
        lasting.scope = vec!["global".to_owned()];
        let tokens = [lasting, samples::authorization("laptop", Some(2_592_000))];
        insta::assert_snapshot!(render_tokens(&tokens));
        insta::assert_snapshot!(render_token(&tokens[1], samples::now(), Style::Plain));
    }
}
