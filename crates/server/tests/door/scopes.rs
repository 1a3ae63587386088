//! A deploy token against every route: what belongs to deploying its app, and nothing else.

use crate::Case;
use crate::client::{Answer, Client};
use crate::git::{Ran, Repo, command};
use crate::world::{World, tar, wait_until};
use domain::policy::Action;
use serde_json::{Value, json};
use server::route_table;
use server::table::{Needs, Route};
use std::collections::BTreeSet;

pub const CASES: &[Case] = &[
    ("scopes::a_deploy_token_on_every_route", a_deploy_token_on_every_route),
    ("scopes::a_deploy_token_pushes_and_does_not_fetch", a_deploy_token_pushes_and_does_not_fetch),
    ("scopes::tokens_are_made_for_known_scopes", tokens_are_made_for_known_scopes),
];

/// What a deploy token may do to its app.
const ALLOWED: [Action; 6] = [
    Action::AppRead,
    Action::ReleaseRead,
    Action::BuildRead,
    Action::BuildCreate,
    Action::BuildCancel,
    Action::SourceCreate,
];

/// What a deploy token may ask beside its app: the list of its one app, a place for an upload to that app, and what is the same for
/// everybody.
const ALLOWED_BESIDE: &[(&str, &str)] = &[
    ("GET", "/apps"),
    ("POST", "/sources"),
    ("GET", "/account/rate-limits"),
    ("GET", "/account/features"),
    ("GET", "/dyno-sizes"),
    ("GET", "/generations"),
    ("GET", "/regions"),
    ("GET", "/stacks"),
    ("GET", "/addon-attachments"),
    ("GET", "/addon-services"),
    ("GET", "/addons"),
    ("GET", "/oauth/clients"),
    ("GET", "/pipelines"),
    ("GET", "/spaces"),
    ("GET", "/teams"),
];

const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm0Tv/lhuRxAnjJfUx46ceAzPyXIlotmEohm3ktXtPt";
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1+It0OfgjakgOT2Kd5/03oUQ3aoI3MOAB9Pe+0lTS4";

/// A path to things that mostly are not there.
fn path(route: &Route, app: &str) -> String {
    let path = route.path.replace("{app}", app).replace("{repository}", &format!("{app}.git"));
    fill(path)
}

/// What is not there stands for all that is left.
fn fill(path: String) -> String {
    let absent = "01234567-89ab-4cde-8f01-23456789abcd";
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { absent } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    if path.ends_with("/info/refs") { format!("{path}?service=git-upload-pack") } else { path }
}

/// What is read without complaint, so that nothing but the scope decides.
fn body(route: &Route) -> String {
    match (route.method, route.about.takes.unwrap_or_default()) {
        (_, "CreateApp") => json!({ "name": "mine" }),
        (_, "CreateAccount") => json!({ "email": "x@example.com" }),
        (_, "CreateKey") => json!({ "public_key": OTHER_KEY }),
        (_, "AddDomain") => json!({ "hostname": "x.example.org" }),
        (_, "CreateBuild") => json!({ "source_blob": { "url": "https://nowhere.example/x" } }),
        (_, "CreateCollaborator") => json!({ "user": "nobody@example.com" }),
        (_, "CreateCronEntry") => json!({ "command": "true", "schedule": "@daily" }),
        (_, "CreateDyno") => json!({ "command": "true" }),
        (_, "CreateRelease") => json!({ "release": "v99" }),
        (_, "UpdateApp") => json!({ "maintenance": true }),
        (_, "UpdateFeature") => json!({ "enabled": true }),
        (_, "UpdateBuildpacks" | "UpdateFormation") => json!({ "updates": [] }),
        ("POST" | "PUT" | "PATCH", _) => json!({}),
        (_, _) => return String::new(),
    }
    .to_string()
}

fn is_of_no_app(answer: &Answer) -> bool {
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    answer.status == 404 && (body["resource"] == "app" || answer.text().starts_with("Couldn't find that app"))
}

/// A token for deploying `app`.
fn deployer(world: &World, app: &str) -> Client {
    let body = json!({ "scope": [format!("deploy:{app}")], "description": "ci" }).to_string();
    let made = world.client().post("/oauth/authorizations", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["scope"], json!([format!("deploy:{app}")]));
    let token = made.json()["access_token"]["token"].as_str().unwrap().to_owned();
    world.client().with_authorization(Some(&format!("Bearer {token}")))
}

