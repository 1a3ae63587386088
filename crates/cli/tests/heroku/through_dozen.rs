//! `dozen heroku`: the same client at a server that it would not accept by itself, on another address and under another name.

use crate::support::heroku::{Ended, Heroku, end_of, token};
use crate::support::repository::Repository;
use crate::support::server::{DOZEN, Server};
use crate::support::terminal::Terminal;
use std::path::Path;
use std::process::Command;

const NAME: &str = "paas.example.com";
const ADDRESS: &str = "192.0.2.7";

/// A person on another machine: the client's program alone, logged in to the server by its name.
pub struct Elsewhere<'a> {
    heroku: Heroku,
    server: &'a Server,
    url: String,
}

/// A server that listens on an address which is not loopback.
pub fn server() -> Server {
    // Whatever the client might still ask goes to an address of this namespace, where nobody listens.
    let added = Command::new("ip").args(["addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"]).status();
    assert!(added.expect("ip runs").success(), "the namespace has another address");
    let port = crate::support::server::free_port();
    let listen = format!("0.0.0.0:{port}");
    let settings = [("DOZEN_API_LISTEN", listen.as_str()), ("DOZEN_API_HOST", NAME)];
    Server::start_on(port, crate::support::server::free_port(), &settings)
}

impl<'a> Elsewhere<'a> {
    pub fn new(server: &'a Server, clients: &Path) -> Self {
        let heroku = Heroku::with(clients, Vec::new());
        std::fs::write(heroku.home().join("hosts"), format!("127.0.0.1 localhost\n{ADDRESS} {NAME}\n"))
            .expect("written");
        let elsewhere = Self { heroku, server, url: format!("https://{NAME}:{}", server.api_port) };
        let ca = server.data().join("ca/ca.pem");
        let words = ["login", "--token-stdin", "--url", &elsewhere.url, "--ca-file", &ca.to_string_lossy()];
        let login = end_of(&mut elsewhere.command(DOZEN, &words), &token(server));
        assert_eq!(login.code, Some(0), "{}", login.said());
        elsewhere
    }

    /// With a table of hosts of its own, in which the server has a name.
    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = self.heroku.command("unshare");
        let bind = "mount --bind \"$HOME/hosts\" /etc/hosts && exec \"$@\"";
        command.args(["--mount", "--", "sh", "-c", bind, "sh", program]).args(words);
        for name in [
            "DISABLE_TELEMETRY",
            "HEROKU_SKIP_NEW_VERSION_CHECK",
            "HEROKU_DISABLE_AUTOUPDATE",
            "HEROKU_NETRC_WRITE",
        ] {
            command.env_remove(name);
        }
        command
    }

    fn heroku_command(&self, words: &[&str]) -> Command {
        let all: Vec<&str> = ["heroku", "--"].iter().chain(words).copied().collect();
        self.command(DOZEN, &all)
    }

    fn run(&self, words: &[&str]) -> Ended {
        end_of(&mut self.heroku_command(words), "")
    }

    fn says(&self, words: &[&str], part: &str) {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.said());
        assert!(ended.said().contains(part), "{words:?} does not say {part:?}: {}", ended.said());
    }
}

pub fn the_client_reaches_a_server_elsewhere(elsewhere: &mut Elsewhere<'_>) {
    elsewhere.says(&["auth:whoami"], "admin@localhost");
    elsewhere.says(&["create", "hello"], &format!("{}/hello.git", elsewhere.url));
    let repository = Repository::with_probe();
    elsewhere.heroku.go_to(repository.path());
    elsewhere.says(&["git:remote", "-a", "hello"], "set git remote heroku");
    git_works_within_and_afterwards(elsewhere, &repository);
    elsewhere.says(&["ps"], "web.1: up");
    elsewhere.says(&["logs", "-n", "5"], "[web.1]");
    let ended = elsewhere.run(&["run", "-x", "--", "echo far; exit 7"]);
    assert_eq!((ended.code, ended.stdout.trim()), (Some(7), "far"), "{}", ended.stderr);
    assert_eq!(elsewhere.run(&["apps:info", "-a", "nothing"]).code, Some(2));
    a_shell_works(elsewhere);
    let home = elsewhere.heroku.home().to_owned();
    elsewhere.heroku.go_to(&home);
}

/// `dozen git:remote -r heroku` wires the client's remote for good; a clone by the client asks us for the token.
fn git_works_within_and_afterwards(elsewhere: &Elsewhere<'_>, repository: &Repository) {
    let wired = end_of(&mut elsewhere.command(DOZEN, &["git:remote", "-a", "hello", "-r", "heroku"]), "");
    assert_eq!(wired.code, Some(0), "{}", wired.said());
    let pushed = end_of(&mut elsewhere.command("git", &["push", "heroku", "HEAD:refs/heads/main"]), "");
    assert_eq!(pushed.code, Some(0), "{}", pushed.said());
    let folder = repository.path().join("../cloned-through-dozen");
    let folder = std::path::absolute(elsewhere.heroku.home().join(folder.file_name().expect("a name")));
    let folder = folder.expect("a path");
    elsewhere.says(&["git:clone", "-a", "hello", &folder.to_string_lossy()], "");
    assert!(folder.join("Procfile").is_file());
    let global = elsewhere.heroku.home().join(".gitconfig");
    assert!(!global.exists(), "the user's configuration is left alone");
}

fn a_shell_works(elsewhere: &Elsewhere<'_>) {
    let mut terminal = Terminal::start(&elsewhere.heroku_command(&["run", "bash"]), 100, 30);
    terminal.wait_for("$ ");
    terminal.press("stty size; echo $((6*7))\r");
    let seen = terminal.wait_for("42");
    assert!(seen.contains("30 100"), "{seen}");
    terminal.press("exit\r");
    assert_eq!(terminal.end().0, Some(0));
}

/// Some hosts stand in the client's source. It gets no connection to them, and its user is told.
pub fn nothing_goes_to_herokus_hosts(elsewhere: &Elsewhere<'_>) {
    let ended = elsewhere.run(&["apps:favorites"]);
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert!(ended.stderr.contains("asked for particleboard.heroku.com:"), "{}", ended.stderr);
    let refused = elsewhere.server.output();
    assert!(!refused.contains("favorites"), "{refused}");
}

pub fn a_missing_client_is_told_of(elsewhere: &Elsewhere<'_>) {
    let mut command = elsewhere.heroku_command(&["apps"]);
    let ended = end_of(command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"), "");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error: the Heroku client is not installed"), "{}", ended.stderr);
    assert!(ended.stderr.contains("npm install -g heroku"), "{}", ended.stderr);
}
