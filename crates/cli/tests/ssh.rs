//! A push over SSH through a whole `dozen server`, whose launcher hands the listener over, by the real git and OpenSSH.

mod support;

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use support::eventually;
use support::repository::Repository;
use support::server::{Server, free_port};

/// OpenSSH with this key alone, and nothing of this machine's configuration.
fn ssh_command(folder: &Path) -> String {
    let (key, known) = (folder.join("key"), folder.join("known_hosts"));
    format!(
        "ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
         -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={}",
        key.display(),
        known.display()
    )
}

fn push(server: &Server, repository: &Repository) -> Output {
    let mut push = repository.push_command(server);
    push.env("GIT_SSH_COMMAND", ssh_command(server.folder())).output().expect("git runs")
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn version(server: &Server) -> String {
    server.get("hello", "/").json()["version"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_push_over_ssh() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut server = Server::start_with(&[("DOZEN_SSH_LISTEN", &address)]);
    let key = server.folder().join("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f"]).arg(&key);
    assert!(keygen.status().expect("ssh-keygen runs").success());
    server.dozen(&["apps:create", "hello"]);
    let repository = Repository::with_probe();
    let url = format!("ssh://git@{address}/hello.git");
    repository.git(&["remote", "add", "dozen", &url]);

    let stranger = push(&server, &repository);
    assert!(!stranger.status.success(), "{}", both(&stranger));
    assert!(both(&stranger).contains("Permission denied (publickey)"), "{}", both(&stranger));

    server.dozen(&["keys:add", key.with_extension("pub").to_str().expect("UTF-8")]);
    let first = push(&server, &repository);
    println!("---- first\n{}", both(&first));
    assert!(first.status.success(), "{}\n{}", both(&first), server.output());
    assert!(both(&first).contains("remote: -----> Released v1"), "{}", both(&first));
    assert_eq!(version(&server), "one");

    a_dead_server_leaves_the_listener(&server, port, &repository);
    a_broken_build_rejects_the_push(&server, &repository);

    // A start of its own: the same host key, or the client would refuse it.
    server.dozen(&["server", "stop"]);
    server.start_again();
    server.wait_for_api();
    repository.write("version", "three\n");
    repository.write("Procfile", "web: ./probe\n");
    repository.commit("third");
    let third = push(&server, &repository);
    assert!(third.status.success(), "{}\n{}", both(&third), server.output());
    assert_eq!(version(&server), "three");

    server.dozen(&["keys:remove", "ada"]);
    repository.commit("fourth");
    let refused = push(&server, &repository);
    assert!(both(&refused).contains("Permission denied (publickey)"), "{}", both(&refused));
    assert_eq!(version(&server), "three");
}

/// The launcher holds the listener: while the server is away clients wait instead of being refused.
fn a_dead_server_leaves_the_listener(server: &Server, port: u16, repository: &Repository) {
    server.kill("serve");
    TcpStream::connect(("127.0.0.1", port)).expect("the listener outlives the server");
    repository.write("version", "two\n");
    repository.commit("second");
    let second = push(server, repository);
    assert!(second.status.success(), "{}\n{}", both(&second), server.output());
    eventually("the second version serves", 30, || (version(server) == "two").then_some(()));
}

fn a_broken_build_rejects_the_push(server: &Server, repository: &Repository) {
    repository.write("Procfile", "web\n");
    repository.commit("broken");
    let refused = push(server, repository);
    println!("---- broken\n{}", both(&refused));
    assert!(!refused.status.success(), "{}", both(&refused));
    assert!(both(&refused).contains("pre-receive hook declined"), "{}", both(&refused));
    assert_eq!(version(server), "two");
}
