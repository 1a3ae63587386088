//! `buildpacks`, `buildpacks:set`, `buildpacks:add`, `buildpacks:remove`, `buildpacks:clear`.

use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::suggest::nearest;
use crate::text::{Style, render_heading};
use api::buildpack::{BuildpackInstallation, BuildpackUpdate, UpdateBuildpacks};
use api::client::Client;
use clap::Args;

/// `dozen buildpacks`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    flags: AppFlags,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let chosen = at.ask(Client::buildpacks)?;
        if chosen.is_empty() {
            session
                .output
                .note(&format!("No buildpack is chosen for {}: the one that fits is used.", at.app));
        }
        session.output.data(&chosen, |style| render_buildpacks(&at.app, &chosen, style))
    }
}

fn render_buildpacks(app: &str, chosen: &[BuildpackInstallation], style: Style) -> String {
    let title = if chosen.len() == 1 { "Buildpack" } else { "Buildpacks" };
    let heading = render_heading(&format!("{app} {title}"), style);
    match chosen {
        [] => String::new(),
        [only] => format!("{heading}{}\n", name(only)),
        several => {
            let line =
                |(index, one): (usize, &BuildpackInstallation)| format!("{}. {}\n", index + 1, name(one));
            heading + &several.iter().enumerate().map(line).collect::<String>()
        }
    }
}

/// The short name of one of ours, else the address.
fn name(one: &BuildpackInstallation) -> &str {
    if one.buildpack.url.starts_with("urn:buildpack:") { &one.buildpack.name } else { &one.buildpack.url }
}

/// `dozen buildpacks:set`.
#[derive(Debug, Args)]
pub struct Set {
    /// Such as dozen/python or heroku/nodejs
    #[arg(value_name = "BUILDPACK")]
    buildpack: String,
    /// Its place among several, from 1; the others stay. Default: it replaces all
    #[arg(short, long, value_name = "INDEX")]
    index: Option<usize>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Set {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        change(session, &self.flags, "Setting the buildpack of", |mut names| {
            match self.index.map(|index| index.max(1) - 1) {
                None => names = vec![self.buildpack],
                Some(place) if place < names.len() => names[place] = self.buildpack,
                Some(_) => names.push(self.buildpack),
            }
            Ok(names)
        })
    }
}

/// `dozen buildpacks:add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Such as dozen/python or heroku/nodejs
    #[arg(value_name = "BUILDPACK")]
    buildpack: String,
    /// Its place, from 1. Default: the last
    #[arg(short, long, value_name = "INDEX")]
    index: Option<usize>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Add {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        change(session, &self.flags, "Adding a buildpack to", |mut names| {
            if names.contains(&self.buildpack) {
                return Err(Failure::new(format!("{} is among the buildpacks already", self.buildpack)));
            }
            let place = self.index.map_or(names.len(), |index| (index.max(1) - 1).min(names.len()));
            names.insert(place, self.buildpack);
            Ok(names)
        })
    }
}

/// `dozen buildpacks:remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The buildpack
    #[arg(value_name = "BUILDPACK", required_unless_present = "index")]
    buildpack: Option<String>,
    /// Its place, from 1
    #[arg(short, long, value_name = "INDEX", conflicts_with = "buildpack")]
    index: Option<usize>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Remove {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        change(session, &self.flags, "Removing a buildpack from", |mut names| {
            let place = match (&self.buildpack, self.index) {
                (Some(wanted), _) => names.iter().position(|name| name == wanted),
                (None, index) => index.and_then(|index| index.checked_sub(1)).filter(|at| *at < names.len()),
            };
            let place = place.ok_or_else(|| no_such_buildpack(self.buildpack.as_deref(), &names))?;
            names.remove(place);
            Ok(names)
        })
    }
}

fn no_such_buildpack(wanted: Option<&str>, names: &[String]) -> Failure {
    let Some(wanted) = wanted else { return Failure::new("no buildpack has that place") };
    let failure = Failure::new(format!("{wanted} is not among the buildpacks"));
    match nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None => failure.hint("They are listed by `dozen buildpacks`."),
    }
}

/// `dozen buildpacks:clear`.
#[derive(Debug, Args)]
pub struct Clear {
    #[command(flatten)]
    flags: AppFlags,
}

impl Clear {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        change(session, &self.flags, "Clearing the buildpacks of", |_| Ok(Vec::new()))
    }
}

/// Reads the list, changes it, and sends the whole of it.
fn change(
    session: &Session,
    flags: &AppFlags,
    what: &str,
    edit: impl FnOnce(Vec<String>) -> Result<Vec<String>, Failure>,
) -> Result<(), Failure> {
    let at = session.app_client(flags)?;
    let before = observe_names(&at)?;
    let updates = edit(before)?.into_iter().map(|buildpack| BuildpackUpdate { buildpack }).collect();
    let progress = session.output.begin(&format!("{what} {}", at.app));
    let wanted = UpdateBuildpacks { updates };
    let chosen = at.ask(|client, app| client.set_buildpacks(app, &wanted))?;
    progress.done("");
    session.output.note("The next build follows it: `git push dozen main`.");
    session.output.data(&chosen, |style| render_buildpacks(&at.app, &chosen, style))
}

fn observe_names(at: &AppClient) -> Result<Vec<String>, Failure> {
    let chosen = at.ask(Client::buildpacks)?;
    Ok(chosen.iter().map(|one| name(one).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::build::Buildpack;

    fn installed(urls: &[&str]) -> Vec<BuildpackInstallation> {
        let one = |(ordinal, url): (u64, &&str)| BuildpackInstallation {
            ordinal,
            buildpack: Buildpack {
                url: (*url).to_owned(),
                name: url.trim_start_matches("urn:buildpack:").to_owned(),
            },
        };
        (0..).zip(urls).map(one).collect()
    }

    #[test]
    fn one_and_several() {
        let text = |urls: &[&str]| render_buildpacks("hello", &installed(urls), Style::Plain);
        assert_eq!(text(&[]), "");
        assert_eq!(text(&["urn:buildpack:dozen/rust"]), "=== hello Buildpack\n\ndozen/rust\n");
        insta::assert_snapshot!(text(&["urn:buildpack:heroku/nodejs", "https://x.example/y"]), @r"
        === hello Buildpacks

        1. heroku/nodejs
        2. https://x.example/y
        ");
    }
}
