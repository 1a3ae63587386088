//! One run: a stormy part in which people act and everything fails, then a calm in which everything must come right.

use crate::checks;
use crate::ledger::{Behaviour, Ledger};
use crate::random::Random;
use crate::world::{Calm, Router, Violation, World};
use domain::desired::Bounds;
use domain::endpoint::Addressing;
use domain::ids::Ids;
use domain::plan::SHARED_PORTS;
use domain::plan::{Action, Plan, StopReason, plan};
use domain::process::Purpose;
use domain::transition::{Transition, transitions};
use domain::trial::CrashBudget;

const STORM_STEPS: u64 = 60;
const MOST_APPS: usize = 4;

/// A run under way.
pub struct Run {
    pub(crate) random: Random,
    pub(crate) ids: Ids,
    pub(crate) ledger: Ledger,
    pub(crate) world: World,
    backup: Option<Ledger>,
    /// Requests that the launcher has received and not carried out.
    delayed: Vec<Action>,
    trace: Vec<String>,
}

/// What came of a pass.
pub struct Pass {
    /// There was nothing to do, to record or to wait for.
    pub idle: bool,
}

/// What a failed run leaves for people.
pub struct Failure {
    pub violation: Violation,
    pub trace: Vec<String>,
}

/// Plays the run of this seed to its end.
pub fn play(seed: u64) -> Result<(), Failure> {
    let mut run = Run::new(seed);
    match run.storm().and_then(|()| run.calm()) {
        Ok(()) => Ok(()),
        Err(violation) => Err(Failure { violation, trace: run.trace }),
    }
}

/// Every fourth world is one in which apps share a network, with strangers on some of its ports.
fn addressing(seed: u64) -> Addressing {
    if seed.is_multiple_of(4) {
        let taken = SHARED_PORTS.step_by(3).take(4).collect();
        Addressing::Shared { taken }
    } else {
        Addressing::default()
    }
}

