//! The git repository one stands in: its remotes, and how it is told of a server. Everything goes through `git` itself.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

/// A remote that may be an app's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub name: String,
    /// `host:port` as the address gives it; the port may be absent.
    pub host: String,
    pub app: String,
}

/// A git command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git cannot be run")]
    Run { source: io::Error },
    #[error("`git {command}` failed: {message}")]
    Failed { command: String, message: String },
}

/// Runs git and gives its output.
pub fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String, GitError> {
    let output = Command::new("git")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| GitError::Run { source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(GitError::Failed { command: words.join(" "), message })
}

/// The remotes that look like apps. None outside a repository, or without git.
pub fn observe_remotes() -> Vec<Remote> {
    run(&["remote", "-v"]).map(|text| parse_remotes(&text)).unwrap_or_default()
}

/// Whether one stands in a repository.
pub fn is_in_repository() -> bool {
    run(&["rev-parse", "--git-dir"]).is_ok()
}

/// Reads `git remote -v`: `NAME<tab>ADDRESS (fetch|push)`. The push address counts, since that is what deploys.
fn parse_remotes(text: &str) -> Vec<Remote> {
    let pushes = text.lines().filter_map(|line| line.strip_suffix(" (push)"));
    let named = pushes.filter_map(|line| line.split_once('\t'));
    named.filter_map(|(name, address)| parse_address(name, address)).collect()
}

fn parse_address(name: &str, address: &str) -> Option<Remote> {
    let (authority, path) = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        // `git@host:app.git`
        None => address.split_once(':')?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let app = path.trim_end_matches('/').strip_suffix(".git")?;
    let plain = !app.is_empty() && !app.contains('/') && !host.is_empty();
    plain.then(|| Remote { name: name.to_owned(), host: host.to_owned(), app: app.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_apps_among_remotes() {
        let text = "dozen\thttps://localhost:8443/hello.git (fetch)\ndozen\thttps://localhost:8443/hello.git (push)\n\
            origin\thttps://github.com/ada/hello.git (push)\n\
            heroku\thttps://git.heroku.com/shop.git (push)\n\
            old\tgit@paas.example.com:blog.git (push)\n\
            user\thttps://u:secret@h:1/x.git/ (push)\n\
            local\t/srv/git/hello.git (push)\n\
            odd\thttps://h/.git (push)\n";
        let found: Vec<_> =
            parse_remotes(text).into_iter().map(|remote| (remote.name, remote.host, remote.app)).collect();
        let expected = [
            ("dozen", "localhost:8443", "hello"),
            ("heroku", "git.heroku.com", "shop"),
            ("old", "paas.example.com", "blog"),
            ("user", "h:1", "x"),
        ];
        let found: Vec<_> =
            found.iter().map(|(name, host, app)| (name.as_str(), host.as_str(), app.as_str())).collect();
        assert_eq!(found, expected);
    }

    proptest::proptest! {
        #[test]
        fn any_output_is_read(text in "[\\PC\t\n]{0,200}") {
            let _ = parse_remotes(&text);
        }
    }
}
