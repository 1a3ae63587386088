//! What apps are written in and this machine has: found when Dozen is installed, by whoever installs it, since its units know nothing
//! of that person's version managers. Kept in the settings, where it can be changed.

use super::wanted::Wanted;
use crate::daemons::settings::Settings;
use crate::daemons::toolchains::{Looker, RUST_SETTING, Search, UnusablePrefix, find_rust, setting_of};
use domain::runtime::Language;
use sandbox::launcher::InstalledRuntime;
use std::path::{Path, PathBuf};

/// All of it.
#[derive(Debug, Default)]
pub struct Toolchains {
    pub rust: Option<PathBuf>,
    pub languages: Vec<Interpreters>,
}

/// Of one language.
#[derive(Debug)]
pub struct Interpreters {
    pub language: Language,
    pub origin: Origin,
    pub search: Search,
}

/// Whether somebody has said which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Setting,
    Found,
}

/// Looks at this machine. What settings name must be usable: the launcher would pass it over.
pub fn look(settings: &Settings) -> Result<Toolchains, UnusablePrefix> {
    let looker = Looker::new(settings);
    let of = |language, named: &[PathBuf]| {
        let (origin, search) = match named {
            [] => (Origin::Found, looker.search(language)),
            named => {
                let look = |prefix: &PathBuf| looker.look_at_named(language, prefix);
                let found = named.iter().map(look).collect::<Result<_, _>>()?;
                (Origin::Setting, Search { found, refused: Vec::new() })
            }
        };
        Ok(Interpreters { language, origin, search })
    };
    Ok(Toolchains {
        rust: find_rust(settings)?,
        languages: vec![
            of(Language::Python, &settings.python_prefixes)?,
            of(Language::Node, &settings.node_prefixes)?,
        ],
    })
}

impl Toolchains {
    /// What is to stand in the file of settings if nothing does.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let rust = self.rust.iter().map(|path| (RUST_SETTING, path.display().to_string()));
        let found = self.languages.iter().filter(|language| language.origin == Origin::Found);
        let named = found.filter_map(|language| Some((setting_of(language.language), language.list()?)));
        rust.chain(named).collect()
    }

    /// What people are told: what apps can be written in, and why not in what else is there.
    pub fn render(&self, wanted: &Wanted) -> String {
        let file = wanted.environment_file.display().to_string();
        let languages = self.languages.iter().map(|language| language.render(&file));
        format!("\nInterpreters for apps:\n{}", languages.collect::<String>())
    }
}

impl Interpreters {
    fn render(&self, file: &str) -> String {
        let (title, setting) = (self.language.title(), setting_of(self.language));
        let kept = match (self.list(), self.origin) {
            (None, _) => format!("no {title}: install one, and `dozen install` again finds it"),
            (Some(_), Origin::Setting) => format!("{setting} in {file} says so; it is kept"),
            (Some(_), Origin::Found) => format!("{setting} in {file} keeps this"),
        };
        let found = self.search.found.iter().filter(|installed| can_be_listed(&installed.prefix));
        let found =
            found.map(|installed| format!("{title} {} in {}", installed.version, installed.prefix.display()));
        let refused = self.refused().into_iter().map(|refused| format!("passed over: {refused}"));
        found.chain([kept]).chain(refused).map(|line| format!("  {line}\n")).collect()
    }

    /// As the setting has it.
    fn list(&self) -> Option<String> {
        let prefixes = self.search.found.iter().map(|installed| &installed.prefix);
        let listed =
            prefixes.filter(|prefix| can_be_listed(prefix)).map(|prefix| prefix.display().to_string());
        let list = listed.collect::<Vec<_>>().join(",");
        (!list.is_empty()).then_some(list)
    }

    fn refused(&self) -> Vec<String> {
        let found = self.search.found.iter().filter(|installed| !can_be_listed(&installed.prefix));
        let unlisted = |installed: &InstalledRuntime| {
            let prefix = installed.prefix.display();
            format!(
                "{} in {prefix}, whose name holds a comma, a blank at its end or no text",
                self.language.title()
            )
        };
        found.map(unlisted).chain(self.search.refused.iter().cloned()).collect()
    }
}

/// Commas part prefixes in a setting.
fn can_be_listed(prefix: &Path) -> bool {
    prefix.to_str().is_some_and(|text| !text.contains([',', '\n']) && text.trim() == text)
}
