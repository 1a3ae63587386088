//! Health checks, in Dokku's format: `{"healthchecks": {"web": [{"type": "startup", "path": "/health"}]}}`.
//!
//! Three kinds answer three questions. *startup*: has it started? Until then a process is not up, and a release is not promoted.
//! *readiness*: may it get requests now? *liveness*: is it still well? If not it is ended, and started again as after a crash.
//! Four ways to ask: an HTTP request (`path`), a connection (`listening`), a command in the process's own sandbox (`command`), or
//! that the process stays alive for a while (`uptime`).

use super::{AppJsonError, invalid, startup};
use crate::names::ProcessType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Checks of one process type at most.
pub const MAX_CHECKS: usize = 10;
/// Headers of one request at most.
pub const MAX_HEADERS: usize = 20;
/// Longest path, header value, expected content and command (all arguments together), in bytes.
pub const MAX_TEXT_BYTES: usize = 2048;
/// All checks of one process type as they are kept, in bytes: they travel with each start of a process.
pub const MAX_TYPE_BYTES: usize = 16 * 1024;
const ATTEMPTS: RangeInclusive<u32> = 1..=100;
const TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=300;
const WAIT_SECONDS: RangeInclusive<u32> = 1..=3600;
const INITIAL_DELAY_SECONDS: RangeInclusive<u32> = 0..=3600;
const UPTIME_SECONDS: RangeInclusive<u32> = 1..=3600;

/// One check of the processes of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// For people: the given name, else `startup-1`.
    pub name: String,
    pub kind: CheckKind,
    pub probe: Probe,
    /// Failures in a row after which the check has failed.
    pub attempts: u32,
    /// How long one attempt may take.
    pub timeout_seconds: u32,
    /// From the end of one attempt to the next.
    pub wait_seconds: u32,
    /// From the process's start to the first attempt.
    pub initial_delay_seconds: u32,
}

/// Which question a check answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    Startup,
    Readiness,
    Liveness,
}

impl CheckKind {
    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// How a check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// `GET path` is answered with a status of 200 to 399, and with this text in its body if one is given.
    Http {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<Header>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    /// A connection is accepted on the port, `$PORT` if none is given.
    Listening {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// The command, beside the process in its sandbox, ends with 0.
    Command { argv: Vec<String> },
    /// The process has lived this long.
    Uptime { seconds: u32 },
}

/// A header of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// A check as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Written {
    #[serde(rename = "type")]
    kind: CheckKind,
    name: Option<String>,
    #[serde(default = "three")]
    attempts: u32,
    #[serde(default = "five")]
    timeout: u32,
    #[serde(default = "five")]
    wait: u32,
    #[serde(default)]
    initial_delay: u32,
    path: Option<String>,
    scheme: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    http_headers: Vec<Header>,
    content: Option<String>,
    #[serde(default)]
    listening: bool,
    command: Option<Vec<String>>,
    uptime: Option<u32>,
}

const fn three() -> u32 {
    3
}

const fn five() -> u32 {
    5
}

pub(super) fn check_all(
    written: BTreeMap<ProcessType, Vec<Written>>,
) -> Result<BTreeMap<ProcessType, Vec<HealthCheck>>, AppJsonError> {
    let mut all = BTreeMap::new();
    for (process_type, checks) in written {
        let place = format!("healthchecks.{process_type}");
        if checks.len() > MAX_CHECKS {
            return Err(invalid(
                place,
                format!("there are {} checks, {MAX_CHECKS} are allowed", checks.len()),
            ));
        }
        let numbered = checks.into_iter().enumerate();
        let checked: Result<Vec<_>, _> = numbered
            .map(|(at, check)| {
                check.checked(&process_type, at).map_err(|e| invalid(format!("{place}[{at}]"), e))
            })
            .collect();
        let checked = checked?;
        check_size(&checked).map_err(|problem| invalid(&place, problem))?;
        if !checked.is_empty() {
            all.insert(process_type, checked);
        }
    }
    Ok(all)
}

fn check_size(checks: &[HealthCheck]) -> Result<(), String> {
    let bytes = serde_json::to_vec(checks).map_or(usize::MAX, |bytes| bytes.len());
    if bytes > MAX_TYPE_BYTES {
        return Err(format!("the checks have {bytes} bytes together, {MAX_TYPE_BYTES} are allowed"));
    }
    Ok(())
}

impl Written {
    fn checked(self, process_type: &ProcessType, at: usize) -> Result<HealthCheck, String> {
        if self.kind == CheckKind::Readiness && !process_type.is_web() {
            return Err("a readiness check decides about requests, and only web gets any. Fix: make it a startup or a \
                        liveness check"
                .to_owned());
        }
        let name = match &self.name {
            Some(name) => printable("name", name)?.to_owned(),
            None => format!("{}-{}", self.kind.as_word(), at + 1),
        };
        let kind = self.kind;
        let attempts = within("attempts", self.attempts, ATTEMPTS)?;
        let timeout_seconds = within("timeout", self.timeout, TIMEOUT_SECONDS)?;
        let wait_seconds = within("wait", self.wait, WAIT_SECONDS)?;
        let initial_delay_seconds = within("initialDelay", self.initial_delay, INITIAL_DELAY_SECONDS)?;
        let probe = self.probe()?;
        let check =
            HealthCheck { name, kind, probe, attempts, timeout_seconds, wait_seconds, initial_delay_seconds };
        startup::check_length(&check)?;
        Ok(check)
    }

