//! The simulated ledger: what people ask for, and the facts that the driver records. Its rules are those of the real one; its
//! form is as small as the plan's input allows.

use crate::random::Random;
use domain::desired::*;
use domain::ids::{AppId, Ids, JobId, ProcessId, ReleaseId};
use domain::names::{ProcessType, ReleaseVersion, SlugId};
use domain::process::{JobKind, Limits, Purpose, StopPolicy};
use domain::time::BootMillis;
use domain::transition::{Crash, JobOutcome, Transition};
use domain::trial::Trial;
use std::collections::{BTreeMap, BTreeSet};

/// How the processes of a release behave. The world looks it up; the rules never see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Healthy,
    /// Web never accepts.
    Deaf,
    /// Ends soon after it was started, over and over.
    CrashLoop,
    /// Comes up and ends now and then.
    Flapping,
    /// The release phase ends with 1.
    BadPhase,
}

/// The simulated ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub desired: Desired,
    pub behaviours: BTreeMap<ReleaseId, Behaviour>,
    /// Releases whose phase job has to succeed before anything of them may run.
    pub phased: BTreeMap<ReleaseId, bool>,
    pub outcomes: BTreeMap<JobId, JobOutcome>,
    /// Releases in order of their promotion.
    pub served: BTreeMap<AppId, Vec<DesiredRelease>>,
    /// Releases that crashed beyond their budget.
    pub given_up: BTreeSet<ReleaseId>,
    /// The newest release, whatever became of it.
    pub heads: BTreeMap<AppId, ReleaseId>,
    /// Releases that were made by giving up another.
    automatic: BTreeSet<ReleaseId>,
    next: u64,
}

impl Ledger {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            desired: Desired { epoch: 1, bounds, ..Desired::default() },
            behaviours: BTreeMap::new(),
            phased: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            served: BTreeMap::new(),
            given_up: BTreeSet::new(),
            heads: BTreeMap::new(),
            automatic: BTreeSet::new(),
            next: 1,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn create_app(&mut self, ids: &mut Ids) {
        let number = self.number();
        let name = format!("app-{number}").parse().expect("a valid app name");
        let host = format!("app-{number}.localhost").parse().expect("a valid host name");
        self.desired.apps.push(DesiredApp {
            app: AppId::from_uuid(ids.next_uuid()),
            name,
            index: number as u32,
            hosts: vec![host],
            maintenance: false,
            current: None,
            candidate: None,
            jobs: Vec::new(),
        });
    }

    /// A new release: a deploy, a config change, a rollback. It supersedes a waiting candidate.
    pub fn release(
        &mut self,
        at: usize,
        behaviour: Behaviour,
        phase: bool,
        random: &mut Random,
        ids: &mut Ids,
    ) {
        let version = ReleaseVersion(self.number());
        let release = ReleaseId::from_uuid(ids.next_uuid());
        let slug: SlugId = format!("sha256:{:064x}", version.0).parse().expect("a valid digest");
        self.behaviours.insert(release, behaviour);
        let mut web = slots("web", 1 + random.below(3) as u32);
        let mut worker = slots("worker", random.below(4) as u32);
        for slots in [&mut web, &mut worker] {
            slots.startup_seconds = random.percent(20).then_some(90);
            if random.percent(50) {
                slots.strategy = Strategy::Rolling { max_in_flight: 1 + random.below(2) as u32 };
            }
        }
        let slots = vec![web, worker];
        let (kind, number) = (JobKind::ReleasePhase, version.0 as u32);
        let app = &mut self.desired.apps[at];
        if let Some(superseded) = app.candidate.take() {
            cancel_phase(app, superseded.release);
        }
        forgo_rollback(app);
        self.heads.insert(app.app, release);
        if phase {
            self.phased.insert(release, false);
            app.jobs.push(job(JobId::from_uuid(ids.next_uuid()), kind, release, slug.clone(), number));
        }
        let phase = if phase { ReleasePhase::Waiting } else { ReleasePhase::Done };
        app.candidate =
            Some(DesiredRelease { release, version, slug: Some(slug), phase, slots, trial: None });
    }

    pub fn run_job(&mut self, at: usize, ids: &mut Ids) {
        let number = self.number() as u32;
        let app = &mut self.desired.apps[at];
        let Some((release, slug)) = app.current.as_ref().and_then(|r| Some((r.release, r.slug.clone()?)))
        else {
            return;
        };
        let kind = if number.is_multiple_of(2) { JobKind::OneOff } else { JobKind::Cron };
        app.jobs.push(job(JobId::from_uuid(ids.next_uuid()), kind, release, slug, number));
    }

