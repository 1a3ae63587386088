//! Ending when told to: SIGTERM from the platform, SIGINT from a terminal.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Becomes known once the process was told to stop.
pub struct Stop {
    told: Receiver<()>,
}

impl Stop {
    /// Calls `wake` when the signal comes, for those who do not wait by [`Stop::within`].
    pub fn watch(wake: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let (tell, told) = channel();
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                // Nobody waits any more: then the process is ending already.
                let _ = tell.send(());
                wake();
            }
        });
        Ok(Self { told })
    }

    /// Waits; true if the process was told to stop meanwhile.
    pub fn within(&self, pause: Duration) -> bool {
        !matches!(self.told.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
    }
}
