//! How rows of the ledger and the latest report become what `ps` shows.

use super::formation::no_such_process;
use super::processes::{ProcessInfo, ProcessWord};
use crate::engine::Engine;
use crate::error::Error;
use domain::app::App;
use domain::formation::Formation;
use domain::ids::{JobId, ProcessId, ReleaseId};
use domain::job::JobState;
use domain::names::{ProcessType, ReleaseVersion};
use domain::plan::report::{Report, Waiting};
use domain::process::{JobKind, Purpose};
use domain::release::Release;
use std::collections::BTreeSet;
use store::Reader;
use store::tables::exits::ExitRow;
use store::tables::jobs::JobRow;
use store::tables::placements::{Placement, PlacementState};
use uuid::Uuid;

/// Among so many ends of an app, the newest first, that of a place's last process is looked for.
const RECENT_ENDS: usize = 200;

/// What is read once for all processes of an app.
pub(super) struct View<'a> {
    reader: &'a Reader<'a>,
    app: &'a App,
    report: &'a Report,
    placements: Vec<Placement>,
    formation: Formation,
}

impl<'a> View<'a> {
    pub(super) fn read(reader: &'a Reader<'a>, app: &'a App, report: &'a Report) -> Result<Self, Error> {
        let (placements, formation) = (reader.placements_of(app.id)?, reader.formation(app.id)?);
        Ok(Self { reader, app, report, placements, formation })
    }

    pub(super) fn placed_slots(&self) -> Result<Vec<ProcessInfo>, Error> {
        let mut placed = Vec::new();
        for placement in &self.placements {
            if let Purpose::Slot { release, process_type, index } = &placement.purpose
                && let Some(release) = self.reader.release(*release)?
            {
                let blank = self.slot(&release, process_type, *index, *placement.process.as_uuid());
                placed.push(ProcessInfo {
                    state: placed_word(placement.state),
                    created_at: placement.created_at,
                    updated_at: placement.updated_at,
                    process: Some(placement.process),
                    why: self.why_boot(placement.process),
                    ..blank
                });
            }
        }
        Ok(placed)
    }

    /// Places of the release that serves (or is to serve first) that hold no process.
    pub(super) fn empty_slots(&self, engine: &Engine) -> Result<Vec<ProcessInfo>, Error> {
        let serving = match self.reader.current_release(self.app.id)? {
            Some(current) => self.reader.release(current)?,
            None => self.reader.head_release(self.app.id)?.filter(|head| !head.status.is_final()),
        };
        let Some(release) = serving.filter(|release| release.artifact.slug.is_some()) else {
            return Ok(Vec::new());
        };
        let stopped: BTreeSet<_> = self.reader.stopped_slots(self.app.id)?.into_iter().collect();
        let crashed = self.reader.crashes(release.id, &engine.boot_id())?;
        let ends =
            if crashed.is_empty() { Vec::new() } else { self.reader.exits_of(self.app.id, RECENT_ENDS)? };
        let ids = self.reader.formation_rows(self.app.id)?;
        let mut empty = Vec::new();
        for row in ids.iter().filter(|row| release.artifact.process_types.contains_key(&row.process_type)) {
            for index in
                (1..=row.quantity.quantity).filter(|index| !self.is_placed(&row.process_type, *index))
            {
                let place = (row.process_type.clone(), index);
                let has_crashed = crashed.iter().any(|(kind, slot, _)| *kind == place.0 && *slot == index);
                let state = match (stopped.contains(&place), has_crashed) {
                    (true, _) => ProcessWord::Stopped,
                    (false, true) => ProcessWord::Crashed,
                    (false, false) => ProcessWord::Waiting,
                };
                // No process, so no id of one: the row's, made distinct by the place.
                let id = Uuid::from_u128(row.id.as_u128() ^ u128::from(index));
                let why = self.why_slot(release.id, &row.process_type, index);
                let blank = self.slot(&release, &row.process_type, index, id);
                let last =
                    ends.iter().find(|end| is_of(end, release.id, &place)).and_then(|end| end.exit.as_ref());
                let last = last.filter(|_| state == ProcessWord::Crashed);
                let out_of_memory = last.is_some_and(|exit| exit.out_of_memory);
                let why = why
                    .map(|why| if out_of_memory { format!("{why}; its memory ran out (R15)") } else { why });
                let exit = last.map(|exit| exit.status);
                empty.push(ProcessInfo { state, why, exit, out_of_memory, ..blank });
            }
        }
        Ok(empty)
    }

    fn is_placed(&self, wanted: &ProcessType, number: u32) -> bool {
        self.placements.iter().any(|placement| match &placement.purpose {
            Purpose::Slot { process_type, index, .. } => process_type == wanted && *index == number,
            Purpose::Job { .. } => false,
        })
    }

    fn slot(&self, release: &Release, process_type: &ProcessType, index: u32, id: Uuid) -> ProcessInfo {
        ProcessInfo {
            id,
            app: self.app.id,
            name: format!("{process_type}.{index}"),
            process_type: process_type.clone(),
            command: release.artifact.process_types.get(process_type).cloned().unwrap_or_default(),
            size: self.formation.get(process_type).map(|row| row.size).unwrap_or_default(),
            release: release.id,
            version: release.version,
            state: ProcessWord::Waiting,
            why: None,
            exit: None,
            out_of_memory: false,
            created_at: release.created_at,
            updated_at: release.status_at,
            job: None,
            process: None,
        }
    }

