//! Git by the client's own remote and credential helper.

use crate::support::heroku::{Heroku, end_of};
use crate::support::repository::Repository;
use crate::support::server::Server;

/// `heroku git:remote`, then a plain `git push`, which asks `heroku git:credentials` for the token.
pub fn pushes_with_the_clients_credentials(heroku: &mut Heroku, server: &Server) -> Repository {
    let repository = Repository::with_probe();
    heroku.go_to(repository.path());
    let remote = format!("https://localhost:{}/hello.git", server.api_port);
    heroku.says(&["git:remote", "-a", "hello"], &[&format!("set git remote heroku to {remote}")]);
    assert_eq!(repository.git(&["remote", "get-url", "heroku"]).trim(), remote);
    let pushed = end_of(heroku.command("git").args(["push", "heroku", "HEAD:refs/heads/main"]), "");
    assert_eq!(pushed.code, Some(0), "{}", pushed.said());
    for part in ["remote: -----> Procfile app detected", "Released v2", "deployed to Dozen"] {
        assert!(pushed.stderr.contains(part), "{part}: {}", pushed.stderr);
    }
    assert_eq!(server.get("hello", "/").json()["release"], "v2");
    repository
}

/// In a repository with a remote there is no need for `-a`.
pub fn knows_the_app_by_its_remote(heroku: &Heroku, repository: &Repository) {
    heroku.says(&["apps:info"], &["=== hello"]);
    let folder = heroku.home().join("cloned");
    heroku.ok(&["git:clone", "-a", "hello", &folder.to_string_lossy()]);
    let read = |path: &std::path::Path| std::fs::read_to_string(path.join("Procfile")).expect("a Procfile");
    assert_eq!(read(&folder), read(repository.path()));
}

/// An app that runs, by our own client.
pub fn deploy_the_probe(server: &Server, app: &str) -> Repository {
    server.dozen(&["apps:create", app]);
    let repository = Repository::with_probe();
    repository.connect(server, app);
    repository.push(server);
    repository
}
