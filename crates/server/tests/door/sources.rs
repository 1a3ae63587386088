//! Builds of what did not come by a push: uploads, archives elsewhere, commits by name.

use crate::Case;
use crate::client::{Answer, Client};
use crate::git::Repo;
use crate::schema;
use crate::world::{ELSEWHERE, World, tar, wait_until};
use domain::ids::AppId;
use engine::ports::Repositories;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{BufReader, Write};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("sources::an_upload_becomes_a_release", an_upload_becomes_a_release),
    ("sources::what_cannot_be_built_is_refused_by_name", what_cannot_be_built_is_refused_by_name),
    ("sources::half_an_upload_is_none", half_an_upload_is_none),
    ("sources::uploads_are_bounded", uploads_are_bounded),
    ("sources::strangers_are_not_read_out", strangers_are_not_read_out),
    ("sources::an_archive_elsewhere", an_archive_elsewhere),
    ("sources::a_commit_by_name", a_commit_by_name),
    ("sources::a_repeat_is_one_build", a_repeat_is_one_build),
    ("sources::a_build_can_be_cancelled", a_build_can_be_cancelled),
    ("sources::the_project_may_lie_in_a_folder", the_project_may_lie_in_a_folder),
];

/// The path of an address that must be on the server that gave it, with its port.
fn path<'a>(world: &World, address: &'a Value) -> &'a str {
    let origin = format!("https://localhost:{}", world.address.port());
    let address = address.as_str().unwrap_or_else(|| panic!("an address and not {address}"));
    address.strip_prefix(&origin).unwrap_or_else(|| panic!("{address} is not at {origin}"))
}

fn place(world: &World, client: &Client) -> Value {
    let made = client.post("/sources", "");
    assert_eq!(made.status, 201, "{}", made.text());
    if let Some(oracle) = schema::oracle() {
        assert_eq!(schema::errors(&oracle, "POST", "/sources", &made.json()), Vec::<String>::new());
    }
    let blob = made.json()["source_blob"].clone();
    assert_ne!(path(world, &blob["get_url"]), path(world, &blob["put_url"]));
    blob
}

/// Uploads without a token, as clients do.
fn put(world: &World, blob: &Value, bytes: &[u8]) -> Answer {
    world.client().with_authorization(None).send("PUT", path(world, &blob["put_url"]), &[], bytes)
}

/// Uploads a tar and gives its address.
fn uploaded(world: &World, files: &[(&str, &str)]) -> Value {
    let blob = place(world, &world.client());
    let answer = put(world, &blob, &tar(files));
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    blob["get_url"].clone()
}

fn build(world: &World, app: &str, source_blob: &Value) -> Answer {
    let body = json!({ "source_blob": source_blob }).to_string();
    world.client().post(&format!("/apps/{app}/builds"), &body)
}

/// The text of a build to its end.
fn output(world: &World, build: &Value) -> String {
    let stream = path(world, &build["output_stream_url"]);
    let answer = world.client().with_authorization(None).get(stream);
    assert_eq!(answer.status, 200);
    answer.text()
}

fn ended(world: &World, app: &str, build: &Value) -> Value {
    let path = format!("/apps/{app}/builds/{}", build["id"].as_str().unwrap());
    wait_until("the build ends", || world.client().get(&path).json()["status"] != "pending");
    world.client().get(&path).json()
}

/// The app has one release, and it comes to this.
fn released(world: &World, app: AppId, expected: &str) {
    let unsettled = |release: &String| release.ends_with("pending") || release.ends_with("starting");
    wait_until("the release is settled", || !world.releases(app).iter().any(unsettled));
    assert_eq!(world.releases(app), [expected]);
}

