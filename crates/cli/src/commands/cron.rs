//! `cron`, `cron:add`, `cron:remove`, `cron:history`, `cron:run`: commands that run again and again.

use super::run::render_command;
use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Style, Table, render_heading, render_when};
use api::Timestamp;
use api::client::Client;
use api::dozen::cron::{CreateCronEntry, CronEntry, CronOutcome, CronRun};
use api::dozen::process::End;
use clap::Args;

/// Letters of an id that are shown, and enough to name it by.
const SHORT_ID: usize = 8;
/// Runs listed when no number is given.
const DEFAULT_COUNT: usize = 20;

/// `dozen cron`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    flags: AppFlags,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let entries = at.ask(Client::cron)?;
        if entries.is_empty() {
            session.output.note(&format!("{} has no recurring commands.", at.app));
        }
        session.output.data(&entries, |style| render_entries(&at.app, &entries, session.now(), style))
    }
}

fn render_entries(app: &str, entries: &[CronEntry], now: Timestamp, style: Style) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    table.row(["ID", "Schedule", "Time zone", "Command", "Next run", "Last run"].map(str::to_owned));
    for entry in entries {
        let next = entry.next_runs.first().map_or_else(|| "never".to_owned(), |at| in_utc(*at));
        let last = entry.last_run.as_ref().map_or_else(|| "never".to_owned(), |run| render_last(run, now));
        let (schedule, zone) = (entry.schedule.clone(), entry.timezone.clone());
        table.row([short(&entry.id.to_string()), schedule, zone, entry.command.clone(), next, last]);
    }
    render_heading(&format!("{app} Recurring commands"), style) + &table.render()
}

/// A time that may lie ahead.
fn in_utc(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}

fn render_last(run: &CronRun, now: Timestamp) -> String {
    format!("{}, {}", render_outcome(&run.outcome), render_when(run.recorded_at, now))
}

fn short(id: &str) -> String {
    id.chars().take(SHORT_ID).collect()
}

fn render_outcome(outcome: &CronOutcome) -> String {
    match outcome {
        CronOutcome::Started { name, end: None, .. } => format!("{name} runs"),
        CronOutcome::Started { name, end: Some(end), .. } => format!("{name} {}", render_end(end)),
        CronOutcome::Skipped { reason } => format!("skipped: {reason}"),
        CronOutcome::Missed { count: 1 } => "missed".to_owned(),
        CronOutcome::Missed { count } => format!("{count} missed"),
    }
}

fn render_end(end: &End) -> String {
    match end {
        End::Exited { code, signal: None, .. } => format!("ended with status {code}"),
        End::Exited { code, signal: Some(signal), .. } => {
            format!("ended with status {code} (signal {signal})")
        }
        End::NotStarted { reason } => format!("never ran: {reason}"),
        End::Lost => "was lost".to_owned(),
    }
}

/// `dozen cron:add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Five fields as in crontab(5), or one of @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(value_name = "SCHEDULE")]
    schedule: String,
    /// What to run, or the name of a process type
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    #[command(flatten)]
    flags: AppFlags,
    /// The time zone of the schedule, such as Europe/Berlin. Default: UTC
    #[arg(short = 'z', long, value_name = "ZONE")]
    timezone: Option<String>,
    /// When the run before has not ended: allow, forbid or replace
    #[arg(long, value_name = "POLICY")]
    concurrency: Option<String>,
}

impl Add {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let progress = session.output.begin(&format!("Adding a recurring command to {}", at.app));
        let wanted = self.wanted();
        let entry = at.ask(|client, app| client.add_cron(app, &wanted))?;
        progress.done(&short(&entry.id.to_string()));
        if let Some(next) = entry.next_runs.first() {
            session.output.note(&format!("It runs next at {}.", in_utc(*next)));
        }
        session.output.data(&entry, |_| String::new())
    }

    /// One argument is a line for the shell, several are exact, as for `dozen run`.
    fn wanted(self) -> CreateCronEntry {
        CreateCronEntry {
            command: render_command(&self.command),
            schedule: self.schedule,
            timezone: self.timezone,
            concurrency: self.concurrency,
        }
    }
}

/// `dozen cron:remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The beginning of its id, as `dozen cron` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Remove {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let entry = find(&at, &self.id)?;
        let progress = session.output.begin(&format!("Removing `{}` from {}", entry.command, at.app));
        let removed = at.ask(|client, app| client.remove_cron(app, &entry.id.to_string()))?;
        progress.done("");
        session.output.data(&removed, |_| String::new())
    }
}

/// `dozen cron:run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The beginning of its id, as `dozen cron` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Run {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let entry = find(&at, &self.id)?;
        let progress = session.output.begin(&format!("Running `{}` on {}", entry.command, at.app));
        let run = at.ask(|client, app| client.run_cron(app, &entry.id.to_string()))?;
        let name = match &run.outcome {
            CronOutcome::Started { name, .. } => name.clone(),
            CronOutcome::Skipped { .. } | CronOutcome::Missed { .. } => String::new(),
        };
        progress.done(&name);
        session.output.note(&format!("Its output is in the log: `dozen logs --dyno-name {name}`."));
        session.output.data(&run, |_| String::new())
    }
}

