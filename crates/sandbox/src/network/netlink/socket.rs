//! Exchanging messages with the kernel. A socket stays in the network namespace it was opened in, whatever its owner does later.

use super::message::{Flags, Message};
use super::received::{Body, messages};
use crate::network::error::NetlinkError;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::os::fd::{AsRawFd, OwnedFd};

/// What one receive can hold. The kernel packs lists into 32 KB at most.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Longest wait for one receive. The kernel answers while it is asked; this guards against a lost answer.
const RECEIVE_TIMEOUT_SECONDS: i64 = 10;
/// Room for the answers to a batch, which all wait in the socket at once.
const RECEIVE_QUEUE_BYTES: usize = 1024 * 1024;
/// Things in one list at most: links of 50,000 apps, twice over, and as many routes.
const MAX_LISTED: usize = 400_000;
/// How often a list is asked for again when things changed under it.
const MAX_LIST_ATTEMPTS: u32 = 8;
/// How often an interrupted call is repeated.
const MAX_INTERRUPTS: u32 = 100;

/// Which part of the kernel to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Protocol {
    /// Links, addresses, routes, neighbours.
    Route,
    /// Packet rules.
    Netfilter,
}

/// A conversation with the kernel.
#[derive(Debug)]
pub(in crate::network) struct Socket {
    descriptor: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens in the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> Result<Self, NetlinkError> {
        let number = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let failed = |errno: Errno| NetlinkError::Open(errno.into());
        let descriptor =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, number).map_err(failed)?;
        setsockopt(&descriptor, sockopt::ReceiveTimeout, &TimeVal::new(RECEIVE_TIMEOUT_SECONDS, 0))
            .map_err(failed)?;
        setsockopt(&descriptor, sockopt::RcvBuf, &RECEIVE_QUEUE_BYTES).map_err(failed)?;
        Ok(Self { descriptor, sequence: 0 })
    }

    /// Has the kernel do one thing and waits until it is done.
    pub fn execute(&mut self, message: Message) -> Result<(), NetlinkError> {
        self.get(message, |_| ()).map(|_| ())
    }

    /// Asks for one thing; what is not there is the kernel's refusal.
    pub fn get<T>(&mut self, message: Message, read: impl Fn(&[u8]) -> T) -> Result<Option<T>, NetlinkError> {
        debug_assert!(message.flags().wants_acknowledgement());
        let sequence = self.next_sequence();
        self.send(&message.finish(sequence))?;
        let mut found = None;
        let mut acknowledged = false;
        while !acknowledged {
            self.receive(&mut |received_sequence, _, body| {
                if received_sequence != sequence {
                    return Ok(());
                }
                match body {
                    Body::Acknowledged | Body::ListEnd => acknowledged = true,
                    Body::Refused(error) => return Err(NetlinkError::Refused(error)),
                    Body::Noop => {}
                    Body::Thing { payload } => found = Some(read(payload)),
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Asks for all things of a kind; `read` picks out those that matter.
    pub fn list<T>(
        &mut self,
        message: &Message,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        debug_assert_eq!(message.flags(), Flags::DUMP);
        let mut attempts = 1;
        loop {
            let (listed, interrupted) = self.list_once(message.clone(), &read)?;
            if !interrupted || attempts == MAX_LIST_ATTEMPTS {
                return Ok(listed);
            }
            attempts += 1;
        }
    }

    fn list_once<T>(
        &mut self,
        message: Message,
        read: &impl Fn(&[u8]) -> Option<T>,
    ) -> Result<(Vec<T>, bool), NetlinkError> {
        let sequence = self.next_sequence();
        self.send(&message.finish(sequence))?;
        let (mut listed, mut seen) = (Vec::new(), 0_usize);
        let (mut interrupted, mut ended) = (false, false);
        while !ended {
            self.receive(&mut |received_sequence, received_interrupted, body| {
                if received_sequence != sequence {
                    return Ok(());
                }
                interrupted |= received_interrupted;
                seen += 1;
                if seen > MAX_LISTED {
                    return Err(NetlinkError::TooLong { limit: MAX_LISTED });
                }
                match body {
                    Body::Acknowledged | Body::ListEnd => ended = true,
                    Body::Refused(error) => return Err(NetlinkError::Refused(error)),
                    Body::Noop => {}
                    Body::Thing { payload } => listed.extend(read(payload)),
                }
                Ok(())
            })?;
        }
        Ok((listed, interrupted))
    }

    /// Sends messages in one datagram and waits until each one that asks for it is acknowledged. On the first refusal, the error
    /// comes with the place of the refused message.
    pub fn batch(&mut self, batch: Vec<Message>) -> Result<(), BatchError> {
        let first = self.sequence.wrapping_add(1);
        let count = batch.len();
        let mut awaited = batch.iter().filter(|message| message.flags().wants_acknowledgement()).count();
        let mut bytes = Vec::new();
        for message in batch {
            let sequence = self.next_sequence();
            bytes.extend(message.finish(sequence));
        }
        let whole = |source| BatchError { position: 0, source };
        self.send(&bytes).map_err(whole)?;
        let mut refused = None;
        while awaited > 0 && refused.is_none() {
            self.receive(&mut |sequence, _, body| {
                let position = sequence.wrapping_sub(first) as usize;
                if position >= count {
                    return Ok(());
                }
                match body {
                    Body::Acknowledged => awaited = awaited.saturating_sub(1),
                    Body::Refused(error) => {
                        refused.get_or_insert(BatchError { position, source: NetlinkError::Refused(error) });
                    }
                    Body::ListEnd | Body::Noop | Body::Thing { .. } => {}
                }
                Ok(())
            })
            .map_err(whole)?;
        }
        refused.map_or(Ok(()), Err)
    }

    const fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send(&self, bytes: &[u8]) -> Result<(), NetlinkError> {
        let kernel = NetlinkAddr::new(0, 0);
        let sent = uninterrupted(|| sendto(self.descriptor.as_raw_fd(), bytes, &kernel, MsgFlags::empty()));
        sent.map(|_| ()).map_err(|errno| NetlinkError::Send(errno.into()))
    }

    /// One receive, each of its messages given to `take`.
    fn receive(
        &self,
        take: &mut dyn FnMut(u32, bool, Body<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        let mut buffer = vec![0; RECEIVE_BYTES];
        let length = uninterrupted(|| recv(self.descriptor.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC))
            .map_err(|errno| NetlinkError::Receive(errno.into()))?;
        let bytes =
            buffer.get(..length).ok_or(NetlinkError::Malformed("an answer is longer than its buffer"))?;
        if bytes.is_empty() {
            return Err(NetlinkError::Malformed("an answer is empty"));
        }
        for message in messages(bytes) {
            let message = message?;
            take(message.sequence, message.interrupted, message.body)?;
        }
        Ok(())
    }
}

/// A refused batch: nothing of it was done.
#[derive(Debug)]
pub(in crate::network) struct BatchError {
    /// Which of its messages was refused, from 0.
    pub position: usize,
    pub source: NetlinkError,
}

fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    let mut interrupts = 0;
    loop {
        match call() {
            Err(Errno::EINTR) if interrupts < MAX_INTERRUPTS => interrupts += 1,
            other => return other,
        }
    }
}
