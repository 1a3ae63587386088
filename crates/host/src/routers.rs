//! Router instances, seen through their folders `DATA/run/router/<id>`: a lock that is held while they live and a control socket
//! that answers one JSON line with one JSON line.

use domain::observed::ObservedRouter;
use domain::route::{RouterRequest, RouterStatus};
use sandbox::run_folder::is_lock_held;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a router's answer. A router that is slower counts as silent: nothing it may route is stopped.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Largest answer, in bytes.
const ANSWER_LIMIT: u64 = 16 * 1024 * 1024;

/// Every living router instance with its answer.
pub fn observe(folder: &Path) -> Vec<ObservedRouter> {
    living(folder).iter().map(|instance| ask(instance, RouterRequest::Status)).collect()
}

/// Tells every living router that there is a new table, and waits until each has answered or the time is up.
pub(crate) fn nudge(folder: &Path) {
    for instance in living(folder) {
        let _answer = ask(&instance, RouterRequest::Load);
    }
}

fn living(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let instances = entries.map(|entry| entry.path());
    // A lock that cannot be looked at may be held.
    instances.filter(|instance| is_lock_held(&instance.join("lock")).unwrap_or(true)).collect()
}

fn ask(instance: &Path, request: RouterRequest) -> ObservedRouter {
    match exchange(&instance.join("ctl"), request) {
        Ok(status) => ObservedRouter::Answered(status),
        Err(error) => {
            tracing::debug!(router = %instance.display(), error = %error, "a router did not answer");
            ObservedRouter::Silent
        }
    }
}

fn exchange(socket: &Path, request: RouterRequest) -> std::io::Result<RouterStatus> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_LIMIT)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
