//! Every route of the table, driven over HTTP against a running server: the status that the table promises, and a body that fits
//! our own description (as all of [`Client`]'s answers do) and Heroku's published schema where there is one. A route that the walk
//! forgets fails the test.

use crate::Case;
use crate::client::Client;
use crate::git::Repo;
use crate::schema::{self, Schema};
use crate::world::{World, wait_until};
use serde_json::{Value, json};
use server::route_table;
use server::table::{Gives, Needs, Route, fits};
use std::collections::BTreeSet;

pub const CASES: &[Case] = &[("contract::every_route_keeps_its_word", every_route_keeps_its_word)];

/// What was asked so far, and what was wrong with the answers.
struct Walk {
    client: Client,
    schema: Option<Schema>,
    table: Vec<Route>,
    walked: BTreeSet<(&'static str, &'static str)>,
    wrong: Vec<String>,
}

impl Walk {
    fn new(world: &World) -> Self {
        let schema = schema::oracle();
        if schema.is_none() {
            eprintln!("skipped: bodies against the published schema, which is not there (set DOZEN_ORACLE)");
        }
        Self {
            client: world.client(),
            schema,
            table: route_table(),
            walked: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// The route of a request: where several fit, the one with the fewest parameters.
    fn route(&self, method: &str, path: &str) -> Route {
        let path = path.split('?').next().unwrap();
        let fitting = self.table.iter().filter(|route| route.method == method && fits(route.path, path));
        let route = fitting.min_by_key(|route| route.path.matches('{').count());
        *route.unwrap_or_else(|| panic!("the table has no {method} {path}"))
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let route = self.route(method, path);
        self.walked.insert((route.method, route.path));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.client.send(method, path, &[], body.as_bytes());
        let (Gives::One(status, _) | Gives::Refusal(status)) = route.about.gives else {
            return self.check(&route, path, answer.status, 200, answer.json());
        };
        self.check(&route, path, answer.status, status, answer.json())
    }

    fn check(&mut self, route: &Route, path: &str, status: u16, promised: u16, body: Value) -> Value {
        if status != promised {
            self.wrong.push(format!("{} {path}: {status} and not {promised}: {body}", route.method));
        } else if let (Some(schema), true) = (&self.schema, status < 400) {
            let href = plain(route.path);
            let errors = schema::errors(schema, route.method, &href, &body);
            self.wrong.extend(errors.into_iter().map(|error| format!("{} {path}{error}", route.method)));
        }
        body
    }

    fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null)
    }

    fn delete(&mut self, path: &str) -> Value {
        self.ask("DELETE", path, &Value::Null)
    }

    /// JSON routes that were not asked.
    fn forgotten(&self) -> Vec<String> {
        let json = |route: &&Route| {
            !matches!(route.about.gives, Gives::Bytes(_)) && route.about.needs != Needs::Ticket
        };
        let left = self.table.iter().filter(json).filter(|r| !self.walked.contains(&(r.method, r.path)));
        left.map(|route| format!("{} {}", route.method, route.path)).collect()
    }
}

