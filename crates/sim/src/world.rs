//! The simulated host: processes, routers, launcher and files. It does what it is told, late or not at all if the run's chance
//! says so, and cries out when a property is broken.

use crate::ledger::{Behaviour, Ledger};
use crate::random::Random;
use domain::desired::Strategy;
use domain::endpoint::{Addressing, Endpoint};
use domain::ids::{AppId, Ids, JobId, ProcessId, RouterId};
use domain::observed::{Observed, ObservedProcess, ObservedRouter, ProcessState};
use domain::plan::{Action, Spawn, StopReason};
use domain::process::{Exit, ExitStatus, Purpose};
use domain::route::{HeldProcess, RouteTable, RouterStatus};
use domain::time::BootMillis;
use std::collections::{BTreeMap, BTreeSet};

/// A broken property, with enough to understand it.
pub type Violation = String;

/// A process of the simulated host.
#[derive(Debug, Clone)]
pub struct Process {
    pub app: AppId,
    pub purpose: Purpose,
    pub endpoint: Option<Endpoint>,
    pub started_at: BootMillis,
    pub state: ProcessState,
    /// Why it was told to end, if it was.
    pub stopped_for: Option<StopReason>,
    behaviour: Behaviour,
    /// When the next thing happens to it by itself.
    due: BootMillis,
}

/// A router of the simulated host.
#[derive(Debug, Clone)]
pub struct Router {
    pub id: RouterId,
    pub table: Option<RouteTable>,
    pub in_flight: BTreeMap<ProcessId, (Endpoint, u32)>,
    pub silent: bool,
}

/// The simulated host.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub now: BootMillis,
    pub processes: BTreeMap<ProcessId, Process>,
    pub routers: Vec<Router>,
    pub published: Option<RouteTable>,
    /// Since when a table told routers to drain a process, though that table may be lost by now.
    pub drains: BTreeMap<ProcessId, BootMillis>,
    pub networks: BTreeSet<AppId>,
    pub job_starts: BTreeMap<JobId, u32>,
    pub starts: BTreeMap<AppId, u32>,
    pub process_limit: u32,
    pub drain_seconds: u64,
    pub launcher_away: bool,
    pub addressing: Addressing,
}

impl World {
    pub fn observe(&self) -> Observed {
        let processes = self.processes.iter().map(|(id, process)| ObservedProcess {
            process: *id,
            app: process.app,
            purpose: process.purpose.clone(),
            endpoint: process.endpoint,
            started_at: process.started_at,
            state: process.state.clone(),
        });
        Observed {
            processes: processes.collect(),
            published: self.published.clone(),
            routers: self.routers.iter().map(Router::observe).collect(),
            networks: self.networks.clone(),
            cannot_start: self.launcher_away.then(|| "the launcher is away".to_owned()),
            addressing: self.addressing.clone(),
        }
    }

    /// Carries out one action to its end.
    pub fn execute(
        &mut self,
        action: &Action,
        ledger: &Ledger,
        random: &mut Random,
    ) -> Result<(), Violation> {
        match action {
            Action::Spawn { spawn } => self.spawn(spawn, ledger, random),
            Action::Stop { process, why, .. } => self.stop(*process, *why, random),
            Action::Remove { process, .. } => self.remove(*process, ledger),
            Action::Publish { table } => {
                self.publish(table);
                Ok(())
            }
            Action::CreateNetwork { app, .. } => {
                self.networks.insert(*app);
                Ok(())
            }
            Action::RemoveNetwork { app } => {
                self.networks.remove(app);
                match self.processes.values().any(|process| process.app == *app) {
                    true => Err(format!("the network of {app} was removed under its processes")),
                    false => Ok(()),
                }
            }
        }
    }

    fn publish(&mut self, table: &RouteTable) {
        self.drains.retain(|process, _| !table.routes(*process));
        for draining in &table.draining {
            self.drains.entry(draining.process).or_insert(draining.since);
        }
        self.published = Some(table.clone());
    }

