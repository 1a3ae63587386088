//! What belongs to an app or to its people: domains, builders, collaborators, features, tokens.

use crate::support::heroku::{Heroku, end_of};
use crate::support::server::Server;

pub fn of_an_app(heroku: &Heroku, server: &Server) {
    domains(heroku);
    buildpacks(heroku);
    collaborators(heroku, server);
    heroku.says(&["stack", "-a", "hello"], &["* host"]);
    heroku.says(&["features", "-a", "hello"], &["=== App Features hello", "preboot"]);
    heroku.says(&["features:info", "preboot", "-a", "hello"], &["Enabled:", "true"]);
    heroku.fails(&["features:enable", "preboot", "-a", "hello"], 1, "preboot is already enabled.");
    heroku.says(&["regions"], &["local", "This server"]);
    heroku.says(&["addons", "-a", "hello"], &["No add-ons for app hello."]);
    heroku.says(&["drains", "-a", "hello"], &[]);
    heroku.says(&["certs", "-a", "hello"], &["hello has no SSL certificates."]);
    maintenance(heroku, server);
}

fn domains(heroku: &Heroku) {
    heroku.says(&["domains", "-a", "hello"], &["=== hello Heroku Domain", "hello.localhost"]);
    heroku.says(
        &["domains:add", "www.example.com", "-a", "hello"],
        &["Adding www.example.com to hello... done"],
    );
    heroku.says(&["domains:wait", "www.example.com", "-a", "hello"], &[]);
    heroku.says(&["domains", "-a", "hello"], &["=== hello Custom Domains", "www.example.com"]);
    heroku.says(&["domains:info", "www.example.com", "-a", "hello"], &["www.example.com"]);
    heroku.fails(&["domains:add", "www.example.com", "-a", "hello"], 2, "www.example.com");
    heroku.says(
        &["domains:remove", "www.example.com", "-a", "hello"],
        &["Removing www.example.com from hello... done"],
    );
}

/// By address; the names of Heroku's registry are looked up there by the client itself.
fn buildpacks(heroku: &Heroku) {
    heroku.says(&["buildpacks", "-a", "hello"], &["hello has no Buildpacks."]);
    let said = heroku.says(
        &["buildpacks:set", "https://example.com/one", "-a", "hello"],
        &["Buildpack set. Next release on hello will use https://example.com/one."],
    );
    assert!(said.contains("is no builder of this server"), "its user is warned: {said}");
    heroku.says(&["buildpacks:add", "https://example.com/two", "-a", "hello"], &["Buildpack added."]);
    heroku
        .says(&["buildpacks", "-a", "hello"], &["1. https://example.com/one", "2. https://example.com/two"]);
    heroku.says(&["buildpacks:remove", "https://example.com/one", "-a", "hello"], &["Buildpack removed."]);
    heroku.says(&["buildpacks:clear", "-a", "hello"], &["Buildpacks cleared."]);
}

fn collaborators(heroku: &Heroku, server: &Server) {
    let script = "const H = require('heroku-client'); \
                  new H({ host: process.argv[1], token: process.env.HEROKU_API_KEY }) \
                  .post('/dozen/accounts', { body: { email: 'grace@example.com' } })";
    let mut command = heroku.command("node");
    command.args(["-e", script]).arg(format!("https://localhost:{}", server.api_port));
    let made = end_of(&mut command, "");
    assert_eq!(made.code, Some(0), "{}", made.said());
    heroku.says(&["access", "-a", "hello"], &["admin@localhost", "owner"]);
    heroku.says(
        &["access:add", "grace@example.com", "-a", "hello"],
        &["Adding grace@example.com access to the app", "done"],
    );
    heroku.says(&["access", "-a", "hello"], &["grace@example.com"]);
    heroku.says(
        &["access:remove", "grace@example.com", "-a", "hello"],
        &["Removing grace@example.com access from the app", "done"],
    );
    assert!(!heroku.ok(&["access", "-a", "hello"]).contains("grace"));
}

fn maintenance(heroku: &Heroku, server: &Server) {
    heroku.says(&["maintenance", "-a", "hello"], &["off"]);
    heroku.says(&["maintenance:on", "-a", "hello"], &["Enabling maintenance mode for hello... done"]);
    heroku.says(&["maintenance", "-a", "hello"], &["on"]);
    crate::support::eventually("visitors are told", 30, || {
        (server.get("hello", "/").status == 503).then_some(())
    });
    heroku.says(&["maintenance:off", "-a", "hello"], &["Disabling maintenance mode for hello... done"]);
}

/// A token from its making to its end.
pub fn of_a_person(heroku: &Heroku) {
    let made = heroku.ok(&["authorizations:create", "-d", "for a robot", "--short"]);
    let token = made.trim();
    assert!(token.starts_with("dzn_"), "{made}");
    let listed = heroku.says(&["authorizations"], &["for a robot", "First start"]);
    let row = listed.lines().find(|line| line.contains("for a robot")).expect("a row");
    let id = row.split_whitespace().find(|word| word.len() == 36).expect("an id").to_owned();
    heroku.says(&["authorizations:info", &id], &["for a robot", "global"]);
    heroku.says(&["authorizations:update", &id, "-d", "for another"], &["for another"]);
    let rotated = heroku.says(&["authorizations:rotate", &id], &["for another", "dzn_"]);
    assert!(!rotated.contains(token), "another secret: {rotated}");
    heroku.says(&["authorizations:revoke", &id], &["done, revoked authorization from for another"]);
    assert!(!heroku.ok(&["authorizations"]).contains(&id));
}
