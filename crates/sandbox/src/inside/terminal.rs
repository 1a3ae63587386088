//! A terminal of the sandbox's own: made on its private `/dev/pts`, so that programs find it there under its own name.

use super::InsideError;
use super::exec::Descriptors;
use super::link::{FromInit, InitLink};
use crate::shim::orders::UserIds;
use crate::spec::WindowSize;
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use std::os::fd::{AsFd, OwnedFd};

/// Opens a terminal, sends its master to the shim and keeps its other side three times.
pub fn open(size: WindowSize, owner: UserIds, link: &InitLink) -> Result<Descriptors, InsideError> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty())
        .map_err(InsideError::at("open a terminal"))?;
    rustix::pty::unlockpt(&master).map_err(InsideError::at("unlock a terminal"))?;
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).map_err(InsideError::at("set a terminal's size"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let side =
        rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(InsideError::at("open a terminal's side"))?;
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    rustix::fs::fchown(&side, Some(uid), Some(gid)).map_err(InsideError::at("give a terminal to the app"))?;
    link.hand_over(&FromInit::Terminal, master.as_fd())
        .map_err(InsideError::at("hand a terminal to the shim"))?;
    Ok(Descriptors { input: copy(&side)?, output: copy(&side)?, error: side, extra: None })
}

fn copy(side: &OwnedFd) -> Result<OwnedFd, InsideError> {
    side.try_clone().map_err(InsideError::at("copy a terminal's descriptor"))
}