    fn spawn(&mut self, spawn: &Spawn, ledger: &Ledger, random: &mut Random) -> Result<(), Violation> {
        self.check_spawn(spawn, ledger)?;
        *self.starts.entry(spawn.app).or_default() += 1;
        if let Purpose::Job { job, .. } = &spawn.purpose {
            *self.job_starts.entry(*job).or_default() += 1;
        }
        let waits = ledger.waits(spawn.app, &spawn.purpose);
        let state = if waits { ProcessState::Starting } else { ProcessState::Up { since: self.now } };
        let behaviour = ledger.behaviour(&spawn.purpose);
        let due = self.now.plus_millis(50 + random.below(3_000));
        let process = Process {
            app: spawn.app,
            purpose: spawn.purpose.clone(),
            endpoint: spawn.endpoint,
            started_at: self.now,
            state,
            stopped_for: None,
            behaviour,
            due,
        };
        self.processes.insert(spawn.process, process);
        Ok(())
    }

    fn check_spawn(&self, spawn: &Spawn, ledger: &Ledger) -> Result<(), Violation> {
        let live = || self.processes.iter().filter(|(_, process)| process.state.is_live());
        if live().count() >= self.process_limit as usize {
            return Err(format!("the process budget of {} was exceeded", self.process_limit));
        }
        if let Purpose::Job { job, .. } = &spawn.purpose
            && self.job_starts.contains_key(job)
        {
            return Err(format!("job {job} was started twice"));
        }
        if let Some((twin, _)) = live().find(|(_, process)| process.purpose == spawn.purpose) {
            return Err(format!("{} was started while {twin} still lives in its slot", spawn.purpose));
        }
        if let Some((old, _)) = live().find(|(_, process)| is_predecessor(process, spawn)) {
            return Err(format!("{} was started while its predecessor {old} lives", spawn.purpose));
        }
        if matches!(spawn.purpose, Purpose::Slot { .. })
            && ledger.phased.get(&spawn.purpose.release()) == Some(&false)
        {
            return Err(format!("{} was started before its release phase had succeeded", spawn.purpose));
        }
        self.check_in_flight(spawn, ledger)?;
        match spawn.endpoint {
            Some(endpoint) => self.check_endpoint(endpoint),
            None => Ok(()),
        }
    }

    /// Of a candidate that rolls, only so many are starting at a time.
    fn check_in_flight(&self, spawn: &Spawn, ledger: &Ledger) -> Result<(), Violation> {
        let Purpose::Slot { release, process_type, .. } = &spawn.purpose else { return Ok(()) };
        let mut candidates = ledger.desired.apps.iter().filter_map(|app| app.candidate.as_ref());
        let candidate = candidates.find(|candidate| candidate.release == *release);
        let slots =
            candidate.and_then(|of| of.slots.iter().find(|slots| slots.process_type == *process_type));
        let Some(Strategy::Rolling { max_in_flight }) = slots.map(|slots| slots.strategy) else {
            return Ok(());
        };
        let starting = |process: &&Process| match &process.purpose {
            Purpose::Slot { release: of, process_type: kind, .. } => {
                of == release && kind == process_type && process.state == ProcessState::Starting
            }
            Purpose::Job { .. } => false,
        };
        match self.processes.values().filter(starting).count() {
            count if count < max_in_flight as usize => Ok(()),
            count => Err(format!("{} was started while {count} of its type were starting", spawn.purpose)),
        }
    }

    fn check_endpoint(&self, endpoint: Endpoint) -> Result<(), Violation> {
        let clash = |held: Endpoint| match &self.addressing {
            Addressing::PerApp { .. } => held == endpoint,
            Addressing::Shared { .. } => held.port() == endpoint.port(),
        };
        let held_by = |process: &Process| process.state.is_live() && process.endpoint.is_some_and(clash);
        if self.processes.values().any(held_by) {
            return Err(format!("{endpoint} was given to two living processes"));
        }
        if let Addressing::Shared { taken } = &self.addressing
            && taken.contains(&endpoint.port())
        {
            return Err(format!("{endpoint} was given out while a stranger listens on its port"));
        }
        for router in &self.routers {
            let routed = router.table.iter().flat_map(RouteTable::endpoints).any(|(_, held)| clash(held));
            let answering = router.in_flight.values().any(|(held, count)| clash(*held) && *count > 0);
            if routed || answering {
                return Err(format!(
                    "{endpoint} was given out again while router {} still holds it",
                    router.id
                ));
            }
        }
        Ok(())
    }

