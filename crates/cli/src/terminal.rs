//! The user's terminal while a process far away is its other end: raw, so that every key goes there, and put back as it was however
//! the program ends.

use api::frame::WindowSize;
use std::io::{self, IsTerminal};

/// Whether a person sits at both ends: what is typed comes from a terminal, and what is printed goes to one.
pub fn is_interactive() -> bool {
    cfg!(unix) && io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[cfg(unix)]
pub use unix::{Raw, window_size};

#[cfg(not(unix))]
pub use elsewhere::{Raw, window_size};

#[cfg(unix)]
mod unix {
    use super::WindowSize;
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
    use signal_hook::consts::{SIGHUP, SIGTERM, SIGWINCH};
    use std::io::{self, Read};
    use std::os::unix::net::UnixStream;
    use std::process::exit;

    /// What a shell reports of a program that a signal ended, less the signal.
    const ENDED_BY_SIGNAL: i32 = 128;

    /// A terminal in raw mode. Dropping it restores the mode from before.
    pub struct Raw {
        before: Termios,
    }

    impl Raw {
        /// Makes standard input's terminal raw. From then on each change of its window is told to `resized`.
        pub fn enter(resized: impl Fn(WindowSize) + Send + 'static) -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            restore_on_signals(&before)?;
            let changes = wakes_on(SIGWINCH)?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
            std::thread::spawn(move || watch_window(changes, resized));
            Ok(Self { before })
        }
    }

    impl Drop for Raw {
        fn drop(&mut self) {
            let _gone = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
        }
    }

    /// What standard output's terminal shows; `None` for one that does not know.
    pub fn window_size() -> Option<WindowSize> {
        let size = tcgetwinsize(io::stdout()).ok()?;
        let known = size.ws_col > 0 && size.ws_row > 0;
        known.then_some(WindowSize { columns: size.ws_col, lines: size.ws_row })
    }

    /// A stream that has a byte to read after each such signal.
    fn wakes_on(signal: i32) -> io::Result<UnixStream> {
        let (waiting, waking) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(signal, waking)?;
        Ok(waiting)
    }

    fn watch_window(mut changes: UnixStream, resized: impl Fn(WindowSize)) {
        let mut many = [0; 64];
        while let Ok(1..) = changes.read(&mut many) {
            if let Some(size) = window_size() {
                resized(size);
            }
        }
    }

    /// A terminal that is closed, or a polite end, must not leave the next program a raw terminal.
    fn restore_on_signals(before: &Termios) -> io::Result<()> {
        for signal in [SIGTERM, SIGHUP] {
            let mut waiting = wakes_on(signal)?;
            let before = before.clone();
            std::thread::spawn(move || {
                if let Ok(1..) = waiting.read(&mut [0]) {
                    let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &before);
                    exit(ENDED_BY_SIGNAL + signal);
                }
            });
        }
        Ok(())
    }
}

/// Where no terminal is interactive, none is made raw.
#[cfg(not(unix))]
mod elsewhere {
    use super::WindowSize;
    use std::io;

    pub struct Raw;

    impl Raw {
        pub fn enter(_resized: impl Fn(WindowSize) + Send + 'static) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub fn window_size() -> Option<WindowSize> {
        None
    }
}
