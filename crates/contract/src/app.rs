//! An app on the platform under test, and everything that vectors do with one: by the API, and by requests through the router.

use crate::http::{self, Request, Response};
use crate::platform::Platform;
use crate::source::Source;
use anyhow::{Context, Result, anyhow, bail, ensure};
use api::app::CreateApp;
use api::build::{BuildStatus, CreateBuild, CreateSourceBlob};
use api::client::Client;
use api::client::stream::Stream;
use api::config_vars::ConfigPatch;
use api::dozen::release::{Progress, ReleaseReport};
use api::dyno::{Dyno, DynoState};
use api::formation::{FormationChange, FormationUpdate, UpdateFormation};
use api::lenient::Quantity;
use api::log_session::{CreateLogSession, MAX_LINES};
use api::reference::Identity;
use api::sse::Parser;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Longest wait for a build or a release. An emulated processor is slow.
const RELEASE_SECONDS: u64 = 300;
const POLL: Duration = Duration::from_millis(200);
/// Answers in a row after which every thread of a router has given one.
const IN_A_ROW: usize = 10;
/// What deployed sources are called.
pub const SOURCE_VERSION: &str = "0123456789abcdef0123456789abcdef01234567";
const HTTP_PORT: u16 = 80;

/// An app. Dropping it destroys it.
pub struct App<'a> {
    platform: &'a Platform,
    pub name: String,
    host: String,
    router: SocketAddr,
}

/// What came of a script that ran inside an app's web process.
#[derive(Debug)]
pub struct Ran {
    pub code: i64,
    pub out: String,
    pub err: String,
}

impl<'a> App<'a> {
    pub fn create(platform: &'a Platform, name: String) -> Result<Self> {
        let wanted = CreateApp { name: Some(name.parse()?), ..CreateApp::default() };
        let created = platform.client.create_app(&wanted)?;
        let url = created.web_url.context("an app has a web_url")?;
        let host = url.split('/').nth(2).context("a web_url has a host")?.to_owned();
        let router = platform.router.map_or_else(|| resolve(&host), Ok)?;
        Ok(Self { platform, name, host, router })
    }

    /// See [`Platform::until`].
    pub fn until<T>(&self, what: &str, seconds: u64, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        self.platform.until(what, seconds, ask)
    }

    pub const fn patience(&self) -> u32 {
        self.platform.patience
    }

    pub fn client(&self) -> &Client {
        &self.platform.client
    }

