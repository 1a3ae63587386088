//! Which jobs are started. A job starts at most once: anything that hints at an earlier start forbids another.

use crate::desired::DesiredJob;
use crate::mutant::{self, Mutant};
use crate::plan::app::AppView;
use crate::plan::{Draft, Waiting};
use crate::process::Purpose;

/// The jobs of `view` that have never been started.
pub(crate) fn startable<'a>(view: &AppView<'a>, draft: &mut Draft) -> Vec<&'a DesiredJob> {
    let jobs = view.desired.map(|app| app.jobs.as_slice()).unwrap_or_default();
    jobs.iter().filter(|job| is_startable(view, job, draft)).collect()
}

fn is_startable(view: &AppView<'_>, job: &DesiredJob, draft: &mut Draft) -> bool {
    let seen = view.processes.iter().find(|process| match &process.purpose {
        Purpose::Job { job: of, .. } => *of == job.job,
        Purpose::Slot { .. } => false,
    });
    let vanished = seen.is_none_or(|process| process.state == crate::observed::ProcessState::Lost);
    match job.started {
        Some(_) if vanished => {
            draft.wait(Waiting::LostJob { app: view.app, release: job.release, job: job.job });
            mutant::active(Mutant::RestartLostJob)
        }
        Some(_) => false,
        None => seen.is_none() && !job.cancelled,
    }
}
