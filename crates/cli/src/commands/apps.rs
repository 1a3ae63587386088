//! `apps`, `apps:create`, `apps:info`, `apps:rename`, `apps:open`, `apps:destroy`.

use super::git::{Wiring, wire_remote};
use crate::failure::Failure;
use crate::git;
use crate::session::{AppFlags, Session};
use crate::text::{Fields, Style, render_heading, render_size, render_when};
use api::Timestamp;
use api::app::{App, CreateApp, UpdateApp};
use api::client::Client;
use api::dozen::status::AppStatus;
use api::formation::Formation;
use api::reference::ReleaseReference;
use clap::Args;
use serde::Serialize;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// `dozen apps`.
#[derive(Debug, Args)]
pub struct List {}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let apps = client.apps()?;
        if apps.is_empty() {
            session.output.note("You have no apps. Create one with `dozen create`.");
        }
        let account = client.account()?;
        session.output.data(&apps, |style| render_apps(&account.email, &apps, style))
    }
}

fn render_apps(email: &str, apps: &[App], style: Style) -> String {
    if apps.is_empty() {
        return String::new();
    }
    let mut names: Vec<_> =
        apps.iter().map(|app| format!("{}{}\n", app.name, render_owner(email, app))).collect();
    names.sort();
    render_heading(&format!("{email} Apps"), style) + &names.concat()
}

/// Whose app it is, where it is somebody else's.
fn render_owner(email: &str, app: &App) -> String {
    if app.owner.email == email { String::new() } else { format!("  {}", app.owner.email) }
}

/// `dozen apps:create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The app's name. Default: one is made up
    name: Option<String>,
    /// The same
    #[arg(short, long, value_name = "NAME", conflicts_with = "name")]
    app: Option<String>,
    /// The git remote to add
    #[arg(short, long, value_name = "REMOTE", default_value = "dozen")]
    remote: String,
    /// Add no git remote
    #[arg(short = 'n', long)]
    no_remote: bool,
}

impl Create {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let name = match self.name.or(self.app) {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|error: domain::names::InvalidName| Failure::of(&error))?)
            }
        };
        let progress = session
            .output
            .begin(&name.as_ref().map_or("Creating app".to_owned(), |name| format!("Creating {name}")));
        let app = client.create_app(&CreateApp { name, ..CreateApp::default() })?;
        progress.done(app.name.as_str());
        session.output.data(&app, |style| render_created(&app, style))?;
        if !self.no_remote && git::is_in_repository() {
            wire_remote(session, &Wiring::of(session, client.target(), &app, &self.remote)?)?;
        }
        Ok(())
    }
}

fn render_created(app: &App, style: Style) -> String {
    format!(
        "{} | {}\n",
        style.cyan(app.web_url.as_deref().unwrap_or("no address yet")),
        style.green(&app.git_url)
    )
}

/// `dozen apps:info`.
#[derive(Debug, Args)]
pub struct Info {
    /// The app
    name: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

/// What `apps:info --json` prints.
#[derive(Serialize)]
struct AppInfo {
    app: App,
    formation: Vec<Formation>,
    status: AppStatus,
}

impl Info {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let flags = AppFlags { app: self.name.or(self.flags.app), ..self.flags };
        let at = session.app_client(&flags)?;
        let app = at.ask(Client::app)?;
        let info =
            AppInfo { formation: at.ask(Client::formation)?, status: at.ask(Client::app_status)?, app };
        session.output.data(&info, |style| render_info(&info, session.now(), style))
    }
}

fn render_info(info: &AppInfo, now: Timestamp, style: Style) -> String {
    let AppInfo { app, formation, status } = info;
    let version = |release: &ReleaseReference| release.version.to_string();
    let mut fields = Fields::default();
    fields.add_some("Web URL", app.web_url.clone());
    fields.add("Git URL", &app.git_url);
    fields.add("Owner", &app.owner.email);
    fields.add("Created", render_when(app.created_at, now));
    fields.add("Release", status.current.as_ref().map_or("none serves yet".to_owned(), version));
    fields.add_some("Next", status.candidate.as_ref().map(version));
    fields.add("Processes", render_formation(formation));
    fields.add("Stack", &app.stack.name);
    fields.add_some("Builder", app.buildpack_provided_description.clone());
    fields.add("Maintenance", if app.maintenance { "on" } else { "off" });
    fields.add("Repository", render_size(app.repo_size.unwrap_or(0)));
    fields.add("Slug", render_size(app.slug_size.unwrap_or(0)));
    if !status.waits.is_empty() {
        fields.add("Waits", status.waits.join("\n"));
    }
    render_heading(app.name.as_str(), style) + &fields.render(style)
}

