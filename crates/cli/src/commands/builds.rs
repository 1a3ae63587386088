//! `builds`, `builds:info`, `builds:output`, `builds:create`, `builds:cancel`; and the following of output for other topics.

use super::deploy::create_build;
use crate::exit::Code;
use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Fields, Style, Table, render_heading, render_when};
use api::Timestamp;
use api::build::{Build, BuildStatus};
use api::client::Client;
use api::client::stream::Stream;
use clap::Args;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Builds listed when no number is given.
const DEFAULT_COUNT: usize = 15;
/// Letters of a commit that are shown.
const SHORT_COMMIT: usize = 8;

/// `dozen builds`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    flags: AppFlags,
    /// How many, the newest first
    #[arg(short, long, value_name = "COUNT", default_value_t = DEFAULT_COUNT)]
    num: usize,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let builds = at.ask(|client, app| client.newest_builds(app, self.num))?;
        if builds.is_empty() {
            session.output.note(&format!("{} has no builds.", at.app));
        }
        session.output.data(&builds, |style| render_builds(&at.app, &builds, session.now(), style))
    }
}

fn render_builds(app: &str, builds: &[Build], now: Timestamp, style: Style) -> String {
    if builds.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    for build in builds {
        let status = build.status.as_str().to_owned();
        table.row([
            build.id.to_string(),
            status,
            short_commit(build),
            build.user.email.clone(),
            render_when(build.created_at, now),
        ]);
        table.paint(1, |text| paint_status(build.status, text, style));
    }
    render_heading(&format!("{app} Builds"), style) + &table.render()
}

fn short_commit(build: &Build) -> String {
    build.source_blob.version.as_deref().unwrap_or_default().chars().take(SHORT_COMMIT).collect()
}

fn paint_status(status: BuildStatus, text: &str, style: Style) -> String {
    match status {
        BuildStatus::Pending => style.yellow(text),
        BuildStatus::Succeeded => style.green(text),
        BuildStatus::Failed => style.red(text),
    }
}

/// `dozen builds:info`.
#[derive(Debug, Args)]
pub struct Info {
    /// The build's id. Default: the newest
    build: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Info {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let build = find_build(&at, self.build.as_deref())?;
        session.output.data(&build, |style| render_build(&build, session.now(), style))
    }
}

fn render_build(build: &Build, now: Timestamp, style: Style) -> String {
    let mut fields = Fields::default();
    fields.add("Status", build.status.as_str());
    fields.add("By", &build.user.email);
    fields.add("When", render_when(build.created_at, now));
    fields.add_some("Commit", build.source_blob.version.clone());
    let builders =
        build.buildpacks.iter().flatten().map(|buildpack| buildpack.name.clone()).collect::<Vec<_>>();
    fields.add_some("Builder", (!builders.is_empty()).then(|| builders.join(", ")));
    fields.add("Stack", &build.stack);
    fields.add_some("Release", build.release.as_ref().map(|release| release.id.to_string()));
    render_heading(&format!("Build {}", build.id), style) + &fields.render(style)
}

/// `dozen builds:output`.
#[derive(Debug, Args)]
pub struct PrintOutput {
    /// The build's id. Default: the newest
    build: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl PrintOutput {
    /// Ends as the build did.
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        let at = session.app_client(&self.flags)?;
        let build = find_build(&at, self.build.as_deref())?;
        follow_text(session, &at.client, &build.output_stream_url, "The build has not started yet.")?;
        let build = at.ask(|client, app| client.build(app, &build.id.to_string()))?;
        session.output.note(&format!("Build {}: {}", build.id, build.status.as_str()));
        Ok(end_code(&build))
    }
}

/// `dozen builds:create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Build a commit that was pushed before: its id (8 digits do), a branch or a tag
    #[arg(long, value_name = "COMMIT", required_unless_present = "source_url")]
    commit: Option<String>,
    /// Build a gzipped tar at this https address
    #[arg(long, value_name = "URL", conflicts_with = "commit")]
    source_url: Option<String>,
    /// What to call the source at --source-url
    #[arg(long, value_name = "TEXT", requires = "source_url")]
    version: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Create {
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        let at = session.app_client(&self.flags)?;
        let build = match self.source_url {
            Some(url) => create_build(&at, url, self.version)?,
            None => create_build(&at, at.ask(Client::app)?.git_url, self.commit)?,
        };
        session.output.note(&format!("Build {} of {} has begun", build.id, at.app));
        let build = follow_build(session, &at, build)?;
        let code = end_code(&build);
        session.output.data(&build, |style| render_build(&build, session.now(), style))?;
        Ok(code)
    }
}

