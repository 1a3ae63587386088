//! The launcher's socket: who is connected, who may ask, and whether who asks is still the present server.

use super::error::invalid;
use crate::format::Format;
use crate::message::{self, MessageError};
use crate::protocol::{Answer, Refusal, RefusalReason, Request, RequestMessage, ResponseMessage};
use rustix::net::{SocketFlags, sockopt};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Connections at once; a further one is dropped at once.
const MAX_CONNECTIONS: usize = 64;
/// Of these, places that a server cannot take: whatever becomes of it, the owner can still end it.
const KEPT_FOR_THE_OWNER: usize = 8;
const ROOT: u32 = 0;

/// Everybody who is connected.
pub struct Connections {
    listener: OwnedFd,
    connections: Vec<Connection>,
    server_uid: u32,
    /// Who may command the daemons, beside root: the launcher's own user.
    owner_uid: u32,
    highest_incarnation: u64,
}

struct Connection {
    socket: OwnedFd,
    uid: u32,
    incarnation: Option<u64>,
}

/// A request that may be carried out, with what came beside it.
pub struct Asked {
    pub request: Request,
    pub descriptors: Vec<OwnedFd>,
    pub reply: Reply,
}

/// Where the answer goes.
pub struct Reply {
    socket: OwnedFd,
}

impl Connections {
    pub const fn new(listener: OwnedFd, server_uid: u32, owner_uid: u32) -> Self {
        Self { listener, connections: Vec::new(), server_uid, owner_uid, highest_incarnation: 0 }
    }

    pub fn sockets(&self) -> impl Iterator<Item = &OwnedFd> {
        std::iter::once(&self.listener).chain(self.connections.iter().map(|connection| &connection.socket))
    }

    /// At most one request of each connection, so that none keeps the others waiting. Each is carried out before the next is
    /// looked at: whatever an older server asked for has happened, or is refused, once a newer one has been greeted.
    pub fn turn(&mut self, mut carry_out: impl FnMut(Asked, u64)) {
        self.accept();
        for mut connection in std::mem::take(&mut self.connections) {
            match message::receive::<RequestMessage>(connection.socket.as_fd()) {
                Err(MessageError::TimedOut) => self.connections.push(connection),
                Err(MessageError::Closed | MessageError::Socket(_)) => {}
                Err(error @ (MessageError::TooLarge | MessageError::Json(_))) => {
                    respond(&connection.socket, Err(invalid(domain::cause::chain(&error))), &[]);
                }
                Ok((message, descriptors)) => {
                    if let Some(asked) = self.admit(&mut connection, message.request, descriptors) {
                        carry_out(asked, self.highest_incarnation);
                    }
                    self.connections.push(connection);
                }
            }
        }
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(socket) = rustix::net::accept_with(&self.listener, flags) {
            let Ok(peer) = sockopt::socket_peercred(&socket) else { continue };
            let uid = peer.uid.as_raw();
            let allowed = [ROOT, self.owner_uid, self.server_uid].contains(&uid);
            let room = match rank(uid, self.owner_uid) {
                Rank::Owner => MAX_CONNECTIONS,
                Rank::Server => MAX_CONNECTIONS - KEPT_FOR_THE_OWNER,
            };
            if allowed && self.connections.len() < room {
                self.connections.push(Connection { socket, uid, incarnation: None });
            }
        }
    }