/// What lies in a folder of the data folder.
fn left(world: &World, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(world.data().join(folder)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn an_upload_becomes_a_release() {
    let world = World::start();
    let app = world.app("hello");
    let archive = tar(&[("web", "serve"), ("src/a.txt", "one")]);
    let blob = place(&world, &world.client());
    assert_eq!(put(&world, &blob, &archive).status, 200);
    let read = world.client().with_authorization(None).get(path(&world, &blob["get_url"]));
    assert_eq!((read.status, read.body), (200, archive.clone()));
    let checksum = format!("sha256:{}", hex::encode_upper(Sha256::digest(&archive)));
    let wanted = json!({ "url": blob["get_url"], "version": "v1.2", "checksum": checksum });
    let made = build(&world, "hello", &wanted);
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    if let Some(oracle) = schema::oracle() {
        assert_eq!(schema::errors(&oracle, "POST", "/apps/{}/builds", &made), Vec::<String>::new());
    }
    assert_eq!(made["status"], "pending");
    let said = output(&world, &made);
    assert!(said.contains("-----> Building for the test\n") && said.contains("Released v1"), "{said}");
    let done = ended(&world, "hello", &made);
    assert_eq!((&done["status"], &done["source_blob"]["version"]), (&json!("succeeded"), &json!("v1.2")));
    assert_eq!(done["source_blob"]["checksum"].as_str().unwrap(), checksum_of(&archive));
    let shown = done.to_string();
    assert!(
        !shown.contains(path(&world, &blob["get_url"])),
        "the upload's secret is told to nobody: {shown}"
    );
    released(&world, app, "Deploy v1.2 succeeded");
    assert!(world.builder.seen().contains(&"src/a.txt=one".to_owned()));
    assert_eq!(world.head_of(app), None, "a tree is no commit");
}

fn checksum_of(bytes: &[u8]) -> String {
    format!("SHA256:{}", hex::encode(Sha256::digest(bytes)))
}

fn what_cannot_be_built_is_refused_by_name() {
    let world = World::start();
    world.app("hello");
    world.app("other");
    let good = uploaded(&world, &[("web", "serve")]);
    let bad_tree = uploaded(&world, &[("web", "serve"), ("refuse-me", "x")]);
    let empty = place(&world, &world.client())["get_url"].clone();
    let others = world.client().post("/apps/other/sources", "").json()["source_blob"].clone();
    assert_eq!(put(&world, &others, b"x").status, 200);
    let unknown = format!("https://localhost:{}/uploads/{}", world.address.port(), "a".repeat(64));
    let wrong = format!("SHA256:{}", "0".repeat(64));
    for (wanted, status, says) in [
        (json!({ "url": good, "checksum": wrong }), 422, "its checksum is SHA256:"),
        (json!({ "url": good, "checksum": "MD5:00" }), 422, "not a valid checksum"),
        (json!({ "url": good, "version": "a\nb" }), 422, "not a valid version"),
        (json!({ "url": bad_tree }), 422, "\\\"refuse-me\\\" is not wanted"),
        (json!({ "url": empty }), 422, "send the archive to its put_url first"),
        (json!({ "url": others["get_url"] }), 422, "for another app"),
        (json!({ "url": unknown }), 422, "no upload that is open"),
        (json!({ "url": "https://nowhere.example/x?token=s3cret" }), 422, "nothing at archives.example"),
        (json!({}), 422, "url"),
    ] {
        let answer = build(&world, "hello", &wanted);
        assert_eq!(answer.status, status, "{wanted}: {}", answer.text());
        assert!(answer.text().contains(says), "{wanted}: {}", answer.text());
        assert!(!answer.text().contains("s3cret"), "{}", answer.text());
    }
    let body =
        json!({ "source_blob": { "url": good }, "buildpacks": [{ "url": "heroku/ruby" }] }).to_string();
    assert_eq!(world.client().post("/apps/hello/builds", &body).status, 422);
    let body = json!({ "source_blob": { "url": good } }).to_string();
    let stranger = world.client().with_authorization(None);
    assert_eq!(stranger.post("/apps/hello/builds", &body).status, 401);
    assert_eq!(stranger.post("/sources", "").status, 401);
    assert_eq!(left(&world, "builds"), Vec::<String>::new(), "no tree of a refused build stays");
    assert!(
        left(&world, "uploads").iter().all(|name| !name.ends_with("part")),
        "{:?}",
        left(&world, "uploads")
    );
}

fn half_an_upload_is_none() {
    let world = World::start();
    world.app("hello");
    let blob = place(&world, &world.client());
    let mut tls = world.client().connect();
    let path = path(&world, &blob["put_url"]);
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
    tls.write_all(head.as_bytes()).unwrap();
    tls.write_all(&[7; 50_000]).unwrap();
    tls.flush().unwrap();
    wait_until("the part is there", || left(&world, "uploads").len() == 1);
    let both = put(&world, &blob, b"second");
    assert_eq!(both.status, 409, "{}", both.text());
    drop(tls);
    wait_until("the part is gone", || left(&world, "uploads").is_empty());
    let early = build(&world, "hello", &json!({ "url": blob["get_url"] }));
    assert_eq!(early.status, 422, "{}", early.text());
    // In chunks this time.
    let archive = tar(&[("web", "serve")]);
    let mut tls = world.client().connect();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    tls.write_all(head.as_bytes()).unwrap();
    for piece in archive.chunks(700) {
        tls.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
        tls.write_all(piece).unwrap();
        tls.write_all(b"\r\n").unwrap();
    }
    tls.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(crate::client::read_answer(&mut tls).status, 200);
    assert_eq!(put(&world, &blob, &archive).status, 200, "a client that lost the answer sends it again");
    assert_eq!(put(&world, &blob, b"something else").status, 409);
    assert_eq!(build(&world, "hello", &json!({ "url": blob["get_url"] })).status, 201);
}

fn uploads_are_bounded() {
    let world = World::start();
    let blob = place(&world, &world.client());
    let path = path(&world, &blob["put_url"]);
    let mut tls = world.client().connect();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n"
    );
    tls.write_all(head.as_bytes()).unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    let answer = crate::client::read_answer(&mut tls);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let unknown = world.client().send("PUT", &format!("/uploads/{}", "a".repeat(64)), &[], b"x");
    assert_eq!((unknown.status, unknown.json()["resource"].as_str()), (404, Some("source")));
    assert_eq!(left(&world, "uploads"), Vec::<String>::new());
}

fn strangers_are_not_read_out() {
    let world = World::start();
    let mut tls = world.client().connect();
    let path = format!("/uploads/{}", "a".repeat(64));
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000000\r\n\r\n");
    tls.write_all(head.as_bytes()).unwrap();
    // The answer comes although the body goes on, and before a silent client would count as gone.
    tls.sock.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    tls.write_all(&[7; 50_000]).unwrap();
    tls.flush().unwrap();
    let (status, _) = crate::client::read_head(&mut BufReader::new(tls));
    assert_eq!(status, 404);
}

fn an_archive_elsewhere() {
    let world = World::start();
    let app = world.app("hello");
    let made = build(&world, "hello", &json!({ "url": ELSEWHERE, "version": "a".repeat(40) }));
    assert_eq!(made.status, 201, "{}", made.text());
    let done = ended(&world, "hello", &made.json());
    assert_eq!(done["status"], "succeeded");
    assert_eq!(
        done["source_blob"]["url"], "https://archives.example/hello.tar",
        "without what may be secret"
    );
    released(&world, app, "Deploy aaaaaaaa succeeded");
    assert_eq!(left(&world, "uploads"), Vec::<String>::new(), "what was fetched is gone");
}

fn a_commit_by_name() {
    let world = World::start();
    let app = world.app("hello");
    let repo = Repo::new(&world, "hello", &[("web", "serve"), ("a", "first")]);
    let first = repo.head();
    repo.push(&["main"]).says(&["Released v1"]);
    let second = repo.commit(&[("a", "second")]);
    repo.push(&["main"]).says(&["Released v2"]);
    repo.run(&["tag", "known"]).says(&[]);
    repo.push(&["known"]).says(&["kept but not deployed"]);
    let url = world.client().get("/apps/hello").json()["git_url"].clone();
    let by_name = |name: &str| build(&world, "hello", &json!({ "url": url, "version": name }));
    let made = by_name(&first[..8]);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["source_blob"]["version"].as_str(), Some(first.as_str()));
    assert_eq!(ended(&world, "hello", &made.json())["status"], "succeeded");
    assert!(world.builder.seen().iter().filter(|file| *file == "a=first").count() == 2);
    wait_until("the branch points to what is deployed", || world.head_of(app).as_ref() == Some(&first));
    repo.push(&["--force", "main"]).says(&["Released v4"]);
    for name in ["known", "main", &second] {
        assert_eq!(by_name(name).status, 201, "{name}");
    }
    for name in ["nothing", "-x", "main..known", ":/first", "main@{0}", &"b".repeat(40), "HEAD^{tree}"] {
        let answer = by_name(name);
        assert_eq!(answer.status, 404, "{name}: {}", answer.text());
        assert!(answer.text().contains("has no commit"), "{}", answer.text());
    }
    let head = build(&world, "hello", &json!({ "url": url }));
    assert_eq!(head.json()["source_blob"]["version"].as_str(), Some(second.as_str()));
    world.app("other");
    assert_eq!(build(&world, "other", &json!({ "url": url })).status, 422, "another app's repository");
}

