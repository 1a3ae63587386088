//! `ps:stop`, `ps:type`, `ps:wait`.

use super::ps::{parse_change, refuse_unknown_type};
use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Table, render_list};
use api::client::Client;
use api::dyno::{Dyno, DynoState};
use api::formation::{Formation, FormationChange, FormationUpdate, UpdateFormation};
use api::reference::Identity;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use domain::names::ReleaseVersion;
use std::time::{Duration, Instant};

/// `dozen ps:stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// A process such as web.1, or a type such as web
    #[arg(value_name = "NAME", required_unless_present_any = ["dyno", "process_type"])]
    name: Option<String>,
    /// The same: a process
    #[arg(short, long = "dyno-name", value_name = "PROCESS", conflicts_with = "name")]
    dyno: Option<String>,
    /// The same: a type
    #[arg(short, long, value_name = "TYPE", conflicts_with_all = ["name", "dyno"])]
    process_type: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Stop {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let name = self.name.or(self.dyno).or(self.process_type).unwrap_or_default();
        let progress = session.output.begin(&format!("Stopping {name} of {}", at.app));
        let stop = if name.contains('.') { Client::stop_dyno } else { Client::stop_type };
        let empty = at.ask(|client, app| stop(client, app, &name))?;
        progress.done("");
        session.output.note("It starts again when it is restarted or scaled, or with the next release.");
        session.output.data(&empty, |_| String::new())
    }
}

/// `dozen ps:type`.
#[derive(Debug, Args)]
pub struct Type {
    /// Such as web=standard-2x; a size alone is for every type; without any the present sizes are shown
    #[arg(value_name = "TYPE=SIZE")]
    changes: Vec<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Type {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let formation = at.ask(Client::formation)?;
        if self.changes.is_empty() {
            return session.output.data(&formation, |_| render_sizes(&formation));
        }
        let updates = parse_sizes(&self.changes, &formation)?;
        let types: Vec<_> = updates.iter().map(|update| update.process_type.0.clone()).collect();
        let progress = session.output.begin(&format!("Scaling {}", render_list(&types)));
        let wanted = UpdateFormation { updates };
        let formation = at.ask(|client, app| client.update_formation(app, &wanted))?;
        progress.done("");
        session.output.data(&formation, |_| render_sizes(&formation))
    }
}

/// `web=standard-2x worker=basic`, or one size for all types.
fn parse_sizes(changes: &[String], formation: &[Formation]) -> Result<Vec<FormationUpdate>, Failure> {
    let update = |process_type: &str, size: &str| FormationUpdate {
        process_type: Identity(process_type.to_owned()),
        change: FormationChange { quantity: None, size: Some(Identity(size.to_owned())) },
    };
    match changes {
        [size] if !size.contains('=') => {
            Ok(formation.iter().map(|share| update(share.process_type.as_str(), size)).collect())
        }
        several => several
            .iter()
            .map(|text| match text.split_once('=') {
                Some((process_type, size)) if !process_type.is_empty() && !size.is_empty() => {
                    // `web=2:standard-2x` is what ps:scale takes.
                    parse_change(text).or_else(|_| Ok(update(process_type, size)))
                }
                _ => {
                    Err(Failure::new(format!("{text} is not of the form TYPE=SIZE, such as web=standard-2x"))
                        .hint("Sizes are listed by `dozen ps:sizes`."))
                }
            })
            .collect(),
    }
}

fn render_sizes(formation: &[Formation]) -> String {
    let mut table = Table::default();
    table.row(["Type", "Size", "Quantity"].map(str::to_owned));
    for share in formation {
        table.row([share.process_type.to_string(), share.size.clone(), share.quantity.to_string()]);
    }
    table.render()
}

/// How long `ps:wait` waits when it is not told.
const DEFAULT_WAIT_SECONDS: u64 = 600;
/// Nobody waits for longer than a day.
const MAX_WAIT_SECONDS: u64 = 86_400;

/// Reads for how long to wait.
pub fn wait_seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(..=MAX_WAIT_SECONDS)
}

/// What runs beside the formation.
const JOBS: [&str; 2] = ["run", "release"];

/// `dozen ps:wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// Only processes of this type
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    process_type: Option<String>,
    /// Seconds between two looks
    #[arg(short, long, value_name = "SECONDS", default_value_t = 2, value_parser = wait_seconds())]
    wait_interval: u64,
    /// One-off processes too
    #[arg(short = 'R', long)]
    with_run: bool,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_WAIT_SECONDS, value_parser = wait_seconds())]
    timeout: u64,
    #[command(flatten)]
    flags: AppFlags,
}

