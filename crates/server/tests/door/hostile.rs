//! Repositories, packs and processes that mean harm.

use crate::Case;
use crate::client::Answer;
use crate::git::Repo;
use crate::world::{World, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

pub const CASES: &[Case] = &[
    ("hostile::a_repository_cannot_run_anything", a_repository_cannot_run_anything),
    ("hostile::a_tree_cannot_change_itself", a_tree_cannot_change_itself),
    ("hostile::refused_trees_leave_nothing", refused_trees_leave_nothing),
    ("hostile::bad_packs", bad_packs),
    ("hostile::bad_objects", bad_objects),
    ("hostile::bad_requests", bad_requests),
    ("hostile::too_many_refs", too_many_refs),
    ("hostile::strangers_at_the_hook_socket", strangers_at_the_hook_socket),
    ("hostile::git_is_limited_and_knows_nothing", git_is_limited_and_knows_nothing),
];

/// Even what got into a repository's own files, by whatever way, is not run.
fn a_repository_cannot_run_anything() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    let bare = world.repositories.ensure(app).unwrap();
    let marker = world.folder.path().join("marker");
    let script = world.folder.path().join("script");
    fs::write(&script, format!("#!/bin/sh\necho \"$0\" >> {}\n", marker.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let hooks = bare.join("hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in
        ["pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive"]
    {
        fs::copy(&script, hooks.join(hook)).unwrap();
    }
    let path = script.display();
    let config = format!(
        "[core]\n\thooksPath = {}\n\tfsmonitor = {path}\n\talternateRefsCommand = {path}\n\tsshCommand = {path}\n\tpager = {path}\n\
         [uploadpack]\n\tpackObjectsHook = {path}\n[receive]\n\tautogc = true\n[gc]\n\tauto = 1\n[tar \"tar\"]\n\tcommand = {path}\n\
         [filter \"evil\"]\n\tsmudge = {path}\n\tprocess = {path}\n[diff]\n\texternal = {path}\n",
        hooks.display()
    );
    let kept = fs::read_to_string(bare.join("config")).unwrap();
    fs::write(bare.join("config"), kept + &config).unwrap();
    let elsewhere = world.folder.path().join("elsewhere.git");
    repo.run(&["clone", "--quiet", "--bare", ".", elsewhere.to_str().unwrap()]).says(&[]);
    fs::create_dir_all(bare.join("objects/info")).unwrap();
    fs::write(bare.join("objects/info/alternates"), format!("{}/objects\n", elsewhere.display())).unwrap();

    repo.commit(&[(".gitattributes", "* filter=evil diff=evil\n")]);
    repo.push(&["main"]).says(&["Released v1"]);
    repo.run(&["fetch", "dozen"]).says(&[]);
    repo.run(&["ls-remote", "dozen"]).says(&["refs/heads/main"]);
    assert!(!marker.exists(), "ran: {}", fs::read_to_string(&marker).unwrap());
}

/// `git archive` would leave out, substitute and convert what attributes name.
fn a_tree_cannot_change_itself() {
    let world = World::start();
    world.app("hello");
    let attributes = "hidden.txt export-ignore\nsub.txt export-subst\ncrlf.txt text eol=crlf\nid.txt ident\n";
    let repo = Repo::new(
        &world,
        "hello",
        &[
            (".gitattributes", attributes),
            ("hidden.txt", "here"),
            ("sub.txt", "$Format:%H$"),
            ("crlf.txt", "a\nb\n"),
            ("id.txt", "$Id$"),
            ("folder/.gitattributes", "* export-ignore\n"),
            ("folder/deep.txt", "deep"),
        ],
    );
    repo.push(&["main"]).says(&["Released v1"]);
    let seen = world.builder.seen();
    for file in
        ["hidden.txt=here", "sub.txt=$Format:%H$", "crlf.txt=a\nb\n", "id.txt=$Id$", "folder/deep.txt=deep"]
    {
        assert!(seen.contains(&file.to_owned()), "{file:?} in {seen:?}");
    }
}

fn refused_trees_leave_nothing() {
    let world = World::start();
    let app = world.app("hello");
    let large = "x".repeat(3_000_000);
    let repo = Repo::new(&world, "hello", &[("a", "1"), ("refuse-me", ""), ("z-large", &large)]);
    repo.push(&["main"]).refused(&["Push rejected: \"refuse-me\" is not wanted"]);
    assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0));
    assert_eq!(fs::read_dir(world.data().join("builds")).unwrap().count(), 0, "no folder is left");
    assert_eq!(
        world.client().get("/apps/hello/builds").json().as_array().unwrap().len(),
        0,
        "it was not accepted"
    );
}

/// A push by hand: one command and these bytes as its pack.
fn push_raw(world: &World, new: &str, pack: &[u8], headers: &[(&str, &str)]) -> Answer {
    let line = format!("{} {new} refs/heads/main\0 report-status side-band-64k agent=test", "0".repeat(40));
    let body = [format!("{:04x}{line}0000", line.len() + 4).as_bytes(), pack].concat();
    let headers = [headers, &[("Content-Type", "application/x-git-receive-pack-request")]].concat();
    world.client().send("POST", "/hello.git/git-receive-pack", &headers, &body)
}

fn pack_of(repo: &Repo) -> Vec<u8> {
    let mut child = repo
        .command(&["pack-objects", "--revs", "--stdout", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"HEAD\n").unwrap();
    child.wait_with_output().unwrap().stdout
}

fn bad_packs() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve"), ("large", &"some text\n".repeat(50_000))]);
    let (head, pack) = (repo.head(), pack_of(&repo));
    let mut flipped = pack.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut counted = pack.clone();
    counted[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    let bomb = [b"PACK\0\0\0\x02\0\0\0\x01\xbf\xff\xff\xff\xff\x7f".as_slice(), &[0; 64]].concat();
    let cases: [(&str, &[u8]); 7] = [
        ("empty", b""),
        ("cut in half", &pack[..pack.len() / 2]),
        ("without its end", &pack[..pack.len() - 10]),
        ("damaged", &flipped),
        ("promising four billion objects", &counted),
        ("promising a huge object", &bomb),
        ("no pack at all", &b"GARBAGE!".repeat(100)),
    ];
    for (what, bytes) in cases {
        let answer = push_raw(&world, &head, bytes, &[]);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert!(!answer.text().contains("ok refs/heads/main"), "{what}: {}", answer.text());
        assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0), "{what}");
    }
    assert!(
        push_raw(&world, &"a".repeat(40), &pack, &[]).text().contains("ng refs/heads/main"),
        "not in the pack"
    );
    let leftovers = fs::read_dir(world.repositories.path(app).join("objects")).unwrap();
    let quarantines = leftovers
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("tmp_objdir"));
    assert_eq!(quarantines.count(), 0, "no quarantine is left");
    let good = push_raw(&world, &head, &pack, &[("Git-Protocol", "version=2; $(reboot)")]);
    assert!(good.text().contains("ok refs/heads/main"), "{}", good.text());
    assert_eq!(world.head_of(app), Some(head));
}

