//! The service that apps live in: what makes its folder and idles there, and what ends the apps when it is stopped.

use super::UnitError;
use crate::daemons::launcher;
use crate::daemons::settings::Settings;
use domain::ids::ProcessId;
use sandbox::cgroup::Cgroups;
use sandbox::{control, run_folder};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// From the first request to end until what is left is the service manager's: the longest grace of a process, and a little.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);

/// Prepares the delegated folder, this process's own leaf in it included, and idles until told to end. The processes beside it
/// are none of its own: it only keeps the service up.
pub fn hold(settings: &Settings) -> Result<(), UnitError> {
    let (mut told, teller) = UnixStream::pair().map_err(UnitError::Signals)?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let teller = teller.try_clone().map_err(UnitError::Signals)?;
        signal_hook::low_level::pipe::register(signal, teller).map_err(UnitError::Signals)?;
    }
    // What cannot be had is tried again, and told, by the launcher.
    let _lost = Cgroups::detect(&launcher::cgroup(settings))?.prepare();
    super::tell_ready();
    told.read_exact(&mut [0]).map_err(UnitError::Signals)
}

/// Asks every process to end by its own stop policy, and waits until they have. The daemons that could start new ones have been
/// stopped before.
pub fn stop(settings: &Settings) -> Result<(), UnitError> {
    let boot = sandbox::system::boot_id().map_err(UnitError::BootId)?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    let mut asked = BTreeSet::new();
    loop {
        let scan = run_folder::observe_all(&settings.data, &boot).map_err(UnitError::Observe)?;
        let live: Vec<ProcessId> =
            scan.processes.iter().filter(|seen| seen.state.is_live()).map(|seen| seen.spec.process).collect();
        match (live.len(), Instant::now() >= deadline) {
            (0, _) => return Ok(()),
            (left, true) => return Err(UnitError::StillRunning(left)),
            (_, false) => {}
        }
        for process in live {
            if !asked.contains(&process) && control::stop(&settings.data, process).is_ok() {
                asked.insert(process);
            }
        }
        std::thread::sleep(POLL);
    }
}
