//! The API's conventions and nouns.

use crate::Case;
use crate::git::Repo;
use crate::world::{World, wait_until};
use serde_json::{Value, json};

pub const CASES: &[Case] = &[
    ("http::credentials", credentials),
    ("http::apps", apps),
    ("http::repeated_posts", repeated_posts),
    ("http::config_and_paging", config_and_paging),
    ("http::formation_and_processes", formation_and_processes),
    ("http::what_is_missing", what_is_missing),
    ("http::tokens", tokens),
    ("http::extensions", extensions),
];

fn credentials() {
    let world = World::start();
    let client = world.client();
    let basic = |text: &str| format!("Basic {}", base64(text));
    for (header, status) in [
        (None, 401),
        (Some("Bearer undefined".to_owned()), 401),
        (Some("Bearer wrong".to_owned()), 401),
        (Some(format!("Bearer {}", world.token)), 200),
        (Some(basic(&format!(":{}", world.token))), 200),
        (Some(basic(&format!("heroku:{}", world.token))), 200),
        (Some(basic("heroku:wrong")), 401),
        (Some(basic(&format!("ada@example.com:{}", world.token))), 200),
        (Some(basic(&format!("bob@example.com:{}", world.token))), 401),
    ] {
        let answer = client.clone().with_authorization(header.as_deref()).get("/account");
        assert_eq!(answer.status, status, "{header:?} {}", answer.text());
        assert!(answer.header("request-id").is_some_and(|id| id.len() == 36), "{:?}", answer.headers);
        if status == 401 {
            assert_eq!(answer.json()["id"], "unauthorized");
            assert!(answer.header("www-authenticate").is_some_and(|realm| realm.starts_with("Basic realm=")));
        } else {
            assert_eq!(answer.json()["email"], "ada@example.com");
        }
    }
}

