//! After the storm: nothing fails any more except what crashes by its own doing, and everything must come right in bounded time.

use crate::checks;
use crate::ledger::Behaviour;
use crate::run::Run;
use crate::world::{Calm, Violation};
use domain::ids::AppId;
use std::collections::BTreeMap;

/// Healthy apps must be whole after this many seconds: boot, drain, hanging stop and release phase, each at its longest.
const WHOLE_AFTER_SECONDS: u64 = 240;
/// Starts of one crashing slot within [`WHOLE_AFTER_SECONDS`] that the back-off allows, with some to spare.
const MOST_STARTS_PER_SLOT: u32 = 12;
/// Passes after which nothing may be left to do once everything is healthy: the longest back-off, boot and drain.
const SETTLED_AFTER_PASSES: u64 = 900;

impl Run {
    pub(crate) fn calm(&mut self) -> Result<(), Violation> {
        self.world.launcher_away = false;
        self.world.process_limit = 100;
        self.ledger.desired.bounds.processes = 100;
        self.ledger.desired.bounds.cycle_after_seconds = None;
        self.crashing_apps_hurt_no_other()?;
        self.everything_settles()
    }

    fn crashing_apps_hurt_no_other(&mut self) -> Result<(), Violation> {
        let before = self.world.starts.clone();
        let given_up = self.ledger.given_up.clone();
        for _ in 0..WHOLE_AFTER_SECONDS {
            self.pass(Calm::Calm)?;
            self.world.advance(1_000, &mut self.random, Calm::Calm);
        }
        let healthy: Vec<AppId> =
            self.ledger.desired.apps.iter().filter(|app| self.is_healthy(app)).map(|app| app.app).collect();
        let observed = self.world.observe();
        for app in self.ledger.desired.apps.iter() {
            checks::check_given_up(app, &self.ledger.desired.bounds)?;
            // A release that was given up a moment ago leaves an app that is on its way.
            let rolled_back = self.served(app.app).any(|past| {
                self.ledger.given_up.contains(&past.release) && !given_up.contains(&past.release)
            });
            if healthy.contains(&app.app) && !rolled_back {
                checks::check_whole(app, &observed)?;
            }
        }
        self.check_starts(&before)
    }

    fn is_healthy(&self, app: &domain::desired::DesiredApp) -> bool {
        app.releases()
            .all(|release| self.ledger.behaviours.get(&release.release) == Some(&Behaviour::Healthy))
    }

    fn served(&self, app: AppId) -> impl Iterator<Item = &domain::desired::DesiredRelease> {
        self.ledger.served.get(&app).into_iter().flatten()
    }

    fn check_starts(&self, before: &BTreeMap<AppId, u32>) -> Result<(), Violation> {
        for app in &self.ledger.desired.apps {
            let started = self.world.starts.get(&app.app).copied().unwrap_or(0);
            let started = started - before.get(&app.app).copied().unwrap_or(0);
            let slots: u32 =
                app.releases().flat_map(|release| &release.slots).map(|slots| slots.quantity).sum();
            if started > (slots + 4) * MOST_STARTS_PER_SLOT {
                return Err(format!("{} started {started} processes in {WHOLE_AFTER_SECONDS} s", app.name));
            }
        }
        Ok(())
    }

    fn everything_settles(&mut self) -> Result<(), Violation> {
        self.ledger.behaviours.values_mut().for_each(|behaviour| *behaviour = Behaviour::Healthy);
        self.world.heal();
        let mut quiet = 0;
        for _ in 0..SETTLED_AFTER_PASSES {
            quiet = if self.pass(Calm::Calm)?.idle { quiet + 1 } else { 0 };
            if quiet >= 3 && self.processes_rest() {
                return self.check_settled();
            }
            self.world.advance(1_000, &mut self.random, Calm::Calm);
        }
        Err(format!("still not settled after {SETTLED_AFTER_PASSES} passes"))
    }

    /// Nothing is on its way up or down by itself.
    fn processes_rest(&self) -> bool {
        self.world.processes.values().all(|process| process.state.is_up())
    }

    fn check_settled(&self) -> Result<(), Violation> {
        let observed = self.world.observe();
        for app in &self.ledger.desired.apps {
            checks::check_whole(app, &observed)?;
            if app.candidate.is_some() || !app.jobs.is_empty() {
                return Err(format!(
                    "{} has an undecided release or job although nothing is left to do",
                    app.name
                ));
            }
        }
        checks::check_nothing_left(&self.ledger.desired, &observed)?;
        let published = self.world.published.as_ref();
        match self.world.routers.iter().find(|router| router.table.as_ref() != published) {
            Some(router) => Err(format!("router {} never took the published table", router.id)),
            None => Ok(()),
        }
    }
}
