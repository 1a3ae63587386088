//! The environment variables that the client reads: all of them, once, here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A variable and what it is for: the source of the reference page.
pub struct Variable {
    pub name: &'static str,
    pub meaning: &'static str,
}

const URL: &str = "DOZEN_URL";
const TOKEN: &str = "DOZEN_TOKEN";
const CA_FILE: &str = "DOZEN_CA_FILE";
const APP: &str = "DOZEN_APP";
const HEROKU_APP: &str = "HEROKU_APP";
const CONFIG_HOME: &str = "DOZEN_CONFIG_HOME";
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
const HOME: &str = "HOME";
const APPDATA: &str = "APPDATA";
const GIT_CONFIG_COUNT: &str = "GIT_CONFIG_COUNT";
const GIT_CONFIG_GLOBAL: &str = "GIT_CONFIG_GLOBAL";
const GIT_SSL_CAINFO: &str = "GIT_SSL_CAINFO";
const NODE_OPTIONS: &str = "NODE_OPTIONS";
const BROWSER: &str = "BROWSER";
const NO_COLOR: &str = "NO_COLOR";
const TERM: &str = "TERM";

/// Every variable, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: URL,
        meaning: "The server to talk to, such as https://paas.example.com:8443. Default: the one logged in to last.",
    },
    Variable {
        name: TOKEN,
        meaning: "The access token. Default: the one that `dozen login` stored for the server.",
    },
    Variable {
        name: CA_FILE,
        meaning: "A PEM file with the certificates to trust, and no others. Default: what `dozen login` stored for the server, else the system's.",
    },
    Variable { name: APP, meaning: "The app that commands are about when there is no --app." },
    Variable {
        name: HEROKU_APP,
        meaning: "The same, for those who come from Heroku; DOZEN_APP goes before it.",
    },
    Variable {
        name: CONFIG_HOME,
        meaning: "The folder of credentials.json. Default: XDG_CONFIG_HOME/dozen, else ~/.config/dozen (on Windows: APPDATA\\dozen).",
    },
    Variable { name: XDG_CONFIG_HOME, meaning: "Where programs keep their configuration." },
    Variable { name: HOME, meaning: "The home folder, for ~/.config." },
    Variable { name: APPDATA, meaning: "On Windows, where programs keep their configuration." },
    Variable {
        name: GIT_CONFIG_GLOBAL,
        meaning: "Git's own: the user's configuration, in place of ~/.gitconfig; `dozen heroku` lets git read it.",
    },
    Variable {
        name: GIT_CONFIG_COUNT,
        meaning: "Git's own: how many settings the environment holds; `dozen heroku` adds its own behind them.",
    },
    Variable {
        name: GIT_SSL_CAINFO,
        meaning: "Git's own: the certificates that it trusts for every server. `git:remote` warns, since it goes before what the repository says.",
    },
    Variable {
        name: NODE_OPTIONS,
        meaning: "Node.js's own: `dozen heroku` passes it on to the Heroku client, behind an option of its own.",
    },
    Variable {
        name: BROWSER,
        meaning: "The program that `apps:open` starts. Default: the desktop's own choice.",
    },
    Variable { name: NO_COLOR, meaning: "Set to anything but nothing: no colour, even on a terminal." },
    Variable {
        name: TERM,
        meaning: "The kind of terminal: `dumb` for no colour. `dozen run` passes it on to a process at a terminal.",
    },
];

/// What the environment says. Empty values count as absent.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, OsString>,
}

impl Environment {
    /// Reads every variable by `lookup`.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let named = VARIABLES.iter().filter_map(|variable| Some((variable.name, lookup(variable.name)?)));
        Self { values: named.filter(|(_, value)| !value.is_empty()).collect() }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.to_str()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.values.get(name).map(PathBuf::from)
    }

    pub fn url(&self) -> Option<&str> {
        self.text(URL)
    }

    pub fn token(&self) -> Option<&str> {
        self.text(TOKEN)
    }

    pub fn ca_file(&self) -> Option<PathBuf> {
        self.path(CA_FILE)
    }

    /// What git trusts instead of anything that a repository says.
    pub fn git_ca_file(&self) -> Option<PathBuf> {
        self.path(GIT_SSL_CAINFO)
    }

    pub fn app(&self) -> Option<&str> {
        self.text(APP).or_else(|| self.text(HEROKU_APP))
    }

    /// Where the client keeps its files; `None` if the environment names no home at all.
    pub fn config_home(&self) -> Option<PathBuf> {
        let in_xdg =
            || self.path(XDG_CONFIG_HOME).filter(|path| path.is_absolute()).map(|path| path.join("dozen"));
        let in_home = || self.path(HOME).map(|path| path.join(".config").join("dozen"));
        let in_appdata = || self.path(APPDATA).map(|path| path.join("dozen"));
        self.path(CONFIG_HOME).or_else(in_xdg).or_else(in_home).or_else(in_appdata)
    }

    pub fn home(&self) -> Option<PathBuf> {
        self.path(HOME)
    }

    /// The user's configurations of git, in git's order; some may not exist.
    pub fn git_config(&self) -> Vec<PathBuf> {
        if let Some(given) = self.path(GIT_CONFIG_GLOBAL) {
            return vec![given];
        }
        let in_home = self.path(HOME).map(|home| home.join(".config"));
        let in_xdg = self.path(XDG_CONFIG_HOME).or(in_home).map(|path| path.join("git").join("config"));
        in_xdg.into_iter().chain(self.path(HOME).map(|home| home.join(".gitconfig"))).collect()
    }

    /// How many settings of git's the environment holds, by number from 0.
    pub fn git_config_count(&self) -> usize {
        self.text(GIT_CONFIG_COUNT).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    pub fn node_options(&self) -> Option<&str> {
        self.text(NODE_OPTIONS)
    }

    pub fn browser(&self) -> Option<&OsStr> {
        self.values.get(BROWSER).map(OsString::as_os_str)
    }

    pub fn terminal_kind(&self) -> Option<&str> {
        self.text(TERM)
    }

    /// Whether colour is unwanted wherever it goes.
    pub fn refuses_colour(&self) -> bool {
        self.values.contains_key(NO_COLOR) || self.text(TERM) == Some("dumb")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(values: &[(&str, &str)]) -> Environment {
        let values: BTreeMap<_, _> = values.iter().copied().collect();
        Environment::read(|name| values.get(name).map(OsString::from))
    }

    #[test]
    fn folders_in_order() {
        for (values, expected) in [
            (&[][..], None),
            (&[("HOME", "/h")], Some("/h/.config/dozen")),
            (&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")], Some("/x/dozen")),
            (&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")], Some("/h/.config/dozen")),
            (&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("DOZEN_CONFIG_HOME", "/d")], Some("/d")),
        ] {
            assert_eq!(environment(values).config_home(), expected.map(PathBuf::from), "{values:?}");
        }
    }

    #[test]
    fn ours_goes_before_herokus_and_empty_is_absent() {
        assert_eq!(environment(&[("HEROKU_APP", "h"), ("DOZEN_APP", "d")]).app(), Some("d"));
        assert_eq!(environment(&[("HEROKU_APP", "h"), ("DOZEN_APP", "")]).app(), Some("h"));
        assert!(environment(&[("NO_COLOR", "1")]).refuses_colour());
        assert!(!environment(&[("NO_COLOR", ""), ("TERM", "xterm")]).refuses_colour());
    }
}
