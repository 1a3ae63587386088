//! A hook's output to the person who pushes: never waited for. What the reader does not take is held up to a limit; beyond it
//! the newest lines are dropped, and how much was dropped is said at the end.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Output that is held for a reader who is behind.
const MAX_PENDING: usize = 1024 * 1024;
/// How long a reader who is behind is given at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Output that may be behind its reader.
pub struct Output {
    to: OwnedFd,
    pending: VecDeque<u8>,
    dropped: usize,
    state: Reader,
}

#[derive(PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

impl Output {
    /// Git gives both streams of a hook to the person who pushes; standard error is the one not mistaken for data.
    pub fn to_stderr() -> std::io::Result<Self> {
        Ok(Self::new(std::io::stderr().as_fd().try_clone_to_owned()?))
    }

    fn new(to: OwnedFd) -> Self {
        if let Ok(flags) = fcntl_getfl(&to) {
            let _best_effort = fcntl_setfl(&to, flags | OFlags::NONBLOCK);
        }
        Self { to, pending: VecDeque::new(), dropped: 0, state: Reader::There }
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }

    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.write_some();
        if self.state == Reader::Gone || self.pending.len() + bytes.len() > MAX_PENDING {
            self.dropped += bytes.len();
            return;
        }
        self.pending.extend(bytes);
        self.write_some();
    }

    /// Writes what the reader takes at once.
    pub fn write_some(&mut self) {
        while self.is_pending() {
            let (front, _) = self.pending.as_slices();
            match rustix::io::write(&self.to, front) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => {
                    self.dropped += self.pending.len();
                    self.pending.clear();
                    self.state = Reader::Gone;
                }
            }
        }
    }

    /// Gives a slow reader a last chance, then returns whatever it did.
    pub fn finish(&mut self) {
        if self.dropped > 0 && self.state == Reader::There {
            let note = format!(
                "\n !     {} bytes of output were not shown; dozen builds:info has them all\n",
                self.dropped
            );
            self.pending.extend(note.as_bytes());
        }
        let end = Instant::now() + LAST_WAIT;
        self.write_some();
        while self.is_pending() {
            let left = end.saturating_duration_since(Instant::now());
            let wait = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut watched = [PollFd::new(&self.to, PollFlags::OUT)];
            match poll(&mut watched, Some(&wait)) {
                Ok(0) => return,
                Ok(_) | Err(rustix::io::Errno::INTR) => self.write_some(),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_who_does_not_read_is_not_waited_for() {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut output = Output::new(write.into());
        for _ in 0..64 {
            output.push(&[b'x'; 64 * 1024]);
        }
        assert!(output.is_pending() && output.dropped > 0);
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            read.read_to_end(&mut text).unwrap();
            text
        });
        output.finish();
        let dropped = output.dropped;
        drop(output);
        let text = reader.join().unwrap();
        let note = text.iter().position(|b| *b == b'\n').expect("the note");
        assert_eq!(note + dropped, 64 * 64 * 1024, "everything is shown or counted");
    }

    #[test]
    fn a_reader_who_left_costs_nothing() {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let mut output = Output::new(write.into());
        output.push(b"hello");
        assert!(!output.is_pending());
        assert_eq!(output.dropped, 5);
        output.finish();
    }
}
