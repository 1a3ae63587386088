//! Signals while the client runs: it is the one that ends by them, and we end with it.

use std::io;
use std::process::{Child, ExitStatus};

#[cfg(unix)]
pub use unix::{Signals, is_running};

#[cfg(unix)]
mod unix {
    use super::{Child, ExitStatus, io};
    use rustix::process::{Pid, Signal, kill_process, test_kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    /// Between two looks at the client and at the signals.
    const LOOK: Duration = Duration::from_millis(20);

    /// What has come and was not passed on yet.
    pub struct Signals {
        passed_on: [(Signal, Arc<AtomicBool>); 2],
    }

    impl Signals {
        pub fn listen() -> io::Result<Self> {
            // The key for an interrupt goes to both programs.
            noted(SIGINT)?;
            Ok(Self { passed_on: [(Signal::TERM, noted(SIGTERM)?), (Signal::HUP, noted(SIGHUP)?)] })
        }

        /// Passes on what comes, until the client has ended.
        pub fn wait_for(&self, client: &mut Child) -> io::Result<ExitStatus> {
            loop {
                if let Some(status) = client.try_wait()? {
                    return Ok(status);
                }
                for (signal, _) in
                    self.passed_on.iter().filter(|(_, came)| came.swap(false, Ordering::SeqCst))
                {
                    let _ended_meanwhile = kill_process(Pid::from_child(client), *signal);
                }
                std::thread::sleep(LOOK);
            }
        }
    }

    fn noted(signal: i32) -> io::Result<Arc<AtomicBool>> {
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal, Arc::clone(&came))?;
        Ok(came)
    }

    /// Whether a program has this number; somebody else's counts.
    pub fn is_running(number: u32) -> bool {
        i32::try_from(number)
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
}

/// Signals go to the whole console here.
#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub fn wait_for(&self, client: &mut Child) -> io::Result<ExitStatus> {
        client.wait()
    }
}

/// Nobody can tell.
#[cfg(not(unix))]
pub fn is_running(_: u32) -> bool {
    true
}
