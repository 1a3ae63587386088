//! Static sites: nothing is executed to build them, and our own small server serves them ([`serve`]).
//!
//! The site is the folder with `index.html`: the top one, `public/`, or what a `Staticfile` names. A `Staticfile` holds lines
//! `key: value`, of which two are known: `root: FOLDER` and `pushstate: enabled` (every path without a file answers with
//! `index.html`, as single-page apps want). Others are refused by line: an option that is silently ignored is found out in
//! production.

mod answer;
mod body;
mod file;
mod media;
mod range;
mod serve;

pub use serve::{ServeError, StaticServer, serve};

use crate::detect::{self, Listing};
use sandbox::spec::HELPER_PATH;

/// The applet's name on the command line.
pub const SERVER_COMMAND: &str = "static-server";
/// Its option for the folder to serve, below the work folder.
pub const ROOT_OPTION: &str = "--root";
/// Its option for [`MissingPath::Index`].
pub const SINGLE_PAGE_OPTION: &str = "--single-page";
const STATICFILE_BYTES: usize = 64 * 1024;

/// What a path without a file is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingPath {
    /// 404, with the site's `404.html` if there is one.
    #[default]
    NotFound,
    /// 200 with `index.html`.
    Index,
}

/// How a site is to be served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// Below `/app`; empty for `/app` itself.
    pub root: String,
    pub missing_path: MissingPath,
}

/// Why a `Staticfile` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StaticfileError {
    #[error("the Staticfile is larger than {STATICFILE_BYTES} bytes")]
    TooLarge,
    #[error("the Staticfile is not UTF-8 text")]
    NotText,
    #[error("Staticfile line {line}: expected \"root: FOLDER\" or \"pushstate: enabled\"")]
    Unknown { line: usize },
    #[error(
        "Staticfile line {line}: the root must be a folder inside the repository, of letters, digits, \".\", \"-\", \"_\" and \"/\""
    )]
    Root { line: usize },
    #[error("Staticfile line {line}: pushstate is either \"enabled\" or \"disabled\"")]
    PushState { line: usize },
    #[error(
        "the folder \"{root}\" that the Staticfile names has no index.html. Fix: commit the built site, or correct the root"
    )]
    NoIndex { root: String },
}

impl Site {
    /// Without a `Staticfile`: the top folder, else `public/`.
    pub(crate) fn of(listing: &Listing) -> Self {
        let at_top = listing.files.iter().any(|file| file == detect::INDEX);
        let in_public = listing.files.iter().any(|file| file == detect::PUBLIC_INDEX);
        let root = if in_public && !at_top { "public" } else { "" };
        Self { root: root.to_owned(), missing_path: MissingPath::NotFound }
    }

    /// Applies a `Staticfile`.
    pub(crate) fn parse(mut self, bytes: &[u8]) -> Result<Self, StaticfileError> {
        if bytes.len() > STATICFILE_BYTES {
            return Err(StaticfileError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| StaticfileError::NotText)?;
        for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text.trim())) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (key, value) = text.split_once(':').ok_or(StaticfileError::Unknown { line })?;
            match (key.trim(), value.trim()) {
                ("root", root) => self.root = parse_root(root).ok_or(StaticfileError::Root { line })?,
                ("pushstate", "enabled") => self.missing_path = MissingPath::Index,
                ("pushstate", "disabled") => self.missing_path = MissingPath::NotFound,
                ("pushstate", _) => return Err(StaticfileError::PushState { line }),
                _ => return Err(StaticfileError::Unknown { line }),
            }
        }
        Ok(self)
    }

    /// The file that must be there.
    pub(crate) fn index(&self) -> String {
        if self.root.is_empty() {
            detect::INDEX.to_owned()
        } else {
            format!("{}/{}", self.root, detect::INDEX)
        }
    }

    /// The command of the default `web` process. A root holds no character that means anything to a shell.
    pub fn command(&self) -> String {
        let mut words = vec![HELPER_PATH, SERVER_COMMAND];
        if !self.root.is_empty() {
            words.extend([ROOT_OPTION, &self.root]);
        }
        match self.missing_path {
            MissingPath::NotFound => {}
            MissingPath::Index => words.push(SINGLE_PAGE_OPTION),
        }
        words.join(" ")
    }
}

fn parse_root(root: &str) -> Option<String> {
    let root = root.trim_start_matches("./").trim_end_matches('/');
    let plain = |part: &str| {
        part != ".."
            && !part.is_empty()
            && !part.starts_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    match root {
        "" | "." => Some(String::new()),
        root => root.split('/').all(plain).then(|| root.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(files: &[&str], staticfile: &str) -> Result<String, StaticfileError> {
        let listing =
            Listing { files: files.iter().map(|f| (*f).to_owned()).collect(), ..Listing::default() };
        Site::of(&listing).parse(staticfile.as_bytes()).map(|site| site.command())
    }

    #[test]
    fn roots_and_options() {
        let cases: &[(&[&str], &str, &str)] = &[
            (&["index.html"], "", "/.dozen/dozen static-server"),
            (&["public/index.html"], "", "/.dozen/dozen static-server --root public"),
            (&["index.html", "public/index.html"], "", "/.dozen/dozen static-server"),
            (&[], "root: dist/site/\r\n", "/.dozen/dozen static-server --root dist/site"),
            (&["public/index.html"], "# x\nroot: .\n", "/.dozen/dozen static-server"),
            (&[], "pushstate: enabled", "/.dozen/dozen static-server --single-page"),
        ];
        for (files, staticfile, expected) in cases {
            assert_eq!(command(files, staticfile).as_deref(), Ok(*expected), "{files:?} {staticfile:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_line() {
        let cases = [
            ("ssi: enabled", StaticfileError::Unknown { line: 1 }),
            ("\nroot", StaticfileError::Unknown { line: 2 }),
            ("root: ../x", StaticfileError::Root { line: 1 }),
            ("root: /etc", StaticfileError::Root { line: 1 }),
            ("root: a; rm -rf .", StaticfileError::Root { line: 1 }),
            ("root: -x", StaticfileError::Root { line: 1 }),
            ("pushstate: yes", StaticfileError::PushState { line: 1 }),
            ("root: $HOME", StaticfileError::Root { line: 1 }),
        ];
        for (staticfile, expected) in cases {
            assert_eq!(command(&[], staticfile), Err(expected), "{staticfile:?}");
        }
    }
}