    /// The name under which requests for it arrive.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub const fn router(&self) -> SocketAddr {
        self.router
    }

    /// Deploys, and waits for a release that serves.
    pub fn deploy(&self, source: &Source) -> Result<ReleaseReport> {
        let report = self.try_deploy(source)?;
        ensure!(report.progress == Progress::Succeeded, "{} came to {:?}", report.version, report.progress);
        Ok(report)
    }

    /// Deploys, and waits for the end of the release, whatever it is.
    pub fn try_deploy(&self, source: &Source) -> Result<ReleaseReport> {
        let build = self.build(source)?;
        let release = build.release.context("a build that succeeded has a release")?;
        self.release_over(&release.id.to_string())
    }

    fn build(&self, source: &Source) -> Result<api::build::Build> {
        let client = self.client();
        let archive = source.pack(&self.platform.program)?;
        let place = client.create_source(&self.name)?.source_blob;
        client.upload(&place.put_url, &mut archive.as_slice(), archive.len() as u64)?;
        let source_blob =
            CreateSourceBlob { checksum: None, url: place.get_url, version: Some(SOURCE_VERSION.to_owned()) };
        let begun = client.create_build(&self.name, &CreateBuild { buildpacks: None, source_blob })?;
        let id = begun.id.to_string();
        let build = self.until("the build ends", RELEASE_SECONDS, || {
            Ok(Some(client.build(&self.name, &id)?).filter(|build| build.status.is_over()))
        })?;
        match build.status {
            BuildStatus::Succeeded => Ok(build),
            BuildStatus::Failed | BuildStatus::Pending => {
                bail!("the build failed:\n{}", self.text(&build.output_stream_url)?)
            }
        }
    }

    /// Everything that an address holds.
    fn text(&self, url: &str) -> Result<String> {
        let mut text = String::new();
        if let Stream::Open(mut lines) = self.client().open_text(url)? {
            while let Some(line) = lines.next_line()? {
                text += &line;
                text.push('\n');
            }
        }
        Ok(text)
    }

    fn release_over(&self, release: &str) -> Result<ReleaseReport> {
        self.until("the release is over", RELEASE_SECONDS, || {
            Ok(Some(self.client().release_report(&self.name, release)?)
                .filter(|report| report.progress.is_over()))
        })
    }

    /// The newest release.
    pub fn head(&self) -> Result<ReleaseReport> {
        let newest = self.client().newest_releases(&self.name, 1)?;
        let newest = newest.first().context("there is a release")?;
        Ok(self.client().release_report(&self.name, &newest.id.to_string())?)
    }

    /// Sets config vars (`None` unsets), and waits for the end of the release that this makes.
    pub fn configure(&self, vars: &[(&str, Option<&str>)]) -> Result<ReleaseReport> {
        let one =
            |(name, value): &(&str, Option<&str>)| anyhow::Ok((name.parse()?, value.map(str::to_owned)));
        let patch = ConfigPatch(vars.iter().map(one).collect::<Result<_>>()?);
        self.client().patch_config_vars(&self.name, &patch)?;
        self.release_over(&self.head()?.id.to_string())
    }

    pub fn scale(&self, wanted: &[(&str, u32)]) -> Result<()> {
        let update = |(name, count): &(&str, u32)| FormationUpdate {
            process_type: Identity((*name).to_owned()),
            change: FormationChange { quantity: Some(Quantity::Exactly(*count)), size: None },
        };
        self.update(wanted.iter().map(update).collect())
    }

    pub fn resize(&self, process_type: &str, size: &str) -> Result<()> {
        let change = FormationChange { quantity: None, size: Some(Identity(size.to_owned())) };
        self.update(vec![FormationUpdate { process_type: Identity(process_type.to_owned()), change }])
    }

    fn update(&self, updates: Vec<FormationUpdate>) -> Result<()> {
        self.client().update_formation(&self.name, &UpdateFormation { updates })?;
        Ok(())
    }

    /// Its processes by name and state, in the order of their names.
    pub fn processes(&self) -> Result<Vec<Dyno>> {
        let mut all = self.client().dynos(&self.name)?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// The one process of this name that is up.
    pub fn up(&self, name: &str, seconds: u64) -> Result<Dyno> {
        self.until(&format!("{name} is up"), seconds, || {
            Ok(self.processes()?.into_iter().find(|one| one.name == name && one.state == DynoState::Up))
        })
    }

    /// The same, once it is another than the one given.
    pub fn renewed(&self, old: &Dyno, seconds: u64) -> Result<Dyno> {
        self.until(&format!("another {} is up", old.name), seconds, || {
            let is_new = |one: &Dyno| one.name == old.name && one.id != old.id && one.state == DynoState::Up;
            Ok(self.processes()?.into_iter().find(is_new))
        })
    }

    pub fn get(&self, path: &str) -> Result<Response> {
        self.send("GET", path, &[], b"")
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
        let request = Request { method, host: &self.host, path, headers, body };
        http::send(self.router, &request).with_context(|| format!("{method} {path} of {}", self.name))
    }

    /// What the web process that answers says of itself.
    pub fn about(&self) -> Result<serde_json::Value> {
        let answer = self.get("/")?;
        ensure!(answer.status == 200, "GET / answered {}: {}", answer.status, answer.text());
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Waits until this release answers every request. A release serves from its promotion on, and the router knows it a moment later.
    pub fn served_by(&self, version: &str) -> Result<()> {
        self.until(&format!("{version} answers"), RELEASE_SECONDS, || {
            let answers = (0..IN_A_ROW).map(|_| self.about().map(|about| about["release"] == version));
            Ok(answers.collect::<Result<Vec<bool>>>()?.into_iter().all(|is_it| is_it).then_some(()))
        })
    }

    /// Has a web process run a script of `/bin/sh`.
    pub fn run(&self, script: &str) -> Result<Ran> {
        let answer = self.send("POST", "/sh", &[], script.as_bytes())?;
        ensure!(answer.status == 200, "POST /sh answered {}: {}", answer.status, answer.text());
        let ran: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let text = |name: &str| ran[name].as_str().unwrap_or_default().to_owned();
        Ok(Ran { code: ran["code"].as_i64().unwrap_or(-1), out: text("out"), err: text("err") })
    }

    /// What a script prints, without the last newline; it must succeed.
    pub fn print(&self, script: &str) -> Result<String> {
        let ran = self.run(script)?;
        ensure!(ran.code == 0, "{script:?} ended with {}: {}{}", ran.code, ran.out, ran.err);
        Ok(ran.out.trim_end_matches('\n').to_owned())
    }

    /// The newest lines of its log without their instants: `app[web.1]: hello`.
    pub fn log(&self) -> Result<Vec<String>> {
        let wanted =
            CreateLogSession { lines: Some(MAX_LINES), tail: Some(false), ..CreateLogSession::default() };
        let session = self.client().create_log_session(&self.name, &wanted)?;
        let (mut parser, mut all) = (Parser::default(), Vec::new());
        let Stream::Open(mut lines) = self.client().open_events(&session.logplex_url, None)? else {
            bail!("the log session is unknown")
        };
        while let Some(line) = lines.next_line()? {
            if let Some(event) = parser.line(&line)? {
                all.extend(
                    event
                        .data
                        .split('\n')
                        .map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned()),
                );
            }
        }
        Ok(all)
    }

    /// Waits for these lines, each behind the one before it; any others may stand between. Returns all from the first one on.
    pub fn told(&self, wanted: &[&str], seconds: u64) -> Result<Vec<String>> {
        let mut last = Vec::new();
        let found = self.until(&format!("the log has {wanted:#?}"), seconds, || {
            last = self.log()?;
            Ok(in_order(&last, wanted).map(<[String]>::to_vec))
        });
        found.map_err(|error| anyhow!("{error:#}; it has {last:#?}"))
    }
}