fn a_deploy_token_on_every_route() {
    let world = World::start();
    for app in ["hello", "other"] {
        world.app(app);
        let repo = Repo::new(&world, app, &[("web", "serve")]);
        repo.push(&["main"]).says(&["Released v1"]);
    }
    let machine = deployer(&world, "hello");
    let mut wrong = Vec::new();
    for route in route_table() {
        let Needs::App(action) = route.about.needs else { continue };
        let ask = |app: &str| machine.send(route.method, &path(&route, app), &[], body(&route).as_bytes());
        let (own, others) = (ask("hello"), ask("other"));
        // It tells of the processes too.
        let allowed = ALLOWED.contains(&action) && route.path != "/dozen/apps/{app}/status";
        if (own.status == 403) == allowed || own.status == 401 || is_of_no_app(&own) {
            wrong.push(format!(
                "{} {} of its own app: {} {}",
                route.method,
                route.path,
                own.status,
                own.text()
            ));
        }
        if !is_of_no_app(&others) {
            let (status, text) = (others.status, others.text());
            wrong.push(format!("{} {} of another app: {status} {text}", route.method, route.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    beside_its_app(&world, &machine);
    let apps = machine.get("/apps").json();
    assert_eq!(apps.as_array().unwrap().len(), 1, "{apps}");
    // What the refused requests asked for did not happen.
    assert_eq!(world.client().get("/apps").json().as_array().unwrap().len(), 2);
    assert_eq!(world.client().get("/apps/hello").json()["maintenance"], false);

    let blob = machine.post("/sources", "").json()["source_blob"].clone();
    let put = blob["put_url"].as_str().unwrap().split_once("/uploads").unwrap().1.to_owned();
    assert_eq!(machine.send("PUT", &format!("/uploads{put}"), &[], &tar(&[("web", "serve")])).status, 200);
    let body = json!({ "source_blob": { "url": blob["get_url"] } }).to_string();
    let made = machine.post("/apps/hello/builds", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(machine.post("/apps/other/builds", &body).status, 404);
    let build = format!("/apps/hello/builds/{}", made.json()["id"].as_str().unwrap());
    wait_until("the build ends", || machine.get(&build).json()["status"] == "succeeded");
    assert_eq!(machine.delete(&build).status, 200, "a build that has ended stays as it is");
}

/// Routes of no app, with things of the same account that are there.
fn beside_its_app(world: &World, machine: &Client) {
    let admin = world.client();
    let token = admin.post("/oauth/authorizations", r#"{"description":"a person's"}"#).json();
    let key = admin.post("/account/keys", &json!({ "public_key": PUBLIC_KEY }).to_string()).json();
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let mut asked = BTreeSet::new();
    let mut wrong = Vec::new();
    for route in route_table() {
        if !matches!(route.about.needs, Needs::Token | Needs::SomeApp(_) | Needs::Installation(_)) {
            continue;
        }
        let path = route.path.replace("{authorization}", &id(&token)).replace("{key}", &id(&key));
        let path = fill(path.replace("{user}", "~").replace("{email}", "ada@example.com"));
        let answer = machine.send(route.method, &path, &[], body(&route).as_bytes());
        let allowed = ALLOWED_BESIDE.contains(&(route.method, route.path));
        asked.extend(allowed.then_some((route.method, route.path)));
        if matches!(answer.status, 403 | 404) == allowed {
            wrong.push(format!("{} {path}: {} {}", route.method, answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(asked.len(), ALLOWED_BESIDE.len(), "all of them are routes");
    // They are still there, for whom they belong to.
    let person = world
        .client()
        .with_authorization(Some(&format!("Bearer {}", token["access_token"]["token"].as_str().unwrap())));
    assert_eq!(person.get(&format!("/account/keys/{}", id(&key))).status, 200);
}

fn a_deploy_token_pushes_and_does_not_fetch() {
    let world = World::start();
    world.app("hello");
    world.app("other");
    let machine = deployer(&world, "hello");
    let repo = Repo::with_token(&world, "hello", machine.token(), &[("web", "serve")]);
    repo.push(&["main"]).says(&["Released v1"]);
    let url = repo.run(&["remote", "get-url", "dozen"]).text.trim().to_owned();
    let fetched = command(world.folder.path(), &world.ca(), &["clone", &url, "clone"]).output().unwrap();
    Ran::of(fetched).refused(&["403"]);
    let elsewhere = Repo::with_token(&world, "other", machine.token(), &[("web", "serve")]);
    elsewhere.push(&["main"]).refused(&["not found"]);
}

fn tokens_are_made_for_known_scopes() {
    let world = World::start();
    world.app("hello");
    let make = |scope: &str| {
        let body = json!({ "scope": [scope] }).to_string();
        world.client().post("/oauth/authorizations", &body)
    };
    assert_eq!(make("global").json()["scope"], json!(["global"]));
    let unknown = make("read-protected");
    assert_eq!(unknown.status, 422);
    assert!(unknown.text().contains("deploy:APP"), "{}", unknown.text());
    assert_eq!(make("deploy:nothing").status, 404);
    let made = make("deploy:hello").json();
    let machine = world
        .client()
        .with_authorization(Some(&format!("Bearer {}", made["access_token"]["token"].as_str().unwrap())));
    assert_eq!(machine.get("/apps/hello").status, 200);
    let path = format!("/oauth/authorizations/{}", made["id"].as_str().unwrap());
    let shown = world.client().get(&path).json();
    assert_eq!(
        (&shown["scope"], &shown["description"]),
        (&json!(["deploy:hello"]), &json!("Deploys of hello"))
    );
    assert_eq!(world.client().delete(&path).status, 200);
    assert_eq!(machine.get("/apps/hello").status, 401, "a revoked token opens nothing");
}
