//! The R10 line: that a web process did not accept on its port in time, and what it does instead. Told once per process.

use super::record::display_name;
use crate::engine::Engine;
use crate::ports::{LogLine, LogStream, Status};
use domain::ids::{AppId, ProcessId};
use domain::observed::ObservedProcess;
use domain::process::BootDiagnosis;
use domain::transition::Crash;
use std::collections::BTreeSet;
use store::tables::exits::ExitRow;

/// For whom it was told.
#[derive(Default)]
pub(super) struct Diagnoses {
    told: BTreeSet<ProcessId>,
}

impl Diagnoses {
    /// What the pass found out about slow web processes.
    pub(super) fn tell(&mut self, engine: &Engine, status: &Status) {
        for evidence in &status.evidence {
            if let Some(process) = find(status, evidence.process) {
                let name = display_name(&process.purpose);
                self.tell_once(engine, status, process.app, evidence.process, &name);
            }
        }
        self.told.retain(|process| find(status, *process).is_some());
    }

    pub(super) fn tell_boot_timeout(
        &mut self,
        engine: &Engine,
        status: &Status,
        process: ProcessId,
        name: &str,
    ) {
        if let Some(found) = find(status, process) {
            self.tell_once(engine, status, found.app, process, name);
        }
    }

    /// A process of the serving release that was stopped for not booting counts as crashed although a stop was asked for.
    pub(super) fn tell_if_boot_timeout(
        &mut self,
        engine: &Engine,
        status: &Status,
        row: &ExitRow,
        crash: Option<&Crash>,
    ) {
        let stopped = row.exit.as_ref().is_some_and(|exit| exit.stop_requested);
        if stopped && crash.is_some() && row.purpose.is_web() {
            self.tell_once(engine, status, row.app, row.process, &display_name(&row.purpose));
        }
    }

    fn tell_once(&mut self, engine: &Engine, status: &Status, app: AppId, process: ProcessId, name: &str) {
        if !self.told.insert(process) {
            return;
        }
        let seconds = engine.0.settings.bounds.boot_timeout_seconds;
        let found = status.evidence.iter().find(|evidence| evidence.process == process);
        let port = find(status, process).and_then(|process| process.endpoint).map(|endpoint| endpoint.port());
        let diagnosis =
            found.map(|evidence| format!(": {}", in_words(&evidence.diagnosis, port))).unwrap_or_default();
        let text = format!(
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {seconds} seconds of launch{diagnosis}"
        );
        let line =
            LogLine { stream: LogStream::Platform, name: name.to_owned(), process: Some(process), text };
        engine.0.ports.log.append(app, line);
    }
}

fn find(status: &Status, process: ProcessId) -> Option<&ObservedProcess> {
    status.observed.processes.iter().find(|seen| seen.process == process)
}

fn in_words(diagnosis: &BootDiagnosis, port: Option<u16>) -> String {
    let wanted = port.map_or_else(|| "$PORT".to_owned(), |port| format!("$PORT ({port})"));
    match diagnosis {
        BootDiagnosis::NothingBound => format!("it listens on no port at all; it should listen on {wanted}"),
        BootDiagnosis::OtherPorts(ports) => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!("it listens on port {} and not on {wanted}", ports.join(", "))
        }
        BootDiagnosis::LoopbackOnly => {
            format!("it listens on {wanted} of the loopback address only; it should bind to 0.0.0.0 or [::]")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnoses_name_the_port() {
        let told = in_words(&BootDiagnosis::OtherPorts(vec![3000, 9090]), Some(5001));
        assert_eq!(told, "it listens on port 3000, 9090 and not on $PORT (5001)");
        assert!(in_words(&BootDiagnosis::NothingBound, None).ends_with("$PORT"));
        assert!(in_words(&BootDiagnosis::LoopbackOnly, Some(1)).contains("0.0.0.0"));
    }
}
