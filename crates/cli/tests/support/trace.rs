//! Which programs a build executes, seen by looking at every process of the machine.

use super::server::{Server, processes};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What programs an app's build executed, seen by looking at every process of its build uid.
pub struct Trace {
    stop: Arc<AtomicBool>,
    seen: Option<JoinHandle<std::collections::BTreeSet<String>>>,
}

impl Trace {
    /// Looks at all processes without a pause: one that lives a millisecond is seen, package managers live hundreds.
    pub fn start(server: &Server) -> Self {
        let launcher = server.daemon("launcher").expect("the launcher runs");
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let seen = std::thread::spawn(move || {
            // Of this thread alone; where it is not allowed, a busy machine may hide something.
            let _allowed = rustix::process::setpriority_process(None, FIRST);
            let mut seen = std::collections::BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(processes().into_iter().filter_map(|pid| build_command(pid, launcher)));
            }
            seen
        });
        Self { stop, seen: Some(seen) }
    }

    pub fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.seen.take().expect("it ends once");
        seen.join().expect("it looked").into_iter().collect()
    }
}

/// A test that fails before the end takes nothing from those after it.
impl Drop for Trace {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Niceness of who must not miss what others start.
const FIRST: i32 = -15;
/// First uid of apps; a build's is odd.
const APP_UIDS: std::ops::Range<u32> = 2_000_000..2_100_000;

/// Programs that the step calls, without the step itself, whose order names a package manager as well.
pub fn tools(seen: &[String]) -> Vec<&String> {
    seen.iter().filter(|line| !line.starts_with("/.dozen/")).collect()
}

/// Other servers may be at work on the machine.
fn descends_from(pid: u32, ancestor: u32) -> bool {
    let mut at = pid;
    while at > 1 && at != ancestor {
        let stat = std::fs::read_to_string(format!("/proc/{at}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        at = after.split_whitespace().nth(1).and_then(|parent| parent.parse().ok()).unwrap_or(0);
    }
    at == ancestor
}

fn build_command(pid: u32, launcher: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A process that may not be looked at belongs to root by its folder; its status tells who it is.
    let own: u32 =
        status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()?;
    let is_build = [uid, own].iter().any(|uid| APP_UIDS.contains(uid) && uid % 2 == 1);
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|byte| *byte == 0).take(4).map(|word| String::from_utf8_lossy(word).into_owned());
    (is_build && descends_from(pid, launcher)).then(|| words.collect::<Vec<_>>().join(" "))
}
