//! `ps`, `ps:scale`, `ps:restart`.

use crate::failure::Failure;
use crate::session::{AppFlags, Session};
use crate::suggest::nearest;
use crate::text::{Style, Table, render_heading, render_when};
use api::Timestamp;
use api::client::Client;
use api::dyno::{Dyno, DynoState};
use api::formation::{Formation, FormationChange, FormationUpdate, UpdateFormation};
use api::lenient::{InvalidQuantity, Quantity};
use api::reference::Identity;
use clap::Args;
use std::collections::BTreeMap;

/// `dozen ps`.
#[derive(Debug, Args)]
pub struct List {
    /// Only processes of this type
    process_type: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let mut dynos = at.ask(Client::dynos)?;
        dynos.retain(|dyno| {
            self.process_type.as_deref().is_none_or(|wanted| dyno.process_type.as_str() == wanted)
        });
        let status = at.ask(Client::app_status)?;
        if dynos.is_empty() {
            session.output.note(&format!("No processes run for {}.", at.app));
        }
        status.warnings.iter().for_each(|warning| session.output.warn(warning));
        session.output.data(&dynos, |style| render_processes(&dynos, &status.waits, session.now(), style))
    }
}

/// The processes by type, then why something waits.
fn render_processes(dynos: &[Dyno], waits: &[String], now: Timestamp, style: Style) -> String {
    let mut groups: BTreeMap<String, Vec<&Dyno>> = BTreeMap::new();
    for dyno in dynos {
        groups.entry(render_group(dyno)).or_default().push(dyno);
    }
    let mut sections: Vec<_> =
        groups.iter().map(|(title, dynos)| render_section(title, dynos, now, style)).collect();
    if !waits.is_empty() {
        let lines: String = waits.iter().map(|line| format!("{line}\n")).collect();
        sections.push(render_heading("waits", style) + &lines);
    }
    sections.join("\n")
}

/// The heading under which a process is listed: processes of a formation share theirs by type and command.
fn render_group(dyno: &Dyno) -> String {
    match dyno.process_type.as_str() {
        "run" => "run: one-off processes".to_owned(),
        other => format!("{other} ({}): {}", dyno.size, dyno.command),
    }
}

fn render_section(title: &str, dynos: &[&Dyno], now: Timestamp, style: Style) -> String {
    let mut dynos = dynos.to_vec();
    dynos.sort_by_key(|dyno| (index_of(&dyno.name), dyno.release.version));
    let mut table = Table::default();
    for dyno in &dynos {
        let command = if dyno.process_type.as_str() == "run" { dyno.command.clone() } else { String::new() };
        let since = render_when(dyno.updated_at, now);
        table.row([
            dyno.name.clone(),
            dyno.release.version.to_string(),
            dyno.state.as_str().to_owned(),
            since,
            command,
        ]);
        table.paint(2, |text| paint_state(dyno.state, text, style));
    }
    render_heading(&format!("{title} ({})", dynos.len()), style) + &table.render()
}

/// The number in `web.10`, so that it comes behind `web.9`.
fn index_of(name: &str) -> u64 {
    name.rsplit('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX)
}

fn paint_state(state: DynoState, text: &str, style: Style) -> String {
    match state {
        DynoState::Up => style.green(text),
        DynoState::Starting => style.yellow(text),
        DynoState::Crashed => style.red(text),
        DynoState::Idle | DynoState::Down => style.dim(text),
    }
}

/// `dozen ps:scale`.
#[derive(Debug, Args)]
pub struct Scale {
    /// Such as web=2, worker=+1 or web=2:standard; without any the present quantities are shown
    #[arg(value_name = "TYPE=QUANTITY[:SIZE]")]
    changes: Vec<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Scale {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let updates = self.changes.iter().map(|text| parse_change(text)).collect::<Result<Vec<_>, _>>()?;
        let formation = at.ask(Client::formation)?;
        if updates.is_empty() {
            return session.output.data(&formation, |_| render_quantities(&formation));
        }
        refuse_unknown_types(&at.app, &updates, &formation)?;
        let types: Vec<_> = updates.iter().map(|update| update.process_type.0.clone()).collect();
        let progress = session.output.begin(&format!("Scaling {}", crate::text::render_list(&types)));
        let wanted = UpdateFormation { updates };
        let formation = at.ask(|client, app| client.update_formation(app, &wanted))?;
        progress.done(&render_scaled(&types, &formation));
        session.output.data(&formation, |_| String::new())
    }
}

/// `web=2`, `web=+1`, `web+1`, `web=2:standard`.
pub fn parse_change(text: &str) -> Result<FormationUpdate, Failure> {
    let malformed =
        || Failure::new(format!("{text} is not of the form TYPE=QUANTITY, such as web=2 or web=+1"));
    let at = text.find(['=', '+']).filter(|at| *at > 0).ok_or_else(malformed)?;
    let (process_type, rest) = text.split_at(at);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (quantity, size) =
        rest.split_once(':').map_or((rest, None), |(quantity, size)| (quantity, Some(size)));
    let quantity: Quantity = quantity.parse().map_err(|error: InvalidQuantity| Failure::of(&error))?;
    let size = size.filter(|size| !size.is_empty()).map(|size| Identity(size.to_owned()));
    let change = FormationChange { quantity: Some(quantity), size };
    Ok(FormationUpdate { process_type: Identity(process_type.to_owned()), change })
}

/// A mistyped type would otherwise wait for a release that has it.
fn refuse_unknown_types(
    app: &str,
    updates: &[FormationUpdate],
    formation: &[Formation],
) -> Result<(), Failure> {
    updates.iter().try_for_each(|update| refuse_unknown_type(app, update.process_type.as_str(), formation))
}

pub fn refuse_unknown_type(app: &str, typed: &str, formation: &[Formation]) -> Result<(), Failure> {
    let known: Vec<_> = formation.iter().map(|share| share.process_type.as_str()).collect();
    if known.contains(&typed) {
        return Ok(());
    }
    let failure = Failure::new(format!("{app} has no process type {typed}"));
    Err(match nearest(typed, known.iter().copied()) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None if known.is_empty() => failure.hint("Process types come from the Procfile of the first push."),
        None => failure.hint(format!("It has {}.", known.join(", "))),
    })
}

