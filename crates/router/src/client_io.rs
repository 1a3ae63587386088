//! The byte stream of one client connection, as the HTTP library sees it.
//!
//! Inbound bytes pass through [`Inbound`]; a head that is refused is replaced by a harmless one whose verdict makes the handler
//! answer with the error, so that errors keep their place among pipelined answers. Waiting is bounded here where only the stream
//! can see it: the idle time between requests, the time for a head, a client that takes nothing. At the end the stream lingers: it
//! takes in what the client still sends for a moment, since closing over unread bytes would destroy the last answer.

use crate::connection::{Connection, UpgradeAnswer, Verdict};
use crate::settings::Timeouts;
use crate::strict::{Decision, Inbound, Step};
use crate::timer::IdleTimer;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read from the socket at once.
const READ_BYTES: usize = 32 * 1024;
/// Kept of what a client sends between its request for another protocol and our answer.
const EARLY_BYTES: usize = 64 * 1024;
/// Taken in and dropped at the end of a connection.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// What the library reads in place of a refused head.
const REPLACEMENT: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// A client's stream.
pub(crate) struct ClientIo<S> {
    stream: S,
    connection: Arc<Connection>,
    timeouts: Arc<Timeouts>,
    inbound: Inbound,
    /// Checked, and not yet taken by the library: `passed..`.
    checked: Vec<u8>,
    passed: usize,
    /// Read from the socket, and not yet checked.
    unchecked: Vec<u8>,
    read_timer: IdleTimer,
    waiting_for: WaitingFor,
    write_timer: Option<IdleTimer>,
    /// An interim response, partly written.
    interim: Vec<u8>,
    closing: Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitingFor {
    Request,
    RestOfHead,
    /// A response, or the rest of a body: somebody else counts that time.
    Other,
}

enum Closing {
    Open,
    Lingering { timer: IdleTimer, left: usize },
}

/// What is left of a stream after HTTP ended on it.
pub(crate) struct Remains<S> {
    pub stream: S,
    /// Bytes that the client sent ahead.
    pub early: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientIo<S> {
    pub(crate) fn new(stream: S, connection: Arc<Connection>, timeouts: Arc<Timeouts>) -> Self {
        let read_timer = IdleTimer::new(timeouts.keep_alive);
        Self {
            stream,
            connection,
            timeouts,
            inbound: Inbound::new(),
            checked: Vec::new(),
            passed: 0,
            unchecked: Vec::new(),
            read_timer,
            waiting_for: WaitingFor::Request,
            write_timer: None,
            interim: Vec::new(),
            closing: Closing::Open,
        }
    }

    /// Takes the stream out after an upgrade, with the bytes that came early.
    pub(crate) fn into_remains(mut self) -> Remains<S> {
        let mut early = self.checked.split_off(self.passed.min(self.checked.len()));
        early.append(&mut self.unchecked);
        Remains { stream: self.stream, early }
    }

    fn take_answer(&mut self) {
        match self.connection.upgrade_answer() {
            UpgradeAnswer::Open => {}
            UpgradeAnswer::StayHttp => self.inbound.decide(Decision::StayHttp),
            UpgradeAnswer::Tunnel => self.inbound.decide(Decision::Tunnel),
        }
    }

    /// Checks `input` as far as it goes. What the library may see goes to it; what must wait goes back to `unchecked`.
    fn check(&mut self, input: &[u8], cursor: &mut ReadBufCursor<'_>) -> io::Result<Progress> {
        let mut rest = input;
        while !rest.is_empty() {
            match self.inbound.feed(rest) {
                Step::NeedMore => return Ok(Progress::NeedMore),
                Step::Head { taken, facts } => {
                    self.connection.push(Verdict::Accepted(facts));
                    let head = self.inbound.take_head();
                    self.deliver(&head, cursor);
                    rest = &rest[taken..];
                }
                Step::Pass(taken) => {
                    self.deliver(&rest[..taken], cursor);
                    rest = &rest[taken..];
                }
                Step::Wait => {
                    self.unchecked = rest.to_vec();
                    return Ok(Progress::MustWait);
                }
                Step::Refused(refusal) => {
                    self.connection.push(Verdict::Refused(refusal));
                    self.deliver(REPLACEMENT, cursor);
                    return Ok(Progress::NeedMore);
                }
                Step::BadBody(fault) => {
                    self.connection.set_body_fault(fault);
                    return Err(io::Error::new(ErrorKind::InvalidData, fault.cause()));
                }
                Step::Ended => return Ok(Progress::MustWait),
            }
        }
        Ok(Progress::NeedMore)
    }

    /// Hands checked bytes to the library; what does not fit waits in `checked`.
    fn deliver(&mut self, bytes: &[u8], cursor: &mut ReadBufCursor<'_>) {
        let fitting = if self.checked.is_empty() { bytes.len().min(cursor.remaining()) } else { 0 };
        cursor.put_slice(&bytes[..fitting]);
        self.checked.extend_from_slice(&bytes[fitting..]);
        self.waiting_for = WaitingFor::Other;
    }

    /// Hands over what waited.
    fn deliver_rest(&mut self, cursor: &mut ReadBufCursor<'_>) {
        let waiting = &self.checked[self.passed..];
        let fitting = waiting.len().min(cursor.remaining());
        cursor.put_slice(&waiting[..fitting]);
        self.passed += fitting;
        if self.passed == self.checked.len() {
            self.checked = Vec::new();
            self.passed = 0;
        }
    }

    /// Reads once from the socket and checks it. `Ready(Ok(0))` is the end of the stream.
    fn poll_socket(
        &mut self,
        context: &mut Context<'_>,
        cursor: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut storage = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut storage);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        if self.unchecked.is_empty() {
            self.check(buffer.filled(), cursor)?;
        } else {
            self.unchecked.extend_from_slice(buffer.filled());
        }
        Poll::Ready(Ok(length))
    }