/// Objects that git itself would not make.
fn bad_objects() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    let blob = repo.run(&["rev-parse", "HEAD:web"]).text.trim().to_owned();
    let tree = repo.run(&["rev-parse", "HEAD^{tree}"]).text.trim().to_owned();
    let modules = "[submodule \"x\"]\n\tpath = x\n\turl = -u./payload\n";
    fs::write(repo.folder.join("modules"), modules).unwrap();
    let modules = repo.run(&["hash-object", "-w", "modules"]).text.trim().to_owned();
    for (what, entry) in [
        (".git", format!("040000 tree {tree}\t.git\n")),
        ("..", format!("040000 tree {tree}\t..\n")),
        (".GIT", format!("040000 tree {tree}\t.GIT\n")),
        (".gitmodules", format!("100644 blob {modules}\t.gitmodules\n")),
        ("a link as .gitmodules", format!("120000 blob {blob}\t.gitmodules\n")),
    ] {
        let made = make(&repo, &["mktree"], &entry);
        let commit = make(&repo, &["commit-tree", &made, "-m", "bad"], "");
        repo.push(&[&format!("{commit}:refs/heads/main")]).refused(&[]);
        assert_eq!((world.head_of(app), world.releases(app).len()), (None, 0), "{what}");
    }
}

fn make(repo: &Repo, arguments: &[&str], input: &str) -> String {
    let mut child = repo.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn bad_requests() {
    let world = World::start();
    world.app("hello");
    let client = world.client();
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        client.send("POST", "/hello.git/git-upload-pack", headers, body)
    };
    let kind = ("Content-Type", "application/x-git-upload-pack-request");
    assert_eq!(post(&[], b"0000").status, 400, "without its type");
    assert_eq!(post(&[kind, ("Content-Encoding", "br")], b"0000").status, 400);
    let odd = post(&[kind, ("Content-Encoding", "gzip")], b"not gzip");
    assert!(odd.status == 400 || odd.body.is_empty(), "{odd:?}");
    assert_eq!(post(&[kind], b"zzzz").status, 200, "git itself refuses it");
    for (path, status) in [
        ("/hello.git/info/refs", 403),
        ("/hello.git/info/refs?service=git-evil-pack", 403),
        ("/hello.git/info/refs?service=git-upload-pack;id", 403),
        ("/hello.git/HEAD", 404),
        ("/hello.git/objects/info/packs", 404),
        ("/hello.git/config", 404),
        ("/..%2f..%2fetc.git/info/refs?service=git-upload-pack", 404),
    ] {
        assert_eq!(client.get(path).status, status, "{path}");
    }
}