/// Some worlds cycle processes, some bear few crashes of a new release.
fn bounds(processes: u32, random: &mut Random) -> Bounds {
    let cycle_after_seconds = random.percent(30).then(|| 65 + random.below(30));
    let budget = CrashBudget { crashes: 1 + random.below(3) as u32, seconds: 30 + random.below(300) };
    let crash_budget = random.percent(50).then_some(budget);
    Bounds { processes, cycle_after_seconds, crash_budget, ..Bounds::default() }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let mut ids = Ids::seeded(u128::from(seed) << 64 | 0x5eed);
        let processes = if random.percent(30) { 6 + random.below(6) as u32 } else { 60 };
        let bounds = bounds(processes, &mut random);
        let world = World {
            now: domain::time::BootMillis(5_000),
            process_limit: processes,
            drain_seconds: bounds.drain_seconds,
            routers: vec![Router::new(&mut ids)],
            addressing: addressing(seed),
            ..World::default()
        };
        let mut ledger = Ledger::new(bounds);
        ledger.create_app(&mut ids);
        Self { random, ids, ledger, world, backup: None, delayed: Vec::new(), trace: Vec::new() }
    }

    fn storm(&mut self) -> Result<(), Violation> {
        for _ in 0..STORM_STEPS {
            if self.random.percent(35) {
                self.somebody_acts();
            }
            if self.random.percent(25) {
                self.something_breaks();
            }
            self.pass(Calm::Faulty)?;
            let millis = if self.random.percent(10) { 30_000 } else { self.random.below(1_500) };
            self.world.advance(millis, &mut self.random, Calm::Faulty);
        }
        Ok(())
    }

    fn somebody_acts(&mut self) {
        let apps = self.ledger.desired.apps.len();
        let at = self.random.below(apps as u64) as usize;
        let (random, ids) = (&mut self.random, &mut self.ids);
        match random.below(12) {
            0 if apps < MOST_APPS => self.ledger.create_app(ids),
            0..=4 => {
                let behaviour = match random.below(10) {
                    0 => Behaviour::Deaf,
                    1 => Behaviour::CrashLoop,
                    2 => Behaviour::Flapping,
                    3 => Behaviour::BadPhase,
                    _ => Behaviour::Healthy,
                };
                let phase = random.percent(30) || behaviour == Behaviour::BadPhase;
                self.ledger.release(at, behaviour, phase, random, ids);
            }
            5 => self.ledger.scale(at, "web", random.below(4) as u32),
            6 => self.ledger.scale(at, "worker", random.below(4) as u32),
            7 => self.ledger.restart(at, self.world.now),
            8 => self.ledger.run_job(at, ids),
            9 => self.ledger.desired.apps[at].maintenance ^= true,
            10 if apps > 1 => drop(self.ledger.desired.apps.remove(at)),
            10 | 11 => self.ledger.desired.apps[at].jobs.iter_mut().for_each(|job| job.cancelled = true),
            _ => {}
        }
        self.note("somebody acts");
    }

    fn something_breaks(&mut self) {
        match self.random.below(10) {
            0..=2 => self.world.crash_one(&mut self.random),
            3 if self.world.routers.len() < 2 => self.world.routers.push(Router::new(&mut self.ids)),
            3 | 4 => self.lose_router(),
            5 => self.backup = Some(self.ledger.clone()),
            6 if self.backup.is_some() => self.restore(),
            7 if self.random.percent(20) => {
                self.world.reboot(&mut self.ids);
                self.ledger.forget_instants();
                // A copy's instants are of the boot that it was made in, too.
                self.backup.iter_mut().for_each(Ledger::forget_instants);
                self.delayed.clear();
            }
            8 => self.world.launcher_away ^= true,
            9 if self.random.percent(20) => self.world.published = None,
            _ => {}
        }
        self.note("something breaks");
    }

    fn lose_router(&mut self) {
        let at = self.random.below(self.world.routers.len() as u64) as usize;
        if !self.world.routers.is_empty() {
            self.world.routers.remove(at);
        }
        if self.world.routers.is_empty() {
            self.world.routers.push(Router::new(&mut self.ids));
        }
    }

    fn restore(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        // A restore is made while no server runs and the launcher owes nothing.
        self.delayed.clear();
        let (behaviours, phased) = (self.ledger.behaviours.clone(), self.ledger.phased.clone());
        self.ledger = backup.restored(self.ledger.desired.epoch + 1);
        self.ledger.behaviours = behaviours;
        self.ledger.phased = phased;
    }

    /// One pass of the control plane. In a storm it may be cut between any two steps; the next pass is then a new server's.
    pub(crate) fn pass(&mut self, calm: Calm) -> Result<Pass, Violation> {
        self.fence()?;
        let desired = self.ledger.desired.clone();
        let observed = self.world.observe();
        let now = self.world.now;
        if calm == Calm::Faulty && self.random.percent(20) {
            // What was observed is old by the time it is acted on.
            let millis = self.random.below(2_000);
            self.world.advance(millis, &mut self.random, calm);
        }
        let mut again = self.ids.clone();
        let planned = plan(&desired, &observed, now, &mut self.ids);
        if plan(&desired, &observed, now, &mut again) != planned {
            return Err("two plans from the same inputs differ".into());
        }
        checks::check_plan(&desired, &observed, &planned, now)?;
        let outcome = Pass { idle: planned.actions.is_empty() && planned.wake_at.is_none() };
        if !self.apply(&planned, calm)? {
            return Ok(outcome);
        }
        let facts = transitions(&desired, &observed, now);
        let outcome = Pass { idle: outcome.idle && facts.is_empty() };
        for fact in facts {
            checks::check_fact(&desired, &observed, &fact)?;
            self.check_history(&fact, calm)?;
            if calm == Calm::Faulty && self.random.percent(4) {
                return Ok(outcome);
            }
            self.note(&format!("record {fact:?}"));
            self.ledger.record(&fact, now);
        }
        Ok(outcome)
    }

    /// What can be judged of a fact only by what was before.
    fn check_history(&self, fact: &Transition, calm: Calm) -> Result<(), Violation> {
        match fact {
            Transition::Ended { process, purpose, exit: Some(exit), crash: Some(_), .. }
                if calm == Calm::Faulty && exit.stop_requested =>
            {
                match self.world.processes.get(process).and_then(|ended| ended.stopped_for) {
                    Some(StopReason::Cycle) => Err(format!("the cycling of {purpose} counts as a crash")),
                    Some(_) | None => Ok(()),
                }
            }
            Transition::BudgetSpent { app, release, back_to, .. } => {
                let served = self.ledger.served.get(app);
                let sound = served.is_some_and(|past| past.iter().any(|past| past.release == *back_to));
                if !sound || release == back_to || self.ledger.given_up.contains(back_to) {
                    return Err(format!("{release} is rolled back to {back_to}, which is not sound"));
                }
                if self.ledger.heads.get(app) != Some(release) {
                    return Err(format!("{release} is rolled back although a newer release exists"));
                }
                match self.ledger.given_up.contains(release) {
                    true => Err(format!("{release} is rolled back twice")),
                    false => Ok(()),
                }
            }
            Transition::Ended { .. }
            | Transition::JobAdopted { .. }
            | Transition::JobEnded { .. }
            | Transition::PhaseStarted { .. }
            | Transition::Promoted { .. }
            | Transition::ReleaseFailed { .. } => Ok(()),
        }
    }

    /// A new connection to the launcher: what an older one left behind has happened by now or never will.
    fn fence(&mut self) -> Result<(), Violation> {
        for action in std::mem::take(&mut self.delayed) {
            if self.random.percent(50) {
                self.note(&format!("late {action:?}"));
                self.world.execute(&action, &self.ledger, &mut self.random)?;
            }
        }
        Ok(())
    }

    /// Carries out a plan. `false` when the server died on the way.
    fn apply(&mut self, planned: &Plan, calm: Calm) -> Result<bool, Violation> {
        for action in &planned.actions {
            if calm == Calm::Faulty && self.random.percent(3) {
                return Ok(false);
            }
            if !self.may_start(action) {
                continue;
            }
            if calm == Calm::Faulty && self.random.percent(3) {
                continue;
            }
            if calm == Calm::Faulty && self.random.percent(3) && !matches!(action, Action::Publish { .. }) {
                self.delayed.push(action.clone());
                return Ok(true);
            }
            self.note(&format!("{action:?}"));
            self.world.execute(action, &self.ledger, &mut self.random)?;
            if calm == Calm::Faulty && self.random.percent(10) {
                let millis = self.random.below(200);
                self.world.advance(millis, &mut self.random, calm);
            }
        }
        Ok(true)
    }

    /// A job's start is recorded before its process is; if it cannot be, there is no start.
    fn may_start(&mut self, action: &Action) -> bool {
        match action {
            Action::Spawn { spawn } => match &spawn.purpose {
                Purpose::Job { job, .. } => {
                    let restarts = self.world.job_starts.contains_key(job);
                    self.ledger.commit_start(*job, spawn.process) || restarts
                }
                Purpose::Slot { .. } => true,
            },
            Action::Remove { .. }
            | Action::Stop { .. }
            | Action::Publish { .. }
            | Action::RemoveNetwork { .. }
            | Action::CreateNetwork { .. } => true,
        }
    }

    pub(crate) fn note(&mut self, line: &str) {
        self.trace.push(format!("{:>8} {line}", self.world.now.0));
    }
}