fn render_formation(formation: &[Formation]) -> String {
    if formation.is_empty() {
        return "none".to_owned();
    }
    formation
        .iter()
        .map(|share| format!("{}={}", share.process_type, share.quantity))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `dozen apps:rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// The new name
    #[arg(value_name = "NEWNAME")]
    name: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Rename {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let old = &at.app;
        let name = self.name.parse().map_err(|error: domain::names::InvalidName| Failure::of(&error))?;
        let progress = session.output.begin(&format!("Renaming {old} to {}", self.name));
        let change = UpdateApp { name: Some(name), ..UpdateApp::default() };
        let app = at.ask(|client, app| client.update_app(app, &change))?;
        progress.done("");
        for remote in git::observe_remotes().iter().filter(|remote| remote.app == *old) {
            wire_remote(session, &Wiring::of(session, at.client.target(), &app, &remote.name)?)?;
        }
        session.output.data(&app, |style| render_created(&app, style))
    }
}

/// `dozen apps:open`.
#[derive(Debug, Args)]
pub struct Open {
    /// A path below the app's address
    #[arg(value_name = "PATH", default_value = "")]
    path: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Open {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let app = at.ask(Client::app)?;
        let base = app.web_url.ok_or_else(|| Failure::new(format!("{} has no address", at.app)))?;
        let url = format!("{}/{}", base.trim_end_matches('/'), self.path.trim_start_matches('/'));
        session.output.note(&format!("Opening {url}"));
        if let Err(error) = open_in_browser(session.environment.browser(), &url) {
            session.output.warn(&format!("no browser could be started: {error}"));
        }
        session.output.data(&url, |_| format!("{url}\n"))
    }
}

/// The program of the desktop that opens addresses.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else if cfg!(windows) {
    "explorer"
} else {
    "xdg-open"
};

/// `BROWSER` goes before the desktop's own choice.
fn open_in_browser(browser: Option<&OsStr>, url: &str) -> std::io::Result<()> {
    let mut command = Command::new(browser.unwrap_or(OPENER.as_ref()));
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

/// `dozen apps:destroy`.
#[derive(Debug, Args)]
pub struct Destroy {
    /// The app
    name: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
    /// The app's name again: without it nothing is destroyed
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

impl Destroy {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let flags = AppFlags { app: self.name.or(self.flags.app), ..self.flags };
        let at = session.app_client(&flags)?;
        let app = at.ask(Client::app)?;
        match self.confirm.as_deref() {
            Some(confirmed) if confirmed == app.name.as_str() => {}
            Some(other) => {
                return Err(Failure::new(format!("--confirm says {other}, but the app is {}", app.name)));
            }
            None => {
                return Err(Failure::new(format!(
                    "{} would be destroyed with all its releases, config and logs",
                    app.name
                ))
                .hint(format!("If that is meant: `dozen apps:destroy --app {0} --confirm {0}`", app.name)));
            }
        }
        let progress = session.output.begin(&format!("Destroying {}", app.name));
        let destroyed = at.client.destroy_app(app.name.as_str())?;
        progress.done("");
        session.output.data(&destroyed, |_| String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn lists_of_apps() {
        let (mut theirs, ours) = (samples::app("shop"), samples::app("hello"));
        theirs.owner.email = "bob@example.com".to_owned();
        insta::assert_snapshot!(render_apps("ada@example.com", &[theirs, ours], Style::Plain), @r"
        === ada@example.com Apps

        hello
        shop  bob@example.com
        ");
        assert_eq!(render_apps("ada@example.com", &[], Style::Plain), "");
    }

    #[test]
    fn a_new_app_is_told_with_its_addresses() {
        let text = render_created(&samples::app("hello"), Style::Plain);
        insta::assert_snapshot!(text, @"http://hello.localhost:8080/ | https://localhost:8443/hello.git");
    }

    #[test]
    fn an_app_with_a_release_that_waits() {
        let mut status = samples::app_status("hello");
        status.candidate = Some(samples::release_reference(4));
        status.waits =
            vec!["v4: web.1 has not accepted on its port yet".to_owned(), "v4: 48 s are left".to_owned()];
        let info = AppInfo { app: samples::app("hello"), formation: samples::formation(), status };
        insta::assert_snapshot!(render_info(&info, samples::now(), Style::Plain));
    }

    #[test]
    fn an_empty_app() {
        let mut app = samples::app("hello");
        (app.slug_size, app.repo_size, app.buildpack_provided_description) = (None, None, None);
        let status = AppStatus { current: None, head: None, ..samples::app_status("hello") };
        let info = AppInfo { app, formation: Vec::new(), status };
        insta::assert_snapshot!(render_info(&info, samples::now(), Style::Plain));
    }
}
