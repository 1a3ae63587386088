//! Deploys without a push, black box: folders, uploads, commits by name, tokens that deploy one app, apps in subfolders.

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::eventually;
use support::repository::{Repository, probe};
use support::server::Server;

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder that is no repository, with the probe as its app.
fn folder(version: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write_app(folder.path(), version);
    folder
}

fn write_app(folder: &Path, version: &str) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("Procfile"), "web: ./probe\n").expect("a Procfile");
    std::fs::write(folder.join("version"), format!("{version}\n")).expect("a version");
    std::fs::copy(probe(), folder.join("probe")).expect("the probe is copied");
}

fn deploy(server: &Server, folder: &Path, words: &[&str]) -> Command {
    let mut command = server.command();
    command.arg("deploy").arg(folder).args(words).stdin(Stdio::null());
    command
}

fn version(server: &Server, app: &str) -> String {
    server.get(app, "/").json()["version"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn deploys_without_a_push() {
    let mut server = Server::start();
    server.dozen(&["apps:create", "hello"]);
    server.dozen(&["apps:create", "other"]);
    a_folder_is_packed_and_serves(&server);
    a_build_that_fails_changes_nothing(&server);
    a_commit_is_built_by_its_name(&server);
    an_archive_at_a_private_address_is_not_fetched(&server);
    a_deploy_token_deploys_and_nothing_else(&server);
    the_app_may_lie_in_a_folder(&server);
    ctrl_c_says_what_goes_on(&server);
    an_upload_outlives_the_server(&mut server);
}

fn a_folder_is_packed_and_serves(server: &Server) {
    let folder = folder("packed");
    let output =
        deploy(server, folder.path(), &["-a", "hello", "--version", "v1.0"]).output().expect("dozen runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("---- deploy\n{told}");
    assert!(output.status.success(), "{told}\n{}", server.output());
    let result = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(result.starts_with("hello v1 http://hello."), "{result}");
    assert!(told.contains("Released v1"), "the build's output is shown: {told}");
    assert_eq!(version(server, "hello"), "packed");
    let release = server.json(&["releases:info", "v1", "-a", "hello"]);
    assert_eq!(release["description"], "Deploy v1.0", "{release}");

    let json = deploy(server, folder.path(), &["-a", "hello", "--json"]).output().expect("dozen runs");
    let json: Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|_| panic!("{}", both(&json)));
    assert_eq!(
        (json["build"]["status"].as_str(), json["release"]["version"].as_u64()),
        (Some("succeeded"), Some(2))
    );
}

fn a_build_that_fails_changes_nothing(server: &Server) {
    let broken = folder("broken");
    std::fs::write(broken.path().join("Procfile"), "web\n").expect("a Procfile");
    let output = deploy(server, broken.path(), &["-a", "hello"]).output().expect("dozen runs");
    println!("---- broken\n{}", both(&output));
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(both(&output).contains("the build failed; nothing of hello has changed"), "{}", both(&output));
    let hostile = folder("hostile");
    std::os::unix::fs::symlink("/etc/passwd", hostile.path().join("leak")).expect("linked");
    let output = deploy(server, hostile.path(), &["-a", "hello"]).output().expect("dozen runs");
    assert_eq!(output.status.code(), Some(2), "refused: {}", both(&output));
    assert!(both(&output).contains("symbolic link to the absolute path"), "{}", both(&output));
    assert_eq!(version(server, "hello"), "packed");
}

fn a_commit_is_built_by_its_name(server: &Server) {
    let repository = Repository::with_probe();
    repository.connect(server, "hello");
    repository.push(server);
    let first = repository.git(&["rev-parse", "HEAD"]).trim().to_owned();
    repository.write("version", "two\n");
    repository.commit("second");
    repository.push(server);
    assert_eq!(version(server, "hello"), "two");
    let made = server.try_dozen(&["builds:create", "--commit", &first[..8], "-a", "hello"]);
    println!("---- builds:create --commit\n{}", both(&made));
    assert!(made.status.success() && both(&made).contains(&first), "{}", both(&made));
    eventually("the first commit serves", 30, || (version(server, "hello") == "one").then_some(()));
    let unknown = server.try_dozen(&["builds:create", "--commit", "ffffffff", "-a", "hello"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(both(&unknown).contains("has no commit \"ffffffff\""), "{}", both(&unknown));
    // The branch followed, so pushing the second commit again is news.
    let told = eventually("the push is built again", 30, || {
        let told = repository.push(server);
        (!told.contains("up-to-date")).then_some(told)
    });
    assert!(told.contains("deployed to Dozen"), "{told}");
}

fn an_archive_at_a_private_address_is_not_fetched(server: &Server) {
    for address in ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "10.0.0.1", "0.0.0.0"] {
        let url = format!("https://{address}:{}/x.tgz", server.api_port + 1);
        let refused = server.try_dozen(&["builds:create", "--source-url", &url, "-a", "hello"]);
        assert_eq!(refused.status.code(), Some(2), "{address}: {}", both(&refused));
        assert!(both(&refused).contains("DOZEN_FETCH_ALLOW"), "{address}: {}", both(&refused));
    }
}

fn a_deploy_token_deploys_and_nothing_else(server: &Server) {
    let token = server.dozen(&["tokens:create", "--deploy", "-a", "hello", "--expires-in", "1h"]);
    let as_machine = |words: &[&str]| {
        server
            .command()
            .args(words)
            .env("DOZEN_TOKEN", token.trim())
            .stdin(Stdio::null())
            .output()
            .expect("dozen runs")
    };
    let folder = folder("by a machine");
    let path = folder.path().display().to_string();
    let deployed = as_machine(&["deploy", &path, "-a", "hello"]);
    assert!(deployed.status.success(), "{}", both(&deployed));
    assert_eq!(version(server, "hello"), "by a machine");
    for words in [
        &["config", "-a", "hello"][..],
        &["config:set", "A=1", "-a", "hello"],
        &["logs", "-a", "hello"],
        &["ps", "-a", "hello"],
        &["run", "-a", "hello", "--", "id"],
        &["rollback", "-a", "hello"],
        &["apps:destroy", "hello", "--confirm", "hello"],
        &["apps:create", "mine"],
        &["deploy", &path, "-a", "other"],
        &["tokens:create"],
        &["keys"],
    ] {
        let refused = as_machine(words);
        assert!(!refused.status.success(), "{words:?}: {}", both(&refused));
    }
}

fn the_app_may_lie_in_a_folder(server: &Server) {
    let repository = Repository::new();
    write_app(&repository.path().join("services/web"), "in a folder");
    repository.write("README", "all of it\n");
    repository.commit("first");
    repository.connect(server, "other");
    server.dozen(&["config:set", "PROJECT_PATH=services/web", "-a", "other"]);
    repository.push(server);
    assert_eq!(version(server, "other"), "in a folder");
    repository.write("services/web/version", "packed in a folder\n");
    let output = deploy(server, repository.path(), &["-a", "other"]).output().expect("dozen runs");
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(version(server, "other"), "packed in a folder");
    server.dozen(&["config:set", "PROJECT_PATH=services/nothing", "-a", "other"]);
    repository.commit("second");
    let refused = repository.try_push(server);
    println!("---- wrong PROJECT_PATH\n{}", both(&refused));
    assert!(!refused.status.success() && both(&refused).contains("PROJECT_PATH"), "{}", both(&refused));
    server.dozen(&["config:unset", "PROJECT_PATH", "-a", "other"]);
}

fn ctrl_c_says_what_goes_on(server: &Server) {
    let folder = folder("slow");
    std::fs::write(folder.path().join("Procfile"), "web: ./probe\nrelease: sleep 20\n").expect("a Procfile");
    let mut command = deploy(server, folder.path(), &["-a", "other"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dozen runs");
    eventually("the release phase runs", 60, || {
        let releases = server.json(&["releases", "-a", "other"]);
        (releases[0]["description"].as_str()?.starts_with("Deploy") && releases[0]["status"] == "pending")
            .then_some(())
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it lives");
    let output = child.wait_with_output().expect("its output");
    println!("---- interrupted\n{}", both(&output));
    assert_eq!(output.status.code(), Some(130), "{}", both(&output));
    // Whether it had heard of the build's end by then or not: it goes on, and so it is told.
    assert!(
        both(&output).contains("Interrupted: the build") && both(&output).contains("goes on"),
        "{}",
        both(&output)
    );
    eventually("the release serves without its client", 60, || {
        (version(server, "other") == "slow").then_some(())
    });
}

/// What was answered with success is there after the server was killed; what was not leaves nothing.
fn an_upload_outlives_the_server(server: &mut Server) {
    let archive = server.folder().join("source.tgz");
    let folder = folder("uploaded before the kill");
    let packed = Command::new("tar").arg("czf").arg(&archive).arg("-C").arg(folder.path()).arg(".").status();
    assert!(packed.expect("tar runs").success());
    let credentials =
        std::fs::read_to_string(server.folder().join("config/credentials.json")).expect("a login");
    let token = regex_free_token(&credentials);
    let api = format!("https://localhost:{}", server.api_port);
    let ca = server.data().join("ca/ca.pem");
    let curl = |words: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail-with-body", "--cacert"]).arg(&ca).args(words);
        command.output().expect("curl runs")
    };
    let bearer = format!("Authorization: Bearer {token}");
    let place = || -> Value {
        let made = curl(&["-X", "POST", "-H", &bearer, &format!("{api}/sources")]);
        serde_json::from_slice::<Value>(&made.stdout).expect("a place")["source_blob"].clone()
    };
    let (whole, half) = (place(), place());
    let put = |blob: &Value, more: &[&str]| {
        let mut words = vec!["-T", archive.to_str().expect("text")];
        words.extend(more);
        let url = blob["put_url"].as_str().expect("an address").to_owned();
        words.push(&url);
        curl(&words)
    };
    assert!(put(&whole, &[]).status.success());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| put(&half, &["--limit-rate", "10k"]));
        eventually("the second upload has begun", 20, || {
            let uploads = std::fs::read_dir(server.data().join("uploads")).ok()?;
            uploads
                .flatten()
                .any(|entry| entry.path().extension().is_some_and(|end| end == "part"))
                .then_some(())
        });
        server.kill("serve");
        assert!(!slow.join().expect("curl ends").status.success());
    });
    eventually("the server is back", 40, || server.daemon("serve").map(drop));
    server.wait_for_api();
    let left: Vec<_> =
        std::fs::read_dir(server.data().join("uploads")).expect("a folder").flatten().collect();
    assert!(left.iter().all(|entry| entry.path().extension().is_none()), "{left:?}");
    let body =
        serde_json::json!({ "source_blob": { "url": whole["get_url"], "version": "kept" } }).to_string();
    let built = curl(&[
        "-H",
        &bearer,
        "-H",
        "Content-Type: application/json",
        "-d",
        &body,
        &format!("{api}/apps/hello/builds"),
    ]);
    assert!(built.status.success(), "{}", both(&built));
    eventually("it serves", 60, || (version(server, "hello") == "uploaded before the kill").then_some(()));
    let body = serde_json::json!({ "source_blob": { "url": half["get_url"] } }).to_string();
    let refused = curl(&[
        "-H",
        &bearer,
        "-H",
        "Content-Type: application/json",
        "-d",
        &body,
        &format!("{api}/apps/hello/builds"),
    ]);
    assert!(both(&refused).contains("Nothing was uploaded here yet"), "{}", both(&refused));
}

/// The first token of the file of logins.
fn regex_free_token(credentials: &str) -> String {
    let at = credentials.find("dzn_").expect("a token");
    credentials[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
