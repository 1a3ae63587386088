//! A host from memory. It plans with the real rules and acts on a world that obeys at once: a process does what the first word of
//! its command says.
//!
//! `serve`, `work` and all else: comes up and stays. `crash`: ends with status 1 as soon as it is looked at. `exit N`: ends with N.
//! `unwell`: ends for a startup check that has failed. `deaf`: never accepts on its port. `stubborn`: goes on when it is stopped, until
//! a test ends it.

use crate::bell::Bell;
use crate::ports::{
    AttachError, Attached, Backend, Facts, JobStarted, ReleaseEnvironment, Status, UsageError,
};
use domain::app_json::health::CheckKind;
use domain::desired::Desired;
use domain::ids::{Ids, ProcessId, RouterId};
use domain::names::ConfigKey;
use domain::observed::{Observed, ObservedProcess, ObservedRouter, ProcessState};
use domain::plan::{Action, Spawn, plan};
use domain::process::{Exit, ExitStatus, FailedCheck, Limits, Purpose};
use domain::route::{HeldProcess, RouteTable, RouterStatus};
use domain::secret::Secret;
use domain::time::BootMillis;
use domain::usage::{MemoryUse, Usage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const ROUTER: RouterId = RouterId::from_u128(1);

/// The environment of each process that was spawned.
type Environments = BTreeMap<ProcessId, Vec<(ConfigKey, Secret<String>)>>;

/// See the module.
pub struct MemoryBackend {
    clock: Arc<dyn crate::ports::Clock>,
    environment: Arc<dyn ReleaseEnvironment>,
    world: Mutex<World>,
}

/// Whether readiness checks pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    Yes,
    No,
}

struct World {
    observed: Observed,
    ids: Ids,
    commands: BTreeMap<ProcessId, String>,
    environments: Environments,
    limits: BTreeMap<ProcessId, Limits>,
    bell: Option<Bell>,
    panics: bool,
    passes: u64,
}

impl MemoryBackend {
    pub fn new(
        clock: Arc<dyn crate::ports::Clock>,
        environment: Arc<dyn ReleaseEnvironment>,
        seed: u128,
    ) -> Self {
        let world = World {
            observed: Observed::default(),
            ids: Ids::seeded(seed),
            commands: BTreeMap::new(),
            environments: BTreeMap::new(),
            limits: BTreeMap::new(),
            bell: None,
            panics: false,
            passes: 0,
        };
        Self { clock, environment, world: Mutex::new(world) }
    }

    /// Everything that has a run folder.
    pub fn observed(&self) -> Observed {
        self.lock().observed.clone()
    }

    pub fn passes(&self) -> u64 {
        self.lock().passes
    }

    pub fn environment_of(&self, process: ProcessId) -> Vec<(ConfigKey, Secret<String>)> {
        self.lock().environments.get(&process).cloned().unwrap_or_default()
    }

    /// No process can be started for this reason.
    pub fn cannot_start(&self, reason: Option<&str>) {
        self.lock().observed.cannot_start = reason.map(str::to_owned);
        self.ring();
    }

    pub fn panic_next(&self) {
        self.lock().panics = true;
        self.ring();
    }

    /// As if everything of a process had vanished with the machine.
    pub fn forget_all(&self) {
        let mut world = self.lock();
        world.observed.processes.clear();
        world.observed.routers.clear();
    }

    /// What the readiness checks of a living process say from now on.
    pub fn set_readiness(&self, process: ProcessId, passes: Passes) {
        let mut world = self.lock();
        for found in world.observed.processes.iter_mut().filter(|found| found.process == process) {
            found.state = match (&found.state, passes) {
                (ProcessState::Up { since }, Passes::No) => ProcessState::Unready { since: *since },
                (ProcessState::Unready { since }, Passes::Yes) => ProcessState::Up { since: *since },
                (other, _) => other.clone(),
            };
        }
        drop(world);
        self.ring();
    }

    /// Ends a living process.
    pub fn end(&self, process: ProcessId, status: ExitStatus) {
        let at = self.clock.boot();
        self.end_as(
            process,
            Exit { at, status, stop_requested: false, out_of_memory: false, failed_check: None },
        );
    }

    /// Ends it as the kernel does that has no memory for it.
    pub fn end_out_of_memory(&self, process: ProcessId) {
        let (at, status) = (self.clock.boot(), ExitStatus::Signal(9));
        self.end_as(
            process,
            Exit { at, status, stop_requested: false, out_of_memory: true, failed_check: None },
        );
    }

    fn end_as(&self, process: ProcessId, exit: Exit) {
        let mut world = self.lock();
        for found in world.observed.processes.iter_mut().filter(|found| found.process == process) {
            found.state = ProcessState::Exited(exit.clone());
        }
        drop(world);
        self.ring();
    }