    fn probe(self) -> Result<Probe, String> {
        let ways = usize::from(self.path.is_some())
            + usize::from(self.listening)
            + usize::from(self.command.is_some())
            + usize::from(self.uptime.is_some());
        if ways != 1 {
            return Err(format!(
                "it asks in {ways} ways. Fix: give exactly one of \"path\", \"listening\": true, \"command\" and \"uptime\""
            ));
        }
        let asks_by_http = self.path.is_some();
        if !asks_by_http && (self.content.is_some() || !self.http_headers.is_empty() || self.scheme.is_some())
        {
            return Err(
                "\"content\", \"httpHeaders\" and \"scheme\" belong to a check with a \"path\"".to_owned()
            );
        }
        if !asks_by_http && !self.listening && self.port.is_some() {
            return Err("\"port\" belongs to a check with \"path\" or \"listening\"".to_owned());
        }
        if self.port == Some(0) {
            return Err("port 0 is nobody's. Fix: leave \"port\" out for $PORT".to_owned());
        }
        match (self.path, self.command, self.uptime) {
            (Some(path), _, _) => {
                if self.scheme.is_some_and(|scheme| scheme != "http") {
                    return Err("processes are asked by \"http\" alone: TLS ends at the router".to_owned());
                }
                http(path, self.port, self.http_headers, self.content)
            }
            (None, Some(argv), _) => command(argv),
            (None, None, Some(seconds)) => {
                Ok(Probe::Uptime { seconds: within("uptime", seconds, UPTIME_SECONDS)? })
            }
            (None, None, None) => Ok(Probe::Listening { port: self.port }),
        }
    }
}

fn http(
    path: String,
    port: Option<u16>,
    headers: Vec<Header>,
    content: Option<String>,
) -> Result<Probe, String> {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if !path.starts_with('/') || !plain || path.len() > MAX_TEXT_BYTES {
        return Err(format!(
            "\"path\" must begin with / and have at most {MAX_TEXT_BYTES} printable characters without spaces"
        ));
    }
    if headers.len() > MAX_HEADERS {
        return Err(format!("there are {} headers, {MAX_HEADERS} are allowed", headers.len()));
    }
    headers.iter().try_for_each(check_header)?;
    if content.as_ref().is_some_and(|content| content.is_empty() || content.len() > MAX_TEXT_BYTES) {
        return Err(format!("\"content\" must have 1 to {MAX_TEXT_BYTES} bytes"));
    }
    Ok(Probe::Http { path, port, headers, content })
}

/// RFC 9110, sections 5.1 and 5.5. The lines that we write ourselves cannot be written by others.
fn check_header(header: &Header) -> Result<(), String> {
    const TOKEN: &[u8] = b"!#$%&'*+-.^_`|~";
    const OURS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];
    let token = header.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || TOKEN.contains(&byte));
    if header.name.is_empty() || !token || header.name.len() > 100 {
        return Err("a header's \"name\" must be 1 to 100 letters, digits and hyphens".to_owned());
    }
    if OURS.iter().any(|ours| header.name.eq_ignore_ascii_case(ours)) {
        return Err(format!("the header \"{}\" cannot be chosen", header.name));
    }
    let plain = header.value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !plain || header.value.len() > MAX_TEXT_BYTES {
        return Err(format!("the header \"{}\" has a value that is not plain ASCII text", header.name));
    }
    Ok(())
}

fn command(argv: Vec<String>) -> Result<Probe, String> {
    let bytes: usize = argv.iter().map(|argument| argument.len() + 1).sum();
    if argv.first().is_none_or(String::is_empty) {
        return Err("\"command\" is empty. Fix: write for example [\"bin/healthy\"]".to_owned());
    }
    if bytes > MAX_TEXT_BYTES || argv.iter().any(|argument| argument.contains('\0')) {
        return Err(format!("\"command\" must have at most {MAX_TEXT_BYTES} bytes and no NUL"));
    }
    Ok(Probe::Command { argv })
}

fn printable<'a>(field: &str, text: &'a str) -> Result<&'a str, String> {
    let plain = text.chars().all(|character| !character.is_control());
    if text.is_empty() || !plain || text.chars().count() > 100 {
        return Err(format!("\"{field}\" must have 1 to 100 printable characters"));
    }
    Ok(text)
}

fn within(field: &str, given: u32, allowed: RangeInclusive<u32>) -> Result<u32, String> {
    if allowed.contains(&given) {
        return Ok(given);
    }
    Err(format!("\"{field}\" is {given}, and must be from {} to {}", allowed.start(), allowed.end()))
}
