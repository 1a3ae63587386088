//! `doctor`: whether the server's machine has what apps need.

use crate::exit::Code;
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{Style, Table};
use api::dozen::doctor::{Check, DoctorReport, Outcome};
use clap::Args;
use std::process::ExitCode;

/// `dozen doctor`.
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// Ends with 1 if something does not work.
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        let report = session.client()?.doctor()?;
        session.output.data(&report, |style| render_report(&report, style))?;
        let sound = report.can_start_apps && report.count(Outcome::Failure) == 0;
        Ok(if sound { Code::Done.into() } else { Code::Failed.into() })
    }
}

fn render_report(report: &DoctorReport, style: Style) -> String {
    let mut table = Table::default();
    for check in &report.checks {
        table.row([
            render_outcome(check.outcome).to_owned(),
            check.area.clone(),
            check.name.clone(),
            check.detail.clone(),
        ]);
        table.paint(0, |text| paint(check.outcome, text, style));
    }
    format!("{}{}\n{}\n", table.render(), render_hints(&report.checks), render_verdict(report))
}

const fn render_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warning => "warning",
        Outcome::Failure => "failure",
    }
}

fn paint(outcome: Outcome, text: &str, style: Style) -> String {
    match outcome {
        Outcome::Ok => style.green(text),
        Outcome::Warning => style.yellow(text),
        Outcome::Failure => style.red(text),
    }
}

fn render_hints(checks: &[Check]) -> String {
    let wanting = checks.iter().filter(|check| check.outcome != Outcome::Ok);
    let hints = wanting.filter_map(|check| Some(format!("hint: {}: {}\n", check.name, check.hint.as_ref()?)));
    let text: String = hints.collect();
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn render_verdict(report: &DoctorReport) -> String {
    let start = if report.can_start_apps {
        "Apps can be started."
    } else {
        "Apps can not be started on this server."
    };
    match (report.count(Outcome::Failure), report.count(Outcome::Warning)) {
        (0, 0) => format!("{start} All is well."),
        (failures, warnings) => format!("{start} Failures: {failures}, warnings: {warnings}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(area: &str, name: &str, outcome: Outcome, detail: &str, hint: Option<&str>) -> Check {
        let [area, name, detail] = [area, name, detail].map(str::to_owned);
        Check { area, name, outcome, detail, hint: hint.map(str::to_owned) }
    }

    #[test]
    fn findings_with_hints_and_a_verdict() {
        let checks = vec![
            check("sandbox", "pid namespace", Outcome::Ok, "works", None),
            check(
                "sandbox",
                "landlock",
                Outcome::Warning,
                "the kernel has none",
                Some("Boot a kernel of version 5.13 or later."),
            ),
            check(
                "disk",
                "free space",
                Outcome::Failure,
                "2 MB are left",
                Some("Delete what is not needed."),
            ),
        ];
        let report = DoctorReport { can_start_apps: false, checks };
        insta::assert_snapshot!(render_report(&report, Style::Plain));
    }

    #[test]
    fn nothing_to_say() {
        let checks = vec![check("sandbox", "pid namespace", Outcome::Ok, "works", None)];
        insta::assert_snapshot!(render_report(&DoctorReport { can_start_apps: true, checks }, Style::Plain));
    }
}
