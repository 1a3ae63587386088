//! Finds a connection to a process for one request: by the table in force, waiting where the gate says so, trying others where one
//! refuses. No byte of the request has been sent before this is done, so every step may be taken again.

use crate::access_log::record::Record;
use crate::balance::choose;
use crate::codes::Code;
use crate::connect::{ConnectFailure, connect};
use crate::drain::{DoorKey, Permit};
use crate::gate::{Passage, Place, passage};
use crate::pool::Link;
use crate::table::{App, Upstream};
use crate::worker::Worker;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// While every process refuses: the first and the longest pause between rounds.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A process, entered, and a connection to it.
#[derive(Debug)]
pub(crate) struct Route {
    pub upstream: Arc<Upstream>,
    pub permit: Rc<Permit>,
    pub link: Link,
    pub source: Source,
}

/// Where a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It served other requests before; the process may just be closing it.
    Pool,
    New,
}

/// Which connections a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Any kept one: if the process just closes it, the request can be sent again.
    Kept,
    /// A kept one that was used a moment ago and is surely open: the request cannot be sent again.
    KeptAndOpen,
    New,
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoute {
    UnknownHost,
    Code(Code),
}

/// One request's search, with what it must remember between rounds and between sends.
#[derive(Debug)]
pub(crate) struct Search<'w> {
    worker: &'w Worker,
    started: Instant,
    place: Option<Place>,
    unreachable: Option<(Instant, Duration)>,
    /// Processes that took a connection and closed it before a byte was sent: not asked again by this request.
    avoided: Vec<DoorKey>,
}

/// How a round over an app's processes ended.
enum Round {
    Found(Route),
    /// The table changed under our feet.
    Outdated,
    Unreachable(Code),
    /// Only processes are left that this request gave up on.
    Exhausted,
    Ours,
}

impl<'w> Search<'w> {
    pub(crate) fn new(worker: &'w Worker) -> Self {
        Self { worker, started: Instant::now(), place: None, unreachable: None, avoided: Vec::new() }
    }

    pub(crate) fn avoid(&mut self, upstream: &Upstream) {
        self.avoided.push(upstream.door.key());
    }

    /// Finds a route for the request of `record`.
    pub(crate) async fn find(&mut self, record: &mut Record, wanted: Wanted) -> Result<Route, NoRoute> {
        let mut changes = self.worker.shared.serial.subscribe();
        loop {
            changes.borrow_and_update();
            let app = self.app_of(record.host())?;
            record.set_app(app.id);
            let (until, code) = match passage(app.gate, app.processes.len()) {
                Passage::Answer(code) => return Err(NoRoute::Code(code)),
                Passage::Wait => (self.started + self.worker.shared.timeouts.boot, Code::H20),
                Passage::Forward => match self.round(&app, record, wanted).await {
                    Round::Found(route) => {
                        self.place = None;
                        return Ok(route);
                    }
                    Round::Outdated => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Round::Unreachable(code) => (self.pause_until(code)?, code),
                    Round::Exhausted => return Err(NoRoute::Code(Code::H13)),
                    Round::Ours => return Err(NoRoute::Code(Code::H99)),
                },
            };
            self.take_place(&app)?;
            let last = code == Code::H20;
            tokio::select! {
                // The sender lives in `shared`: a change is the only way for this to end.
                _ = changes.changed() => {}
                () = sleep_until(until) => if last { return Err(NoRoute::Code(code)) },
            }
        }
    }

    fn app_of(&self, host: &str) -> Result<Arc<App>, NoRoute> {
        let snapshot = self.worker.shared.table.load();
        match (snapshot.find(host), snapshot.generation) {
            (Some(app), _) => Ok(Arc::clone(app)),
            (None, Some(_)) => Err(NoRoute::UnknownHost),
            (None, None) => Err(NoRoute::Code(Code::H99)),
        }
    }

    fn take_place(&mut self, app: &App) -> Result<(), NoRoute> {
        if self.place.is_none() {
            let limit = self.worker.shared.limits.waiting(app.processes.len());
            self.place = Some(Place::take(app, limit).ok_or(NoRoute::Code(Code::H11))?);
        }
        Ok(())
    }

