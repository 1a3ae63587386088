//! Apps and what belongs to them.

use crate::support::heroku::Heroku;
use crate::support::server::Server;

pub fn are_created_and_shown(heroku: &Heroku, server: &Server) {
    let web = format!("http://{}/", server.host("hello"));
    let git = format!("https://localhost:{}/hello.git", server.api_port);
    heroku.says(&["create", "hello"], &["Creating hello... done", &format!("{web} | {git}")]);
    heroku.fails(&["create", "hello"], 2, "hello");
    assert!(heroku.ok(&["apps"]).contains("\nhello"), "it is listed");
    let web = format!("Web URL:        {web}");
    heroku.says(&["apps:info", "-a", "hello"], &["=== hello", &web, &git, "Owner:          admin@localhost"]);
    let info: serde_json::Value =
        serde_json::from_str(&heroku.ok(&["apps:info", "-a", "hello", "--json"])).expect("JSON");
    assert_eq!(info["app"]["name"], "hello", "{info}");
    heroku.fails(&["apps:info", "-a", "nothing"], 2, "Couldn't find that app.");
    heroku.says(&["config:set", "GREETING=hej", "-a", "hello"], &["done, v1", "GREETING: hej"]);
}

pub fn are_renamed_and_destroyed(heroku: &Heroku) {
    heroku.says(
        &["apps:rename", "-a", "hello", "hallo"],
        &["Renaming hello to hallo... done", "Git remote heroku updated"],
    );
    heroku.says(&["apps:info", "-a", "hallo"], &["=== hallo"]);
    heroku.fails(&["apps:destroy", "-a", "hallo", "--confirm", "other"], 1, "did not match");
    heroku.says(&["apps:destroy", "-a", "hallo", "--confirm", "hallo"], &["Destroying hallo", "done"]);
    heroku.fails(&["apps:info", "-a", "hallo"], 2, "Couldn't find that app.");
}
