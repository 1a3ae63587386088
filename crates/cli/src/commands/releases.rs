//! `releases`, `releases:info`, `releases:output`, `releases:rollback`.

use super::builds::follow_text;
use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Fields, Style, Table, render_heading, render_when};
use api::Timestamp;
use api::dozen::release::{ConfigChanges, Progress, ReleaseReport};
use api::release::{Release, ReleaseStatus};
use clap::Args;
use domain::names::ConfigKey;

/// Releases listed when no number is given.
const DEFAULT_COUNT: usize = 15;
/// How far back a rollback without a number looks.
const ROLLBACK_SEARCH: usize = 100;

/// `dozen releases`.
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
        let releases = at.ask(|client, app| client.newest_releases(app, self.num))?;
        if releases.is_empty() {
            session.output.note(&format!("{} has no releases.", at.app));
        }
        session.output.data(&releases, |style| render_releases(&at.app, &releases, session.now(), style))
    }
}

fn render_releases(app: &str, releases: &[Release], now: Timestamp, style: Style) -> String {
    if releases.is_empty() {
        return String::new();
    }
    let current = releases.iter().find(|release| release.current);
    let title = match current {
        Some(release) => format!("{app} Releases - Current: {}", release.version),
        None => format!("{app} Releases"),
    };
    let mut table = Table::default();
    for release in releases {
        let when = render_when(release.created_at, now);
        let mark = render_mark(release);
        table.row([
            release.version.to_string(),
            release.description.clone(),
            mark,
            release.user.email.clone(),
            when,
        ]);
        table.paint(2, |text| paint_status(release.status, text, style));
        if release.current {
            table.paint(0, |text| style.green(text));
        }
    }
    render_heading(&title, style) + &table.render()
}

/// What is to be said of a release beyond that it succeeded.
fn render_mark(release: &Release) -> String {
    match release.status {
        ReleaseStatus::Succeeded if release.current => "current".to_owned(),
        ReleaseStatus::Succeeded => String::new(),
        ReleaseStatus::Pending | ReleaseStatus::Failed => release.status.as_str().to_owned(),
        ReleaseStatus::Expired => "superseded".to_owned(),
    }
}

fn paint_status(status: ReleaseStatus, text: &str, style: Style) -> String {
    match status {
        ReleaseStatus::Succeeded => style.green(text),
        ReleaseStatus::Pending => style.yellow(text),
        ReleaseStatus::Failed => style.red(text),
        ReleaseStatus::Expired => style.dim(text),
    }
}

/// `dozen releases:info`.
#[derive(Debug, Args)]
pub struct Info {
    /// Such as v3. Default: the newest
    release: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Info {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let wanted = self.release.as_deref().unwrap_or("head");
        let report = at.ask(|client, app| client.release_report(app, wanted))?;
        session.output.data(&report, |style| render_report(&report, session.now(), style))
    }
}

fn render_report(report: &ReleaseReport, now: Timestamp, style: Style) -> String {
    let mut fields = Fields::default();
    fields.add("Change", &report.description);
    fields.add("By", &report.by);
    fields.add("When", render_when(report.created_at, now));
    fields.add("Status", render_progress(&report.progress));
    fields.add_some("Commit", report.commit.as_ref().map(ToString::to_string));
    fields.add_some("Build", report.build.as_ref().map(ToString::to_string));
    fields.add(
        "Slug",
        report.slug.as_ref().map_or("none: nothing was built yet".to_owned(), ToString::to_string),
    );
    let types: Vec<_> =
        report.process_types.iter().map(|(name, command)| format!("{name}: {command}")).collect();
    fields.add_some("Processes", (!types.is_empty()).then(|| types.join("\n")));
    fields.add_some("Config", render_changes(&report.config_changes));
    render_heading(&format!("Release {}", report.version), style) + &fields.render(style)
}

fn render_progress(progress: &Progress) -> String {
    let waiting = |what: &str| match progress.waits() {
        Some(reason) => format!("{what}\n{reason}"),
        None => what.to_owned(),
    };
    match progress {
        Progress::Pending { .. } => waiting("pending"),
        Progress::PhaseRunning { .. } => waiting("release phase running"),
        Progress::Starting { .. } => waiting("starting"),
        Progress::Succeeded => "succeeded".to_owned(),
        Progress::Failed { reason } => format!("failed\n{reason}"),
        Progress::Superseded => "superseded by a newer release before it served".to_owned(),
    }
}

/// `+ADDED ~CHANGED -REMOVED`; nothing if nothing changed.
fn render_changes(changes: &ConfigChanges) -> Option<String> {
    let marked =
        |mark: &str, keys: &[ConfigKey]| keys.iter().map(|key| format!("{mark}{key}")).collect::<Vec<_>>();
    let all =
        [marked("+", &changes.added), marked("~", &changes.changed), marked("-", &changes.removed)].concat();
    (!all.is_empty()).then(|| all.join(" "))
}

