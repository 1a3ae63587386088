//! Every type of answer against the published schema of the API. The schema is not part of the source tree: its path is given by
//! `DOZEN_ORACLE` (the file, or the folder that holds it), else it is looked for beside the tree. Where it is absent the test
//! says so, with how much it left out.
//!
//! Two values of ours differ from the schema on purpose, since it names Heroku's own hosts: an app's `git_url` and `web_url`. The
//! samples use Heroku's.

mod samples;
mod validator;

use samples::Extent;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};
use std::path::PathBuf;
use validator::Schema;

const FILE: &str = "heroku-schema-3.json";
/// Beside the workspace: a folder `shared` with the oracle in it.
const SIBLING: &str = "../shared/oracle";

/// Written past the capture of the test harness, so that a skipped check is seen.
fn tell_skipped(what: &str) {
    let _ = writeln!(io::stderr(), "skipped: {what}, {FILE} is not there (set DOZEN_ORACLE)");
}

fn oracle() -> Option<Schema> {
    let sibling = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(SIBLING);
    let given = std::env::var_os("DOZEN_ORACLE").map_or_else(sibling, PathBuf::from);
    let file = if given.is_dir() { given.join(FILE) } else { given };
    let text = std::fs::read(file).ok()?;
    Some(Schema::new(serde_json::from_slice(&text).expect("the schema is JSON")))
}

type Case = (&'static str, &'static str, fn(Extent) -> Value);

fn json<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).expect("serialises")
}

/// Method and path of the request, and the answer. A list's items are checked as a list of one.
const CASES: &[Case] = &[
    ("GET", "/account", |extent| json(samples::account(extent))),
    ("GET", "/users/{}", |extent| json(samples::account(extent))),
    ("GET", "/account/rate-limits", |extent| json(samples::rate_limit(extent))),
    ("GET", "/apps", |extent| json([samples::app(extent)])),
    ("GET", "/users/{}/apps", |extent| json([samples::app(extent)])),
    ("POST", "/apps", |extent| json(samples::app(extent))),
    ("GET", "/apps/{}", |extent| json(samples::app(extent))),
    ("PATCH", "/apps/{}", |extent| json(samples::app(extent))),
    ("DELETE", "/apps/{}", |extent| json(samples::app(extent))),
    ("GET", "/apps/{}/builds", |extent| json([samples::build(extent)])),
    ("GET", "/apps/{}/builds/{}", |extent| json(samples::build(extent))),
    ("POST", "/apps/{}/builds", |extent| json(samples::build(extent))),
    ("GET", "/apps/{}/dynos", |extent| json([samples::dyno(extent)])),
    ("GET", "/apps/{}/dynos/{}", |extent| json(samples::dyno(extent))),
    ("POST", "/apps/{}/dynos", |extent| json(samples::dyno(extent))),
    ("DELETE", "/apps/{}/dynos", |extent| json(samples::empty(extent))),
    ("DELETE", "/apps/{}/dynos/{}", |extent| json(samples::empty(extent))),
    ("DELETE", "/apps/{}/formations/{}", |extent| json(samples::empty(extent))),
    ("GET", "/apps/{}/formation", |extent| json([samples::formation(extent)])),
    ("GET", "/apps/{}/formation/{}", |extent| json(samples::formation(extent))),
    ("PATCH", "/apps/{}/formation", |extent| json([samples::formation(extent)])),
    ("PATCH", "/apps/{}/formation/{}", |extent| json(samples::formation(extent))),
    ("POST", "/apps/{}/log-sessions", |extent| json(samples::log_session(extent))),
    ("POST", "/oauth/authorizations", |extent| json(samples::authorization(extent))),
    ("GET", "/oauth/authorizations", |extent| json([samples::authorization(extent)])),
    ("GET", "/oauth/authorizations/{}", |extent| json(samples::authorization(extent))),
    ("DELETE", "/oauth/authorizations/{}", |extent| json(samples::authorization(extent))),
    ("GET", "/regions", |extent| json([samples::region(extent)])),
    ("GET", "/apps/{}/releases", |extent| json([samples::release(extent)])),
    ("GET", "/apps/{}/releases/{}", |extent| json(samples::release(extent))),
    ("POST", "/apps/{}/releases", |extent| json(samples::release(extent))),
    ("GET", "/apps/{}/slugs/{}", |extent| json(samples::slug(extent))),
    ("GET", "/stacks", |extent| json([samples::stack(extent)])),
];

#[test]
fn answers_have_the_published_shapes() {
    let Some(schema) = oracle() else {
        tell_skipped(&format!("{} shapes are not checked", CASES.len()));
        return;
    };
    let mut errors = Vec::new();
    for (method, href, sample) in CASES {
        for extent in [Extent::Full, Extent::Sparse] {
            let found = schema.errors(schema.target(method, href), &sample(extent));
            errors.extend(found.into_iter().map(|error| format!("{method} {href} ({extent:?}) {error}")));
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// The validator itself must be able to refuse.
#[test]
fn wrong_answers_are_refused() {
    let Some(schema) = oracle() else {
        tell_skipped("1 check of the validator");
        return;
    };
    let right = json(samples::dyno(Extent::Full));
    let with = |key: &str, value: Value| {
        let mut wrong = right.clone();
        wrong[key] = value;
        wrong
    };
    let mut without = right.clone();
    without.as_object_mut().expect("an object").remove("state");
    for (wrong, place) in [
        (with("id", Value::from("x")), ".id"),
        (with("created_at", Value::from("2026-01-31T12:00:00+01:00")), ".created_at"),
        (with("command", Value::Null), ".command"),
        (with("extra", Value::Null), ".extra"),
        (with("release", json([1])), ".release"),
        (without, ".state"),
    ] {
        let errors = schema.errors(schema.target("GET", "/apps/{}/dynos/{}"), &wrong);
        assert!(errors.len() == 1 && errors[0].starts_with(place), "{place}: {errors:?}");
    }
}
