//! Answers of a running server against the published schema, with the validator of `api`'s own tests.

#[path = "../../../api/tests/schema/validator.rs"]
mod validator;

use serde_json::Value;
use std::path::PathBuf;
pub use validator::Schema;

/// The schema is not part of the source tree; see `api/tests/schema`.
pub fn oracle() -> Option<Schema> {
    let sibling = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle");
    let given = std::env::var_os("DOZEN_ORACLE").map_or_else(sibling, PathBuf::from);
    let file = if given.is_dir() { given.join("heroku-schema-3.json") } else { given };
    let text = std::fs::read(file).ok()?;
    Some(Schema::new(serde_json::from_slice(&text).expect("the schema is JSON")))
}

/// What is wrong with an answer, less what names Heroku's own hosts. Nothing is wrong with what the schema does not describe.
pub fn errors(schema: &Schema, method: &str, href: &str, answer: &Value) -> Vec<String> {
    let Some(target) = schema.find_target(method, href) else { return Vec::new() };
    // A host name is called a URI there, which by RFC 3986 it is not.
    let own = |error: &String| ["git_url", "web_url", ".hostname"].iter().any(|field| error.contains(field));
    schema.errors(target, answer).into_iter().filter(|error| !own(error)).collect()
}
