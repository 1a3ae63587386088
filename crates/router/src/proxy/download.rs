//! A response's body on its way to the client: pulled only as fast as the client takes it. Its end is the request's end: the access line
//! is written, the connection goes back to the pool, the process's count goes down.

use crate::access_log::record::Record;
use crate::codes::Code;
use crate::drain::Permit;
use crate::pool::Link;
use crate::proxy::upload::Progress;
use crate::table::Upstream;
use crate::timer::IdleTimer;
use crate::worker::Worker;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// What the client gets.
#[derive(Debug)]
pub(crate) enum Answer {
    Page(Option<Bytes>),
    Process(Box<Download>),
}

/// A body that comes from a process.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    /// Until the end.
    exchange: Option<Exchange>,
    timer: IdleTimer,
    waiting: bool,
}

/// Everything that a request holds until its end.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub worker: Rc<Worker>,
    pub record: Record,
    pub upstream: Arc<Upstream>,
    pub link: Link,
    pub permit: Rc<Permit>,
    pub progress: Rc<Progress>,
}

/// A body that broke off. The client's connection is cut, so that it cannot take the part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the response broke off ({})", .0.facts().name)]
pub(crate) struct BrokenOff(Code);

impl Exchange {
    fn complete(self) {
        let Self { worker, record, upstream, link, permit, progress } = self;
        record.complete();
        if progress.is_sent() {
            worker.give_back(link, &upstream.door);
        } else {
            progress.abort();
        }
        drop(permit);
    }
}

impl Download {
    pub(crate) fn new(body: Incoming, exchange: Exchange) -> Self {
        let timer = IdleTimer::new(exchange.worker.shared.timeouts.idle);
        let mut download = Self { body, exchange: Some(exchange), timer, waiting: false };
        if download.body.is_end_stream() {
            download.complete();
        }
        download
    }

    fn complete(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.complete();
        }
    }

    fn break_off(&mut self, code: Code) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(exchange) = self.exchange.take() {
            exchange.record.break_off(code);
        }
        Poll::Ready(Some(Err(BrokenOff(code))))
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        self.waiting = false;
        let Ok(data) = frame.into_data() else {
            // Trailers of a response are not passed on.
            self.complete();
            return None;
        };
        if let Some(exchange) = &mut self.exchange {
            exchange.record.add_bytes(data.len());
        }
        if self.body.is_end_stream() {
            self.complete();
        }
        Some(Frame::data(data))
    }

    /// The process has nothing to say: for how long? A request that is still moving upwards counts as life.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(exchange) = &self.exchange else { return Poll::Pending };
        let idle = exchange.worker.shared.timeouts.idle;
        if !self.waiting {
            self.waiting = true;
            self.timer.restart(idle);
        }
        while self.timer.poll_expired(context).is_ready() {
            let moved = exchange.progress.moved_at().map(|at| at + idle);
            match moved.filter(|until| *until > Instant::now()) {
                Some(until) => self.timer.restart(until - Instant::now()),
                None => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(this.take(frame).map(Ok)),
            Poll::Ready(None) => {
                this.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(_))) => {
                let fault = this.exchange.as_ref().and_then(|exchange| exchange.progress.fault());
                this.break_off(fault.map_or(Code::H18, |fault| fault.code()))
            }
            Poll::Pending => match this.poll_idle(context) {
                Poll::Ready(()) => this.break_off(Code::H15),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Page(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Process(download) => Pin::new(download).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(bytes) => bytes.is_none(),
            Self::Process(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Process(download) => download.size_hint(),
        }
    }
}