    fn ring(&self) {
        if let Some(bell) = &self.lock().bell {
            bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, world: &mut World, action: Action, facts: &dyn Facts, now: BootMillis) {
        match action {
            Action::Remove { process, .. } => {
                world.observed.processes.retain(|found| found.process != process)
            }
            Action::Stop { process, .. } => world.stop(process, now),
            Action::Publish { table } => world.publish(table),
            Action::CreateNetwork { app, .. } => drop(world.observed.networks.insert(app)),
            Action::RemoveNetwork { app } => drop(world.observed.networks.remove(&app)),
            Action::Spawn { spawn } => self.spawn(world, spawn, facts, now),
        }
    }

    fn spawn(&self, world: &mut World, spawn: Spawn, facts: &dyn Facts, now: BootMillis) {
        if let Purpose::Job { job, .. } = &spawn.purpose
            && facts.commit(JobStarted { job: *job, process: spawn.process }).is_err()
        {
            return;
        }
        let Ok(environment) = self.environment.environment(spawn.purpose.release(), &spawn.purpose) else {
            return;
        };
        world.environments.insert(spawn.process, environment);
        world.limits.insert(spawn.process, spawn.limits);
        world.commands.insert(spawn.process, spawn.command);
        world.observed.processes.push(ObservedProcess {
            process: spawn.process,
            app: spawn.app,
            purpose: spawn.purpose,
            endpoint: spawn.endpoint,
            started_at: now,
            state: ProcessState::Starting,
        });
    }
}

impl World {
    fn stop(&mut self, process: ProcessId, at: BootMillis) {
        let status = ExitStatus::Signal(15);
        let is_stubborn = self.commands.get(&process).is_some_and(|command| command.starts_with("stubborn"));
        for found in self.observed.processes.iter_mut().filter(|found| found.process == process) {
            if is_stubborn {
                found.state = ProcessState::Stopping { since: at };
                continue;
            }
            found.state = ProcessState::Exited(Exit {
                at,
                status,
                stop_requested: true,
                out_of_memory: false,
                failed_check: None,
            });
        }
    }

    /// The one router takes every table at once and never has requests in flight.
    fn publish(&mut self, table: RouteTable) {
        let routed = table.apps.iter().flat_map(|app| &app.processes);
        let held = routed
            .map(|routed| HeldProcess {
                process: routed.process,
                endpoint: routed.endpoint,
                routed: true,
                in_flight: 0,
            })
            .collect();
        let status = RouterStatus { router: ROUTER, loaded: Some(table.generation), held };
        self.observed.routers = vec![ObservedRouter::Answered(status)];
        self.observed.published = Some(table);
    }

    /// What living processes do by themselves.
    fn live(&mut self, now: BootMillis) {
        for found in self.observed.processes.iter_mut().filter(|found| found.state == ProcessState::Starting)
        {
            let command = self.commands.get(&found.process).map(String::as_str).unwrap_or_default();
            let mut words = command.split_whitespace();
            let ended = |code| {
                let status = ExitStatus::Code(code);
                ProcessState::Exited(Exit {
                    at: now,
                    status,
                    stop_requested: false,
                    out_of_memory: false,
                    failed_check: None,
                })
            };
            found.state = match words.next() {
                Some("crash") => ended(1),
                Some("unwell") => {
                    let check = FailedCheck {
                        kind: CheckKind::Startup,
                        name: "startup-1".to_owned(),
                        problem: "GET http://10.210.0.3:5000/: 503 Not Yet: no database".to_owned(),
                        attempts: 3,
                    };
                    let (status, failed_check) = (ExitStatus::Signal(15), Some(check));
                    let (stop_requested, out_of_memory) = (false, false);
                    ProcessState::Exited(Exit {
                        at: now,
                        status,
                        stop_requested,
                        out_of_memory,
                        failed_check,
                    })
                }
                Some("exit") => ended(words.next().and_then(|code| code.parse().ok()).unwrap_or(0)),
                Some("deaf") => ProcessState::Starting,
                _ => ProcessState::Up { since: now },
            };
        }
    }
}

impl Backend for MemoryBackend {
    fn reconcile(&self, desired: &Desired, facts: &dyn Facts) -> Status {
        let now = self.clock.boot();
        let mut world = self.lock();
        world.passes += 1;
        if std::mem::take(&mut world.panics) {
            drop(world);
            std::panic::panic_any("the backend from memory panics, as it was told");
        }
        world.live(now);
        let observed = world.observed.clone();
        let plan = plan(desired, &observed, now, &mut world.ids);
        let acted = !plan.actions.is_empty();
        for action in plan.actions {
            self.apply(&mut world, action, facts, now);
        }
        if let Some(bell) = world.bell.as_ref().filter(|_| acted) {
            bell.ring();
        }
        Status {
            observed,
            report: plan.report,
            wake_at: plan.wake_at,
            evidence: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn wake(&self, bell: Bell) {
        self.lock().bell = Some(bell);
    }

    fn attach(&self, process: ProcessId) -> Result<Attached, AttachError> {
        let is_there = self.lock().observed.processes.iter().any(|found| found.process == process);
        if !is_there {
            return Err(AttachError::Gone);
        }
        let unreachable = |error: std::io::Error| AttachError::Unreachable(error.to_string());
        let null = || std::fs::File::open("/dev/null").map_err(unreachable);
        Ok(Attached::Pipes { input: null()?.into(), output: null()?.into(), error: null()?.into() })
    }

    fn resize(&self, process: ProcessId, _columns: u16, _lines: u16) -> Result<(), AttachError> {
        let is_there = self.lock().observed.processes.iter().any(|found| found.process == process);
        if is_there { Ok(()) } else { Err(AttachError::Gone) }
    }

    /// Every process here uses the same, whatever its limits.
    fn usage(&self, process: ProcessId) -> Result<Usage, UsageError> {
        let live = |found: &&ObservedProcess| found.process == process && found.state.is_live();
        let world = self.lock();
        let limits =
            world.limits.get(&process).filter(|_| world.observed.processes.iter().any(|found| live(&found)));
        let limits = *limits.ok_or(UsageError::Gone)?;
        let memory = MemoryUse { rss_bytes: 20 << 20, cache_bytes: 1 << 20, ..MemoryUse::default() };
        Ok(Usage {
            limits,
            memory: Some(memory),
            memory_peak_bytes: Some(30 << 20),
            cpu_micros: Some(1_234_567),
            processes: Some(3),
            oom_kills: Some(0),
        })
    }
}