fn render_quantities(formation: &[Formation]) -> String {
    if formation.is_empty() {
        return String::new();
    }
    let shares: Vec<_> = formation
        .iter()
        .map(|share| format!("{}={}:{}", share.process_type, share.quantity, share.size))
        .collect();
    shares.join(" ") + "\n"
}

fn render_scaled(types: &[String], formation: &[Formation]) -> String {
    let scaled =
        formation.iter().filter(|share| types.iter().any(|name| name == share.process_type.as_str()));
    let shares: Vec<_> =
        scaled.map(|share| format!("{} at {}:{}", share.process_type, share.quantity, share.size)).collect();
    format!("now running {}", shares.join(", "))
}

/// `dozen ps:restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// A process such as web.1, or a type such as web. Default: all
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Restart {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let what = self.name.as_deref().unwrap_or("all processes");
        let progress = session.output.begin(&format!("Restarting {what} of {}", at.app));
        let empty = at.ask(|client, app| match self.name.as_deref() {
            None => client.restart_all(app),
            Some(name) if name.contains('.') => client.restart_dyno(app, name),
            Some(process_type) => client.restart_type(app, process_type),
        })?;
        progress.done("");
        session.output.data(&empty, |_| String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn processes_by_type() {
        let mut one_off = samples::dyno("run.4821", DynoState::Up);
        one_off.command = "bash -c 'sleep 1'".to_owned();
        let dynos = vec![
            samples::dyno("web.10", DynoState::Starting),
            samples::dyno("web.9", DynoState::Up),
            one_off,
            samples::dyno("worker.1", DynoState::Crashed),
        ];
        let waits = ["worker.1 is started again in 8 s".to_owned()];
        insta::assert_snapshot!(render_processes(&dynos, &waits, samples::now(), Style::Plain));
    }

    #[test]
    fn changes_in_all_forms() {
        for (text, name, quantity, size) in [
            ("web=2", "web", Quantity::Exactly(2), None),
            ("web=+1", "web", Quantity::More(1), None),
            ("web+1", "web", Quantity::More(1), None),
            ("web=-1", "web", Quantity::Fewer(1), None),
            ("my-worker=2:standard", "my-worker", Quantity::Exactly(2), Some("standard")),
        ] {
            let update = parse_change(text).expect(text);
            assert_eq!(
                (update.process_type.as_str(), update.change.quantity),
                (name, Some(quantity)),
                "{text}"
            );
            assert_eq!(update.change.size.as_ref().map(Identity::as_str), size, "{text}");
        }
        for text in ["web", "=2", "+1", "web=", "web=x", "web=1.5", ""] {
            assert!(parse_change(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities() {
        let formation = samples::formation();
        assert_eq!(render_quantities(&formation), "web=2:standard worker=0:standard\n");
        assert_eq!(render_scaled(&["web".to_owned()], &formation), "now running web at 2:standard");
    }

    #[test]
    fn an_unknown_type_is_refused_before_anything_is_sent() {
        let failure =
            refuse_unknown_types("hello", &[parse_change("wbe=2").expect("valid")], &samples::formation());
        insta::assert_snapshot!(failure.expect_err("unknown").render(Style::Plain), @r"
        error: hello has no process type wbe
        hint: Did you mean web?
        ");
        assert!(
            refuse_unknown_types("hello", &[parse_change("web=2").expect("valid")], &samples::formation())
                .is_ok()
        );
    }
}
