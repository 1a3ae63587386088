//! What one client connection's byte stream and the handler of its requests tell each other.
//!
//! The HTTP library sits between the two and knows nothing of this. The stream pushes a verdict for each head that it passes on;
//! the handler pops one per request, in the same order. Both run on one thread; the lock is never contended and never held across
//! an await, it is there because the library wants its streams `Send`.

use crate::strict::{HeadFacts, Refusal};
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The shared state of one client connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    state: Mutex<State>,
    /// The task that drives the connection.
    task: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    verdicts: VecDeque<Verdict>,
    /// Requests handed to the handler and not finished.
    in_flight: u32,
    answer: UpgradeAnswer,
    /// Interim responses (1xx) that wait to be written.
    interim: Vec<u8>,
    body_fault: Option<crate::codes::RequestFault>,
    stalled: bool,
}

/// What was found in a head.
#[derive(Debug)]
pub(crate) enum Verdict {
    Accepted(HeadFacts),
    Refused(Refusal),
}

/// The handler's answer to a request for another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UpgradeAnswer {
    #[default]
    Open,
    StayHttp,
    Tunnel,
}

/// Bytes of interim responses that may wait for a client; more are dropped (they are optional by nature).
const INTERIM_BYTES: usize = 16 * 1024;

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, verdict: Verdict) {
        let mut state = self.state();
        state.verdicts.push_back(verdict);
        state.in_flight += 1;
        state.answer = UpgradeAnswer::Open;
    }

    pub(crate) fn pop(&self) -> Option<Verdict> {
        self.state().verdicts.pop_front()
    }

    /// A request has been answered to its end, or given up.
    pub(crate) fn finish_request(&self) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.state().in_flight > 0
    }

    pub(crate) fn answer_upgrade(&self, answer: UpgradeAnswer) {
        self.state().answer = answer;
        self.task.wake();
    }

    pub(crate) fn upgrade_answer(&self) -> UpgradeAnswer {
        self.state().answer
    }

    /// The request's body broke the rules in its middle.
    pub(crate) fn set_body_fault(&self, fault: crate::codes::RequestFault) {
        self.state().body_fault = Some(fault);
    }

    pub(crate) fn body_fault(&self) -> Option<crate::codes::RequestFault> {
        self.state().body_fault
    }

    /// The client took no byte for too long.
    pub(crate) fn set_stalled(&self) {
        self.state().stalled = true;
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.state().stalled
    }

    /// Queues an interim response; it is written before the final one.
    pub(crate) fn push_interim(&self, bytes: &[u8]) {
        let mut state = self.state();
        if state.interim.len() + bytes.len() <= INTERIM_BYTES {
            state.interim.extend_from_slice(bytes);
        }
        drop(state);
        self.task.wake();
    }

    pub(crate) fn take_interim(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().interim)
    }

    pub(crate) fn register(&self, context: &std::task::Context<'_>) {
        self.task.register(context.waker());
    }
}
