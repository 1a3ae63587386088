//! Pipes, sockets and terminals of a process as asynchronous streams, whatever kind of descriptor it is: tokio's pipe types only
//! read, write and wait, which all of these can.

use api::frame::WindowSize;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

/// A descriptor to read from.
pub struct ReadEnd(pipe::Receiver);

/// A descriptor to write to.
pub struct WriteEnd(pipe::Sender);

impl ReadEnd {
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        unblock(&fd)?;
        pipe::Receiver::from_owned_fd_unchecked(fd).map(Self)
    }

    /// Bytes read; 0 at the end, which a terminal tells by EIO. May be given up while it waits.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer).await {
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
            other => other,
        }
    }
}

impl WriteEnd {
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        unblock(&fd)?;
        pipe::Sender::from_owned_fd_unchecked(fd).map(Self)
    }

    /// Changes the size of the terminal whose master this is; its foreground processes get SIGWINCH.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        let size = Winsize { ws_col: size.columns, ws_row: size.lines, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(&self.0, size)?)
    }

    /// Writes all of it, as fast as the process reads.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }
}

fn unblock(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}