impl Wait {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let releases = at.ask(|client, app| client.newest_releases(app, 1))?;
        let formation = at.ask(Client::formation)?;
        let Some(newest) = releases.first().map(|release| release.version).filter(|_| !formation.is_empty())
        else {
            return Err(Failure::new(format!("{} has no release with processes", at.app))
                .hint("Push first: `git push dozen main`."));
        };
        if let Some(wanted) = self.process_type.as_deref().filter(|wanted| !JOBS.contains(wanted)) {
            refuse_unknown_type(&at.app, wanted, &formation)?;
        }
        let progress = session.output.begin(&format!("Waiting for every process to run {newest}"));
        let end = Instant::now() + Duration::from_secs(self.timeout);
        let dynos = loop {
            let (dynos, formation) = (self.wanted(at.ask(Client::dynos)?), at.ask(Client::formation)?);
            let late = self.late(newest, &dynos, &formation);
            if late.is_empty() {
                break dynos;
            }
            if Instant::now() >= end {
                return Err(self.give_up(&at, &late));
            }
            std::thread::sleep(Duration::from_secs(self.wait_interval.max(1)));
        };
        progress.done(&format!("{} up", dynos.len()));
        session.output.data(&dynos, |_| String::new())
    }

    /// The processes that are not up yet, and the types of which there are too few.
    fn late(&self, newest: ReleaseVersion, dynos: &[Dyno], formation: &[Formation]) -> Vec<String> {
        let late = dynos.iter().filter(|dyno| !is_there(dyno, newest));
        let late =
            late.map(|dyno| format!("{} ({} {})", dyno.name, dyno.release.version, dyno.state.as_str()));
        let of_type = |name: &str| self.process_type.as_deref().is_none_or(|wanted| wanted == name);
        let too_few =
            formation.iter().filter(|share| of_type(share.process_type.as_str())).filter_map(|share| {
                let wanted = usize::try_from(share.quantity).unwrap_or(usize::MAX);
                let there = dynos.iter().filter(|dyno| dyno.process_type == share.process_type).count();
                (there < wanted).then(|| format!("{} ({there} of {wanted})", share.process_type))
            });
        late.chain(too_few).collect()
    }

    fn wanted(&self, mut dynos: Vec<Dyno>) -> Vec<Dyno> {
        dynos.retain(|dyno| match (&self.process_type, dyno.process_type.as_str()) {
            (Some(wanted), found) => wanted == found,
            (None, "run") => self.with_run,
            (None, found) => found != "release",
        });
        dynos
    }

    /// What is not up, and why as far as the server tells.
    fn give_up(&self, at: &AppClient, late: &[String]) -> Failure {
        let failure = Failure::new(format!("not up after {} s: {}", self.timeout, late.join(", ")));
        let waits = at.client.app_status(&at.app).map(|status| status.waits).unwrap_or_default();
        waits.into_iter().fold(failure, Failure::hint)
    }
}

fn is_there(dyno: &Dyno, newest: ReleaseVersion) -> bool {
    dyno.state == DynoState::Up && dyno.release.version >= newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn sizes_in_all_forms() {
        let parsed = |changes: &[&str]| {
            let changes: Vec<_> = changes.iter().map(|text| (*text).to_owned()).collect();
            let shown = |update: FormationUpdate| {
                let size = update.change.size.map(|size| size.0).unwrap_or_default();
                format!("{}={size}", update.process_type.0)
            };
            let updates = parse_sizes(&changes, &samples::formation()).ok()?;
            Some(updates.into_iter().map(shown).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(parsed(&["basic"]).as_deref(), Some("web=basic worker=basic"));
        assert_eq!(parsed(&["web=basic", "worker=eco"]).as_deref(), Some("web=basic worker=eco"));
        assert_eq!(parsed(&["web="]), None);
        assert_eq!(parsed(&["web", "worker=eco"]), None);
        insta::assert_snapshot!(render_sizes(&samples::formation()), @r"
        Type    Size      Quantity
        web     standard  2
        worker  standard  0
        ");
    }

    #[test]
    fn an_old_or_starting_process_is_waited_for() {
        let mut dyno = samples::dyno("web.1", DynoState::Up);
        let version = dyno.release.version;
        assert!(is_there(&dyno, version));
        assert!(!is_there(&dyno, ReleaseVersion(version.0 + 1)));
        dyno.state = DynoState::Starting;
        assert!(!is_there(&dyno, version));
    }
}