    pub(super) fn job(&self, row: &JobRow) -> Result<ProcessInfo, Error> {
        let job = &row.job;
        let placement = job.state.process().and_then(|id| self.placements.iter().find(|p| p.process == id));
        let (state, exit) = match &job.state {
            JobState::Waiting => (ProcessWord::Waiting, None),
            JobState::Started { .. } => {
                (placement.map_or(ProcessWord::Starting, |p| placed_word(p.state)), None)
            }
            JobState::Ended { status, .. } => (ProcessWord::Complete, Some(*status)),
            JobState::Lost { .. } => (ProcessWord::Lost, None),
            JobState::NeverStarted => (ProcessWord::Stopped, None),
        };
        let why = if job.state.has_ended() { None } else { self.why_job(job.id, row.held) };
        Ok(ProcessInfo {
            id: *job.id.as_uuid(),
            app: job.app,
            name: job.display_name(),
            process_type: job_type(job.kind)?,
            command: job.command.clone(),
            size: row.size,
            release: job.release,
            version: self.version(job.release)?,
            state,
            why,
            exit,
            out_of_memory: self.job_ran_out_of_memory(row)?,
            created_at: job.created_at,
            updated_at: job.updated_at,
            job: Some(job.id),
            process: job.state.process(),
        })
    }

    pub(super) fn ended(&self, row: &ExitRow) -> Result<ProcessInfo, Error> {
        let status = row.exit.as_ref().map(|exit| exit.status);
        let (process_type, index) = match &row.purpose {
            Purpose::Slot { process_type, index, .. } => (process_type.clone(), *index),
            Purpose::Job { job_kind, number, .. } => (job_type(*job_kind)?, *number),
        };
        let release = self.reader.release(row.purpose.release())?.ok_or_else(no_such_process)?;
        let by_request = row.exit.as_ref().is_some_and(|exit| exit.stop_requested);
        let blank = self.slot(&release, &process_type, index, *row.process.as_uuid());
        Ok(ProcessInfo {
            state: match (status, by_request) {
                (None, _) => ProcessWord::Lost,
                (Some(_), true) => ProcessWord::Complete,
                (Some(_), false) => ProcessWord::Crashed,
            },
            exit: status,
            out_of_memory: row.exit.as_ref().is_some_and(|exit| exit.out_of_memory),
            created_at: row.recorded_at,
            updated_at: row.recorded_at,
            process: Some(row.process),
            ..blank
        })
    }

    fn job_ran_out_of_memory(&self, row: &JobRow) -> Result<bool, Error> {
        let Some(process) = row.job.state.process().filter(|_| row.job.state.has_ended()) else {
            return Ok(false);
        };
        let end = self.reader.exit(process)?.and_then(|row| row.exit);
        Ok(end.is_some_and(|exit| exit.out_of_memory))
    }

    fn version(&self, release: ReleaseId) -> Result<ReleaseVersion, Error> {
        let found = self.reader.release(release)?.map(|release| release.version);
        found.ok_or_else(|| Error::internal("a job's release is missing"))
    }

    fn why_slot(&self, of: ReleaseId, kind: &ProcessType, number: u32) -> Option<String> {
        let found = self.report.of_app(self.app.id).find(|waiting| match waiting {
            Waiting::Slot { release, process_type, index, .. } => {
                *release == of && process_type == kind && *index == number
            }
            Waiting::Boot { .. }
            | Waiting::NoneReady { .. }
            | Waiting::Drain { .. }
            | Waiting::RouterAcknowledgement { .. }
            | Waiting::ReleasePhase { .. }
            | Waiting::Job { .. }
            | Waiting::LostJob { .. } => false,
        });
        found.map(ToString::to_string)
    }

    fn why_boot(&self, of: ProcessId) -> Option<String> {
        let found = self.report.of_app(self.app.id).find(|waiting| match waiting {
            Waiting::Boot { process, .. }
            | Waiting::Drain { process, .. }
            | Waiting::RouterAcknowledgement { process, .. } => *process == of,
            Waiting::Slot { .. }
            | Waiting::NoneReady { .. }
            | Waiting::ReleasePhase { .. }
            | Waiting::Job { .. }
            | Waiting::LostJob { .. } => false,
        });
        found.map(ToString::to_string)
    }

    fn why_job(&self, of: JobId, held: bool) -> Option<String> {
        if held {
            return Some("it starts when its caller attaches".to_owned());
        }
        let found = self.report.of_app(self.app.id).find(|waiting| match waiting {
            Waiting::Job { job, .. } | Waiting::LostJob { job, .. } => *job == of,
            Waiting::Slot { .. }
            | Waiting::Boot { .. }
            | Waiting::NoneReady { .. }
            | Waiting::Drain { .. }
            | Waiting::RouterAcknowledgement { .. }
            | Waiting::ReleasePhase { .. } => false,
        });
        found.map(ToString::to_string)
    }
}

fn is_of(end: &ExitRow, wanted: ReleaseId, (kind, number): &(ProcessType, u32)) -> bool {
    match &end.purpose {
        Purpose::Slot { release, process_type, index } => {
            *release == wanted && process_type == kind && index == number
        }
        Purpose::Job { .. } => false,
    }
}

const fn placed_word(state: PlacementState) -> ProcessWord {
    match state {
        PlacementState::Starting => ProcessWord::Starting,
        PlacementState::Up => ProcessWord::Up,
        PlacementState::Stopping => ProcessWord::Stopping,
    }
}

fn job_type(kind: JobKind) -> Result<ProcessType, Error> {
    let name = match kind {
        JobKind::OneOff => "run",
        JobKind::ReleasePhase => ProcessType::RELEASE,
        JobKind::Cron => "cron",
    };
    name.parse().map_err(|_| Error::internal("a job's type is no process type"))
}
