//! What the driver tells about how an app's web processes are doing: the R10 line, that one did not accept on its port in time and
//! what it does instead, once per process; and that none of them is ready, once per change.

use super::record::display_name;
use crate::engine::Engine;
use crate::ports::{LogLine, LogStream, Status};
use domain::ids::{AppId, ProcessId};
use domain::observed::ObservedProcess;
use domain::plan::Waiting;
use domain::process::BootDiagnosis;
use domain::transition::Crash;
use std::collections::BTreeSet;
use store::tables::exits::ExitRow;

/// The name under which a line about all web processes stands.
const WEB: &str = "web";
const NONE_READY: &str = "No web process passes its readiness checks: requests go to all of them";
const SOME_READY: &str = "Requests go to the web processes that pass their readiness checks";

/// For whom it was told.
#[derive(Default)]
pub(super) struct Diagnoses {
    told: BTreeSet<ProcessId>,
    /// Apps whose web processes are all unready.
    none_ready: BTreeSet<AppId>,
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
        self.tell_readiness(engine, status);
    }

    /// That readiness checks decide nothing for now, and that they do again: once each.
    fn tell_readiness(&mut self, engine: &Engine, status: &Status) {
        let none_ready: BTreeSet<AppId> =
            status.report.waiting.iter().filter_map(app_without_ready).collect();
        let tell = |app: &AppId, text: &str| {
            let (stream, name) = (LogStream::Platform, WEB.to_owned());
            engine.0.ports.log.append(*app, LogLine { stream, name, process: None, text: text.to_owned() });
        };
        none_ready.difference(&self.none_ready).for_each(|app| tell(app, NONE_READY));
        self.none_ready.difference(&none_ready).for_each(|app| tell(app, SOME_READY));
        self.none_ready = none_ready;
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
        let found = status.evidence.iter().find(|evidence| evidence.process == process);
        let usual = engine.0.settings.bounds.boot_timeout_seconds;
        let seconds = found.map_or(usual, |evidence| evidence.seconds);
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

const fn app_without_ready(waiting: &Waiting) -> Option<AppId> {
    match waiting {
        Waiting::NoneReady { app } => Some(*app),
        Waiting::Slot { .. }
        | Waiting::Boot { .. }
        | Waiting::Drain { .. }
        | Waiting::RouterAcknowledgement { .. }
        | Waiting::ReleasePhase { .. }
        | Waiting::Job { .. }
        | Waiting::LostJob { .. } => None,
    }
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