    /// The end of the pause after a round in which nobody was reachable, unless that has gone on for too long.
    fn pause_until(&mut self, code: Code) -> Result<Instant, NoRoute> {
        let now = Instant::now();
        let (since, pause) = self.unreachable.unwrap_or((now, FIRST_PAUSE));
        if now - since >= self.worker.shared.timeouts.unreachable {
            return Err(NoRoute::Code(code));
        }
        self.unreachable = Some((since, (pause * 2).min(LONGEST_PAUSE)));
        Ok(now + pause)
    }

    /// Tries the app's processes, the least busy first, until one can be connected to.
    async fn round(&self, app: &App, record: &mut Record, wanted: Wanted) -> Round {
        let mut tried = self.avoided.clone();
        let mut last = None;
        for _ in 0..self.worker.shared.limits.processes_tried {
            let Some(upstream) = self.choose(app, &tried) else { break };
            let Some(permit) = upstream.door.enter() else { return Round::Outdated };
            record.set_process(upstream);
            let (link, source) = match self.link(upstream, wanted).await {
                Ok(found) => found,
                Err(failure) => {
                    record.set_connect_failed();
                    match self.note(upstream, failure) {
                        Code::H99 => return Round::Ours,
                        code => last = Some(code),
                    }
                    tried.push(upstream.door.key());
                    continue;
                }
            };
            let upstream = Arc::clone(upstream);
            return Round::Found(Route { upstream, permit: Rc::new(permit), link, source });
        }
        last.map_or(Round::Exhausted, Round::Unreachable)
    }

    /// Processes in quarantine come last, not never: perhaps they are all there is.
    fn choose<'a>(&self, app: &'a App, tried: &[DoorKey]) -> Option<&'a Arc<Upstream>> {
        let quarantine = self.worker.quarantine.borrow();
        let mut random = self.worker.random.borrow_mut();
        let untried = |upstream: &&Arc<Upstream>| !tried.contains(&upstream.door.key());
        let load = |upstream: &Arc<Upstream>| upstream.door.in_flight();
        let free = |upstream: &&Arc<Upstream>| untried(upstream) && !quarantine.holds(upstream.door.key());
        let index = choose(app.processes.iter().map(|u| Some(u).filter(free).map(load)), &mut random);
        let index = index
            .or_else(|| choose(app.processes.iter().map(|u| Some(u).filter(untried).map(load)), &mut random));
        index.map(|index| &app.processes[index])
    }

    async fn link(&self, upstream: &Upstream, wanted: Wanted) -> Result<(Link, Source), ConnectFailure> {
        if let Some(link) = self.kept(upstream, wanted).await {
            return Ok((link, Source::Pool));
        }
        let link = connect(upstream.endpoint, self.worker.shared.timeouts.connect).await?;
        Ok((link, Source::New))
    }

    async fn kept(&self, upstream: &Upstream, wanted: Wanted) -> Option<Link> {
        let timeouts = &self.worker.shared.timeouts;
        match wanted {
            Wanted::Kept => self.worker.pool.borrow_mut().take(&upstream.door, timeouts.pooled),
            Wanted::KeptAndOpen => {
                let link = self.worker.pool.borrow_mut().take(&upstream.door, timeouts.pooled_fresh)?;
                // Lets the runtime look at its sockets, and the link's driver see an end that has arrived by now.
                tokio::task::yield_now().await;
                (link.is_usable() && link.sender.is_ready()).then_some(link)
            }
            Wanted::New => None,
        }
    }

    fn note(&self, upstream: &Upstream, failure: ConnectFailure) -> Code {
        let code = match failure {
            ConnectFailure::Refused => Code::H21,
            ConnectFailure::TimedOut => Code::H19,
            ConnectFailure::Ours(error) => {
                tracing::error!(%error, endpoint = %upstream.endpoint, "a connection to a process could not be tried");
                return Code::H99;
            }
        };
        let wait = self.worker.shared.timeouts.quarantine;
        self.worker.quarantine.borrow_mut().add(upstream.door.key(), wait);
        code
    }
}
