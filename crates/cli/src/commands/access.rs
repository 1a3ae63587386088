//! `access`, `access:add`, `access:update`, `access:remove`: with whom an app is shared; `accounts`, `accounts:create`,
//! `accounts:token`: who may use the server at all.

use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Style, Table, render_heading};
use api::client::Client;
use api::collaborator::{Collaborator, CreateCollaborator};
use api::dozen::account::{AccountEntry, CreateAccount, CreatedAccount};
use api::reference::Identity;
use clap::{Args, ValueEnum};

/// What somebody may do with an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AppRole {
    /// Looks, but sees no config var
    Viewer,
    /// Pushes, configures, scales and runs
    Operator,
    /// Everything, sharing and destroying too
    Owner,
}

impl AppRole {
    const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

/// `dozen access`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    flags: AppFlags,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        session.app_client(&self.flags)?.show_list(session, Client::collaborators, render_people)
    }
}

fn render_people(app: &str, people: &[Collaborator], style: Style) -> String {
    let mut table = Table::default();
    for person in people {
        let permissions: Vec<_> = person.permissions.iter().map(|held| held.name.as_str()).collect();
        table.row([person.user.email.clone(), our_word(person).to_owned(), permissions.join(", ")]);
    }
    render_heading(&format!("{app} Access"), style) + &table.render()
}

/// On the wire roles have Heroku's names.
fn our_word(person: &Collaborator) -> &str {
    match person.role.as_deref() {
        Some("collaborator") => "operator",
        Some("member") => "viewer",
        Some(other) => other,
        None => "none",
    }
}

/// Whom, and as what.
#[derive(Debug, Args)]
struct Grant {
    /// The address of the person's account
    #[arg(value_name = "EMAIL")]
    email: String,
    /// What they may do
    #[arg(long, value_enum, conflicts_with = "permissions")]
    role: Option<AppRole>,
    /// Heroku's words for it, separated by commas: view, deploy, operate, manage
    #[arg(short, long, value_name = "WORDS", value_delimiter = ',')]
    permissions: Vec<String>,
    #[command(flatten)]
    flags: AppFlags,
}

/// `dozen access:add`.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    grant: Grant,
}

impl Add {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.grant.flags)?;
        self.grant.send(session, &at, "Adding")
    }
}

/// `dozen access:update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    grant: Grant,
}

impl Update {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        if self.grant.role.is_none() && self.grant.permissions.is_empty() {
            return Err(Failure::new("what may they do from now on?").hint("Pass --role or --permissions."));
        }
        let at = session.app_client(&self.grant.flags)?;
        let people = at.ask(Client::collaborators)?;
        if !people.iter().any(|person| person.user.email.eq_ignore_ascii_case(&self.grant.email)) {
            return Err(Failure::new(format!("{} is not shared with {}", at.app, self.grant.email))
                .hint(format!("Share it: `dozen access:add {} --app {}`.", self.grant.email, at.app)));
        }
        self.grant.send(session, &at, "Updating")
    }
}

impl Grant {
    fn send(self, session: &Session, at: &AppClient, what: &str) -> Result<(), Failure> {
        let progress = session.output.begin(&format!("{what} {} access to {}", self.email, at.app));
        let request = CreateCollaborator {
            user: Identity(self.email),
            role: self.role.map(|role| role.name().to_owned()),
            permissions: self.permissions.into_iter().map(Identity).collect(),
        };
        let added = at.ask(|client, app| client.add_collaborator(app, &request))?;
        progress.done(our_word(&added));
        session.output.data(&added, |_| String::new())
    }
}

/// `dozen access:remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The address of the person's account
    #[arg(value_name = "EMAIL")]
    email: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Remove {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let progress = session.output.begin(&format!("Removing {} access from {}", self.email, at.app));
        let removed = at.ask(|client, app| client.remove_collaborator(app, &self.email))?;
        progress.done("");
        session.output.data(&removed, |_| String::new())
    }
}

/// `dozen accounts`.
#[derive(Debug, Args)]
pub struct Accounts {}

impl Accounts {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let accounts = session.client()?.accounts()?;
        session.output.data(&accounts, |_| render_accounts(&accounts))
    }
}

fn render_accounts(accounts: &[AccountEntry]) -> String {
    let mut table = Table::default();
    for account in accounts {
        table.row([account.email.clone(), account.role.clone()]);
    }
    table.render()
}

/// What somebody may do on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ServerRole {
    /// Nothing but what is shared with them
    None,
    /// Creates apps
    Owner,
    /// Everything
    Admin,
}

/// `dozen accounts:create`.
#[derive(Debug, Args)]
pub struct CreateOne {
    /// The person's address
    #[arg(value_name = "EMAIL")]
    email: String,
    /// What they may do on the server
    #[arg(long, value_enum, default_value = "owner")]
    role: ServerRole,
}

impl CreateOne {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let role = match self.role {
            ServerRole::None => "none",
            ServerRole::Owner => "owner",
            ServerRole::Admin => "admin",
        };
        let progress = session.output.begin(&format!("Creating an account for {}", self.email));
        let request = CreateAccount { email: self.email, role: Some(role.to_owned()) };
        let made = client.create_account(&request)?;
        progress.done("");
        tell_token(session, &made)
    }
}

/// `dozen accounts:token`.
#[derive(Debug, Args)]
pub struct Token {
    /// The person's address
    #[arg(value_name = "EMAIL")]
    email: String,
}

impl Token {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let progress = session.output.begin(&format!("Making a token for {}", self.email));
        let made = client.create_account_token(&self.email)?;
        progress.done("");
        tell_token(session, &made)
    }
}

/// The token is data; what to do with it is not.
fn tell_token(session: &Session, made: &CreatedAccount) -> Result<(), Failure> {
    session.output.note(&format!(
        "This token is shown once. Hand it to {}, who logs in with it: `dozen login`",
        made.account.email
    ));
    session.output.data(made, |_| format!("{}\n", made.token.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn people_by_our_words() {
        let people = [
            samples::collaborator("ada@example.com", "owner", &["view", "deploy", "operate", "manage"]),
            samples::collaborator("bob@example.com", "collaborator", &["view", "deploy", "operate"]),
            samples::collaborator("eve@example.com", "member", &["view"]),
        ];
        insta::assert_snapshot!(render_people("hello", &people, Style::Plain), @r"
        === hello Access

        ada@example.com  owner     view, deploy, operate, manage
        bob@example.com  operator  view, deploy, operate
        eve@example.com  viewer    view
        ");
    }
}
