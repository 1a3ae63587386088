//! What Dozen refuses to do and says so: to start apps in a sandbox that lacks a layer, to run with a setting that it cannot use. And
//! what it never does: write a config value where it could be found.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::pushing::Push;
use support::repository::Repository;
use support::server::{DOZEN, Server, processes};
use support::{eventually, rust};

/// Two required layers that the start does without: the kernel still has them, so apps can run when they are excused.
const HIDDEN: &str = "seccomp,no_new_privs";
const FIX: &str = "DOZEN_ALLOW_WEAKER=";

fn both(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn apps_are_not_started_in_a_sandbox_that_lacks_a_layer() {
    let mut server = Server::start_with(&[("DOZEN_PROBE_MASK", HIDDEN)]);
    server.dozen(&["apps:create", "kept"]);
    let repository = Repository::with_probe();
    repository.connect(&server, "kept");

    let push = Push::start(&repository, &server);
    let said = push.wait_until_said(FIX, 60);
    println!("---- push\n{said}");
    let ps = both(&server.try_dozen(&["ps", "-a", "kept"]));
    println!("---- ps\n{ps}");
    let doctor = server.try_dozen(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "doctor ends with 1");
    let doctor = both(&doctor);
    println!("---- doctor\n{doctor}");
    for (place, text) in
        [("the push", &said), ("ps", &ps), ("doctor", &doctor), ("the log", &server.output())]
    {
        for words in ["seccomp", "no_new_privs", FIX] {
            assert!(text.contains(words), "{place} does not name {words}:\n{text}");
        }
    }
    let run = server.try_dozen(&["run", "-a", "kept", "--", "true"]);
    println!("---- run\n{}", both(&run));
    assert!(!run.status.success(), "a one-off is not started either");
    assert_ne!(server.get("kept", "/").status, 200);
    assert_eq!(started(&server), 0, "nothing of the app was started");
    push.kill();

    server.stop();
    server.set("DOZEN_ALLOW_WEAKER", "seccomp");
    server.start_again();
    server.wait_for_api();
    let ps = both(&server.try_dozen(&["ps", "-a", "kept"]));
    assert!(ps.contains("no_new_privs") && started(&server) == 0, "one of two is not enough: {ps}");

    server.stop();
    server.set("DOZEN_ALLOW_WEAKER", HIDDEN);
    server.start_again();
    server.wait_for_api();
    eventually("the release that waited serves", 60, || {
        (server.get("kept", "/").status == 200).then_some(())
    });
    let ps = both(&server.try_dozen(&["ps", "-a", "kept"]));
    println!("---- ps, weaker\n{ps}");
    let doctor = both(&server.try_dozen(&["doctor"]));
    println!("---- doctor, weaker\n{doctor}");
    for (place, text) in [("ps", &ps), ("doctor", &doctor), ("the log", &server.output())] {
        for words in
            ["no seccomp (allowed by DOZEN_ALLOW_WEAKER", "no no_new_privs (allowed by DOZEN_ALLOW_WEAKER"]
        {
            assert!(text.contains(words), "{place} does not repeat \"{words}\":\n{text}");
        }
    }
    repository.write("version", "two\n");
    repository.commit("second");
    repository.push(&server);
    assert_eq!(server.get("kept", "/").json()["version"], "two", "deploys go on");

    server.stop();
    server.set("DOZEN_ALLOW_WEAKER", "seccomp");
    server.start_again();
    server.wait_for_api();
    let run = server.try_dozen(&["run", "-a", "kept", "--", "true"]);
    println!("---- run, where a release serves\n{}", both(&run));
    assert!(!run.status.success());
    for words in ["cannot be started", "no_new_privs", FIX] {
        assert!(both(&run).contains(words), "run does not name {words}:\n{}", both(&run));
    }
}

/// Run folders: each process has one from before its start until after its end was recorded.
fn started(server: &Server) -> usize {
    std::fs::read_dir(server.data().join("run/p")).map_or(0, Iterator::count)
}

#[test]
fn a_setting_that_cannot_be_used_ends_the_start_and_is_named() {
    for (name, value) in [
        ("DOZEN_DATA", "relative/folder"),
        ("DOZEN_API_LISTEN", "localhost"),
        ("DOZEN_HTTP_LISTEN", "127.0.0.1:70000"),
        ("DOZEN_BASE_DOMAIN", "not a name"),
        ("DOZEN_UID", "dozen"),
        ("DOZEN_ALLOW_WEAKER", "sekkomp"),
        ("DOZEN_PROBE_MASK", "everything"),
        ("DOZEN_DENY_OUTBOUND", "10.0.0.1/8"),
        ("DOZEN_BOOT_TIMEOUT_SECONDS", "soon"),
        ("DOZEN_NETWORK_PREFIX", "a/b"),
        ("DOZEN_CGROUP", "../up"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(DOZEN);
        command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("HOME", folder.path());
        command
            .env("DOZEN_DATA", folder.path().join("data"))
            .env(name, value)
            .arg("server")
            .stdin(Stdio::null());
        let output = command.current_dir(folder.path()).output().expect("dozen runs");
        let text = both(&output);
        println!("{}", text.trim());
        assert_eq!(output.status.code(), Some(64), "{name}={value}: {text}");
        assert!(text.contains(name) && text.contains(value), "{name}={value}: {text}");
        assert!(!folder.path().join("data").exists(), "{name}: nothing was begun");
    }
}

/// A value that is looked for everywhere. It is not written whole in this file, which lies in nobody's data folder anyway.
fn canary() -> String {
    ["canary", "5d1f6c0e", "never", "written"].join("-")
}

#[test]
fn a_config_value_is_found_nowhere() {
    let prefix = rust::toolchain().map(|path| path.display().to_string()).unwrap_or_default();
    let server = Server::start_with(&[("DOZEN_RUST_PREFIX", &prefix)]);
    let canary = canary();
    server.dozen(&["apps:create", "quiet"]);
    server.dozen(&["config:set", &format!("SECRET_OF_MINE={canary}"), "-a", "quiet"]);
    let repository = Repository::with_probe();
    repository
        .write("Procfile", "web: ./probe\nworker: ./probe worker\nrelease: echo the schema is new && test -n \"$SECRET_OF_MINE\"\n");
    repository.commit("with a release phase");
    repository.connect(&server, "quiet");
    let told = repository.push(&server);
    let phase = told.find("Running release phase").expect("it is told that the phase runs");
    let printed = told.find("       the schema is new").expect("what the phase prints is told");
    assert!(phase < printed && printed < told.find("deployed to Dozen").expect("it ends well"), "{told}");
    server.dozen(&["ps:scale", "web=2", "worker=1", "-a", "quiet"]);
    assert_eq!(server.get("quiet", "/env?name=SECRET_OF_MINE").text(), canary, "the app sees it");
    let run = server.dozen(&["run", "-a", "quiet", "--", "test -n \"$SECRET_OF_MINE\" && echo seen"]);
    assert!(run.contains("seen"), "{run}");
    server.dozen(&["config:set", "OTHER=1", "-a", "quiet"]);
    eventually("v3 serves", 60, || (server.get("quiet", "/").json()["release"] == "v3").then_some(()));
    server.dozen(&["rollback", "-a", "quiet"]);
    eventually("v4 serves", 60, || (server.get("quiet", "/").json()["release"] == "v4").then_some(()));
    server.get("quiet", "/crash");
    eventually("it serves again", 30, || (server.get("quiet", "/").status == 200).then_some(()));
    assert_eq!(server.get("quiet", "/env?name=SECRET_OF_MINE").text(), canary, "the app sees it still");

    let found = search(&server, canary.as_bytes());
    assert!(found.is_empty(), "the value was written: {found:#?}");
    let key = search(&server, b"SECRET_OF_MINE");
    assert!(
        key.iter().any(|place| place.contains("ledger")),
        "the search finds what is there, such as the name: {key:?}"
    );

    server.kill("serve");
    server.wait_for_api();
    assert!(search(&server, canary.as_bytes()).is_empty(), "nor after a crash of the server");
    println!("{}", server.dozen(&["logs", "-n", "1500", "-a", "quiet"]));
    let printed = server.dozen(&["run", "-a", "quiet", "--", "echo $SECRET_OF_MINE"]);
    println!("{}", server.dozen(&["logs", "-n", "20", "-a", "quiet"]));
    assert!(printed.contains(&canary), "whoever may run may see: {printed}");
}

/// Where these bytes are: files of the data folder, the daemons' output, command lines, environments of daemons and shims.
fn search(server: &Server, bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    search_folder(&server.data(), bytes, &mut found);
    if contains(server.output().as_bytes(), bytes) {
        found.insert("the daemons' output".to_owned());
    }
    for pid in processes() {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let line = read("cmdline");
        if contains(&line, bytes) {
            found.insert(format!("the command line of {pid}: {}", String::from_utf8_lossy(&line)));
        }
        if line.starts_with(b"dozen\0") && contains(&read("environ"), bytes) {
            found.insert(format!("the environment of {pid}: {}", String::from_utf8_lossy(&line)));
        }
    }
    found
}

fn search_folder(folder: &Path, bytes: &[u8], found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("its kind"));
        if kind.is_dir() {
            search_folder(&path, bytes, found);
        } else if contains(path.as_os_str().as_encoded_bytes(), bytes)
            || (kind.is_file() && holds(&path, bytes))
        {
            found.insert(path.display().to_string());
        }
    }
}

/// A file may go while it is looked for; sockets and namespaces are not files.
fn holds(path: &PathBuf, bytes: &[u8]) -> bool {
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut content));
    read.is_ok() && contains(&content, bytes)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window[0] == needle[0] && window == needle)
}