/// `dozen cron:history`.
#[derive(Debug, Args)]
pub struct History {
    /// The beginning of its id, as `dozen cron` shows it. Default: all, also those that were removed
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
    /// How many, the newest first
    #[arg(short, long, value_name = "COUNT", default_value_t = DEFAULT_COUNT)]
    num: usize,
}

impl History {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let mut runs = match &self.id {
            Some(id) => {
                let id = find(&at, id)?.id.to_string();
                at.ask(|client, app| client.cron_runs_of(app, &id))?
            }
            None => at.ask(Client::cron_runs)?,
        };
        runs.truncate(self.num);
        if runs.is_empty() {
            session.output.note("Nothing has run yet.");
        }
        session.output.data(&runs, |style| render_runs(&at.app, &runs, style))
    }
}

fn render_runs(app: &str, runs: &[CronRun], style: Style) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    table.row(["Due", "ID", "Command", "Outcome"].map(str::to_owned));
    for run in runs {
        let due = run.due_at.map_or_else(|| format!("by hand at {}", in_utc(run.recorded_at)), in_utc);
        table.row([due, short(&run.cron.to_string()), run.command.clone(), render_outcome(&run.outcome)]);
    }
    render_heading(&format!("{app} Runs"), style) + &table.render()
}

/// The one whose id begins so.
fn find(at: &AppClient, beginning: &str) -> Result<CronEntry, Failure> {
    let entries = at.ask(Client::cron)?;
    let beginning = beginning.to_ascii_lowercase();
    let fits = |entry: &CronEntry| !beginning.is_empty() && entry.id.to_string().starts_with(&beginning);
    let mut meant: Vec<_> = entries.into_iter().filter(fits).collect();
    match (meant.pop(), meant.len()) {
        (None, _) => Err(Failure::new(format!("no recurring command of {} has the id {beginning}", at.app))
            .hint("They are listed by `dozen cron`.")),
        (Some(entry), 0) => Ok(entry),
        (Some(_), others) => Err(Failure::new(format!("{} ids begin with {beginning}", others + 1))
            .hint("Give more of its letters, as `dozen cron` shows them.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{CronId, JobId};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn run(due: Option<&str>, outcome: CronOutcome) -> CronRun {
        let recorded_at = at("2026-01-31T06:00:01Z");
        CronRun {
            cron: CronId::from_u128(0xabcd_ef01 << 96),
            command: "bin/report --all".to_owned(),
            due_at: due.map(at),
            recorded_at,
            outcome,
        }
    }

    fn started(end: Option<End>) -> CronOutcome {
        CronOutcome::Started { id: JobId::from_u128(1), name: "cron.7".to_owned(), end }
    }

    #[test]
    fn a_command_is_read_as_that_of_run() {
        for (given, command) in crate::commands::run::tests::COMMANDS {
            let given = given.iter().map(|word| (*word).to_owned()).collect();
            let add = Add {
                schedule: "@daily".to_owned(),
                command: given,
                flags: AppFlags::default(),
                timezone: None,
                concurrency: None,
            };
            assert_eq!(add.wanted().command, *command);
        }
    }

    #[test]
    fn the_list() {
        let exited = End::Exited { code: 1, signal: None, out_of_memory: false, stop_requested: false };
        let entry = |last_run| CronEntry {
            id: CronId::from_u128(0xabcd_ef01 << 96),
            command: "bin/report --all".to_owned(),
            schedule: "0 6 * * mon-fri".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            concurrency: "allow".to_owned(),
            origin: "added".to_owned(),
            created_at: at("2026-01-01T00:00:00Z"),
            next_runs: vec![at("2026-02-02T05:00:00Z")],
            last_run,
        };
        let entries = [entry(None), entry(Some(run(None, started(Some(exited)))))];
        let text = render_entries("hello", &entries, at("2026-01-31T06:05:01Z"), Style::Plain);
        insta::assert_snapshot!(text);
        assert_eq!(render_entries("hello", &[], at("2026-01-31T06:05:01Z"), Style::Plain), "");
    }

    #[test]
    fn the_history() {
        let killed = End::Exited { code: 137, signal: Some(9), out_of_memory: false, stop_requested: false };
        let due = Some("2026-01-31T06:00:00Z");
        let runs = [
            run(None, started(None)),
            run(due, started(Some(killed))),
            run(due, started(Some(End::Lost))),
            run(
                due,
                started(Some(End::NotStarted { reason: "it was stopped before it started".to_owned() })),
            ),
            run(due, CronOutcome::Skipped { reason: "the run before it has not ended".to_owned() }),
            run(due, CronOutcome::Missed { count: 1 }),
            run(due, CronOutcome::Missed { count: 59 }),
        ];
        insta::assert_snapshot!(render_runs("hello", &runs, Style::Plain));
    }
}