/// `dozen releases:output`.
#[derive(Debug, Args)]
pub struct PrintOutput {
    /// Such as v3. Default: the newest
    release: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl PrintOutput {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let release = find_release(&at, self.release.as_deref())?;
        match &release.output_stream_url {
            None => session
                .output
                .note(&format!("Release {} has no release phase, so it has no output.", release.version)),
            Some(url) => follow_text(session, &at.client, url, "The release phase has not started yet.")?,
        }
        Ok(())
    }
}

/// The release that is named, else the newest.
fn find_release(at: &AppClient, release: Option<&str>) -> Result<Release, Failure> {
    match release {
        Some(release) => at.ask(|client, app| client.release(app, release)),
        None => {
            let newest = at.ask(|client, app| client.newest_releases(app, 1))?;
            newest.into_iter().next().ok_or_else(|| Failure::new(format!("{} has no releases", at.app)))
        }
    }
}

/// `dozen releases:rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Such as v3. Default: the release that served before the current one
    release: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Rollback {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let target = match &self.release {
            Some(release) => at.ask(|client, app| client.release(app, release))?,
            None => find_rollback_target(
                &at.app,
                at.ask(|client, app| client.newest_releases(app, ROLLBACK_SEARCH))?,
            )?,
        };
        let progress = session.output.begin(&format!("Rolling back {} to {}", at.app, target.version));
        let release = at.ask(|client, app| client.roll_back(app, &target.version.to_string()))?;
        progress.done(&release.version.to_string());
        session.output.note("Code, process types and config vars are those of then; backing services and their data are as they are now.");
        session.output.data(&release, |_| String::new())
    }
}

/// The newest release before the current one that can be gone back to.
fn find_rollback_target(app: &str, releases: Vec<Release>) -> Result<Release, Failure> {
    let current = releases.iter().find(|release| release.current).map(|release| release.version);
    let earlier = |release: &Release| current.is_none_or(|current| release.version < current);
    let mut eligible =
        releases.into_iter().filter(|release| release.eligible_for_rollback && earlier(release));
    eligible.next().ok_or_else(|| {
        Failure::new(format!("{app} has no earlier release to go back to"))
            .hint(format!("Its releases are listed by `dozen releases --app {app}`."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use domain::ids::ReleaseId;
    use domain::names::ReleaseVersion;

    fn releases() -> Vec<Release> {
        let mut releases = vec![
            samples::release(12, "Set GREETING config vars", ReleaseStatus::Pending),
            samples::release(11, "Deploy b1946ac9", ReleaseStatus::Failed),
            samples::release(10, "Rollback to v8", ReleaseStatus::Succeeded),
            samples::release(9, "Deploy a97f3d42", ReleaseStatus::Expired),
            samples::release(8, "Deploy 0cc175b9", ReleaseStatus::Succeeded),
        ];
        releases[2].current = true;
        releases
    }

    #[test]
    fn the_list() {
        insta::assert_snapshot!(render_releases("hello", &releases(), samples::now(), Style::Plain));
        assert_eq!(render_releases("hello", &[], samples::now(), Style::Plain), "");
    }

    #[test]
    fn a_rollback_goes_to_what_served_before() {
        assert_eq!(find_rollback_target("hello", releases()).expect("v8").version, ReleaseVersion(8));
        let failure = find_rollback_target(
            "hello",
            releases().split_off(4).into_iter().map(|release| Release { current: true, ..release }).collect(),
        );
        assert!(failure.is_err());
    }

    fn report(progress: Progress) -> ReleaseReport {
        let key = |text: &str| text.parse().expect("a key");
        ReleaseReport {
            id: ReleaseId::from_u128(4),
            version: ReleaseVersion(4),
            description: "Deploy a97f3d42".to_owned(),
            created_at: samples::at(),
            by: "ada@example.com".to_owned(),
            progress,
            slug: Some(format!("sha256:{}", "0a".repeat(32)).parse().expect("a slug")),
            commit: Some("a97f3d42".repeat(5).parse().expect("a commit")),
            build: None,
            process_types: [("web", "hello web"), ("worker", "hello worker")]
                .map(|(name, command)| (name.parse().expect("a type"), command.to_owned()))
                .into(),
            config_changes: ConfigChanges {
                added: vec![key("A"), key("B")],
                changed: Vec::new(),
                removed: vec![key("C")],
            },
        }
    }

    #[test]
    fn a_release_in_full() {
        let waiting =
            report(Progress::Starting { waits: Some("web.1 has not accepted on its port yet".to_owned()) });
        insta::assert_snapshot!(render_report(&waiting, samples::now(), Style::Plain));
    }

    #[test]
    fn progress_in_words() {
        for (progress, text) in [
            (Progress::Pending { waits: None }, "pending"),
            (Progress::PhaseRunning { waits: Some("x".to_owned()) }, "release phase running\nx"),
            (Progress::Succeeded, "succeeded"),
            (Progress::Failed { reason: "why".to_owned() }, "failed\nwhy"),
        ] {
            assert_eq!(render_progress(&progress), text);
        }
        assert_eq!(render_changes(&ConfigChanges::default()), None);
    }
}
