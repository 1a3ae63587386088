//! `maintenance`, `maintenance:on`, `maintenance:off`.

use crate::failure::Failure;
use crate::session::{AppFlags, Session};
use api::app::UpdateApp;
use api::client::Client;
use clap::Args;

/// `dozen maintenance`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    flags: AppFlags,
}

impl Show {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let app = at.ask(Client::app)?;
        session.output.data(&app.maintenance, |_| format!("{}\n", word(app.maintenance)))
    }
}

const fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// `dozen maintenance:on`.
#[derive(Debug, Args)]
pub struct On {
    #[command(flatten)]
    flags: AppFlags,
}

impl On {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        set(session, &self.flags, true)
    }
}

/// `dozen maintenance:off`.
#[derive(Debug, Args)]
pub struct Off {
    #[command(flatten)]
    flags: AppFlags,
}

impl Off {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        set(session, &self.flags, false)
    }
}

fn set(session: &Session, flags: &AppFlags, on: bool) -> Result<(), Failure> {
    let at = session.app_client(flags)?;
    let what = if on { "Enabling" } else { "Disabling" };
    let progress = session.output.begin(&format!("{what} maintenance mode for {}", at.app));
    let change = UpdateApp { maintenance: Some(on), ..UpdateApp::default() };
    let app = at.ask(|client, app| client.update_app(app, &change))?;
    progress.done("");
    session.output.data(&app, |_| String::new())
}
