//! Repositories and requests that mean harm, clients that die or stop reading, pushes that meet: the real git against the whole of
//! Dozen. Whatever is refused is refused by name, the server lives on, and an honest push works afterwards.

mod support;

use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};
use support::pushing::Push;
use support::repository::Repository;
use support::server::Server;
use support::{eventually, rust};

/// A repository made hostile by one step, and words of the refusal.
struct Case {
    what: &'static str,
    make: fn(&Repository),
    told: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        what: "an absolute link",
        make: |repository| link(repository, "passwords", "/etc/shadow"),
        told: &["Push rejected", "\"passwords\"", "/etc/shadow"],
    },
    Case {
        what: "a link that leaves",
        make: |repository| link(repository, "above", "../../keys/master"),
        told: &["Push rejected", "\"above\"", "../../keys/master"],
    },
    Case {
        what: "a link that leaves through another",
        make: |repository| {
            std::fs::create_dir_all(repository.path().join("deep/er")).expect("folders");
            link(repository, "deep/er/up", "../..");
            link(repository, "deep/er/out", "up/..");
        },
        told: &["Push rejected", "\"deep/er/out\""],
    },
    Case {
        what: "a folder named ..",
        make: |repository| entry(repository, "040000 tree", ".."),
        told: &["hasDotdot"],
    },
    Case {
        what: "a folder named .git",
        make: |repository| entry(repository, "040000 tree", ".git"),
        told: &["hasDotgit"],
    },
    Case {
        what: "a folder named .GIT",
        make: |repository| entry(repository, "040000 tree", ".GIT"),
        told: &["hasDotgit"],
    },
    Case {
        what: "a file below a link",
        make: |repository| {
            let (tree, link) =
                (head_tree(repository), plumb(repository, &["hash-object", "-w", "--stdin"], ".."));
            let listing = format!("120000 blob {link}\tx\n040000 tree {tree}\tx\n");
            commit_tree(repository, &plumb(repository, &["mktree"], &listing));
        },
        told: &["duplicateEntries"],
    },
    Case {
        what: "options in .gitmodules",
        make: |repository| {
            repository.write(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = -u./payload\n")
        },
        told: &["gitmodulesUrl"],
    },
    Case {
        what: "a submodule",
        make: |repository| {
            repository.write(
                ".gitmodules",
                "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = https://example.invalid/lib\n",
            );
            repository.git(&["add", ".gitmodules"]);
            let commit = repository.git(&["rev-parse", "HEAD"]);
            let entry = format!("160000,{},vendor/lib", commit.trim());
            repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
            repository.git(&["commit", "--quiet", "--message", "a submodule"]);
        },
        told: &["Push rejected", "submodule folder \"vendor/lib\"", "git subtree add"],
    },
    Case {
        what: "a pointer of Git LFS",
        make: |repository| {
            repository.write(".gitattributes", "*.bin -text diff=lfs merge=lfs\nmodel.bin filter=lfs\n");
            let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
            repository.write("model.bin", pointer);
            repository.git(&["config", "filter.lfs.clean", "cat"]);
        },
        told: &["Push rejected", "model.bin", "Git LFS pointers"],
    },
    Case {
        what: "folders without end",
        make: |repository| repository.write(&format!("{}leaf", "d/".repeat(120)), "deep"),
        told: &["Push rejected", "nested too deeply"],
    },
    Case {
        what: "a Procfile that is none",
        make: |repository| repository.write("Procfile", "web: ./probe\nthis is no line\n"),
        told: &["Push rejected", "Procfile line 2"],
    },
    Case {
        what: "nothing to build",
        make: |repository| {
            repository.git(&["rm", "--quiet", "Procfile"]);
        },
        told: &["Push rejected", "no builder knows what to do with this source"],
    },
];

fn link(repository: &Repository, name: &str, target: &str) {
    symlink(target, repository.path().join(name)).expect("a link");
}

/// A commit whose tree holds what the tree of HEAD is, under this name.
fn entry(repository: &Repository, kind: &str, name: &str) {
    let tree = head_tree(repository);
    let procfile = repository.git(&["rev-parse", "HEAD:Procfile"]);
    let listing = format!("100644 blob {}\tProcfile\n{kind} {tree}\t{name}\n", procfile.trim());
    commit_tree(repository, &plumb(repository, &["mktree"], &listing));
}

fn head_tree(repository: &Repository) -> String {
    repository.git(&["rev-parse", "HEAD^{tree}"]).trim().to_owned()
}

/// Makes the branch a commit of this tree. The work tree stays as it is: git would refuse to check it out.
fn commit_tree(repository: &Repository, tree: &str) {
    let commit = plumb(repository, &["commit-tree", tree, "-m", "hostile"], "");
    repository.git(&["update-ref", "HEAD", &commit]);
}

