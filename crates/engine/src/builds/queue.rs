//! Whose turn it is. Pure bookkeeping in [`Lanes`]; [`push`] and [`finished`] act on what it decides.

use super::output::LiveOutput;
use super::work;
use super::{OUTPUT_FILE, folder};
use crate::context::RequestId;
use crate::engine::Engine;
use crate::ports::Cancel;
use domain::ids::{AppId, BuildId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A build in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) build: BuildId,
    pub(crate) app: AppId,
    /// Of the request that brought it.
    pub(crate) request_id: RequestId,
}

/// The queue and the outputs of the builds in it.
pub(crate) struct Builds(Mutex<State>);

struct State {
    lanes: Lanes,
    live: BTreeMap<BuildId, Arc<LiveOutput>>,
    /// About to be committed.
    expected: BTreeSet<BuildId>,
}

/// One lane per app, and a limit over all of them.
struct Lanes {
    limit: usize,
    running: BTreeMap<AppId, (BuildId, Cancel)>,
    /// In order of arrival; at most one per app.
    waiting: VecDeque<Ticket>,
}

impl Lanes {
    /// Adds a build; returns the one whose place it took.
    fn add(&mut self, ticket: Ticket) -> Option<Ticket> {
        match self.waiting.iter_mut().find(|waiting| waiting.app == ticket.app) {
            Some(place) => Some(std::mem::replace(place, ticket)),
            None => {
                self.waiting.push_back(ticket);
                None
            }
        }
    }

    /// Takes the next build that may run now.
    fn take(&mut self) -> Option<(Ticket, Cancel)> {
        if self.running.len() >= self.limit {
            return None;
        }
        let next = self.waiting.iter().position(|ticket| !self.running.contains_key(&ticket.app))?;
        let ticket = self.waiting.remove(next)?;
        let cancel = Cancel::default();
        self.running.insert(ticket.app, (ticket.build, cancel.clone()));
        Some((ticket, cancel))
    }

    fn end(&mut self, ticket: &Ticket) {
        if self.running.get(&ticket.app).is_some_and(|(build, _)| *build == ticket.build) {
            self.running.remove(&ticket.app);
        }
    }
}

impl Builds {
    pub(crate) fn new(limit: usize) -> Self {
        let lanes = Lanes { limit: limit.max(1), running: BTreeMap::new(), waiting: VecDeque::new() };
        Self(Mutex::new(State { lanes, live: BTreeMap::new(), expected: BTreeSet::new() }))
    }

    /// A build of this id will be committed in a moment: it is no orphan.
    pub(crate) fn expect(&self, build: BuildId) {
        self.lock().expected.insert(build);
    }

    pub(crate) fn forget(&self, build: BuildId) {
        self.lock().expected.remove(&build);
    }

    pub(crate) fn knows(&self, build: BuildId) -> bool {
        let state = self.lock();
        state.expected.contains(&build) || state.live.contains_key(&build)
    }

    pub(crate) fn live(&self, build: BuildId) -> Option<Arc<LiveOutput>> {
        self.lock().live.get(&build).cloned()
    }

    /// Tells a running build to stop, and takes a waiting one out of the queue, which is returned.
    pub(crate) fn cancel(&self, build: BuildId) -> Option<Ticket> {
        let mut state = self.lock();
        for (_, cancel) in state.lanes.running.values().filter(|(running, _)| *running == build) {
            cancel.cancel();
        }
        let place = state.lanes.waiting.iter().position(|ticket| ticket.build == build)?;
        state.lanes.waiting.remove(place)
    }

    /// The app is gone: so are its builds. Returned are those that waited; their folders are nobody's any more.
    pub(crate) fn cancel_app(&self, app: AppId) -> Vec<BuildId> {
        let mut state = self.lock();
        if let Some((_, cancel)) = state.lanes.running.get(&app) {
            cancel.cancel();
        }
        let dropped: Vec<_> =
            state.lanes.waiting.iter().filter(|ticket| ticket.app == app).cloned().collect();
        state.lanes.waiting.retain(|ticket| ticket.app != app);
        for ticket in &dropped {
            if let Some(live) = state.live.remove(&ticket.build) {
                live.end(domain::build::BuildStatus::Failed { reason: "the app was destroyed".to_owned() });
            }
        }
        dropped.into_iter().map(|ticket| ticket.build).collect()
    }