    pub fn scale(&mut self, at: usize, process_type: &str, quantity: u32) {
        let app = &mut self.desired.apps[at];
        for release in app.current.iter_mut().chain(app.candidate.iter_mut()) {
            for slots in release.slots.iter_mut().filter(|slots| slots.process_type.as_str() == process_type)
            {
                slots.quantity = quantity;
            }
        }
    }

    pub fn restart(&mut self, at: usize, now: BootMillis) {
        let app = &mut self.desired.apps[at];
        for slots in app.current.iter_mut().flat_map(|release| &mut release.slots) {
            slots.restarted_at = Some(now);
            slots.crashes.clear();
        }
    }

    /// A reboot: instants of the old boot mean nothing any more.
    pub fn forget_instants(&mut self) {
        for app in &mut self.desired.apps {
            app.current.iter_mut().for_each(|current| current.trial = None);
            for slots in app.current.iter_mut().chain(app.candidate.iter_mut()).flat_map(|r| &mut r.slots) {
                slots.restarted_at = None;
                slots.crashes.clear();
            }
        }
    }

    /// Records that a job is about to be started. `false` if it was started, ended or removed before: then it must not be.
    pub fn commit_start(&mut self, job: JobId, process: ProcessId) -> bool {
        let jobs = self.desired.apps.iter_mut().flat_map(|app| &mut app.jobs);
        match jobs.into_iter().find(|desired| desired.job == job) {
            Some(desired) if desired.started.is_none() && !desired.cancelled => {
                desired.started = Some(process);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Records one fact, unless the ledger has moved on since it was seen.
    pub fn record(&mut self, fact: &Transition, now: BootMillis) {
        match fact {
            Transition::Ended { app, process, purpose, crash, .. } => {
                if !self.desired.recorded_exits.insert(*process) {
                    return;
                }
                let Some(crash) = crash else { return };
                self.count_crash(*app, purpose.release(), crash);
                for release in self
                    .app(*app)
                    .into_iter()
                    .flat_map(|a| a.current.iter_mut().chain(a.candidate.iter_mut()))
                {
                    let same = |slots: &&mut DesiredSlots| slots.process_type == crash.process_type;
                    if release.release == purpose.release() {
                        for slots in release.slots.iter_mut().filter(same) {
                            slots.crashes.insert(crash.index, crash.record);
                        }
                    }
                }
            }
            Transition::JobAdopted { app, job, process } => {
                for desired in self.app(*app).into_iter().flat_map(|a| &mut a.jobs).filter(|j| j.job == *job)
                {
                    desired.started = Some(*process);
                }
            }
            Transition::JobEnded { app, release, job, kind, outcome } => {
                self.outcomes.insert(*job, *outcome);
                let success = matches!(outcome, JobOutcome::Exited { status } if status.is_success());
                if *kind == JobKind::ReleasePhase && success {
                    self.phased.insert(*release, true);
                }
                let Some(app) = self.app(*app) else { return };
                app.jobs.retain(|desired| desired.job != *job);
                if *kind == JobKind::ReleasePhase && success {
                    let candidate =
                        app.candidate.iter_mut().filter(|candidate| candidate.release == *release);
                    candidate.for_each(|candidate| candidate.phase = ReleasePhase::Done);
                }
            }
            Transition::PhaseStarted { .. } => {}
            Transition::Promoted { app, release } => self.promote(*app, *release, now),
            Transition::BudgetSpent { app, release, back_to, .. } => self.roll_back(*app, *release, *back_to),
            Transition::ReleaseFailed { app, release, .. } => {
                let Some(app) = self.app(*app) else { return };
                if app.candidate.as_ref().is_some_and(|candidate| candidate.release == *release) {
                    app.candidate = None;
                    cancel_phase(app, *release);
                }
            }
        }
    }

    fn promote(&mut self, id: AppId, release: ReleaseId, now: BootMillis) {
        let trial = self.desired.bounds.crash_budget.map(|_| Trial {
            since: now,
            crashes: 0,
            back_to: self.fall_back(id, release),
            newer_exists: false,
        });
        let Some(app) = self.app(id) else { return };
        if app.candidate.as_ref().is_some_and(|candidate| candidate.release == release) {
            app.current = app.candidate.take().map(|promoted| DesiredRelease { trial, ..promoted });
            let promoted = app.current.clone();
            self.served.entry(id).or_default().extend(promoted);
        }
    }

    fn fall_back(&self, app: AppId, from: ReleaseId) -> Option<ReleaseId> {
        let served = self.served.get(&app).filter(|_| !self.automatic.contains(&from))?;
        served.iter().rev().map(|earlier| earlier.release).find(|id| !self.given_up.contains(id))
    }

    fn count_crash(&mut self, app: AppId, release: ReleaseId, crash: &Crash) {
        let current = self.app(app).and_then(|app| app.current.as_mut());
        let current = current.filter(|current| crash.on_trial && current.release == release);
        current.and_then(|current| current.trial.as_mut()).into_iter().for_each(|trial| trial.crashes += 1);
    }

    /// The system's release: slug and process types of the earlier one.
    fn roll_back(&mut self, id: AppId, from: ReleaseId, to: ReleaseId) {
        let version = ReleaseVersion(self.number());
        let release = ReleaseId::from_u128(u128::from(version.0));
        let behaviour = self.behaviours.get(&to).copied().unwrap_or(Behaviour::Healthy);
        let earlier = self.served.get(&id).and_then(|served| served.iter().find(|past| past.release == to));
        let Some(mut earlier) = earlier.cloned() else { return };
        earlier.slots.iter_mut().for_each(|slots| {
            slots.crashes.clear();
            slots.restarted_at = None;
        });
        let Some(app) = self.app(id) else { return };
        if app.candidate.is_some() || app.current.as_ref().is_none_or(|current| current.release != from) {
            return;
        }
        forgo_rollback(app);
        app.candidate = Some(DesiredRelease { release, version, trial: None, ..earlier });
        self.behaviours.insert(release, behaviour);
        self.heads.insert(id, release);
        self.given_up.insert(from);
        self.automatic.insert(release);
    }

    /// What a restore does to an older copy of the ledger before it is used: a new epoch, and no job is started that might have
    /// been started after the copy was taken.
    pub fn restored(mut self, epoch: u64) -> Self {
        self.desired.epoch = epoch;
        // Numbers that were given out after the copy was taken are not given out again.
        self.next += 1_000;
        for app in &mut self.desired.apps {
            let lost: BTreeSet<ReleaseId> = app
                .jobs
                .iter()
                .filter(|job| job.started.is_none() && job.kind == JobKind::ReleasePhase)
                .map(|job| job.release)
                .collect();
            app.jobs.retain(|job| job.started.is_some());
            if app.candidate.as_ref().is_some_and(|candidate| lost.contains(&candidate.release)) {
                app.candidate = None;
            }
        }
        self
    }

    fn app(&mut self, app: AppId) -> Option<&mut DesiredApp> {
        self.desired.apps.iter_mut().find(|desired| desired.app == app)
    }

    /// Whether a process is not up at once.
    pub fn waits(&self, app: AppId, purpose: &Purpose) -> bool {
        let app = self.desired.apps.iter().find(|desired| desired.app == app);
        let slots = app.and_then(|app| app.slots_of(purpose));
        purpose.is_web() || slots.is_some_and(|slots| slots.startup_seconds.is_some())
    }

    pub fn behaviour(&self, purpose: &Purpose) -> Behaviour {
        self.behaviours.get(&purpose.release()).copied().unwrap_or(Behaviour::Healthy)
    }
}

/// The current release is not rolled back any more.
fn forgo_rollback(app: &mut DesiredApp) {
    let trial = app.current.as_mut().and_then(|current| current.trial.as_mut());
    trial.into_iter().for_each(|trial| trial.newer_exists = true);
}

fn cancel_phase(app: &mut DesiredApp, release: ReleaseId) {
    for job in app.jobs.iter_mut().filter(|job| job.release == release && job.kind == JobKind::ReleasePhase) {
        job.cancelled = true;
    }
}

fn slots(process_type: &str, quantity: u32) -> DesiredSlots {
    let process_type: ProcessType = process_type.parse().expect("a valid type");
    DesiredSlots {
        strategy: Strategy::default_for(&process_type),
        process_type,
        startup_seconds: None,
        command: "serve".into(),
        quantity,
        limits: Limits::DEFAULT,
        stop: StopPolicy::APP,
        stopped: BTreeSet::new(),
        restarted_at: None,
        crashes: BTreeMap::new(),
    }
}

fn job(job: JobId, kind: JobKind, release: ReleaseId, slug: SlugId, number: u32) -> DesiredJob {
    DesiredJob {
        job,
        kind,
        release,
        slug,
        number,
        command: "task".into(),
        limits: Limits::DEFAULT,
        stop: StopPolicy::APP,
        time_limit_seconds: 3600,
        started: None,
        cancelled: false,
    }
}
