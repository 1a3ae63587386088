//! What becomes of a request for an app, by the app's gate: forward, wait, or an answer of our own. The request's head waits here, its
//! body stays in the client's socket; how many may wait is bounded per app.

use crate::codes::Code;
use crate::table::App;
use domain::route::Gate;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What to do with a request for this app, by the table in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    Forward,
    /// Wait for another table.
    Wait,
    Answer(Code),
}

/// A gate that is open over nobody is one that is about to open.
pub(crate) const fn passage(gate: Gate, processes: usize) -> Passage {
    match gate {
        Gate::Running if processes == 0 => Passage::Wait,
        Gate::Running => Passage::Forward,
        Gate::Starting => Passage::Wait,
        Gate::Crashed => Passage::Answer(Code::H10),
        Gate::Blank => Passage::Answer(Code::H81),
        Gate::NoWeb => Passage::Answer(Code::H14),
        Gate::Maintenance => Passage::Answer(Code::H80),
    }
}

/// A place in an app's waiting room; dropping it leaves the room.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<AtomicU32>,
}

impl Place {
    /// Takes a place, unless `limit` requests wait already.
    pub(crate) fn take(app: &App, limit: u32) -> Option<Self> {
        let before = app.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self { room: Arc::clone(&app.waiting) };
        (before < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::AppId;

    #[test]
    fn every_gate_has_its_passage() {
        let cases = [
            (Gate::Running, 1, Passage::Forward),
            (Gate::Running, 0, Passage::Wait),
            (Gate::Starting, 0, Passage::Wait),
            (Gate::Crashed, 0, Passage::Answer(Code::H10)),
            (Gate::Blank, 0, Passage::Answer(Code::H81)),
            (Gate::NoWeb, 0, Passage::Answer(Code::H14)),
            (Gate::Maintenance, 2, Passage::Answer(Code::H80)),
        ];
        for (gate, processes, expected) in cases {
            assert_eq!(passage(gate, processes), expected, "{gate:?}");
        }
    }

    #[test]
    fn a_full_room_takes_nobody_until_someone_leaves() {
        let waiting = Arc::default();
        let app = App { id: AppId::from_u128(1), gate: Gate::Starting, processes: Vec::new(), waiting };
        let places: Vec<_> = (0..3).map(|_| Place::take(&app, 3)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(Place::take(&app, 3).is_none());
        drop(places);
        assert!(Place::take(&app, 3).is_some());
    }
}
