//! Whether a process accepts connections where it was told to. The shim lives in the app's network, so a plain connect to the
//! endpoint's own address is what the router will do later. Where that network is the host's, somebody else may be the one who
//! accepts: there the sandbox's init is asked as well whose socket it is.

use domain::time::BootMillis;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Between two attempts: the first wait and the longest.
const FIRST_WAIT_MILLIS: u64 = 20;
const LONGEST_WAIT_MILLIS: u64 = 250;
/// An attempt that is neither accepted nor refused is given up after this.
const ATTEMPT_MILLIS: u64 = 1_000;

/// Attempts to connect, one after another.
pub struct Probe {
    endpoint: SocketAddr,
    wait_millis: u64,
    attempt: Attempt,
}

enum Attempt {
    Next { at: BootMillis },
    UnderWay { socket: OwnedFd, until: BootMillis },
}

/// What an attempt has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    NotYet,
    Accepted,
}

impl Probe {
    pub const fn new(endpoint: SocketAddr, now: BootMillis) -> Self {
        Self {
            endpoint,
            wait_millis: FIRST_WAIT_MILLIS,
            attempt: Attempt::Next { at: now.plus_millis(FIRST_WAIT_MILLIS) },
        }
    }

    /// The socket of an attempt under way: writable when it is decided.
    pub const fn socket(&self) -> Option<&OwnedFd> {
        match &self.attempt {
            Attempt::UnderWay { socket, .. } => Some(socket),
            Attempt::Next { .. } => None,
        }
    }

    pub const fn due_at(&self) -> BootMillis {
        match &self.attempt {
            Attempt::Next { at } => *at,
            Attempt::UnderWay { until, .. } => *until,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: BootMillis) -> Outcome {
        if now < self.due_at() {
            return Outcome::NotYet;
        }
        match &self.attempt {
            Attempt::Next { .. } => self.begin(now),
            Attempt::UnderWay { .. } => self.fail(now),
        }
    }

    /// The socket of the attempt under way is writable.
    pub fn decided(&mut self, now: BootMillis) -> Outcome {
        match &self.attempt {
            Attempt::UnderWay { socket, .. } if is_connected(socket) => Outcome::Accepted,
            Attempt::UnderWay { .. } => self.fail(now),
            Attempt::Next { .. } => Outcome::NotYet,
        }
    }

    /// Somebody accepts, and it is not who should.
    pub fn reject(&mut self, now: BootMillis) {
        self.fail(now);
    }

    fn begin(&mut self, now: BootMillis) -> Outcome {
        match begin_connect(self.endpoint) {
            Ok(socket) if is_connected(&socket) => Outcome::Accepted,
            Ok(socket) => {
                self.attempt = Attempt::UnderWay { socket, until: now.plus_millis(ATTEMPT_MILLIS) };
                Outcome::NotYet
            }
            Err(_) => self.fail(now),
        }
    }

    fn fail(&mut self, now: BootMillis) -> Outcome {
        self.wait_millis = (self.wait_millis * 5 / 4).min(LONGEST_WAIT_MILLIS);
        self.attempt = Attempt::Next { at: now.plus_millis(self.wait_millis) };
        Outcome::NotYet
    }
}

/// A socket on its way to `address`: writable when that is decided.
pub(super) fn begin_connect(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// A connect within one machine can meet itself: where nobody listens and the kernel picks the wanted port as the source's, the
/// two ends are the same.
pub(super) fn is_connected(socket: &OwnedFd) -> bool {
    let (Ok(own), Ok(Some(peer))) = (rustix::net::getsockname(socket), rustix::net::getpeername(socket))
    else {
        return false;
    };
    matches!(rustix::net::sockopt::socket_error(socket), Ok(Ok(()))) && own != peer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Lets each attempt come due and be decided, without waiting for a clock.
    fn attempt(probe: &mut Probe, now: &mut BootMillis) -> Outcome {
        *now = now.plus_millis(LONGEST_WAIT_MILLIS);
        let outcome = probe.tick(*now);
        if outcome == Outcome::Accepted || probe.socket().is_none() {
            return outcome;
        }
        let socket = probe.socket().unwrap().try_clone().unwrap();
        let mut fds = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::OUT)];
        rustix::event::poll(&mut fds, None).unwrap();
        probe.decided(*now)
    }

    #[test]
    fn refused_until_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap();
        drop(listener);
        let mut now = BootMillis(0);
        let mut probe = Probe::new(endpoint, now);
        for _ in 0..20 {
            assert_eq!(attempt(&mut probe, &mut now), Outcome::NotYet);
        }
        let _listener = TcpListener::bind(endpoint).unwrap();
        assert_eq!(attempt(&mut probe, &mut now), Outcome::Accepted);
    }

    #[test]
    fn waits_grow_to_the_longest() {
        let mut probe = Probe::new("127.0.0.1:1".parse().unwrap(), BootMillis(0));
        assert_eq!(probe.due_at(), BootMillis(20));
        for _ in 0..40 {
            let now = probe.due_at();
            probe.fail(now);
        }
        let now = BootMillis(1_000_000);
        probe.fail(now);
        assert_eq!(probe.due_at().millis_since(now), LONGEST_WAIT_MILLIS);
    }
}
