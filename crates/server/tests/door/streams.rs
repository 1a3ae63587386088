//! Log sessions and outputs, fetched by their address alone.

use crate::Case;
use crate::client::{Answer, Client, read_chunk, read_head};
use crate::git::Repo;
use crate::world::{World, wait_until};
use server::ports::LogSource;
use std::io::BufReader;

pub const CASES: &[Case] = &[
    ("streams::log_lines_and_events", log_lines_and_events),
    ("streams::an_address_lasts_no_longer_than_its_token", an_address_lasts_no_longer_than_its_token),
    ("streams::tail_resumes", tail_resumes),
    ("streams::tail_ends_cleanly_with_the_server", tail_ends_cleanly_with_the_server),
    ("streams::filters_reach_the_hub", filters_reach_the_hub),
    ("streams::build_output", build_output),
    ("streams::release_output", release_output),
];

const EVENTS: (&str, &str) = ("Accept", "text/event-stream");

fn session(world: &World, body: &str) -> String {
    let made = world.client().post("/apps/hello/log-sessions", body);
    assert_eq!(made.status, 201, "{}", made.text());
    path_of(world, made.json()["logplex_url"].as_str().unwrap())
}

/// The path of an address, which must name our port.
fn path_of(world: &World, url: &str) -> String {
    let prefix = format!("https://localhost:{}/", world.address.port());
    format!("/{}", url.strip_prefix(&prefix).unwrap_or_else(|| panic!("{url}")))
}

/// Without a token: the address is the right.
fn fetch(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    anonymous(world).send("GET", path, headers, b"")
}

fn anonymous(world: &World) -> Client {
    world.client().with_authorization(None)
}

fn log_lines_and_events() {
    let world = World::start();
    world.app("hello");
    for n in 1..=5 {
        world.hub.append(&format!("line {n}"));
    }
    let path = session(&world, r#"{"lines":"2"}"#);
    let plain = fetch(&world, &path, &[]);
    assert!(plain.header("content-type").unwrap().starts_with("text/plain"));
    let line = |n: u32| format!("2026-01-01T00:00:00.000000+00:00 app[web.1]: line {n}");
    assert_eq!(plain.text(), format!("{}\n{}\n", line(4), line(5)));
    let events = fetch(&world, &path, &[EVENTS]);
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert_eq!(events.text(), format!("id: 4\ndata: {}\n\nid: 5\ndata: {}\n\n", line(4), line(5)));
    let mut forged = path.clone();
    forged.replace_range(path.len() - 2.., "AA");
    assert_eq!(fetch(&world, &forged, &[]).status, 404);
    assert_eq!(fetch(&world, "/streams/x", &[]).status, 404);
    assert_eq!(world.client().post("/apps/none/log-sessions", "{}").json()["resource"], "app");
}

fn an_address_lasts_no_longer_than_its_token() {
    let world = World::start();
    world.app("hello");
    world.hub.append("one");
    let made = world.client().post("/oauth/authorizations", "{}").json();
    let bearer = format!("Bearer {}", made["access_token"]["token"].as_str().unwrap());
    let other = world.client().with_authorization(Some(&bearer));
    let session = other.post("/apps/hello/log-sessions", "{}").json();
    let path = path_of(&world, session["logplex_url"].as_str().unwrap());
    assert_eq!(fetch(&world, &path, &[]).status, 200);
    let revoked = world.client().delete(&format!("/oauth/authorizations/{}", made["id"].as_str().unwrap()));
    assert_eq!(revoked.status, 200);
    assert_eq!(fetch(&world, &path, &[]).status, 404);
}

fn tail_resumes() {
    let world = World::start();
    world.app("hello");
    world.hub.append("one");
    let path = session(&world, r#"{"tail":true}"#);
    let mut first = BufReader::new(anonymous(&world).open("GET", &path, &[EVENTS], b""));
    assert_eq!(read_head(&mut first).0, 200);
    assert!(String::from_utf8(read_chunk(&mut first).unwrap()).unwrap().contains("one"));
    world.hub.append("two");
    assert!(
        String::from_utf8(read_chunk(&mut first).unwrap()).unwrap().starts_with("id: 2\n"),
        "as it comes"
    );
    drop(first);
    world.hub.append("three");
    let again = [EVENTS, ("Last-Event-ID", "2")];
    let mut second = BufReader::new(anonymous(&world).open("GET", &path, &again, b""));
    read_head(&mut second);
    let resumed = String::from_utf8(read_chunk(&mut second).unwrap()).unwrap();
    assert!(resumed.starts_with("id: 3\n") && !resumed.contains("two"), "{resumed}");
}

/// An abrupt break is fatal to Heroku's client, an orderly end is not.
fn tail_ends_cleanly_with_the_server() {
    let mut world = World::start();
    world.app("hello");
    world.hub.append("one");
    let path = session(&world, r#"{"tail":true}"#);
    let mut reader = BufReader::new(anonymous(&world).open("GET", &path, &[EVENTS], b""));
    read_head(&mut reader);
    read_chunk(&mut reader).unwrap();
    world.ask_to_stop();
    while read_chunk(&mut reader).is_some() {}
    // Close ours, so that the server need not linger.
    drop(reader);
    world.stop();
    assert!(std::net::TcpStream::connect(world.address).is_err(), "nobody listens");
}

fn filters_reach_the_hub() {
    let world = World::start();
    let app = world.app("hello");
    let path = session(&world, r#"{"dyno":"web.1","source":"heroku","lines":7}"#);
    fetch(&world, &path, &[]);
    let query = world.hub.queries().pop().unwrap();
    assert_eq!((query.app, query.name.as_deref(), query.lines), (app, Some("web.1"), 7));
    assert_eq!(query.source, Some(LogSource::Heroku));
}

fn build_output() {
    let world = World::start();
    world.app("hello");
    let repo = Repo::new(&world, "hello", &[("build", "say before\nhold\nsay after")]);
    let push = repo.start_push(&["main"]);
    wait_until("the build runs", || world.builder.waiting() == 1);
    let build = world.client().get("/apps/hello/builds").json()[0].clone();
    assert_eq!(build["status"], "pending");
    let path = path_of(&world, build["output_stream_url"].as_str().unwrap());
    let mut live = BufReader::new(anonymous(&world).open("GET", &path, &[], b""));
    read_head(&mut live);
    let mut said = String::new();
    while !said.contains("before") {
        said.push_str(&String::from_utf8(read_chunk(&mut live).unwrap()).unwrap());
    }
    assert!(!said.contains("after"));
    world.builder.let_go();
    while let Some(chunk) = read_chunk(&mut live) {
        said.push_str(&String::from_utf8(chunk).unwrap());
    }
    assert!(said.contains("after") && said.contains("Released v1"), "{said}");
    assert!(push.wait_with_output().unwrap().status.success());
    assert_eq!(fetch(&world, &path, &[]).text(), said, "kept afterwards");
}

fn release_output() {
    let world = World::start();
    world.app("hello");
    world.hub.append("migrating");
    Repo::new(&world, "hello", &[("release", "exit 0")])
        .push(&["main"])
        .says(&["Released v1", "deployed to Dozen"]);
    let release = world.client().get("/apps/hello/releases/1").json();
    assert_eq!(release["status"], "succeeded");
    let path = path_of(&world, release["output_stream_url"].as_str().unwrap());
    assert_eq!(fetch(&world, &path, &[]).text(), "migrating\n");
    assert!(world.hub.queries().pop().unwrap().name.is_some_and(|name| name.starts_with("release.")));
}