    fn stop(&mut self, id: ProcessId, why: StopReason, random: &mut Random) -> Result<(), Violation> {
        let published = self.published.as_ref();
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.state.is_live()) else {
            return Ok(());
        };
        if matches!(process.state, ProcessState::Stopping { .. }) {
            return Ok(());
        }
        if published.is_some_and(|table| table.routes(id)) {
            return Err(format!("{} was stopped while the published table routes to it", process.purpose));
        }
        for router in &self.routers {
            if router.table.as_ref().is_some_and(|table| table.routes(id)) {
                return Err(format!(
                    "{} was stopped while router {} routes to it",
                    process.purpose, router.id
                ));
            }
            let in_flight = router.in_flight.get(&id).map_or(0, |(_, count)| *count);
            let began = self.drains.get(&id);
            let over = began.is_some_and(|began| began.plus_seconds(self.drain_seconds) <= self.now);
            if in_flight > 0 && !over {
                return Err(format!("{} was stopped with {in_flight} requests in flight", process.purpose));
            }
        }
        process.state = ProcessState::Stopping { since: self.now };
        process.stopped_for = Some(why);
        let hangs = random.percent(10);
        process.due = if hangs { self.now.plus_seconds(30) } else { self.now.plus_millis(random.below(500)) };
        Ok(())
    }

    fn remove(&mut self, id: ProcessId, ledger: &Ledger) -> Result<(), Violation> {
        let Some(process) = self.processes.get(&id) else { return Ok(()) };
        if process.state.is_live() {
            return Err(format!("{} was removed while it lives", process.purpose));
        }
        if !ledger.desired.recorded_exits.contains(&id) {
            return Err(format!("{} was removed before its end was recorded", process.purpose));
        }
        self.processes.remove(&id);
        Ok(())
    }

    /// Lets time pass: processes boot, crash and end; routers load, answer and finish.
    pub fn advance(&mut self, millis: u64, random: &mut Random, calm: Calm) {
        self.now = self.now.plus_millis(millis);
        let now = self.now;
        for process in
            self.processes.values_mut().filter(|process| process.state.is_live() && process.due <= now)
        {
            process.happen(now, random);
        }
        self.processes.values_mut().for_each(|process| process.change_readiness(random, calm));
        for router in &mut self.routers {
            router.happen(self.published.as_ref(), random, calm);
        }
        self.crash_requests();
    }

    /// Requests to a process that has ended are over.
    fn crash_requests(&mut self) {
        let processes = &self.processes;
        for router in &mut self.routers {
            router.in_flight.retain(|id, _| processes.get(id).is_some_and(|process| process.state.is_live()));
        }
    }

    pub fn crash_one(&mut self, random: &mut Random) {
        let live: Vec<_> =
            self.processes.iter().filter(|(_, p)| p.state.is_live()).map(|(id, _)| *id).collect();
        let now = self.now;
        if let Some(process) = random.pick(&live).and_then(|id| self.processes.get_mut(id)) {
            let vanishes = random.percent(30);
            process.state =
                if vanishes { ProcessState::Lost } else { exited(now, ExitStatus::Signal(9), false) };
        }
        self.crash_requests();
    }

    /// From now on no process misbehaves.
    pub fn heal(&mut self) {
        self.processes.values_mut().for_each(|process| process.behaviour = Behaviour::Healthy);
    }

    pub fn reboot(&mut self, ids: &mut Ids) {
        self.now = BootMillis(1_000);
        for process in self.processes.values_mut().filter(|process| process.state.is_live()) {
            process.state = ProcessState::Lost;
        }
        self.networks.clear();
        self.routers = vec![Router::new(ids)];
    }
}

/// Whether routers are still being slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calm {
    Faulty,
    Calm,
}

impl Process {
    fn happen(&mut self, now: BootMillis, random: &mut Random) {
        self.state = match (&self.state, &self.purpose) {
            (ProcessState::Stopping { .. }, _) => exited(now, ExitStatus::Signal(15), true),
            (_, Purpose::Job { .. }) => {
                let code = u8::from(self.behaviour == Behaviour::BadPhase);
                exited(now, ExitStatus::Code(code), false)
            }
            (ProcessState::Starting, _) => match self.behaviour {
                Behaviour::Deaf => return,
                Behaviour::CrashLoop => exited(now, ExitStatus::Code(1), false),
                Behaviour::Healthy | Behaviour::Flapping | Behaviour::BadPhase => {
                    ProcessState::Up { since: now }
                }
            },
            (ProcessState::Up { since } | ProcessState::Unready { since }, _) => match self.behaviour {
                Behaviour::CrashLoop => exited(now, ExitStatus::Code(1), false),
                Behaviour::Flapping if now.millis_since(*since) > 20_000 => {
                    exited(now, ExitStatus::Code(0), false)
                }
                Behaviour::Healthy | Behaviour::Flapping | Behaviour::BadPhase | Behaviour::Deaf => return,
            },
            (ProcessState::Exited(_) | ProcessState::Lost, _) => return,
        };
        self.due = now.plus_millis(random.below(2_000));
    }