    /// Answers greetings and refusals itself; gives the rest on.
    fn admit(
        &mut self,
        connection: &mut Connection,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Option<Asked> {
        let judged = match &request {
            Request::Hello { incarnation } => {
                let greeted = judge_greeting(self.highest_incarnation, *incarnation);
                if greeted.is_ok() {
                    self.highest_incarnation = *incarnation;
                    connection.incarnation = Some(*incarnation);
                }
                respond(&connection.socket, greeted.map(|()| Answer::Done), &[]);
                return None;
            }
            other => {
                let rank = rank(connection.uid, self.owner_uid);
                judge(other, rank, connection.incarnation, self.highest_incarnation)
            }
        };
        let socket = connection.socket.try_clone().ok()?;
        match judged {
            Ok(()) => Some(Asked { request, descriptors, reply: Reply { socket } }),
            Err(refusal) => {
                respond(&socket, Err(refusal), &[]);
                None
            }
        }
    }
}

impl Reply {
    pub fn send(&self, response: Result<Answer, Refusal>, descriptors: &[BorrowedFd<'_>]) {
        respond(&self.socket, response, descriptors);
    }
}

/// Who has hung up, or does not read, does not hear it.
fn respond(socket: &OwnedFd, response: Result<Answer, Refusal>, descriptors: &[BorrowedFd<'_>]) {
    let _ = message::send(socket.as_fd(), &ResponseMessage { format: Format, response }, descriptors);
}

fn judge_greeting(highest: u64, incarnation: u64) -> Result<(), Refusal> {
    if incarnation < highest { Err(fenced(incarnation, highest)) } else { Ok(()) }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// Root, or the ordinary user whose launcher it is.
    Owner,
    Server,
}

const fn rank(uid: u32, owner_uid: u32) -> Rank {
    if uid == ROOT || uid == owner_uid { Rank::Owner } else { Rank::Server }
}

/// The owner may look and command the daemons without being a server; everything else needs the present server's greeting.
fn judge(request: &Request, rank: Rank, incarnation: Option<u64>, highest: u64) -> Result<(), Refusal> {
    match request {
        Request::Shutdown if rank == Rank::Server => Err(invalid("only root may end the launcher")),
        Request::Status | Request::NetworkInspect => Ok(()),
        Request::DaemonStart { .. } | Request::DaemonStop { .. } | Request::Shutdown
            if rank == Rank::Owner =>
        {
            Ok(())
        }
        Request::Hello { .. }
        | Request::Spawn { .. }
        | Request::NetworkCreate { .. }
        | Request::NetworkRemove { .. }
        | Request::ProcessRemove { .. }
        | Request::ShimRenew { .. }
        | Request::BuildRemove { .. }
        | Request::CacheRemove { .. }
        | Request::Listeners { .. }
        | Request::DaemonStart { .. }
        | Request::DaemonStop { .. }
        | Request::Shutdown => match incarnation {
            None => Err(invalid("the first request of a connection is a greeting")),
            Some(own) if own < highest => Err(fenced(own, highest)),
            Some(_) => Ok(()),
        },
    }
}

/// Whether a server that has greeted with this incarnation, the highest, may ask for it.
pub fn may_ask(request: &Request, incarnation: Option<u64>) -> bool {
    judge(request, Rank::Server, incarnation, incarnation.unwrap_or_default()).is_ok()
}

fn fenced(own: u64, highest: u64) -> Refusal {
    Refusal {
        reason: RefusalReason::Fenced,
        message: format!("a server of incarnation {highest} has taken over from this one, {own}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::AppId;

    #[test]
    fn only_the_present_server_may_act() {
        let act = Request::NetworkRemove { app: AppId::from_u128(1) };
        let reason =
            |incarnation| judge(&act, Rank::Server, incarnation, 5).err().map(|refusal| refusal.reason);
        assert_eq!(reason(None), Some(RefusalReason::Invalid));
        assert_eq!(reason(Some(4)), Some(RefusalReason::Fenced));
        assert_eq!(reason(Some(5)), None);
        assert_eq!(judge_greeting(5, 4).map_err(|refusal| refusal.reason), Err(RefusalReason::Fenced));
        assert!(judge_greeting(5, 5).is_ok() && judge_greeting(5, 6).is_ok());
    }

    /// Both messages wait when the launcher looks: the older server's must not be carried out after the newer one was answered.
    #[test]
    fn a_greeting_is_answered_after_what_was_asked_before() {
        use rustix::net::{AddressFamily, SocketType, socketpair};
        let pair =
            || socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK, None).unwrap();
        let ((old, old_end), (new, new_end), (listener, _)) = (pair(), pair(), pair());
        let mut connections = Connections::new(listener, 0, 0);
        connections.highest_incarnation = 1;
        let connected = |socket, incarnation| Connection { socket, uid: 0, incarnation };
        connections.connections = vec![connected(old_end, Some(1)), connected(new_end, None)];
        let act = Request::NetworkRemove { app: AppId::from_u128(1) };
        message::send(old.as_fd(), &RequestMessage { format: Format, request: act.clone() }, &[]).unwrap();
        let greeting = Request::Hello { incarnation: 2 };
        message::send(new.as_fd(), &RequestMessage { format: Format, request: greeting }, &[]).unwrap();
        let mut carried_out = 0;
        connections.turn(|asked, _| {
            carried_out += 1;
            assert_eq!(asked.request, act);
            let answered = message::receive::<ResponseMessage>(new.as_fd());
            assert!(matches!(answered, Err(MessageError::TimedOut)), "greeted too early");
        });
        assert_eq!((carried_out, connections.highest_incarnation), (1, 2));
        assert!(message::receive::<ResponseMessage>(new.as_fd()).is_ok());
    }

    #[test]
    fn only_root_ends_the_launcher() {
        assert_eq!(
            [rank(64_990, ROOT), rank(ROOT, ROOT), rank(ROOT, 1000)],
            [Rank::Server, Rank::Owner, Rank::Owner]
        );
        assert_eq!(rank(1000, 1000), Rank::Owner, "an ordinary user's launcher is that user's");
        assert!(judge(&Request::Shutdown, Rank::Server, Some(5), 5).is_err());
        assert!(judge(&Request::Shutdown, Rank::Owner, None, 5).is_ok());
        assert!(judge(&Request::Status, Rank::Server, None, 5).is_ok());
    }
}
