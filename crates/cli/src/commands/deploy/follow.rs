//! Follows a build and then its release. Everything told here is for the person; the result is told elsewhere.

use crate::commands::builds::copy_text;
use crate::failure::Failure;
use crate::output::Told;
use crate::session::{AppClient, Session};
use api::build::{Build, BuildStatus};
use api::client::Client;
use api::client::stream::Stream;
use api::dozen::release::ReleaseReport;
use std::time::Duration;

/// Between two looks at a release, and at a build whose output has just ended.
const LOOK: Duration = Duration::from_millis(500);
/// The output ends a moment before or after the row does.
const LOOKS_AFTER_OUTPUT: usize = 60;
/// How often the output is asked for again when the connection broke.
const RECONNECTS: usize = 5;

/// Prints a build's output and gives it as it is at its end.
pub fn build(at: &AppClient, mut build: Build) -> Result<Build, Failure> {
    let mut seen = 0;
    for _ in 0..=RECONNECTS {
        if print_from(&at.client, &build.output_stream_url, &mut seen).is_ok() {
            return ended(at, build);
        }
        std::thread::sleep(LOOK);
        // The address may have died with the server that gave it.
        build = at.ask(|client, app| client.build(app, &build.id.to_string()))?;
    }
    Err(Failure::new("the build's output broke off; the build goes on")
        .hint(format!("To follow it: dozen builds:output {} -a {}", build.id, at.app)))
}

/// Prints what lies behind the first `seen` bytes.
fn print_from(client: &Client, url: &str, seen: &mut usize) -> Result<(), Failure> {
    let Stream::Open(mut stream) = client.open_text(url)? else { return Ok(()) };
    copy_text(&mut stream, &mut Told, seen)
}

fn ended(at: &AppClient, mut build: Build) -> Result<Build, Failure> {
    for _ in 0..LOOKS_AFTER_OUTPUT {
        build = at.ask(|client, app| client.build(app, &build.id.to_string()))?;
        if build.status != BuildStatus::Pending {
            return Ok(build);
        }
        std::thread::sleep(LOOK);
    }
    Err(Failure::new("the build has not ended yet; it goes on")
        .hint(format!("How it ends: dozen builds:info {} -a {}", build.id, at.app)))
}

/// Tells why a release waits, each reason once, until it is settled.
pub fn release(session: &Session, at: &AppClient, id: &str) -> Result<ReleaseReport, Failure> {
    let mut told = None;
    loop {
        let report = at.ask(|client, app| client.release_report(app, id))?;
        if report.progress.is_over() {
            return Ok(report);
        }
        let waits = report.progress.waits().map(str::to_owned);
        if waits.is_some() && waits != told {
            session.output.note(&format!("-----> {}", waits.as_deref().unwrap_or_default()));
            told = waits;
        }
        std::thread::sleep(LOOK);
    }
}
