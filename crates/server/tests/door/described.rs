//! Every JSON answer of every test here against our own description of the API, so that neither drifts from the other.

use crate::Case;
use crate::client::Answer;
use crate::schema::Schema;
use serde_json::{Value, json};
use server::table::fits;
use std::sync::OnceLock;

pub const CASES: &[Case] = &[("described::other_answers_are_noticed", other_answers_are_noticed)];

/// Is itself held to the types and the route table, see `openapi`.
const DESCRIPTION: &str = include_str!("../../../../docs/reference/openapi.json");

struct Description {
    root: Value,
    schema: Schema,
}

fn description() -> &'static Description {
    static DESCRIPTION_READ: OnceLock<Description> = OnceLock::new();
    DESCRIPTION_READ.get_or_init(|| {
        let root: Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
        Description { schema: Schema::closed(root.clone()), root }
    })
}

/// What is wrong with an answer; nothing if it is no JSON.
pub fn errors(method: &str, path: &str, answer: &Answer) -> Vec<String> {
    let json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if !json {
        return Vec::new();
    }
    let Ok(body) = serde_json::from_slice(&answer.body) else {
        return vec![format!("is no JSON: {}", answer.text())];
    };
    description().errors(method, path, answer.status, &body)
}

impl Description {
    fn errors(&self, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
        let refusal = &self.root["components"]["schemas"]["ErrorBody"];
        let schema = match (self.responses(method, path), status) {
            (Some(responses), 400..) => &responses["default"]["content"]["application/json"]["schema"],
            (None, 400..) => refusal,
            (Some(responses), _) => {
                &responses[status.to_string().as_str()]["content"]["application/json"]["schema"]
            }
            (None, _) => &Value::Null,
        };
        if schema.is_null() {
            return vec![format!("{status} is not described: {body}")];
        }
        self.schema.errors(schema, body)
    }

    /// Of the fitting path with the fewest parameters.
    fn responses(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.root["paths"].as_object().expect("paths");
        paths
            .iter()
            .filter(|(pattern, _)| fits(pattern, path))
            .filter_map(|(pattern, methods)| Some((pattern, methods.get(method.to_lowercase())?)))
            .min_by_key(|(pattern, _)| pattern.matches('{').count())
            .map(|(_, operation)| &operation["responses"])
    }
}

fn other_answers_are_noticed() {
    let server = json!({ "name": "sydney", "region": "ap-southeast-2" });
    let region = json!({
        "country": "c", "created_at": "2026-01-01T00:00:00Z", "description": "d", "locale": "l", "name": "n",
        "id": "01234567-89ab-4cde-8f01-23456789abcd", "private_capable": false, "provider": server,
        "updated_at": "2026-01-01T00:00:00Z",
    });
    let wrong = |path, status, body: &Value| description().errors("GET", path, status, body).join("\n");
    assert_eq!(wrong("/regions/n", 200, &region), "");
    assert_eq!(wrong("/regions?x", 206, &json!([region])), "");
    let with = |key: &str, value: Value| {
        let mut other = region.clone();
        other[key] = value;
        wrong("/regions/n", 200, &other)
    };
    assert_eq!(with("colour", json!("red")), ".colour: is unknown to the schema");
    assert_eq!(with("private_capable", json!("no")), ".private_capable: \"no\" is not boolean");
    assert_eq!(with("provider", json!({ "name": "n" })), ".provider.region: is missing");
    assert!(with("id", json!("7")).contains("is no \"uuid\""));
    assert!(wrong("/regions/n", 201, &region).contains("201 is not described"));
    assert!(wrong("/nowhere", 200, &region).contains("200 is not described"));
    let refusal = json!({ "id": "not_found", "message": "Gone." });
    for path in ["/regions/n", "/nowhere"] {
        assert_eq!(wrong(path, 404, &refusal), "");
        assert!(wrong(path, 404, &region).contains(".message: is missing"));
    }
    let status = |progress: Value| {
        let progress_of = &description().root["components"]["schemas"]["Progress"];
        description().schema.errors(progress_of, &progress).join("\n")
    };
    assert_eq!(status(json!({ "status": "pending", "waits": null })), "");
    assert!(status(json!({ "status": "resting", "waits": null })).contains("fits 0 of the choices"));
}
