//! The login by email and password, where the password is an access token.

use crate::support::heroku::{Heroku, token};
use crate::support::server::Server;
use crate::support::terminal::Terminal;
use std::path::Path;

pub fn is_by_email_and_token(server: &Server, clients: &Path) {
    let mut heroku = Heroku::at(server, clients);
    heroku.unset("HEROKU_API_KEY");
    heroku.fails(&["auth:whoami"], 100, "not logged in");
    log_in(&heroku, &token(server));
    assert_eq!(heroku.ok(&["auth:whoami"]).trim(), "admin@localhost");
    let netrc = std::fs::read_to_string(heroku.home().join(".netrc")).expect("a netrc");
    assert!(netrc.contains(&format!("machine localhost:{}", server.api_port)), "{netrc}");
    let made = heroku.ok(&["auth:token"]).trim().to_owned();
    assert_ne!(made, token(server), "the login has a token of its own");
    assert!(netrc.contains(&made), "and keeps it");
    log_out(&heroku, server, &made);
}

fn log_in(heroku: &Heroku, password: &str) {
    let mut command = heroku.command("heroku");
    let mut terminal = Terminal::start(command.args(["login", "-i"]), 80, 24);
    terminal.wait_for("Email");
    terminal.press("admin@localhost\r");
    terminal.wait_for("Password");
    terminal.press(&format!("{password}\r"));
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Logged in as") && seen.contains("admin@localhost"), "{seen}");
    assert!(!seen.contains(password), "the password is not shown: {seen}");
}

/// The token is forgotten here and revoked there.
fn log_out(heroku: &Heroku, server: &Server, made: &str) {
    heroku.says(&["logout"], &["Logging out... done"]);
    heroku.fails(&["auth:whoami"], 100, "not logged in");
    let refused =
        server.command().args(["auth:whoami"]).env("DOZEN_TOKEN", made).output().expect("dozen runs");
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}