/// `dozen builds:cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The build's id. Default: the newest
    build: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Cancel {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let build = find_build(&at, self.build.as_deref())?;
        if build.status.is_over() {
            session.output.note(&format!("Build {} has ended already: {}", build.id, build.status.as_str()));
            return session.output.data(&build, |_| String::new());
        }
        let progress = session.output.begin(&format!("Cancelling build {}", build.id));
        let build = at.ask(|client, app| client.cancel_build(app, &build.id.to_string()))?;
        progress.done("");
        session.output.data(&build, |_| String::new())
    }
}

/// Follows the output on standard error, since data comes after it, and gives the build as it is then.
fn follow_build(session: &Session, at: &AppClient, build: Build) -> Result<Build, Failure> {
    super::deploy::follow_build(at, build).inspect(|build| {
        session.output.note(&format!("Build {}: {}", build.id, build.status.as_str()));
    })
}

fn end_code(build: &Build) -> ExitCode {
    match build.status {
        BuildStatus::Failed => Code::Failed.into(),
        BuildStatus::Pending | BuildStatus::Succeeded => Code::Done.into(),
    }
}

/// The build that is named, else the newest.
fn find_build(at: &AppClient, build: Option<&str>) -> Result<Build, Failure> {
    match build {
        Some(build) => at.ask(|client, app| client.build(app, build)),
        None => {
            let newest = at.ask(|client, app| client.newest_builds(app, 1))?;
            newest.into_iter().next().ok_or_else(|| Failure::new(format!("{} has no builds", at.app)))
        }
    }
}

/// Prints a stream of text as it comes, to its end.
pub fn follow_text(session: &Session, client: &Client, url: &str, absent: &str) -> Result<(), Failure> {
    let mut stream = match client.open_text(url)? {
        Stream::Absent => {
            session.output.note(absent);
            return Ok(());
        }
        Stream::Open(stream) => stream,
    };
    copy_text(&mut stream, &mut io::stdout().lock(), &mut 0)
}

/// Copies what lies behind the first `seen` bytes, as it comes. NULs are no text: they keep the connection alive.
pub fn copy_text(stream: &mut impl Read, out: &mut impl Write, seen: &mut usize) -> Result<(), Failure> {
    let (mut buffer, mut passed) = ([0; 16 * 1024], 0);
    loop {
        let count = stream.read(&mut buffer).map_err(|error| {
            Failure::of(&error).hint("The stream broke off; run the command again to see all of it.")
        })?;
        if count == 0 {
            return Ok(());
        }
        let text: Vec<u8> = buffer[..count].iter().copied().filter(|byte| *byte != 0).collect();
        let old = seen.saturating_sub(passed).min(text.len());
        passed += text.len();
        *seen = passed.max(*seen);
        out.write_all(&text[old..])?;
        out.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn the_list() {
        let builds = [
            samples::build(2, BuildStatus::Pending),
            samples::build(1, BuildStatus::Succeeded),
            samples::build(0, BuildStatus::Failed),
        ];
        insta::assert_snapshot!(render_builds("hello", &builds, samples::now(), Style::Plain));
        assert_eq!(render_builds("hello", &[], samples::now(), Style::Plain), "");
    }

    /// Gives one chunk a read, and breaks at the end if it is told to.
    struct Chunks {
        left: Vec<&'static [u8]>,
        breaks: bool,
    }

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left.is_empty() {
                return if self.breaks { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(0) };
            }
            (&mut self.left.remove(0)).read(buffer)
        }
    }

    #[test]
    fn text_is_copied_by_the_byte_and_once() {
        let whole = "caf\u{e9} \u{1f389} done\n";
        let (mut out, mut seen) = (Vec::new(), 0);
        let mut broken = Chunks { left: vec![b"caf\xc3", b"\0\0", b"\xa9 \xf0\x9f"], breaks: true };
        assert!(copy_text(&mut broken, &mut out, &mut seen).is_err());
        let mut again =
            Chunks { left: vec![b"\0ca", b"f\xc3\xa9 \xf0\x9f\x8e", b"\x89 done\n\0"], breaks: false };
        copy_text(&mut again, &mut out, &mut seen).unwrap();
        assert_eq!((String::from_utf8(out).unwrap().as_str(), seen), (whole, whole.len()));
    }

    #[test]
    fn a_build_in_full() {
        insta::assert_snapshot!(render_build(
            &samples::build(0, BuildStatus::Succeeded),
            samples::now(),
            Style::Plain
        ));
    }
}