fn too_many_refs() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    let refs: Vec<String> = (0..1001).map(|n| format!("main:refs/heads/b{n}")).collect();
    let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
    repo.push(&refs).refused(&["changes 1001 refs; 1000 are allowed"]);
    let long: Vec<String> = (0..900).map(|n| format!("main:refs/heads/{}/b{n}", "x".repeat(600))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    repo.push(&long).refused(&["changes too many refs"]);
    assert_eq!(world.head_of(app), None);
}

/// Who may connect is decided by uid; who may speak, by the secret of a push that is under way.
fn strangers_at_the_hook_socket() {
    let world = World::start();
    assert_eq!(world.client().get("/account").status, 200);
    let socket = world.data().join("run/hook.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let talk = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = Vec::new();
        let _reset = stream.read_to_end(&mut said);
        said
    };
    let hello = |json: &str| [&[1], &(json.len() as u32).to_be_bytes()[..], json.as_bytes()].concat();
    let unknown = talk(&hello(r#"{"format":1,"push":"0000","hook":"pre-receive","updates":[]}"#));
    assert!(String::from_utf8_lossy(&unknown).contains("not known"), "{unknown:?}");
    assert_eq!(unknown.last(), Some(&1), "and refused");
    assert_eq!(
        talk(&hello(r#"{"format":2,"push":"0000","hook":"pre-receive","updates":[]}"#)),
        [18, 0, 0, 0, 1, 1]
    );
    assert!(talk(b"GET / HTTP/1.1\r\n\r\n").is_empty());
    assert!(talk(&[1, 0xff, 0xff, 0xff, 0xff]).is_empty());
}

/// Every process of a push, looked at while it waits for its build.
fn git_is_limited_and_knows_nothing() {
    let world = World::start();
    world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "hold")]);
    let push = repo.start_push(&["main"]);
    wait_until("the build runs", || world.builder.waiting() == 1);
    let data = world.data().display().to_string();
    let read = |pid: &str, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ours: Vec<String> =
        all.filter(|pid| read(pid, "environ").contains(&format!("DOZEN_HOOK_SOCKET={data}"))).collect();
    assert!(ours.len() >= 2, "git and its hook: {ours:?}");
    for pid in &ours {
        let limits = read(pid, "limits");
        for (name, soft) in
            [("Max core file size", "0 "), ("Max address space", "4294967296 "), ("Max cpu time", "1200 ")]
        {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(line[name.len()..].trim_start().starts_with(soft), "{line}");
        }
        let environment = read(pid, "environ");
        assert!(environment.contains("GIT_CONFIG_NOSYSTEM=1") && environment.contains("HOME=/nonexistent"));
        assert!(
            !environment.contains("CARGO") && !environment.contains(&world.token),
            "nothing is inherited"
        );
    }
    world.builder.let_go();
    assert!(push.wait_with_output().unwrap().status.success());
}
