//! Documents as they were first written, in `fixtures/`: what of an earlier build is on disk or on a socket is read by this one, and
//! written by it with at least the fields that it had. A field may be added, with a default; whatever else changes needs a new version,
//! and a file beside the old one. The list of all formats is `docs/reference/formats.md`.

use crate::protocol::{
    Answer, ControlAnswer, ControlMessage, ControlRequest, ControlResponseMessage, RefusalReason, Request,
    RequestMessage, ResponseMessage,
};
use crate::run_folder::Instant;
use domain::time::BootMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// Reads each line, writes it again, and tells what was read.
fn replay<T: DeserializeOwned + Serialize + Debug>(lines: &str) -> Vec<T> {
    let documents = lines.lines().filter(|line| !line.is_empty());
    documents
        .map(|line| {
            let read: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let written = serde_json::to_value(&read).unwrap();
            assert_holds(&written, &serde_json::from_str(line).unwrap(), line);
            read
        })
        .collect()
}

/// Everything of `golden` is in `written`.
fn assert_holds(written: &Value, golden: &Value, line: &str) {
    match (written, golden) {
        (Value::Object(written), Value::Object(golden)) => {
            for (name, value) in golden {
                let found = written.get(name).unwrap_or_else(|| panic!("{name} is not written: {line}"));
                assert_holds(found, value, line);
            }
        }
        (Value::Array(written), Value::Array(golden)) if written.len() == golden.len() => {
            written.iter().zip(golden).for_each(|(written, golden)| assert_holds(written, golden, line));
        }
        (written, golden) => assert_eq!(written, golden, "{line}"),
    }
}

/// The names of what was read, against all there are.
fn assert_all<'a>(found: impl Iterator<Item = &'a str>, all: &[&'a str]) {
    assert_eq!(found.collect::<BTreeSet<_>>(), all.iter().copied().collect());
}

const fn request_name(request: &Request) -> &'static str {
    match request {
        Request::Hello { .. } => "hello",
        Request::Spawn { .. } => "spawn",
        Request::NetworkCreate { .. } => "network_create",
        Request::NetworkRemove { .. } => "network_remove",
        Request::ProcessRemove { .. } => "process_remove",
        Request::ShimRenew { .. } => "shim_renew",
        Request::NetworkInspect => "network_inspect",
        Request::BuildRemove { .. } => "build_remove",
        Request::CacheRemove { .. } => "cache_remove",
        Request::Listeners { .. } => "listeners",
        Request::DaemonStart { .. } => "daemon_start",
        Request::DaemonStop { .. } => "daemon_stop",
        Request::Status => "status",
        Request::Shutdown => "shutdown",
    }
}

const fn answer_name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Done => "done",
        Answer::Spawned { .. } => "spawned",
        Answer::Listeners { .. } => "listeners",
        Answer::Status(_) => "status",
        Answer::Network(_) => "network",
    }
}

const fn reason_name(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Fenced => "fenced",
        RefusalReason::Invalid => "invalid",
        RefusalReason::Busy => "busy",
        RefusalReason::NotFound => "not_found",
        RefusalReason::LayerMissing => "layer_missing",
        RefusalReason::Failed => "failed",
    }
}

const fn control_name(request: &ControlRequest) -> &'static str {
    match request {
        ControlRequest::Stop => "stop",
        ControlRequest::StopBecause(_) => "stop_because",
        ControlRequest::Kill => "kill",
        ControlRequest::Diagnose => "diagnose",
        ControlRequest::Attach => "attach",
        ControlRequest::Resize(_) => "resize",
        ControlRequest::Usage => "usage",
        ControlRequest::About => "about",
        ControlRequest::Renew => "renew",
    }
}

const fn control_answer_name(answer: &ControlAnswer) -> &'static str {
    match answer {
        ControlAnswer::Done => "done",
        ControlAnswer::Diagnosis(_) => "diagnosis",
        ControlAnswer::Usage(_) => "usage",
        ControlAnswer::About(_) => "about",
        ControlAnswer::NotNow { .. } => "not_now",
        ControlAnswer::AttachedPipes => "attached_pipes",
        ControlAnswer::AttachedTerminal => "attached_terminal",
    }
}

#[test]
fn launcher_requests() {
    let read: Vec<RequestMessage> = replay(include_str!("../fixtures/launcher-requests-1.jsonl"));
    let all = [
        "hello",
        "spawn",
        "network_create",
        "network_remove",
        "process_remove",
        "shim_renew",
        "network_inspect",
        "build_remove",
        "cache_remove",
        "listeners",
        "daemon_start",
        "daemon_stop",
        "status",
        "shutdown",
    ];
    assert_all(read.iter().map(|message| request_name(&message.request)), &all);
}

#[test]
fn launcher_answers() {
    let read: Vec<ResponseMessage> = replay(include_str!("../fixtures/launcher-answers-1.jsonl"));
    let answers = read.iter().filter_map(|message| message.response.as_ref().ok());
    assert_all(answers.map(answer_name), &["done", "spawned", "listeners", "status", "network"]);
    let refusals = read.iter().filter_map(|message| message.response.as_ref().err());
    let all = ["fenced", "invalid", "busy", "not_found", "layer_missing", "failed"];
    assert_all(refusals.map(|refusal| reason_name(refusal.reason)), &all);
}

#[test]
fn control_requests() {
    let read: Vec<ControlMessage> = replay(include_str!("../fixtures/control-requests-1.jsonl"));
    let all = ["stop", "stop_because", "kill", "diagnose", "attach", "resize", "usage", "about", "renew"];
    assert_all(read.iter().map(|message| control_name(&message.request)), &all);
}

#[test]
fn control_answers() {
    let read: Vec<ControlResponseMessage> = replay(include_str!("../fixtures/control-answers-1.jsonl"));
    let answers = read.iter().filter_map(|message| message.response.as_ref().ok());
    let all = ["done", "diagnosis", "usage", "about", "not_now", "attached_pipes", "attached_terminal"];
    assert_all(answers.map(control_answer_name), &all);
    assert!(read.iter().any(|message| message.response.is_err()));
}

#[test]
fn ready_and_stopping() {
    let read: Vec<Instant> = replay(include_str!("../fixtures/instant-1.json"));
    assert_eq!(read.iter().map(|fact| fact.at).collect::<Vec<_>>(), [BootMillis(1234)]);
}

/// A document of another version is another one's: whoever wrote it meant something else.
#[test]
fn other_versions_are_refused() {
    for lines in [
        include_str!("../fixtures/launcher-requests-1.jsonl"),
        include_str!("../fixtures/control-requests-1.jsonl"),
    ] {
        for line in lines.lines() {
            let newer = line.replacen("\"format\":1", "\"format\":2", 1);
            assert_ne!(newer, line);
            assert!(serde_json::from_str::<RequestMessage>(&newer).is_err(), "{newer}");
            assert!(serde_json::from_str::<ControlMessage>(&newer).is_err(), "{newer}");
        }
    }
}
