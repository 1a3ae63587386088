//! One message over a local `SOCK_SEQPACKET` socket: a JSON document and descriptors beside it. Shared by the launcher's socket
//! and the shims' control sockets, both ends.

use crate::protocol::{MAX_DESCRIPTORS, MAX_MESSAGE_BYTES};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Largest message within a sandbox's own socket and to a control socket, in bytes.
pub const MAX_SHORT_BYTES: usize = 4096;

/// What went wrong with one message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("the other side has closed the connection")]
    Closed,
    #[error("a message has more than {MAX_MESSAGE_BYTES} bytes or {MAX_DESCRIPTORS} descriptors")]
    TooLarge,
    #[error("a message is not what this version understands")]
    Json(#[from] serde_json::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error("the socket failed")]
    Socket(#[source] std::io::Error),
}

impl From<rustix::io::Errno> for MessageError {
    fn from(errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        match errno {
            Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN => Self::Closed,
            Errno::AGAIN | Errno::TIMEDOUT => Self::TimedOut,
            Errno::MSGSIZE => Self::TooLarge,
            other => Self::Socket(other.into()),
        }
    }
}

/// Connects to a socket that lies at any depth: `sun_path` holds 108 bytes, so the folder is named by a descriptor.
pub fn connect(path: &Path, timeout: Duration) -> Result<OwnedFd, MessageError> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_timeouts(&socket, timeout)?;
    let (_folder, address) = short_address(path)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// The same, and never to what a link at that path leads to.
pub fn connect_itself(path: &Path, timeout: Duration) -> Result<OwnedFd, MessageError> {
    use rustix::fs::{FileType, Mode, OFlags};
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) != FileType::Socket {
        return Err(MessageError::Socket(std::io::ErrorKind::InvalidInput.into()));
    }
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_timeouts(&socket, timeout)?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Binds and listens at a path of any length, replacing a socket that lies there.
pub fn listen(path: &Path, backlog: i32) -> Result<OwnedFd, MessageError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(MessageError::Socket(error));
        }
        Ok(()) | Err(_) => {}
    }
    let (_folder, address) = short_address(path)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(socket)
}

fn short_address(path: &Path) -> Result<(OwnedFd, SocketAddrUnix), MessageError> {
    use rustix::fs::{Mode, OFlags};
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))?;
    Ok((folder, address))
}

pub fn set_timeouts(socket: &OwnedFd, timeout: Duration) -> Result<(), MessageError> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    set_socket_timeout(socket, Timeout::Recv, Some(timeout))?;
    set_socket_timeout(socket, Timeout::Send, Some(timeout))?;
    Ok(())
}

/// Sends one document.
pub fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    document: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), MessageError> {
    let bytes = serde_json::to_vec(document)?;
    if bytes.len() > MAX_MESSAGE_BYTES || descriptors.len() > MAX_DESCRIPTORS {
        return Err(MessageError::TooLarge);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(MessageError::TooLarge);
    }
    let parts = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Receives one document; every descriptor is close-on-exec.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> Result<(T, Vec<OwnedFd>), MessageError> {
    receive_into(socket, &mut vec![0; MAX_MESSAGE_BYTES])
}

/// The same where only short documents are expected: touches less memory, of which a shim should hold little.
pub fn receive_short<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> Result<(T, Vec<OwnedFd>), MessageError> {
    receive_into(socket, &mut [0; MAX_SHORT_BYTES])
}

fn receive_into<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(T, Vec<OwnedFd>), MessageError> {
    let (count, descriptors) = receive_bytes(socket, bytes)?;
    Ok((serde_json::from_slice(&bytes[..count])?, descriptors))
}

/// Receives one document unread: how many bytes it has, and the descriptors beside it.
pub fn receive_bytes(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), MessageError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(bytes)];
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = ancillary
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
            _ => Vec::new(),
        })
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(MessageError::TooLarge);
    }
    if received.bytes == 0 {
        return Err(MessageError::Closed);
    }
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn pair() -> (OwnedFd, OwnedFd) {
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap()
    }

    #[test]
    fn documents_and_descriptors_arrive_and_a_close_is_told() {
        let (a, b) = pair();
        let null = std::fs::File::open("/dev/null").unwrap();
        send(a.as_fd(), &"hello", &[null.as_fd(), null.as_fd()]).unwrap();
        let (text, descriptors) = receive::<String>(b.as_fd()).unwrap();
        assert_eq!((text.as_str(), descriptors.len()), ("hello", 2));
        drop(a);
        assert!(matches!(receive::<String>(b.as_fd()), Err(MessageError::Closed)));
    }

    #[test]
    fn what_is_too_large_is_refused_on_both_ends() {
        let (a, b) = pair();
        let large = "x".repeat(MAX_MESSAGE_BYTES + 1);
        assert!(matches!(send(a.as_fd(), &large, &[]), Err(MessageError::TooLarge)));
        rustix::net::send(&a, large.as_bytes(), SendFlags::empty()).unwrap();
        assert!(matches!(receive::<String>(b.as_fd()), Err(MessageError::TooLarge)));
    }

    #[test]
    fn sockets_work_at_any_depth() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("ctl");
        let listener = listen(&path, 4).unwrap();
        let client = connect(&path, Duration::from_secs(5)).unwrap();
        let server = rustix::net::accept(&listener).unwrap();
        send(client.as_fd(), &7, &[]).unwrap();
        assert_eq!(receive::<u32>(server.as_fd()).unwrap().0, 7);
        connect_itself(&path, Duration::from_secs(5)).unwrap();
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        connect(&link, Duration::from_secs(5)).unwrap();
        let refused = connect_itself(&link, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(refused, MessageError::Socket(_)), "{refused:?}");
    }
}