/// `/apps/{app}` as `/apps/{}`.
pub fn plain(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn every_route_keeps_its_word() {
    let world = World::start();
    let mut walk = Walk::new(&world);
    the_installation(&mut walk);
    the_account(&mut walk);
    walk.ask("POST", "/apps", &json!({"name": "hello"}));
    Repo::new(&world, "hello", &[("web", "serve")]).push(&["main"]).says(&["Released v1"]);
    an_app(&mut walk);
    releases_and_config(&mut walk);
    processes(&mut walk, &world);
    sharing(&mut walk);
    domains(&mut walk);
    recurring_commands(&mut walk);
    what_is_empty(&mut walk);
    walk.delete("/apps/hello");
    assert!(walk.wrong.is_empty(), "{:#?}", walk.wrong);
    assert_eq!(walk.forgotten(), Vec::<String>::new(), "routes that this walk does not visit");
}

fn the_installation(walk: &mut Walk) {
    for path in [
        "/dozen/server",
        "/dozen/version",
        "/dozen/doctor",
        "/dozen/accounts",
        "/regions",
        "/regions/local",
        "/stacks",
        "/stacks/host",
        "/dyno-sizes",
        "/dyno-sizes/standard-1x",
        "/generations",
        "/generations/cedar",
    ] {
        walk.get(path);
    }
    let made = walk.ask("POST", "/dozen/accounts", &json!({"email": "bob@example.com"}));
    assert!(made["token"].as_str().unwrap().starts_with("dzn_"), "{made}");
    let another = walk.ask("POST", "/dozen/accounts/bob@example.com/tokens", &Value::Null);
    assert_ne!(another["token"], made["token"]);
}

fn the_account(walk: &mut Walk) {
    for path in
        ["/account", "/users/~", "/users/ada@example.com", "/account/rate-limits", "/account/features"]
    {
        walk.get(path);
    }
    walk.get("/account/features/x");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm0Tv/lhuRxAnjJfUx46ceAzPyXIlotmEohm3ktXtPt ada";
    let key = walk.ask("POST", "/account/keys", &json!({"public_key": key}));
    assert_eq!(walk.get("/account/keys")[0], key);
    let one = format!("/account/keys/{}", key["id"].as_str().unwrap());
    walk.get(&one);
    walk.delete(&one);
    walk.ask("POST", "/sources", &Value::Null);
    walk.ask("PATCH", "/account/features/x", &json!({"enabled": true}));
    let made = walk.ask("POST", "/oauth/authorizations", &json!({"description": "ci", "scope": ["global"]}));
    walk.get("/oauth/authorizations");
    let one = format!("/oauth/authorizations/{}", made["id"].as_str().unwrap());
    walk.get(&one);
    let told = walk.ask("PATCH", &one, &json!({"description": "CI", "client": {}}));
    assert_eq!(told["description"], "CI");
    let rotated = walk.ask("POST", &format!("{one}/actions/regenerate-tokens"), &Value::Null);
    let token = |answer: &Value| answer["access_token"]["token"].as_str().unwrap().to_owned();
    let with = |token: String| walk.client.clone().with_authorization(Some(&format!("Bearer {token}")));
    assert_eq!(with(token(&made)).get("/account").status, 401, "a rotated token is void");
    assert_eq!(with(token(&rotated)).get("/account").status, 200);
    walk.delete(&one);
    walk.delete("/oauth/sessions/~");
}

fn an_app(walk: &mut Walk) {
    for path in ["/apps", "/users/~/apps", "/apps/hello", "/dozen/apps/hello/status"] {
        walk.get(path);
    }
    walk.ask("PATCH", "/apps/hello", &json!({"maintenance": 0, "build_stack": "host"}));
    walk.get("/apps/hello/features");
    walk.get("/apps/hello/features/preboot");
    walk.ask("PATCH", "/apps/hello/features/preboot", &json!({"enabled": true}));
    let metrics = "/apps/hello/features/log-runtime-metrics";
    assert_eq!(walk.get(metrics)["enabled"], false);
    for enabled in [true, true, false] {
        let answer = walk.ask("PATCH", metrics, &json!({"enabled": enabled}));
        assert_eq!((&answer["enabled"], &walk.get(metrics)["enabled"]), (&json!(enabled), &json!(enabled)));
    }
    for path in ["available-stacks", "available-dyno-sizes", "builds", "pipeline-couplings"] {
        walk.get(&format!("/apps/hello/{path}"));
    }
    let builds = walk.get("/apps/hello/builds");
    let build = format!("/apps/hello/builds/{}", builds[0]["id"].as_str().unwrap());
    walk.get(&build);
    walk.ask("POST", "/apps/hello/sources", &Value::Null);
    let source = json!({"url": crate::world::ELSEWHERE, "version": "v1"});
    let built = walk.ask("POST", "/apps/hello/builds", &json!({ "source_blob": source }));
    let (client, path) =
        (walk.client.clone(), format!("/apps/hello/builds/{}", built["id"].as_str().unwrap()));
    wait_until("the build has ended", || client.get(&path).json()["status"] != "pending");
    let set =
        json!({"updates": [{"buildpack": "heroku/python"}, {"buildpack": {"url": "https://x.example/y"}}]});
    let set = walk.ask("PUT", "/apps/hello/buildpack-installations", &set);
    assert_eq!(set[1]["buildpack"]["url"], "https://x.example/y");
    assert_eq!(walk.get("/apps/hello/buildpack-installations"), set);
    walk.ask("POST", "/apps/hello/log-sessions", &json!({"lines": "10", "tail": false}));
}

fn releases_and_config(walk: &mut Walk) {
    walk.ask("PATCH", "/apps/hello/config-vars", &json!({"A": "1", "B": 2}));
    walk.get("/apps/hello/config-vars");
    walk.get("/apps/hello/releases");
    walk.get("/apps/hello/releases/v1");
    walk.get("/apps/hello/releases/2/config-vars");
    walk.get("/dozen/apps/hello/releases/head");
    let client = walk.client.clone();
    wait_until("v1 may be gone back to", || {
        client.get("/apps/hello/releases/1").json()["eligible_for_rollback"] == true
    });
    walk.ask("POST", "/apps/hello/releases", &json!({"release": "v1"}));
}

fn processes(walk: &mut Walk, world: &World) {
    walk.get("/apps/hello/formation");
    walk.get("/apps/hello/formation/web");
    let scale = json!({"updates": [{"type": "web", "quantity": "2", "size": "standard-2x"}]});
    walk.ask("PATCH", "/apps/hello/formation", &scale);
    walk.ask("PATCH", "/apps/hello/formation/web", &json!({"quantity": "-1", "size": null}));
    let client = walk.client.clone();
    wait_until("one is up", || {
        let dynos = client.get("/apps/hello/dynos").json();
        dynos.as_array().unwrap().iter().any(|dyno| dyno["state"] == "up")
    });
    let dynos = walk.get("/apps/hello/dynos");
    walk.get("/apps/hello/dynos/web.1");
    walk.get("/dozen/apps/hello/processes");
    walk.get("/dozen/apps/hello/usage");
    // A process that is just being replaced is not in it.
    wait_until("it is measured, beside its limits", || {
        let usage = &client.get("/dozen/apps/hello/usage").json()[0]["usage"];
        let quota = usage["limits"]["memory_bytes"].as_u64().unwrap_or(0);
        usage["memory_bytes"] == 21 << 20 && usage["limits"]["memory_hard_bytes"] == 2 * quota
    });
    walk.get(&format!("/dozen/apps/hello/processes/{}", dynos[0]["id"].as_str().unwrap()));
    walk.ask("POST", "/apps/hello/dynos", &json!({"command": "exit 0"}));
    walk.ask("POST", "/apps/hello/dynos/web.1/actions/stop", &Value::Null);
    walk.ask("POST", "/apps/hello/formations/web/actions/stop", &Value::Null);
    walk.delete("/apps/hello/dynos/web.1");
    walk.delete("/apps/hello/formations/web");
    walk.delete("/apps/hello/dynos");
    let held = Repo::new(world, "hello", &[("web", "serve"), ("build", "hold")]);
    let pushing = held.start_push(&["main", "--force"]);
    wait_until("the build is held", || world.builder.waiting() == 1);
    let builds = walk.get("/apps/hello/builds");
    let pending = builds.as_array().unwrap().iter().find(|build| build["status"] == "pending").unwrap();
    walk.delete(&format!("/apps/hello/builds/{}", pending["id"].as_str().unwrap()));
    // The builder of these tests ends a cancelled build as it likes.
    let _ended = pushing.wait_with_output().unwrap();
}

fn sharing(walk: &mut Walk) {
    let shared = json!({"user": "bob@example.com", "silent": true});
    let shared = walk.ask("POST", "/apps/hello/collaborators", &shared);
    assert_eq!(shared["role"], "collaborator");
    walk.get("/apps/hello/collaborators");
    walk.get("/apps/hello/collaborators/bob@example.com");
    walk.delete(&format!("/apps/hello/collaborators/{}", shared["user"]["id"].as_str().unwrap()));
}

fn domains(walk: &mut Walk) {
    let wanted = json!({"hostname": "WWW.example.com", "sni_endpoint": null});
    let added = walk.ask("POST", "/apps/hello/domains", &wanted);
    assert_eq!((&added["cname"], &added["kind"]), (&json!("hello.localhost"), &json!("custom")));
    walk.get("/apps/hello/domains");
    walk.get("/apps/hello/domains/www.example.com");
    walk.ask("PATCH", "/apps/hello/domains/www.example.com", &json!({"sni_endpoint": null}));
    walk.delete(&format!("/apps/hello/domains/{}", added["id"].as_str().unwrap()));
}

fn recurring_commands(walk: &mut Walk) {
    let wanted = json!({"command": "true", "schedule": "0 6 * * mon-fri", "timezone": "Europe/Berlin"});
    let added = walk.ask("POST", "/dozen/apps/hello/cron", &wanted);
    assert_eq!((&added["command"], &added["timezone"]), (&wanted["command"], &wanted["timezone"]));
    let path = format!("/dozen/apps/hello/cron/{}", added["id"].as_str().unwrap());
    assert_eq!(walk.get("/dozen/apps/hello/cron")[0], walk.get(&path));
    let begun = walk.ask("POST", &format!("{path}/runs"), &json!({}));
    assert_eq!(walk.get(&format!("{path}/runs"))[0]["id"], begun["id"]);
    assert_eq!(walk.get("/dozen/apps/hello/cron-runs")[0]["id"], begun["id"]);
    walk.delete(&path);
}

/// Whatever the table calls a list of nothing.
fn what_is_empty(walk: &mut Walk) {
    let table = walk.table.clone();
    for route in table.iter().filter(|route| route.about.gives == Gives::Many("Empty")) {
        let listed = walk.get(&route.path.replace("{app}", "hello"));
        assert_eq!(listed, json!([]), "{}", route.path);
    }
}
