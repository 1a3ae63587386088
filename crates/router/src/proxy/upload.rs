//! A request's body on its way to the process: pulled only as fast as the process reads, and watched, so that the one who makes
//! everybody wait can be named.

use crate::codes::{Code, RequestFault};
use crate::connection::Connection;
use crate::drain::Permit;
use crate::settings::Timeouts;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The body given to the HTTP library.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Option<Incoming>,
    progress: Rc<Progress>,
    /// The process is not free while it is still being sent to.
    pub permit: Option<Rc<Permit>>,
}

/// How far a body has come. Shared by the body, the handler and the response.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Cell<State>,
    changed: Notify,
    gate: Arc<ContinueGate>,
    connection: Arc<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The last piece was handed over at this time, and no more was asked for.
    WaitingForProcess(Instant),
    WaitingForClient(Instant),
    /// All was handed over at this time.
    Sent(Instant),
    Failed(UploadFault),
}

/// Why a body did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadFault {
    #[error("the client went away in the middle of the request")]
    ClientGone,
    #[error("the request's body is malformed")]
    Malformed(RequestFault),
    #[error("the response came to its end before the request")]
    NotWanted,
}

impl UploadFault {
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::ClientGone | Self::NotWanted => Code::H27,
            Self::Malformed(fault) => Code::H26(fault),
        }
    }
}

/// Holds a body back until the process says "100 Continue" (or something else ends the wait).
#[derive(Debug, Default)]
pub(crate) struct ContinueGate {
    closed: AtomicBool,
    body: AtomicWaker,
}

impl ContinueGate {
    pub(crate) fn open(&self) {
        if self.closed.swap(false, Ordering::SeqCst) {
            self.body.wake();
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Upload {
    /// `expects`: the client waits for "100 Continue" before it sends.
    pub(crate) fn new(body: Incoming, connection: Arc<Connection>, expects: Expects) -> (Self, Rc<Progress>) {
        let now = Instant::now();
        let is_empty = body.is_end_stream();
        let gate =
            ContinueGate { closed: AtomicBool::new(expects == Expects::Continue), ..Default::default() };
        let progress = Rc::new(Progress {
            state: Cell::new(if is_empty { State::Sent(now) } else { State::WaitingForProcess(now) }),
            changed: Notify::new(),
            gate: Arc::new(gate),
            connection,
        });
        let body = (!is_empty).then_some(body);
        (Self { body, progress: Rc::clone(&progress), permit: None }, progress)
    }

    /// A body without bytes, for sending such a request again.
    pub(crate) fn empty(progress: Rc<Progress>) -> Self {
        progress.state.set(State::Sent(Instant::now()));
        Self { body: None, progress, permit: None }
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFault>>> {
        if let State::Failed(fault) = self.progress.state.get() {
            return Poll::Ready(Some(Err(fault)));
        }
        self.progress.gate.body.register(context.waker());
        if self.progress.gate.is_closed() {
            return Poll::Pending;
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(&mut *body).poll_frame(context) {
            Poll::Pending => {
                self.progress.waits_for_client();
                Poll::Pending
            }
            // Trailers of a request are not passed on.
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                let ended = body.is_end_stream();
                self.progress.set(if ended { State::Sent } else { State::WaitingForProcess });
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.progress.client_failed()))),
        }
    }
}

/// Whether the client waits for "100 Continue".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expects {
    Nothing,
    Continue,
}

impl Progress {
    fn set(&self, state: fn(Instant) -> State) {
        self.state.set(state(Instant::now()));
        if matches!(self.state.get(), State::Sent(_)) {
            self.changed.notify_waiters();
        }
    }

    fn waits_for_client(&self) {
        if !matches!(self.state.get(), State::WaitingForClient(_)) {
            self.set(State::WaitingForClient);
        }
    }

    fn client_failed(&self) -> UploadFault {
        let fault = self.connection.body_fault().map_or(UploadFault::ClientGone, UploadFault::Malformed);
        self.state.set(State::Failed(fault));
        fault
    }

    pub(crate) fn fault(&self) -> Option<UploadFault> {
        match self.state.get() {
            State::Failed(fault) => Some(fault),
            State::WaitingForClient(_) | State::WaitingForProcess(_) | State::Sent(_) => None,
        }
    }

    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.state.get(), State::Sent(_))
    }

    pub(crate) fn gate(&self) -> &Arc<ContinueGate> {
        &self.gate
    }

    /// When the body last moved, if it has not come to its end.
    pub(crate) fn moved_at(&self) -> Option<Instant> {
        match self.state.get() {
            State::WaitingForClient(at) | State::WaitingForProcess(at) => Some(at),
            State::Sent(_) | State::Failed(_) => None,
        }
    }

    /// The response is complete: what is left of the request is not wanted.
    pub(crate) fn abort(&self) {
        if !self.is_sent() {
            self.state.set(State::Failed(UploadFault::NotWanted));
            self.gate.body.wake();
        }
    }

    /// Counts the time until the response's first byte. Returns the code of whoever let it pass.
    pub(crate) async fn expire(&self, timeouts: &Timeouts) -> Code {
        if self.gate.is_closed() {
            tokio::time::sleep(timeouts.expect).await;
            self.gate.open();
        }
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let (deadline, code) = match self.state.get() {
                State::Sent(at) => (at + timeouts.first_byte, Code::H12),
                State::WaitingForClient(at) => (at + timeouts.idle, Code::H28),
                State::WaitingForProcess(at) => (at + timeouts.idle, Code::H15),
                State::Failed(fault) => return fault.code(),
            };
            if deadline <= Instant::now() {
                return code;
            }
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = changed => {}
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFault>>> {
        let result = self.poll_body(context);
        if matches!(result, Poll::Ready(None)) {
            self.body = None;
            self.progress.set(State::Sent);
        }
        result
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
