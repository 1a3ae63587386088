//! Which process types a release will have: what the builder knows by itself, and what the Procfile says, which wins.

use crate::output::Printer;
use domain::app_json::AppJson;
use domain::names::ProcessType;
use domain::procfile::Procfile;
use std::collections::BTreeMap;

pub(crate) type Processes = BTreeMap<ProcessType, String>;

/// The Procfile's process types, and of the defaults those that it does not declare.
pub(crate) fn merged(procfile: Option<&Procfile>, defaults: &Processes) -> Processes {
    let mut processes = defaults.clone();
    processes.extend(procfile.map(|procfile| procfile.processes().clone()).unwrap_or_default());
    processes
}

pub(crate) fn print(
    printer: &mut Printer<'_>,
    procfile: Option<&Procfile>,
    defaults: &Processes,
    title: &str,
) {
    let names = |processes: &mut dyn Iterator<Item = &ProcessType>| {
        processes.map(ProcessType::as_str).collect::<Vec<_>>().join(", ")
    };
    printer.heading("Discovering process types");
    let declared = procfile.map(Procfile::processes);
    let declares = declared.map_or_else(|| "(none)".to_owned(), |declared| names(&mut declared.keys()));
    printer.detail(&format!("Procfile declares types -> {declares}"));
    let added =
        names(&mut defaults.keys().filter(|name| declared.is_none_or(|all| !all.contains_key(*name))));
    if !added.is_empty() {
        printer.detail(&format!("Default types for {title} -> {added}"));
    }
    if !merged(procfile, defaults).keys().any(ProcessType::is_web) {
        printer.detail("There is no web process: the app answers no requests");
    }
}

/// What app.json adds, one line a kind.
pub(crate) fn print_app_json(printer: &mut Printer<'_>, app_json: &AppJson) {
    let checks: usize = app_json.health_checks.values().map(Vec::len).sum();
    for (count, what) in [
        (checks, "health checks"),
        (app_json.strategies.len(), "strategies"),
        (app_json.cron.len(), "recurring commands"),
    ] {
        if count > 0 {
            printer.detail(&format!("app.json declares {what} -> {count}"));
        }
    }
}

pub(crate) fn web(command: &str) -> Processes {
    let web: ProcessType = ProcessType::WEB.parse().expect("web is a process type");
    Processes::from([(web, command.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_procfile_wins_and_defaults_fill() {
        let procfile = |text: &str| Procfile::parse(text.as_bytes()).expect("parses");
        let shown = |procfile: Option<&Procfile>| {
            let pairs = merged(procfile, &web("default"));
            pairs.iter().map(|(name, command)| format!("{name}={command}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(None), "web=default");
        assert_eq!(shown(Some(&procfile("web: mine"))), "web=mine");
        assert_eq!(shown(Some(&procfile("worker: w"))), "web=default worker=w");
    }

    #[test]
    fn says_where_types_come_from() {
        let procfile = Procfile::parse(b"worker: w").expect("parses");
        let mut lines: Vec<String> = Vec::new();
        print(&mut Printer::new(&mut lines, 100), Some(&procfile), &web("x"), "Static site");
        print(&mut Printer::new(&mut lines, 100), Some(&procfile), &Processes::new(), "Rust");
        let expected = [
            "-----> Discovering process types",
            "       Procfile declares types -> worker",
            "       Default types for Static site -> web",
            "-----> Discovering process types",
            "       Procfile declares types -> worker",
            "       There is no web process: the app answers no requests",
        ];
        assert_eq!(lines, expected);
    }
}
