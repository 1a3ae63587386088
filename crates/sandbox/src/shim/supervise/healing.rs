//! What comes of health checks: up, out of the routes and back, or the end.

use super::{Life, Supervisor};
use crate::run_folder::Standing;
use crate::shim::health::Change;
use crate::shim::lines;
use crate::system::boot_now;
use domain::process::FailedCheck;
use domain::time::BootMillis;

impl Supervisor<'_> {
    pub(super) fn advance_check(&mut self, place: usize) {
        let now = boot_now();
        if let Some(change) = self.health.advance(place, now, &mut self.buffer) {
            self.changed(change, now);
        }
    }

    pub(super) fn tick_checks(&mut self, now: BootMillis) {
        for change in self.health.tick(now) {
            self.changed(change, now);
        }
    }

    fn changed(&mut self, change: Change, now: BootMillis) {
        match change {
            Change::Started => {
                if matches!(self.life, Life::Checking) {
                    self.up();
                }
            }
            Change::Failed(check) => self.give_up(check),
            Change::Unready(check) => {
                self.journal.platform(&lines::unready(&check));
                self.facts.readiness(now, Standing::Unready);
            }
            Change::Ready { name } => {
                self.journal.platform(&lines::ready_again(&name));
                self.facts.readiness(now, Standing::Ready);
            }
        }
    }

    /// Its own fault, not somebody's wish: it ends like a crash. A stop that is under way goes before.
    fn give_up(&mut self, check: FailedCheck) {
        if self.stop.is_asked() {
            return;
        }
        self.journal.platform(&lines::unhealthy(&check));
        self.failed_check = Some(check);
        self.begin_stop();
    }
}