    pub(crate) fn cancel_all(&self) {
        let mut state = self.lock();
        let waiting: Vec<_> = state.lanes.waiting.drain(..).collect();
        for live in waiting.iter().filter_map(|ticket| state.live.get(&ticket.build)) {
            live.line(" !     The server is stopping; push again when it is back.");
            live.end(domain::build::BuildStatus::Failed { reason: "the server stopped".to_owned() });
        }
        for (_, cancel) in state.lanes.running.values() {
            cancel.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queues a committed build and starts what may start.
pub(crate) fn push(engine: &Engine, ticket: Ticket) {
    let live = Arc::new(LiveOutput::new(&folder(engine, ticket.build).join(OUTPUT_FILE)));
    let (replaced, waits) = {
        let mut state = engine.0.builds.lock();
        state.expected.remove(&ticket.build);
        state.live.insert(ticket.build, live.clone());
        let waits =
            state.lanes.running.contains_key(&ticket.app) || state.lanes.running.len() >= state.lanes.limit;
        (state.lanes.add(ticket), waits)
    };
    if waits {
        live.line("-----> Waiting for another build to end");
    }
    if let Some(replaced) = replaced {
        work::supersede(engine, &replaced);
    }
    start_next(engine);
}

/// A build has ended: its output is stored, its place is free.
pub(crate) fn finished(engine: &Engine, ticket: &Ticket) {
    {
        let mut state = engine.0.builds.lock();
        state.lanes.end(ticket);
        state.live.remove(&ticket.build);
    }
    engine.0.news.ring();
    start_next(engine);
}

/// A build that never ran has ended.
pub(crate) fn dropped(engine: &Engine, ticket: &Ticket) {
    engine.0.builds.lock().live.remove(&ticket.build);
    engine.0.news.ring();
}

fn start_next(engine: &Engine) {
    loop {
        let Some((ticket, cancel)) = engine.0.builds.lock().lanes.take() else { return };
        let (of, to_run) = (engine.clone(), ticket.clone());
        let thread = std::thread::Builder::new().name("build".to_owned());
        if let Err(error) = thread.spawn(move || work::run(&of, &to_run, &cancel)) {
            work::could_not_start(engine, &ticket, &error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(app: u128, build: u128) -> Ticket {
        Ticket {
            build: BuildId::from_u128(build),
            app: AppId::from_u128(app),
            request_id: RequestId::new("r"),
        }
    }

    fn lanes(limit: usize) -> Lanes {
        Lanes { limit, running: BTreeMap::new(), waiting: VecDeque::new() }
    }

    #[test]
    fn one_runs_one_waits_a_third_takes_its_place() {
        let mut lanes = lanes(2);
        assert!(lanes.add(ticket(1, 10)).is_none());
        let (first, _) = lanes.take().unwrap();
        assert!(lanes.add(ticket(1, 11)).is_none());
        assert!(lanes.take().is_none(), "one build of an app at a time");
        assert_eq!(lanes.add(ticket(1, 12)).unwrap().build, BuildId::from_u128(11));
        lanes.end(&first);
        assert_eq!(lanes.take().unwrap().0.build, BuildId::from_u128(12));
        assert!(lanes.take().is_none());
    }

    #[test]
    fn apps_share_the_limit_in_order_of_arrival() {
        let mut lanes = lanes(2);
        for n in 1..=4 {
            lanes.add(ticket(n, n * 10));
        }
        let (first, second) = (lanes.take().unwrap().0, lanes.take().unwrap().0);
        assert_eq!((first.build, second.build), (BuildId::from_u128(10), BuildId::from_u128(20)));
        assert!(lanes.take().is_none());
        lanes.end(&second);
        assert_eq!(lanes.take().unwrap().0.build, BuildId::from_u128(30));
    }
}
