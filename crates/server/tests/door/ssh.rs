//! Pushes and fetches over SSH with the real OpenSSH client and git, and what the server does not do for it.

use crate::Case;
use crate::git::{Ran, Repo};
use crate::world::{World, wait_until};
use serde_json::json;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const CASES: &[Case] = &[
    ("ssh::push_clone_and_fetch", push_clone_and_fetch),
    ("ssh::a_refused_push_says_why", a_refused_push_says_why),
    (
        "ssh::output_is_live_and_a_killed_client_changes_nothing",
        output_is_live_and_a_killed_client_changes_nothing,
    ),
    ("ssh::only_known_keys_get_in", only_known_keys_get_in),
    ("ssh::there_is_git_and_nothing_else", there_is_git_and_nothing_else),
    ("ssh::apps_of_others_are_not_there", apps_of_others_are_not_there),
    ("ssh::a_key_that_is_gone_opens_nothing_on_an_old_connection", a_key_that_is_gone_opens_nothing),
    ("ssh::fetches_at_once_are_bounded", fetches_at_once_are_bounded),
];

/// A key pair made by OpenSSH.
struct Key {
    file: PathBuf,
}

impl Key {
    fn make(world: &World, name: &str, kind: &str) -> Self {
        let file = world.folder.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "", "-C", name, "-f"])
            .arg(&file)
            .status();
        assert!(made.unwrap().success());
        Self { file }
    }

    fn public(&self) -> String {
        fs::read_to_string(self.file.with_extension("pub")).unwrap()
    }

    /// Makes the key that of an account.
    fn add(&self, client: &crate::client::Client) -> String {
        let made = client.post("/account/keys", &json!({ "public_key": self.public() }).to_string());
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    }
}

/// OpenSSH with this key alone, and nothing of this machine's configuration.
fn ssh(world: &World, key: &Path) -> Vec<String> {
    let known = world.folder.path().join("known_hosts");
    let options = [
        "BatchMode=yes".to_owned(),
        "IdentitiesOnly=yes".to_owned(),
        "IdentityAgent=none".to_owned(),
        "StrictHostKeyChecking=accept-new".to_owned(),
        format!("UserKnownHostsFile={}", known.display()),
    ];
    let mut words: Vec<String> = ["ssh", "-F", "/dev/null", "-i"].map(str::to_owned).to_vec();
    words.push(key.display().to_string());
    words.extend(options.into_iter().flat_map(|option| ["-o".to_owned(), option]));
    words
}

fn run_ssh(world: &World, key: &Key, options: &[&str], command: &[&str]) -> Ran {
    let words = ssh(world, &key.file);
    let mut ssh = Command::new(&words[0]);
    ssh.args(&words[1..])
        .args(["-p", &world.ssh_port.to_string()])
        .args(options)
        .arg("git@127.0.0.1")
        .args(command);
    Ran::of(ssh.stdin(Stdio::null()).output().unwrap())
}

/// A repository whose remote `dozen` is the app's over SSH.
fn repository(world: &World, app: &str, key: &Key, files: &[(&str, &str)]) -> Repo {
    let repo = Repo::new(world, app, files);
    let url = format!("ssh://git@127.0.0.1:{}/{app}.git", world.ssh_port);
    repo.run(&["remote", "set-url", "dozen", &url]).says(&[]);
    repo.run(&["config", "core.sshCommand", &ssh(world, &key.file).join(" ")]).says(&[]);
    repo
}

fn push_clone_and_fetch() {
    let world = World::start();
    let app = world.app("hello");
    for (name, kind) in [("ed25519", "ed25519"), ("ecdsa", "ecdsa")] {
        Key::make(&world, name, kind).add(&world.client());
    }
    let key = Key { file: world.folder.path().join("ed25519") };
    let repo = repository(&world, "hello", &key, &[("web", "serve"), ("src/a.txt", "one")]);
    repo.push(&["main"]).says(&[
        "remote: -----> Building for the test",
        "remote: -----> Released v1",
        "remote:        http://hello.localhost:8080/ deployed to Dozen",
        "main -> main",
    ]);
    assert_eq!(world.head_of(app), Some(repo.head()));
    assert!(world.builder.seen().contains(&"src/a.txt=one".to_owned()));
    repo.push(&["main"]).says(&["Everything up-to-date"]);
    let other = Key { file: world.folder.path().join("ecdsa") };
    let clone = repository(&world, "hello", &other, &[("unrelated", "x")]);
    clone.run(&["fetch", "--quiet", "dozen"]).says(&[]);
    assert_eq!(clone.run(&["rev-parse", "dozen/main"]).text.trim(), repo.head());
    // A larger change, over the same way, by another key of the same account.
    clone.run(&["reset", "--quiet", "--hard", "dozen/main"]).says(&[]);
    let large = "0123456789abcdef\n".repeat(200_000);
    clone.commit(&[("src/large.txt", &large)]);
    clone.push(&["main"]).says(&["Released v2"]);
    repo.run(&["fetch", "--quiet", "dozen"]).says(&[]);
    assert_eq!(repo.run(&["rev-parse", "dozen/main"]).text.trim(), clone.head());
}

