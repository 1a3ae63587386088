//! `config`, `config:get`, `config:set`, `config:unset`.

use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::suggest::nearest;
use crate::text::{Fields, Style, quote_for_shell, render_heading, render_list};
use api::client::Client;
use api::config_vars::{ConfigPatch, ConfigVars};
use api::release::Release;
use clap::Args;
use domain::names::{ConfigKey, InvalidName};
use std::collections::BTreeMap;
use std::io::Read;

/// `dozen config`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    flags: AppFlags,
    /// In the form that a shell reads
    #[arg(short, long)]
    shell: bool,
}

impl Show {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let vars = at.ask(Client::config_vars)?;
        session.output.data(&vars, |style| {
            if self.shell { render_shell(&vars) } else { render_vars(&at.app, &vars, style) }
        })
    }
}

fn render_vars(app: &str, vars: &ConfigVars, style: Style) -> String {
    render_heading(&format!("{app} Config Vars"), style) + &render_pairs(vars.0.iter(), style)
}

fn render_pairs<'a>(pairs: impl Iterator<Item = (&'a ConfigKey, &'a String)>, style: Style) -> String {
    let mut fields = Fields::default();
    pairs.for_each(|(key, value)| fields.add(key.as_str(), value));
    fields.render(style)
}

fn render_shell(vars: &ConfigVars) -> String {
    vars.0.iter().map(|(key, value)| format!("{key}={}\n", quote_for_shell(value))).collect()
}

/// `dozen config:get`.
#[derive(Debug, Args)]
pub struct Get {
    /// The config var
    key: String,
    #[command(flatten)]
    flags: AppFlags,
    /// In the form that a shell reads
    #[arg(short, long)]
    shell: bool,
}

impl Get {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let key = parse_key(&self.key)?;
        let vars = at.ask(Client::config_vars)?;
        let Some(value) = vars.0.get(&key) else { return Err(unknown_key(&at.app, &key, &vars)) };
        let render =
            || if self.shell { format!("{key}={}\n", quote_for_shell(value)) } else { format!("{value}\n") };
        session.output.data(&BTreeMap::from([(&key, value)]), |_| render())
    }
}

fn parse_key(text: &str) -> Result<ConfigKey, Failure> {
    text.parse().map_err(|error: InvalidName| Failure::of(&error))
}

fn unknown_key(app: &str, key: &ConfigKey, vars: &ConfigVars) -> Failure {
    let failure = Failure::new(format!("{app} has no config var {key}"));
    match nearest(key.as_str(), vars.0.keys().map(ConfigKey::as_str)) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None => failure,
    }
}

/// `dozen config:set`.
#[derive(Debug, Args)]
pub struct Set {
    /// What to set; a value that begins with @ is read from the file of that name, @- from standard input
    #[arg(required = true, value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Set {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let pairs: Vec<_> = self.pairs.iter().map(|pair| parse_pair(pair)).collect::<Result<_, _>>()?;
        let patch = pairs.iter().map(|(key, source)| Ok((key.clone(), Some(observe_value(source)?))));
        let patch = ConfigPatch(patch.collect::<Result<_, Failure>>()?);
        let vars = patch_config(session, &at, "Setting", &patch)?;
        let set = || vars.0.iter().filter(|(key, _)| patch.0.contains_key(*key));
        session.output.data(&vars, |style| render_pairs(set(), style))
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Given(String),
    File(String),
    StandardInput,
}

/// `KEY=VALUE`, `KEY=@FILE`, `KEY=@-`; `KEY=@@VALUE` for a value that begins with @.
fn parse_pair(text: &str) -> Result<(ConfigKey, Source), Failure> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Failure::new(format!("{text} is not of the form KEY=VALUE"))
            .hint("An empty value is set by `KEY=`."));
    };
    let source = match value.strip_prefix('@') {
        None => Source::Given(value.to_owned()),
        Some("-") => Source::StandardInput,
        Some(rest) if rest.is_empty() || rest.starts_with('@') => Source::Given(rest.to_owned()),
        Some(path) => Source::File(path.to_owned()),
    };
    Ok((parse_key(key)?, source))
}

/// Most bytes of a value that is read from somewhere.
const MAX_VALUE_BYTES: u64 = 1024 * 1024;

