//! The test binary outside of any sandbox, as root: the other half of every attempt.

use std::process::Command;

/// What `attempt ...` prints when it is made on the host.
pub fn attempt_outside(words: &[&str]) -> String {
    let output = Command::new("/proc/self/exe").arg("attempt").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
