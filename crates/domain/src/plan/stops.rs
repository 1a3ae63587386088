//! What is told to end, and what has to wait for that.

use crate::desired::{Desired, DesiredSlots};
use crate::observed::{ObservedProcess, ProcessState};
use crate::plan::app::AppView;
use crate::plan::report::BootUntil;
use crate::plan::routers::{Release, Routers};
use crate::plan::{Action, Draft, StopReason, Waiting};
use crate::process::{Purpose, StopPolicy};
use crate::time::BootMillis;

/// Stops surplus processes that no router may reach, those that boot too long, and jobs that are over.
pub(crate) fn plan_stops(view: &AppView<'_>, routers: &Routers<'_>, desired: &Desired, draft: &mut Draft) {
    for process in view.live() {
        if matches!(process.state, ProcessState::Stopping { .. }) {
            continue;
        }
        let why = match view.surplus(process.process) {
            Some(why) => may_stop(process, routers, desired, draft).then_some(why),
            None => overdue(view, process, desired, draft),
        };
        if let Some(why) = why {
            draft.push(Action::Stop {
                app: view.app,
                process: process.process,
                policy: policy(view, process),
                why,
            });
        }
    }
}

/// Whether requests can no longer be hurt by stopping `process`; if they can, says what it waits for.
fn may_stop(process: &ObservedProcess, routers: &Routers<'_>, desired: &Desired, draft: &mut Draft) -> bool {
    if !process.purpose.is_web() {
        return true;
    }
    let name = process.purpose.display_name();
    match routers.release_of(process.process) {
        Release::Free => true,
        Release::MayRoute => {
            draft.wait(Waiting::RouterAcknowledgement { app: process.app, process: process.process, name });
            false
        }
        Release::Finishing { in_flight } => {
            let deadline =
                drain_began(process, routers, draft.now).plus_seconds(desired.bounds.drain_seconds);
            if deadline <= draft.now {
                return true;
            }
            draft.wake(deadline);
            draft.wait(Waiting::Drain {
                app: process.app,
                process: process.process,
                name,
                in_flight,
                deadline,
            });
            false
        }
    }
}

fn drain_began(process: &ObservedProcess, routers: &Routers<'_>, now: BootMillis) -> BootMillis {
    let draining = routers.published.iter().flat_map(|table| &table.draining);
    draining.filter(|draining| draining.process == process.process).map(|d| d.since).next().unwrap_or(now)
}

/// Whether a wanted process has run out of time.
fn overdue(
    view: &AppView<'_>,
    process: &ObservedProcess,
    desired: &Desired,
    draft: &mut Draft,
) -> Option<StopReason> {
    match &process.purpose {
        Purpose::Slot { release, .. } => {
            if process.state != ProcessState::Starting {
                return None;
            }
            let slots = view.desired.and_then(|app| app.slots_of(&process.purpose));
            let deadline = process.started_at.plus_seconds(boot_seconds(slots, desired));
            if deadline <= draft.now {
                return Some(StopReason::BootTimeout);
            }
            draft.wake(deadline);
            let name = process.purpose.display_name();
            let until = match slots.and_then(|slots| slots.startup_seconds) {
                Some(_) => BootUntil::ChecksPass,
                None => BootUntil::Accepts,
            };
            draft.wait(Waiting::Boot {
                app: view.app,
                release: *release,
                process: process.process,
                name,
                until,
                deadline,
            });
            None
        }
        Purpose::Job { job, .. } => {
            let job = view.job(*job)?;
            let deadline = process.started_at.plus_seconds(job.time_limit_seconds);
            if job.cancelled {
                return Some(StopReason::Cancelled);
            }
            if deadline <= draft.now {
                return Some(StopReason::TimeLimit);
            }
            draft.wake(deadline);
            None
        }
    }
}

/// How long a process of these slots may be starting.
pub(crate) fn boot_seconds(slots: Option<&DesiredSlots>, desired: &Desired) -> u64 {
    slots.map_or(desired.bounds.boot_timeout_seconds, |slots| slots.boot_seconds(&desired.bounds))
}

fn policy(view: &AppView<'_>, process: &ObservedProcess) -> StopPolicy {
    let of_slot = view.runnable_slots().find(|(_, release, slots)| match &process.purpose {
        Purpose::Slot { release: r, process_type, .. } => {
            release.release == *r && slots.process_type == *process_type
        }
        Purpose::Job { .. } => false,
    });
    let of_job = match &process.purpose {
        Purpose::Job { job, .. } => view.job(*job).map(|job| job.stop),
        Purpose::Slot { .. } => None,
    };
    of_slot.map(|(_, _, slots)| slots.stop).or(of_job).unwrap_or(StopPolicy::APP)
}