    /// Its readiness checks begin to fail, or pass again.
    fn change_readiness(&mut self, random: &mut Random, calm: Calm) {
        let faulty = calm == Calm::Faulty && self.purpose.is_web();
        self.state = match self.state {
            ProcessState::Up { since } if faulty && random.percent(5) => ProcessState::Unready { since },
            ProcessState::Unready { since } if !faulty || random.percent(20) => ProcessState::Up { since },
            ProcessState::Up { .. }
            | ProcessState::Unready { .. }
            | ProcessState::Starting
            | ProcessState::Stopping { .. }
            | ProcessState::Exited(_)
            | ProcessState::Lost => return,
        };
    }
}

const fn exited(at: BootMillis, status: ExitStatus, stop_requested: bool) -> ProcessState {
    ProcessState::Exited(Exit { at, status, stop_requested, out_of_memory: false, failed_check: None })
}

impl Router {
    pub fn new(ids: &mut Ids) -> Self {
        let id = RouterId::from_uuid(ids.next_uuid());
        Self { id, table: None, in_flight: BTreeMap::new(), silent: true }
    }

    fn observe(&self) -> ObservedRouter {
        if self.silent {
            return ObservedRouter::Silent;
        }
        let mut held: BTreeMap<ProcessId, HeldProcess> = BTreeMap::new();
        for (process, endpoint) in self.table.iter().flat_map(RouteTable::endpoints) {
            let routed = self.table.as_ref().is_some_and(|table| table.routes(process));
            held.insert(process, HeldProcess { process, endpoint, routed, in_flight: 0 });
        }
        for (process, (endpoint, count)) in &self.in_flight {
            let new = HeldProcess { process: *process, endpoint: *endpoint, routed: false, in_flight: 0 };
            held.entry(*process).or_insert(new).in_flight = *count;
        }
        let loaded = self.table.as_ref().map(|table| table.generation);
        ObservedRouter::Answered(RouterStatus { router: self.id, loaded, held: held.into_values().collect() })
    }

    fn happen(&mut self, published: Option<&RouteTable>, random: &mut Random, calm: Calm) {
        let faulty = calm == Calm::Faulty;
        self.silent = faulty && random.percent(10);
        let loads = !faulty || random.percent(50);
        if let Some(published) = published.filter(|_| loads) {
            let newer = self.table.as_ref().is_none_or(|table| table.generation < published.generation);
            if newer {
                self.table = Some(published.clone());
            }
        }
        self.serve(random, calm);
    }

    /// Some requests end, some begin.
    fn serve(&mut self, random: &mut Random, calm: Calm) {
        let ends = if calm == Calm::Calm { 100 } else { 40 };
        self.in_flight.retain(|_, (_, count)| {
            if random.percent(ends) {
                *count = count.saturating_sub(1 + random.below(3) as u32);
            }
            *count > 0
        });
        if calm == Calm::Calm {
            return;
        }
        let routed: Vec<_> =
            self.table.iter().flat_map(|table| &table.apps).flat_map(|app| &app.processes).collect();
        if let Some(process) = random.pick(&routed) {
            self.in_flight.entry(process.process).or_insert((process.endpoint, 0)).1 += 1;
        }
    }
}

fn is_predecessor(process: &Process, spawn: &Spawn) -> bool {
    match (&process.purpose, &spawn.purpose) {
        (
            Purpose::Slot { release: old, process_type: a, index: i },
            Purpose::Slot { release: new, process_type: b, index: j },
        ) => process.app == spawn.app && !a.is_web() && a == b && i == j && old != new,
        (Purpose::Slot { .. } | Purpose::Job { .. }, _) => false,
    }
}
