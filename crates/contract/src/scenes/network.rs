//! C-130 to C-138: how a process is reached, what it reaches, and what requests look like when they arrive.

use crate::http::{self, Request};
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufReader, Read, Write};

pub fn c_130_all_addresses_of_either_family_are_reached(stage: &Stage<'_>) -> Result<Outcome> {
    ensure!(stage.app.print("echo $BIND-")? == "-", "0.0.0.0 is what it listens at, and it answers");
    let release = stage.app.configure(&[("BIND", Some("::"))])?;
    stage.app.served_by(&release.version.to_string())?;
    ensure!(stage.app.print("echo $BIND")? == "::", "it answers there as well");
    let release = stage.app.configure(&[("BIND", None)])?;
    stage.app.served_by(&release.version.to_string())?;
    held()
}

pub fn c_132_what_lies_beyond_the_platform_is_reached(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(outbound) = stage.platform.outbound else {
        return Ok(Outcome::NotApplicable("nothing beyond the platform was named for this run".to_owned()));
    };
    let tried = stage.app.get(&format!("/connect?to={outbound}"))?.text();
    ensure!(tried == "\"connected\"", "{tried}");
    held()
}

pub fn c_133_loopback_is_its_own(stage: &Stage<'_>) -> Result<Outcome> {
    let tried = stage.app.get("/loopback")?.text();
    ensure!(tried == "2", "127.0.0.1 and ::1: {tried}");
    let port = stage.app.print("echo $PORT")?;
    let own = stage.app.get(&format!("/connect?to=127.0.0.1:{port}"))?.text();
    ensure!(own == "\"connected\"", "its own port: {own}");
    held()
}

/// A request as the app has received it.
struct Seen(Value);

impl Seen {
    fn ask(stage: &Stage<'_>, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let answer = stage.app.send("GET", path, headers, b"")?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(Self(serde_json::from_slice(&answer.body)?))
    }

    /// All values of a header, joined as lists are.
    fn header(&self, name: &str) -> String {
        let all = self.0["headers"].as_array().into_iter().flatten();
        let values = all.filter(|header| header[0] == name).filter_map(|header| header[1].as_str());
        values.collect::<Vec<_>>().join(", ")
    }
}

pub fn c_134_requests_come_with_what_the_router_knows(stage: &Stage<'_>) -> Result<Outcome> {
    let given = [
        ("x-forwarded-for", "192.0.2.9"),
        ("x-forwarded-proto", "gopher"),
        ("x-own", "kept"),
        ("x-request-start", "1"),
    ];
    let seen = Seen::ask(stage, "/anything/a%20b?q=%C3%A4&q=2", &given)?;
    ensure!(seen.0["target"] == "/anything/a%20b?q=%C3%A4&q=2", "{}", seen.0["target"]);
    ensure!(seen.header("host") == stage.app.host(), "host: {}", seen.header("host"));
    ensure!(seen.header("x-own") == "kept", "{}", seen.0);
    let client = seen.header("x-forwarded-for");
    let last = client.strip_prefix("192.0.2.9, ").with_context(|| format!("x-forwarded-for: {client}"))?;
    ensure!(last.parse::<std::net::IpAddr>().is_ok(), "x-forwarded-for: {client}");
    let proto = seen.header("x-forwarded-proto");
    ensure!(proto == "http", "x-forwarded-proto: {proto}");
    ensure!(seen.header("x-forwarded-port").parse::<u16>().is_ok(), "{}", seen.0);
    let start = seen.header("x-request-start");
    ensure!(start.len() == 13 && start.bytes().all(|byte| byte.is_ascii_digit()), "milliseconds: {start}");
    ensure!(seen.header("via").starts_with("1.1 "), "{}", seen.0);
    held()
}

pub fn c_135_every_request_has_an_id_that_the_log_knows(stage: &Stage<'_>) -> Result<Outcome> {
    let own = "0a1b2c3d-contract-vector-135";
    let kept = Seen::ask(stage, "/own-id", &[("x-request-id", own)])?.header("x-request-id");
    ensure!(kept == own, "the client's: {kept}");
    for bad in ["short", "long enough, but with spaces in it"] {
        let made = Seen::ask(stage, "/bad-id", &[("x-request-id", bad)])?.header("x-request-id");
        ensure!(made != bad && made.len() == 36, "in place of {bad}: {made}");
    }
    stage.app.until("the router's line has it", 30, || {
        let of_router =
            |line: &String| line.starts_with("heroku[router]: at=info method=GET path=\"/own-id\"");
        Ok(stage
            .app
            .log()?
            .iter()
            .any(|line| of_router(line) && line.contains(&format!(" request_id={own} ")))
            .then_some(()))
    })?;
    held()
}

pub fn c_136_names_resolve(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print(
        "getent hosts localhost | cut -d' ' -f1; getent ahostsv4 localhost | head -1 | cut -d' ' -f1",
    )?;
    ensure!(
        found.lines().all(|address| address == "127.0.0.1" || address == "::1") && found.lines().count() >= 2,
        "{found}"
    );
    held()
}

pub fn c_137_connections_change_their_protocol(stage: &Stage<'_>) -> Result<Outcome> {
    let headers = [("connection", "Upgrade"), ("upgrade", "echo")];
    let request =
        Request { method: "GET", host: stage.app.host(), path: "/echo", headers: &headers, body: b"" };
    let mut stream = http::connect(stage.app.router())?;
    stream.write_all(&http::render(&request))?;
    let mut input = BufReader::new(stream.try_clone()?);
    let head = read_head(&mut input)?;
    ensure!(
        head.starts_with("HTTP/1.1 101 ") && head.to_ascii_lowercase().contains("upgrade: echo"),
        "{head}"
    );
    for bytes in [&b"there \x00 and\r\n"[..], &[0xff; 100_000]] {
        stream.write_all(bytes)?;
        let mut back = vec![0; bytes.len()];
        input.read_exact(&mut back)?;
        ensure!(back == bytes, "{} bytes came back changed", bytes.len());
    }
    held()
}

/// Byte by byte: what follows belongs to somebody else.
fn read_head(input: &mut impl Read) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head)?)
}

/// The pause after which the app sends the rest: far longer than the first piece needs.
const DRIP_MILLIS: u64 = 3_000;

pub fn c_138_answers_pass_as_they_come(stage: &Stage<'_>) -> Result<Outcome> {
    let path = format!("/drip?ms={DRIP_MILLIS}");
    let request = Request { method: "GET", host: stage.app.host(), path: &path, headers: &[], body: b"" };
    let mut stream = http::connect(stage.app.router())?;
    stream.write_all(&http::render(&request))?;
    let mut got = Vec::new();
    stage.app.until("the first piece comes", 60, || {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece)?;
        ensure!(count > 0, "the answer ended: {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&piece[..count]);
        Ok(contains(&got, "first").then_some(()))
    })?;
    ensure!(!contains(&got, "second"), "the first piece waited for the second");
    stream.read_to_end(&mut got)?;
    ensure!(contains(&got, "second"), "{}", String::from_utf8_lossy(&got));
    held()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