fn a_refused_push_says_why() {
    let world = World::start();
    let app = world.app("hello");
    let key = Key::make(&world, "key", "ed25519");
    key.add(&world.client());
    let repo =
        repository(&world, "hello", &key, &[("build", "say compiling\nfail error[E0425]: no such thing")]);
    repo.push(&["main"]).refused(&[
        "remote: compiling",
        "E0425",
        "Push rejected",
        "pre-receive hook declined",
    ]);
    assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0));
    repo.commit(&[("build", "")]);
    repo.push(&["main:refs/notes/x"]).refused(&["neither a branch nor a tag"]);
    repo.push(&["main"]).says(&["Released v1"]);
}

fn output_is_live_and_a_killed_client_changes_nothing() {
    let world = World::start();
    let app = world.app("hello");
    let key = Key::make(&world, "key", "ed25519");
    key.add(&world.client());
    let repo = repository(&world, "hello", &key, &[("build", "say before\nhold\nflood 300000")]);
    let mut child = repo.start_push(&["main"]);
    let (mut said, mut stderr) = (String::new(), child.stderr.take().unwrap());
    wait_until("the line before the build goes on", || {
        let mut piece = [0; 1024];
        let count = std::io::Read::read(&mut stderr, &mut piece).unwrap();
        said.push_str(&String::from_utf8_lossy(&piece[..count]));
        said.contains("before")
    });
    rustix::process::kill_process_group(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    child.wait().unwrap();
    world.builder.let_go();
    wait_until("the ref has moved", || world.head_of(app) == Some(repo.head()));
    repo.commit(&[("build", "")]);
    repo.push(&["main"]).says(&["Released v2"]);
}

fn only_known_keys_get_in() {
    let world = World::start();
    world.app("hello");
    let (known, stranger) = (Key::make(&world, "known", "ed25519"), Key::make(&world, "stranger", "ed25519"));
    let id = known.add(&world.client());
    let ask = |key: &Key, options: &[&str]| run_ssh(&world, key, options, &["git-upload-pack 'hello.git'"]);
    ask(&stranger, &[]).refused(&["Permission denied (publickey)"]);
    ask(&stranger, &["-o", "PreferredAuthentications=password,keyboard-interactive,none"])
        .refused(&["Permission denied"]);
    let served = ask(&known, &[]);
    assert!(!served.text.contains("Permission denied"), "{}", served.text);
    assert_eq!(world.client().delete(&format!("/account/keys/{id}")).status, 200);
    ask(&known, &[]).refused(&["Permission denied (publickey)"]);
}

fn there_is_git_and_nothing_else() {
    let world = World::start();
    world.app("hello");
    let key = Key::make(&world, "key", "ed25519");
    key.add(&world.client());
    for command in [
        &["sh", "-c", "id"][..],
        &["git-upload-archive 'hello.git'"],
        &["git-receive-pack 'hello.git'; id"],
        &["git-upload-pack '../../etc'"],
        &["scp -t /tmp"],
        &[],
    ] {
        let ran = run_ssh(&world, &key, &["-T"], command);
        ran.refused(&["takes git over SSH and nothing else"]);
        assert!(!ran.text.contains("uid="), "{}", ran.text);
    }
    run_ssh(&world, &key, &["-tt"], &["id"]).refused(&["PTY allocation request failed"]);
    run_ssh(&world, &key, &["-s"], &["sftp"]).refused(&["subsystem request failed"]);
    let target = format!("127.0.0.1:{}", world.address.port());
    run_ssh(&world, &key, &["-W", &target], &[]).refused(&["administratively prohibited"]);
    let remote = format!("0:{target}");
    run_ssh(&world, &key, &["-N", "-o", "ExitOnForwardFailure=yes", "-R", &remote], &[])
        .refused(&["remote port forwarding failed"]);
    let hello = run_ssh(&world, &key, &[], &["git-upload-pack 'nothing.git'"]);
    hello.refused(&["Couldn't find that app"]);
}

fn apps_of_others_are_not_there() {
    let world = World::start();
    world.app("hello");
    let made = world.client().post("/dozen/accounts", r#"{"email":"bob@example.com","role":"owner"}"#).json();
    let bob = world.client().with_authorization(Some(&format!("Bearer {}", made["token"].as_str().unwrap())));
    let key = Key::make(&world, "bob", "ed25519");
    key.add(&bob);
    let repo = repository(&world, "hello", &key, &[("web", "serve")]);
    repo.push(&["main"]).refused(&["Couldn't find that app"]);
    let shared = json!({ "user": "bob@example.com", "role": "viewer" }).to_string();
    assert_eq!(world.client().post("/apps/hello/collaborators", &shared).status, 201);
    repo.push(&["main"]).refused(&["You do not have permission to do this"]);
    let twice = world.client().post("/account/keys", &json!({ "public_key": key.public() }).to_string());
    assert_eq!(twice.status, 422, "a key is one account's: {}", twice.text());
}

/// A connection that further sessions go over.
struct Connection {
    words: Vec<String>,
    child: Child,
}

impl Connection {
    fn open(world: &World, key: &Key, name: &str) -> Self {
        let socket = world.folder.path().join(name);
        let mut words = ssh(world, &key.file);
        words.extend(["-T", "-S"].map(str::to_owned));
        words.push(socket.display().to_string());
        words.extend(["-p".to_owned(), world.ssh_port.to_string()]);
        let mut master = Command::new(&words[0]);
        master.args(&words[1..]).args(["-M", "-N", "git@127.0.0.1"]).stdin(Stdio::null());
        let child = master.spawn().unwrap();
        wait_until("the connection is open", || socket.exists());
        Self { words, child }
    }

    /// A session over this connection and no other.
    fn session(&self, command: &str) -> Command {
        let mut session = Command::new(&self.words[0]);
        session.args(&self.words[1..]).args(["-o", "ProxyCommand=false", "git@127.0.0.1", command]);
        session
    }

    fn run(&self, command: &str) -> Ran {
        Ran::of(self.session(command).stdin(Stdio::null()).output().unwrap())
    }

    /// A fetch that is served and goes on until it is dropped.
    fn hold(&self) -> Held {
        let mut session = self.session("git-upload-pack 'hello.git'");
        let mut child = session.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut length = [0; 4];
        child.stdout.as_mut().unwrap().read_exact(&mut length).expect("git answers");
        Held(child)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn a_key_that_is_gone_opens_nothing() {
    let world = World::start();
    world.app("hello");
    let key = Key::make(&world, "key", "ed25519");
    let id = key.add(&world.client());
    let connection = Connection::open(&world, &key, "master");
    let ask = || connection.run("git-upload-pack 'nothing.git'");
    ask().refused(&["Couldn't find that app"]);
    assert_eq!(world.client().delete(&format!("/account/keys/{id}")).status, 200);
    assert_eq!(ask().refused(&[]).text, "", "not even that is told");
}

fn fetches_at_once_are_bounded() {
    let world = World::start();
    world.app("hello");
    let key = Key::make(&world, "key", "ed25519");
    key.add(&world.client());
    let connections: Vec<_> =
        (0..4).map(|n| Connection::open(&world, &key, &format!("master-{n}"))).collect();
    let mut held: Vec<_> =
        connections.iter().flat_map(|connection| (0..8).map(|_| connection.hold())).collect();
    let ninth = connections[0].run("git-upload-pack 'hello.git'");
    assert_eq!(ninth.refused(&[]).text, "", "the channel is refused");
    let late = Connection::open(&world, &key, "late");
    late.run("git-upload-pack 'hello.git'").refused(&["Too many fetches are under way"]);
    let over_https = Repo::new(&world, "hello", &[("web", "serve")]);
    over_https.run(&["ls-remote", "dozen"]).refused(&["503"]);
    drop(held.remove(0));
    wait_until("a ninth is an eighth", || {
        connections[0].run("git-upload-pack 'nothing.git'").text.contains("find that app")
    });
    wait_until("the place is free again", || over_https.run(&["ls-remote", "dozen"]).success);
}