impl Drop for App<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.client().destroy_app(&self.name) {
            eprintln!("{} could not be destroyed: {error}", self.name);
        }
    }
}

/// From the first of the lines on, if all are there in this order.
fn in_order<'l>(lines: &'l [String], wanted: &[&str]) -> Option<&'l [String]> {
    let first = lines.iter().position(|line| line.contains(wanted.first().copied().unwrap_or_default()))?;
    let mut rest = lines[first..].iter();
    let all = wanted.iter().all(|wanted| rest.any(|line| line.contains(wanted)));
    all.then_some(&lines[first..])
}

/// As [`Platform::until`], but for as long whatever the platform: for what depends on clocks and not on how fast it is.
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "{what}: not within {seconds} s");
        std::thread::sleep(POLL);
    }
}

fn resolve(host: &str) -> Result<SocketAddr> {
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:{HTTP_PORT}") };
    let mut found = with_port.to_socket_addrs().with_context(|| format!("{host} does not resolve"))?;
    found.next().with_context(|| format!("{host} has no address"))
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn lines_are_found_in_their_order() {
        let lines = ["a", "b", "c", "b"].map(str::to_owned);
        assert_eq!(in_order(&lines, &["b", "c"]).map(<[String]>::len), Some(3));
        assert_eq!(in_order(&lines, &["c", "b"]).map(<[String]>::len), Some(2));
        assert_eq!(in_order(&lines, &["c", "a"]), None);
        assert_eq!(in_order(&lines, &["x"]), None);
    }
}
