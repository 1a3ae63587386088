//! The command line as people use it: the binary against a server that answers by a table. What is sent, what is printed where,
//! and how it ends.
#![cfg(unix)]

mod attached;
mod deploy;
mod dozen;
mod heroku;
mod login;
mod logs;
mod repository;
#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../../src/commands/samples.rs"]
mod samples;
#[path = "../../../api/tests/stub/mod.rs"]
mod stub;
#[allow(dead_code, reason = "shared with the tests of the client library")]
#[path = "../../../api/tests/stub/tls.rs"]
mod tls;
mod topics;
mod verbs;

use serde::Serialize;
use stub::{Reply, Request, Stub};

/// The answer that is this object.
pub fn json(object: &impl Serialize) -> Reply {
    Reply::json(serde_json::to_string(object).expect("serialises"))
}

/// The refusal of everything that a test does not expect.
pub fn refusal(request: &Request) -> Reply {
    Reply::Json(404, format!(r#"{{"id":"not_found","message":"The test knows no {}."}}"#, request.line()))
}

/// A server that answers each `METHOD /path` by the first entry that has it.
pub fn server(table: Vec<(&'static str, Reply)>) -> Stub {
    Stub::start(move |request| {
        let line = request.line();
        let found = table.iter().find(|(known, _)| *known == line);
        found.map_or_else(|| refusal(request), |(_, reply)| reply.clone())
    })
}