fn a_repeat_is_one_build() {
    let world = World::start();
    let app = world.app("hello");
    let body = json!({ "source_blob": { "url": uploaded(&world, &[("web", "serve")]) } }).to_string();
    let once =
        || world.client().send("POST", "/apps/hello/builds", &[("Request-Id", "r1")], body.as_bytes()).json();
    let first = once();
    // Nothing is fetched or extracted for the repeat: there is nothing left to do that with.
    std::fs::remove_dir_all(world.data().join("uploads")).unwrap();
    let again = once();
    assert_eq!(first["id"], again["id"], "{again}");
    ended(&world, "hello", &first);
    assert_eq!(world.releases(app).len(), 1);
}

fn a_build_can_be_cancelled() {
    let world = World::start();
    world.app("hello");
    let source = json!({ "url": uploaded(&world, &[("build", "hold until-cancelled")]) });
    let (running, waiting) = (build(&world, "hello", &source).json(), build(&world, "hello", &source).json());
    wait_until("the build runs", || world.builder.waiting() == 1);
    let third = build(&world, "hello", &source).json();
    assert_eq!(ended(&world, "hello", &waiting)["status"], "failed");
    assert!(
        output(&world, &waiting).contains("A newer deploy took the place"),
        "{}",
        output(&world, &waiting)
    );
    for one in [&third, &running] {
        let path = format!("/apps/hello/builds/{}", one["id"].as_str().unwrap());
        assert_eq!(world.client().delete(&path).status, 200);
        assert_eq!(ended(&world, "hello", one)["status"], "failed");
    }
    wait_until("no tree is left", || {
        left(&world, "builds")
            .iter()
            .all(|build| !world.data().join("builds").join(build).join("src").exists())
    });
}

fn the_project_may_lie_in_a_folder() {
    let world = World::start();
    let app: AppId = world.app("hello");
    let set = |value: &str| {
        let body = json!({ "PROJECT_PATH": value }).to_string();
        assert_eq!(world.client().patch("/apps/hello/config-vars", &body).status, 200);
    };
    set("services/web");
    let source = json!({ "url": uploaded(&world, &[("web", "serve")]) });
    ended(&world, "hello", &build(&world, "hello", &source).json());
    let repo = Repo::new(&world, "hello", &[("web", "serve")]);
    repo.push(&["main"]).says(&["Released v3"]);
    let seen = world.builder.seen();
    assert_eq!(
        seen.iter().filter(|file| file.starts_with("project services-web/web=")).count(),
        2,
        "{seen:?}"
    );
    set("../etc");
    let refused = build(&world, "hello", &source);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("PROJECT_PATH"), "{}", refused.text());
    repo.commit(&[("web", "serve 2")]);
    repo.push(&["main"]).refused(&["PROJECT_PATH", "config:unset"]);
    assert!(world.repositories.head_of(app).unwrap().is_some());
}