/// Plumbing with an input.
fn plumb(repository: &Repository, words: &[&str], input: &str) -> String {
    let mut command = Command::new("git");
    command.args(words).current_dir(repository.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("git runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git {words:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn hostile_repositories_are_refused_by_name() {
    let server = Server::start();
    server.dozen(&["apps:create", "target"]);
    let serve = server.daemon("serve");
    for case in CASES {
        let repository = Repository::with_probe();
        repository.connect(&server, "target");
        let before = repository.git(&["rev-parse", "HEAD"]);
        (case.make)(&repository);
        if repository.git(&["rev-parse", "HEAD"]) == before {
            repository.commit(case.what);
        }
        let began = std::time::Instant::now();
        let output = repository.try_push(&server);
        let told = told(&output);
        println!(
            "---- {} ({:?})\n{}",
            case.what,
            began.elapsed(),
            told.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
        );
        assert!(!output.status.success(), "{} was taken:\n{told}", case.what);
        let missing: Vec<_> = case.told.iter().filter(|words| !told.contains(**words)).collect();
        assert!(missing.is_empty(), "{}: {missing:?} are not in:\n{told}", case.what);
        assert!(!told.contains("internal error"), "{}: {told}", case.what);
    }
    assert_eq!(server.json(&["releases", "-a", "target"]), serde_json::json!([]), "none made a release");
    other_refs_deploy_nothing(&server);
    assert_eq!(server.daemon("serve"), serve, "the server lived through all of it");
    let leftovers = std::fs::read_dir(server.data().join("builds")).map(|builds| builds.count());
    println!("folders of builds that are left: {leftovers:?}");
}

/// Branches and tags beside the deploy branch are kept, and said not to be deployed; the deploy branch cannot be deleted.
fn other_refs_deploy_nothing(server: &Server) {
    let repository = Repository::with_probe();
    repository.connect(server, "target");
    let push = |refs: &[&str]| {
        let mut command = repository.push_command(server);
        // The words of the usual push, with other refs.
        let environment: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = Command::new("git");
        command.args(["push", "dozen"]).args(refs).current_dir(repository.path()).stdin(Stdio::null());
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.output().expect("git runs")
    };
    repository.git(&["tag", "v9"]);
    for (refspec, words) in
        [("HEAD:refs/heads/topic", "topic is kept but not deployed"), ("v9", "v9 is kept but not deployed")]
    {
        let output = push(&[refspec]);
        let told = told(&output);
        assert!(output.status.success() && told.contains(words), "{refspec}: {told}");
        assert_eq!(
            server.json(&["releases", "-a", "target"]),
            serde_json::json!([]),
            "{refspec} deployed nothing"
        );
    }
    for (refspec, words) in
        [("HEAD:refs/dozen/x", "neither a branch nor a tag"), ("HEAD:refs/heads/../x", "x")]
    {
        let output = push(&[refspec]);
        assert!(!output.status.success() && told(&output).contains(words), "{refspec}: {}", told(&output));
    }
    println!("---- an honest push\n{}", repository.push(server));
    eventually("an honest push works", 60, || (server.get("target", "/").status == 200).then_some(()));
    assert_eq!(server.get("target", "/").json()["release"], "v1");
    let output = push(&[":main"]);
    assert!(!output.status.success() && told(&output).contains("cannot be deleted"), "{}", told(&output));
    assert_eq!(server.get("target", "/").status, 200);
}

#[test]
fn a_shallow_clone_is_told_what_to_do() {
    let server = &Server::start();
    let original = Repository::with_probe();
    original.write("version", "two\n");
    original.commit("second");
    let shallow = Repository::new();
    std::fs::remove_dir_all(shallow.path().join(".git")).expect("an empty folder");
    let url = format!("file://{}", original.path().display());
    shallow.git(&["clone", "--quiet", "--depth", "1", &url, "."]);
    shallow.git(&["config", "user.name", "Ada"]);
    shallow.git(&["config", "user.email", "ada@example.com"]);
    server.dozen(&["apps:create", "shallow"]);
    shallow.connect(server, "shallow");
    let output = shallow.try_push(server);
    let text = told(&output);
    assert!(!output.status.success() && text.contains("git fetch --unshallow"), "{text}");
    shallow.git(&["fetch", "--quiet", "--unshallow"]);
    let text = shallow.push(server);
    assert!(text.contains("deployed to Dozen"), "the advice was good: {text}");
}

/// What no git would send.
#[test]
fn raw_requests_are_refused() {
    let server = &Server::start();
    let repository = Repository::with_probe();
    repository.write("version", &"raw\n".repeat(10_000));
    repository.commit("raw");
    let head = repository.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let objects = Command::new("git")
        .args(["rev-list", "--objects", "--no-object-names", "HEAD"])
        .current_dir(repository.path())
        .output()
        .expect("git runs");
    let mut packing = Command::new("git");
    packing
        .args(["pack-objects", "--stdout", "--quiet"])
        .current_dir(repository.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut packing = packing.spawn().expect("git runs");
    packing.stdin.take().expect("a pipe").write_all(&objects.stdout).expect("git reads");
    let pack = packing.wait_with_output().expect("git ends").stdout;
    server.dozen(&["apps:create", "raw"]);
    let line = format!("{} {head} refs/heads/main\0 report-status side-band-64k agent=test", "0".repeat(40));
    let opening = [format!("{:04x}{line}0000", line.len() + 4).as_bytes()].concat();
    let body = |pack: &[u8]| [opening.as_slice(), pack].concat();
    let kind = "Content-Type: application/x-git-receive-pack-request".to_owned();
    let mut flipped = pack.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for (what, bytes) in [
        ("a pack cut in half", body(&pack[..pack.len() / 2])),
        ("a damaged pack", body(&flipped)),
        ("no pack", body(b"")),
        ("no packet line", b"zzzz".to_vec()),
        ("garbage", vec![0xff; 100_000]),
    ] {
        let (status, text) = post(server, &[&kind], &bytes);
        println!("---- {what}: {status} {:?}", text.chars().take(200).collect::<String>());
        assert!(!text.contains("ok refs/heads/main"), "{what}: {status} {text}");
        assert_eq!(server.json(&["releases", "-a", "raw"]), serde_json::json!([]), "{what}");
    }
    let long: Vec<String> = (0..20).map(|number| format!("X-Long-{number}: {}", "x".repeat(8_000))).collect();
    let headers: Vec<&str> = [&kind].into_iter().chain(&long).map(String::as_str).collect();
    let (status, _) = post(server, &headers, &body(&pack));
    println!("---- 160 KB of headers: {status}");
    // The connection may be closed before all of them were sent.
    assert!(["431", "000"].contains(&status.as_str()), "160 KB of headers: {status}");
    let (status, text) = post(server, &[], &body(&pack));
    println!("---- {} bytes without their type: {status} {text}", pack.len());
    assert_eq!(status, "400", "without its type");
    assert_eq!(server.json(&["releases", "-a", "raw"]), serde_json::json!([]));
    let (status, text) = post(server, &[&kind], &body(&pack));
    assert!(
        status == "200" && text.contains("ok refs/heads/main"),
        "the whole pack is taken: {status} {text}"
    );
}

/// `POST` to receive-pack as the administrator, by curl: status and body.
fn post(server: &Server, headers: &[&str], body: &[u8]) -> (String, String) {
    let credentials =
        std::fs::read_to_string(server.folder().join("config/credentials.json")).expect("credentials");
    let token = credentials.split('"').find(|text| text.starts_with("dzn_")).expect("a token").to_owned();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "60", "--cacert"])
        .arg(server.data().join("ca/ca.pem"));
    command.args(["--config", "-", "--write-out", "\n%{http_code}", "--header", "Expect:"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("body");
    std::fs::write(&file, body).expect("a body");
    command.arg("--data-binary").arg(format!("@{}", file.display()));
    let mut config = format!("user = \"git:{token}\"\n");
    if headers.is_empty() {
        config.push_str("header = \"Content-Type:\"\n");
    }
    headers.iter().for_each(|header| config.push_str(&format!("header = \"{header}\"\n")));
    command.arg(format!("https://localhost:{}/raw.git/git-receive-pack", server.api_port));
    let mut child = command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl runs");
    child.stdin.take().expect("a pipe").write_all(config.as_bytes()).expect("curl reads");
    let output = child.wait_with_output().expect("curl ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

/// A build that waits for a file of the host cannot be had in a sandbox, so it waits by the clock, and prints as it goes.
fn slow_build(seconds: u64, lines: u64) -> Repository {
    rust::app(&format!(
        r#"fn main() {{
    use std::io::Write;
    for line in 0..{lines} {{ println!("cargo:warning=line {{line}} {{}}", "x".repeat(200)); }}
    eprintln!("the build script is at work");
    let _ = std::io::stdout().flush();
    std::thread::sleep(std::time::Duration::from_secs({seconds}));
}}
"#
    ))
}

fn with_toolchain() -> Option<Server> {
    let Some(prefix) = rust::toolchain() else {
        println!("skipped: there is no Rust toolchain to build slowly with");
        return None;
    };
    Some(Server::start_with(&[("DOZEN_RUST_PREFIX", &prefix.display().to_string())]))
}

/// How many builds of an app have this status.
fn builds(server: &Server, app: &str, status: &str) -> usize {
    let builds = server.json(&["builds", "-a", app]);
    builds.as_array().into_iter().flatten().filter(|build| build["status"] == status).count()
}

#[test]
fn a_client_that_dies_changes_nothing() {
    let Some(server) = with_toolchain() else { return };
    server.dozen(&["apps:create", "cut"]);
    let repository = slow_build(12, 1);
    repository.connect(&server, "cut");
    let push = Push::start(&repository, &server);
    push.wait_until_said("Compiling small", 60);
    assert_eq!(builds(&server, "cut", "pending"), 1, "it is being built");
    push.kill();
    eventually("the release appears and serves", 90, || {
        (server.get("cut", "/").text() == "rust").then_some(())
    });
    assert_eq!(builds(&server, "cut", "succeeded"), 1);
    let head = repository.git(&["rev-parse", "HEAD"]);
    eventually("the ref is where the release is", 30, || {
        let heads = ls_remote(&server, &repository);
        println!("{heads}");
        heads.contains(head.trim()).then_some(())
    });
    let again = repository.push(&server);
    println!("{again}");
    repository.write(
        "src/main.rs",
        &(std::fs::read_to_string(repository.path().join("src/main.rs")).expect("it is there") + "// two\n"),
    );
    repository.write("build.rs", "fn main() {}\n");
    repository.commit("second");
    repository.push(&server);
    assert_eq!(server.json(&["releases", "-a", "cut"]).as_array().map(Vec::len), Some(2));
}

fn ls_remote(server: &Server, repository: &Repository) -> String {
    let push = repository.push_command(server);
    let mut command = Command::new("git");
    command
        .args(["ls-remote", "dozen"])
        .current_dir(repository.path())
        .stdin(Stdio::null())
        .env_remove("GIT_SSL_CAINFO");
    command.envs(push.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().expect("git runs");
    assert!(output.status.success(), "{}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The client is stopped and reads nothing, while the build prints megabytes: the build ends, the next push of the app is built.
#[test]
fn a_dead_reader_does_not_jam_the_queue() {
    use rustix::process::{Pid, Signal, kill_process_group};
    let Some(server) = with_toolchain() else { return };
    server.dozen(&["apps:create", "jam"]);
    let repository = slow_build(3, 30_000);
    repository.connect(&server, "jam");
    let push = Push::start(&repository, &server);
    push.wait_until_said("-----> ", 60);
    let group = Pid::from_raw(i32::try_from(push.id()).expect("a pid")).expect("not zero");
    kill_process_group(group, Signal::STOP).expect("it runs");
    eventually("the build ends", 180, || (builds(&server, "jam", "pending") == 0).then_some(()));
    println!(
        "{}\n{}",
        server.json(&["builds", "-a", "jam"]),
        server.dozen(&["logs", "-n", "50", "-a", "jam"])
    );
    eventually("the release serves", 60, || (server.get("jam", "/").text() == "rust").then_some(()));
    repository.write("build.rs", "fn main() {}\n");
    repository.commit("second");
    let said = repository.push(&server);
    assert!(said.contains("deployed to Dozen"), "{said}");
    assert_eq!(builds(&server, "jam", "succeeded"), 2);
    drop(push);
}

/// One build runs, one waits, a third takes the place of the one that waits.
#[test]
fn the_third_of_three_pushes_takes_the_place_of_the_second() {
    let Some(server) = with_toolchain() else { return };
    server.dozen(&["apps:create", "busy"]);
    let repositories: Vec<_> = [15, 0, 0].into_iter().map(|seconds| slow_build(seconds, 1)).collect();
    for (number, repository) in repositories.iter().enumerate() {
        repository.write("number", &number.to_string());
        repository.commit("numbered");
        repository.connect(&server, "busy");
    }
    let first = Push::start(&repositories[0], &server);
    first.wait_until_said("Compiling small", 60);
    let second = Push::start(&repositories[1], &server);
    second.wait_until_said("Waiting for another build to end", 30);
    let third = Push::start(&repositories[2], &server);
    let (status, said) = second.wait();
    println!("---- second\n{said}");
    assert!(
        !status.success() && said.contains("a newer deploy took its place while it waited for its turn"),
        "{said}"
    );
    let (status, said) = first.wait();
    println!("---- first\n{said}");
    assert!(status.success(), "{said}");
    let (status, said) = third.wait();
    println!("---- third\n{said}");
    let releases = server.json(&["releases", "-a", "busy"]);
    assert!(status.success(), "{said}\n{releases}");
    assert_eq!(releases.as_array().map(Vec::len), Some(2), "{releases}");
    let head = repositories[2].git(&["rev-parse", "HEAD"]);
    assert!(
        ls_remote(&server, &repositories[2]).contains(head.trim()),
        "the newest push is what the branch holds"
    );
}