    /// The socket has nothing: how long may that go on?
    ///
    /// The library does not look here when a response ends, so the timer also runs during one, only to look what is waited for since;
    /// an idle connection is closed after one to two times its time.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting_for = if self.connection.is_busy() {
            WaitingFor::Other
        } else if self.inbound.is_in_head() {
            WaitingFor::RestOfHead
        } else if self.inbound.is_between_requests() {
            WaitingFor::Request
        } else {
            WaitingFor::Other
        };
        if waiting_for != self.waiting_for {
            self.waiting_for = waiting_for;
            self.read_timer.restart(match waiting_for {
                WaitingFor::RestOfHead => self.timeouts.head,
                WaitingFor::Request | WaitingFor::Other => self.timeouts.keep_alive,
            });
        }
        ready!(self.read_timer.poll_expired(context));
        match waiting_for {
            WaitingFor::Request => Poll::Ready(Ok(())),
            WaitingFor::RestOfHead => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            WaitingFor::Other => {
                self.read_timer.restart(self.timeouts.keep_alive);
                // To be woken; whether it is time says nothing here.
                let _ = self.read_timer.poll_expired(context);
                Poll::Pending
            }
        }
    }

    fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            self.interim = self.connection.take_interim();
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.interim.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Bounds how long a write may make no progress at all.
    fn watch_write<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_timer = None;
            return result;
        }
        let idle = self.timeouts.idle;
        let timer = self.write_timer.get_or_insert_with(|| IdleTimer::new(idle));
        ready!(timer.poll_expired(context));
        self.connection.set_stalled();
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

enum Progress {
    NeedMore,
    MustWait,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Read for ClientIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.connection.register(context);
        let room = cursor.remaining();
        loop {
            this.deliver_rest(&mut cursor);
            if cursor.remaining() < room {
                return Poll::Ready(Ok(()));
            }
            this.take_answer();
            if !this.unchecked.is_empty() {
                let input = std::mem::take(&mut this.unchecked);
                match this.check(&input, &mut cursor)? {
                    Progress::NeedMore => continue,
                    Progress::MustWait if this.unchecked.len() >= EARLY_BYTES => return Poll::Pending,
                    Progress::MustWait => {}
                }
            }
            match this.poll_socket(context, &mut cursor) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return this.poll_patience(context),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for ClientIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = match this.poll_interim(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_write(context, bytes),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.watch_write(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let result = match this.poll_interim(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_flush(context),
            other => other,
        };
        this.watch_write(context, result)
    }

    /// Says that no more will come, then takes in what the client still sends, for a bounded time and amount.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.closing, Closing::Open) {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.closing =
                Closing::Lingering { timer: IdleTimer::new(this.timeouts.linger), left: LINGER_BYTES };
        }
        let Closing::Lingering { timer, left } = &mut this.closing else { return Poll::Ready(Ok(())) };
        loop {
            let mut storage = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut storage);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && *left > 0 => {
                    *left = left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return timer.poll_expired(context).map(Ok),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = match this.poll_interim(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_write_vectored(context, slices),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.watch_write(context, result)
    }
}
