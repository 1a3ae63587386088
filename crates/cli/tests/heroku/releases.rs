//! Config vars and the releases that they make.

use crate::support::eventually;
use crate::support::heroku::Heroku;
use crate::support::server::Server;

pub fn follow_config_and_rollbacks(heroku: &Heroku, server: &Server) {
    assert_eq!(heroku.ok(&["config:get", "GREETING"]), "hej\n");
    heroku.says(&["config:set", "A=1", "B=two words"], &["Setting A, B and restarting hello... done, v3"]);
    heroku.says(&["config"], &["=== hello Config Vars", "A:        1", "B:        two words"]);
    let shell = heroku.ok(&["config", "--shell"]);
    assert!(shell.contains("B='two words'"), "{shell}");
    heroku.says(&["config:unset", "A", "B"], &["Unsetting A, B and restarting hello... done, v4"]);
    assert_eq!(heroku.ok(&["config:get", "A"]), "\n");
    let listed = heroku.ok(&["releases"]);
    for part in
        ["Current: v", "Remove A, B config vars", "Set A, B config vars", "Deploy ", "admin@localhost"]
    {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    heroku.says(&["releases:info", "v3"], &["=== Release v3", "Eligible for Rollback?: Yes", "two words"]);
    heroku.says(&["releases:output", "v3"], &["no release output available"]);
    heroku.says(&["rollback", "v3"], &["Rolling back hello to v3... done, v5"]);
    eventually("the rollback serves", 60, || {
        (server.get("hello", "/").json()["release"] == "v5").then_some(())
    });
    assert_eq!(server.get("hello", "/env?name=B").text(), "two words");
    heroku.fails(&["rollback", "v1"], 2, "");
    heroku.fails(&["releases:info", "v99"], 2, "");
}