fn apps() {
    let world = World::start();
    let client = world.client();
    let made = client.post("/apps", r#"{"name":"hello","stack":{"name":"host"},"region":"us"}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    let app = made.json();
    assert_eq!(app["web_url"], "http://hello.localhost:8080/");
    assert_eq!(app["git_url"], format!("https://localhost:{}/hello.git", world.address.port()));
    assert_eq!(client.post("/apps", "").status, 201, "a name is made up");
    assert_eq!(client.get("/apps").json().as_array().unwrap().len(), 2);
    assert_eq!(client.get("/users/~/apps").json().as_array().unwrap().len(), 2);
    let id = app["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/apps/{id}")).json()["name"], "hello");
    assert_eq!(client.patch("/apps/hello", r#"{"maintenance":1}"#).json()["maintenance"], true);
    assert_eq!(client.patch("/apps/hello", r#"{"name":"hallo"}"#).json()["name"], "hallo");
    let taken = client.post("/apps", r#"{"name":"hallo"}"#);
    assert!([409, 422].contains(&taken.status), "{}", taken.text());
    assert_eq!(client.post("/apps", r#"{"name":"No Name"}"#).status, 422);
    assert_eq!(client.post("/apps", "{").status, 400);
    assert_eq!(client.delete("/apps/hallo").json()["id"], id);
    let gone = client.get("/apps/hallo");
    assert_eq!((gone.status, gone.json()["resource"].as_str()), (404, Some("app")));
}

fn repeated_posts() {
    let world = World::start();
    let client = world.client();
    let post =
        |key: &str, body: &str| client.send("POST", "/apps", &[("Idempotency-Key", key)], body.as_bytes());
    let first = post("k1", "{}");
    assert_eq!(post("k1", "{}").json()["id"], first.json()["id"], "the same app again");
    assert_ne!(post("k2", "{}").json()["id"], first.json()["id"]);
    assert_eq!(post("k1", r#"{"region":"eu"}"#).status, 422, "another body under the same key");
    let chained = client.send("POST", "/apps", &[("Request-Id", "a,b,c")], b"{}");
    let again = client.send("POST", "/apps", &[("Request-Id", "a,b,c")], b"{}");
    assert_eq!(chained.json()["id"], again.json()["id"]);
}

fn config_and_paging() {
    let world = World::start();
    let client = world.client();
    world.app("hello");
    for n in 1..=5 {
        let set = client.patch("/apps/hello/config-vars", &format!("{{\"A\":\"{n}\",\"B\":{n}}}"));
        assert_eq!(set.json(), json!({"A": n.to_string(), "B": n.to_string()}));
    }
    assert_eq!(client.patch("/apps/hello/config-vars", r#"{"B":null}"#).json(), json!({"A": "5"}));
    assert_eq!(client.get("/apps/hello/releases/1/config-vars").json()["B"], "1");
    let page = |range: &str| client.send("GET", "/apps/hello/releases", &[("Range", range)], b"");
    let versions = |answer: &Value| -> Vec<u64> {
        answer.as_array().unwrap().iter().map(|row| row["version"].as_u64().unwrap()).collect()
    };
    let mut range = Some("version ..; max=4, order=desc".to_owned());
    let (mut seen, mut statuses) = (Vec::new(), Vec::new());
    while let Some(asked) = range {
        let answer = page(&asked);
        seen.extend(versions(&answer.json()));
        statuses.push(answer.status);
        range = answer.header("next-range").map(str::to_owned);
    }
    assert_eq!((seen, statuses), (vec![6, 5, 4, 3, 2, 1], vec![206, 200]));
    assert_eq!(versions(&page("version ..; order=desc,max=1").json()), [6]);
    assert_eq!(versions(&page("nonsense").json()).len(), 6);
    let bad = client.post("/apps/hello/releases", r#"{"release":"v1"}"#);
    assert_eq!(bad.status, 422, "{}", bad.text());
}

fn formation_and_processes() {
    let world = World::start();
    let client = world.client();
    let app = world.app("hello");
    Repo::new(&world, "hello", &[("web", "serve")]).push(&["main"]).says(&["Released v1"]);
    let scaled = client.patch("/apps/hello/formation", r#"{"updates":[{"type":"web","quantity":"+1"}]}"#);
    assert_eq!(scaled.json()[0]["quantity"], 2, "{}", scaled.text());
    assert_eq!(client.patch("/apps/hello/formation/web", r#"{"quantity":3}"#).json()["quantity"], 3);
    assert_eq!(client.get("/apps/hello/formation/web").json()["command"], "serve");
    assert_eq!(client.get("/apps/hello/formation/none").json()["resource"], "formation");
    wait_until("three are up", || {
        let dynos = client.get("/apps/hello/dynos").json();
        dynos.as_array().unwrap().iter().filter(|dyno| dyno["state"] == "up").count() == 3
    });
    assert_eq!(client.get("/apps/hello/dynos/web.1").json()["name"], "web.1");
    for path in [
        "/apps/hello/dynos",
        "/apps/hello/dynos/web.1",
        "/apps/hello/dynos/web",
        "/apps/hello/formations/web",
    ] {
        let restarted = client.delete(path);
        assert_eq!((restarted.status, restarted.json()), (202, json!({})), "{path}");
    }
    assert_eq!(client.post("/apps/hello/dynos/web.3/actions/stop", "").status, 202);
    let run = client.post("/apps/hello/dynos", r#"{"command":"exit 7","attach":false}"#);
    assert_eq!((run.status, &run.json()["attach_url"]), (201, &Value::Null));
    let id = run.json()["id"].as_str().unwrap().to_owned();
    wait_until("the job has ended", || {
        client.get(&format!("/dozen/apps/hello/processes/{id}")).json()["end"]["code"] == 7
    });
    assert_eq!(world.releases(app).len(), 1, "none of this made a release");
}

fn what_is_missing() {
    let world = World::start();
    let client = world.client();
    world.app("hello");
    for (method, path, status, id) in [
        ("GET", "/nonsense", 404, "not_found"),
        ("GET", "/apps/hello/nonsense", 404, "not_found"),
        ("POST", "/apps/hello/slugs", 501, "not_implemented"),
        ("GET", "/pipelines/x", 501, "not_implemented"),
        ("POST", "/apps/hello/sni-endpoints", 501, "not_implemented"),
        ("PUT", "/apps/hello/buildpack-installations", 422, "invalid_params"),
        ("GET", "/users/bob@example.com", 404, "not_found"),
        ("GET", "/apps/hello/pipeline-couplings", 404, "not_found"),
        ("DELETE", "/oauth/sessions/~", 404, "not_found"),
        ("GET", "/apps/none/addons", 404, "not_found"),
        ("DELETE", "/dozen/server", 405, "method_not_allowed"),
    ] {
        let answer = client.send(method, path, &[], b"");
        assert_eq!((answer.status, answer.json()["id"].as_str()), (status, Some(id)), "{method} {path}");
        assert!(answer.header("request-id").is_some());
    }
    for path in ["addons", "buildpack-installations", "log-drains", "sni-endpoints"] {
        assert_eq!(client.get(&format!("/apps/hello/{path}")).json(), json!([]), "{path}");
    }
    let anonymous = client.clone().with_authorization(None);
    assert_eq!(anonymous.get("/nonsense").status, 401, "strangers are not told what there is");
}

fn tokens() {
    let world = World::start();
    let client = world.client();
    let made = client
        .post("/oauth/authorizations", r#"{"description":"laptop","expires_in":3600,"scope":["global"]}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    let token = made.json()["access_token"]["token"].as_str().unwrap().to_owned();
    let other = client.clone().with_authorization(Some(&format!("Bearer {token}")));
    assert_eq!(other.get("/account").status, 200);
    let lasting = client.get("/oauth/authorizations/~").json();
    assert_eq!((lasting["id"].is_string(), &lasting["access_token"]["expires_in"]), (true, &json!(null)));
    let own = other.get("/oauth/authorizations/~");
    assert_eq!(
        (own.status, &own.json()["resource"]),
        (404, &json!("authorization")),
        "a login's is not the key"
    );
    let own = other.get(&format!("/oauth/authorizations/{}", made.json()["id"].as_str().unwrap())).json();
    let shown = own["access_token"]["token"].as_str().unwrap();
    assert!(shown.ends_with("**********") && token.starts_with(shown.trim_end_matches('*')), "{shown}");
    let id = own["id"].as_str().unwrap();
    assert_eq!(client.delete(&format!("/oauth/authorizations/{id}")).status, 200);
    assert_eq!(other.get("/account").status, 401);
}

fn extensions() {
    let world = World::start();
    let client = world.client();
    world.app("hello");
    let info = client.clone().with_authorization(None).get("/dozen/server").json();
    assert_eq!(info["app_url"], "http://{app}.localhost:8080/");
    assert_eq!(info["git_url"], format!("https://localhost:{}/{{app}}.git", world.address.port()));
    assert_eq!(client.get("/dozen/doctor").json()["can_start_apps"], true);
    Repo::new(&world, "hello", &[("web", "serve")]).push(&["main"]).says(&[]);
    client.patch("/apps/hello/config-vars", r#"{"A":"secret value"}"#);
    let head = client.get("/dozen/apps/hello/releases/head");
    assert_eq!(head.json()["config_changes"]["added"], json!(["A"]));
    assert!(!head.text().contains("secret value"));
    let status = client.get("/dozen/apps/hello/status").json();
    assert_eq!((&status["head"]["version"], &status["warnings"]), (&json!(2), &json!(["no Landlock here"])));
    assert_eq!(client.get("/dozen/apps/hello/releases/9").json()["resource"], "release");
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |group: &[u8]| -> String {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let digits = (0..4)
            .map(|n| if n <= group.len() { ALPHABET[(bits >> (18 - 6 * n) & 63) as usize] } else { b'=' });
        digits.map(char::from).collect()
    };
    text.as_bytes().chunks(3).map(encode).collect()
}
