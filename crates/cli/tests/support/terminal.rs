//! A person's terminal: a program at a pseudo-terminal of the test's own, keys that are pressed, and what is seen.

use super::eventually;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

/// A program at a terminal. Dropping it ends the program.
pub struct Terminal {
    master: File,
    /// Held so that the terminal outlives the program, whose last mode is of interest.
    side: OwnedFd,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts the program as leader of a session with this terminal.
    pub fn start(command: &Command, columns: u16, lines: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let side = ioctl_tiocgptpeer(&master, flags).expect("its side");
        let master = File::from(master);
        set_size(&master, columns, lines);
        let child = session_of(command, &side).spawn().expect("setsid runs");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (reader, heard) = (master.try_clone().expect("a copy"), Arc::clone(&seen));
        std::thread::spawn(move || listen(reader, &heard));
        Self { master, side, child, seen }
    }

    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    pub fn resize(&self, columns: u16, lines: u16) {
        set_size(&self.master, columns, lines);
    }

    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no holder panics")).into_owned()
    }

    /// Waits until the text is seen and returns all that was.
    pub fn wait_for(&self, text: &str) -> String {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while std::time::Instant::now() < deadline {
            if self.seen().contains(text) {
                return self.seen();
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{text:?} was not seen within 60 s, but:\n{}", self.seen());
    }

    /// The exit code and all that was seen.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status =
            eventually("the program at the terminal ends", 60, || self.child.try_wait().expect("its status"));
        // What it printed last may still be on its way to the thread that reads.
        std::thread::sleep(std::time::Duration::from_millis(100));
        (status.code(), self.seen())
    }

    /// Whether the terminal is as a shell wants it: it echoes and gives whole lines.
    pub fn is_sane(&self) -> bool {
        let modes = tcgetattr(&self.side).expect("its modes").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_some()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn set_size(master: &File, columns: u16, lines: u16) {
    let size = Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("a size");
}

/// The same command under `setsid --ctty`, which makes its standard input the session's terminal.
fn session_of(command: &Command, side: &OwnedFd) -> Command {
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg("--wait").arg(command.get_program()).args(command.get_args()).env_clear();
    session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        session.current_dir(folder);
    }
    let copy = || side.try_clone().expect("a copy");
    session.stdin(copy()).stdout(copy()).stderr(copy());
    session
}

fn listen(mut master: File, heard: &Mutex<Vec<u8>>) {
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = master.read(&mut piece) {
        heard.lock().expect("no holder panics").extend_from_slice(&piece[..count]);
    }
}