/// One final end of line is taken off, since editors and `echo` add it.
fn observe_value(source: &Source) -> Result<String, Failure> {
    let mut text = String::new();
    match source {
        Source::Given(value) => return Ok(value.clone()),
        Source::File(path) => {
            let told = |error| {
                Failure::of(&error).hint(format!(
                    "The value was to be read from {path}; for a value that begins with @ write @@."
                ))
            };
            std::fs::File::open(path)
                .map_err(told)?
                .take(MAX_VALUE_BYTES)
                .read_to_string(&mut text)
                .map_err(told)?
        }
        Source::StandardInput => std::io::stdin().take(MAX_VALUE_BYTES).read_to_string(&mut text)?,
    };
    let end = text.strip_suffix('\n').map_or(text.len(), str::len);
    text.truncate(end);
    Ok(text)
}

/// `dozen config:unset`.
#[derive(Debug, Args)]
pub struct Unset {
    /// The config vars
    #[arg(required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Unset {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let patch = self.keys.iter().map(|key| Ok((parse_key(key)?, None)));
        let patch = ConfigPatch(patch.collect::<Result<_, Failure>>()?);
        let vars = patch_config(session, &at, "Unsetting", &patch)?;
        session.output.data(&vars, |_| String::new())
    }
}

/// Sends a patch and tells which release it made: `Setting FOO and restarting hello... done, v14`.
fn patch_config(
    session: &Session,
    at: &AppClient,
    verb: &str,
    patch: &ConfigPatch,
) -> Result<ConfigVars, Failure> {
    let newest = |client: &Client, app: &str| client.newest_releases(app, 1);
    let before = at.ask(newest)?;
    let names: Vec<_> = patch.0.keys().map(ToString::to_string).collect();
    let progress = session.output.begin(&format!("{verb} {} and restarting {}", render_list(&names), at.app));
    let vars = at.ask(|client, app| client.patch_config_vars(app, patch))?;
    let after = at.ask(newest)?;
    progress.done(&render_effect(before.first(), after.first()));
    Ok(vars)
}

fn render_effect(before: Option<&Release>, after: Option<&Release>) -> String {
    match (before, after) {
        (_, None) => "nothing changed".to_owned(),
        (Some(before), Some(after)) if before.id == after.id => {
            format!("nothing changed, still {}", after.version)
        }
        (_, Some(after)) => after.version.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use api::release::ReleaseStatus;

    fn vars() -> ConfigVars {
        serde_json::from_str(r#"{"GREETING":"hello, world","KEY":"a\nb","URL":"https://x/?y"}"#)
            .expect("valid")
    }

    #[test]
    fn config_for_people_and_for_shells() {
        insta::assert_snapshot!(render_vars("hello", &vars(), Style::Plain), @r"
        === hello Config Vars

        GREETING:  hello, world
        KEY:       a
                   b
        URL:       https://x/?y
        ");
        insta::assert_snapshot!(render_shell(&vars()), @r"
        GREETING='hello, world'
        KEY='a
        b'
        URL='https://x/?y'
        ");
    }

    #[test]
    fn pairs_in_all_forms() {
        let given = |text: &str| Source::Given(text.to_owned());
        for (text, source) in [
            ("A=1", given("1")),
            ("A=", given("")),
            ("A=b=c", given("b=c")),
            ("A=@f.txt", Source::File("f.txt".to_owned())),
            ("A=@-", Source::StandardInput),
            ("A=@@x", given("@x")),
            ("A=@", given("")),
        ] {
            assert_eq!(parse_pair(text).expect(text).1, source, "{text}");
        }
        for text in ["A", "=1", "A-B=1", "1A=1"] {
            assert!(parse_pair(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_near_one() {
        let failure = unknown_key("hello", &"GRETING".parse().expect("a key"), &vars());
        insta::assert_snapshot!(failure.render(Style::Plain), @r"
        error: hello has no config var GRETING
        hint: Did you mean GREETING?
        ");
    }

    #[test]
    fn the_effect_of_a_patch() {
        let release = |version| samples::release(version, "x", ReleaseStatus::Pending);
        let (first, second) = (release(1), release(2));
        for (before, after, text) in [
            (None, None, "nothing changed"),
            (None, Some(&first), "v1"),
            (Some(&first), Some(&second), "v2"),
            (Some(&first), Some(&first), "nothing changed, still v1"),
        ] {
            assert_eq!(render_effect(before, after), text);
        }
    }
}
