//! A git child that gives something to a thread of ours. It is limited, it ends in time, and whoever loses interest in it ends it.

use super::child::limit_process;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{self, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Bytes of git's complaints that are passed on.
const MAX_COMPLAINT: u64 = 4096;
/// After git's end: for what is left in the pipe.
const COMPLAINT_WITHIN: Duration = Duration::from_secs(1);

/// A child. Dropping it ends it and takes it off the process table.
pub struct GitChild {
    child: Child,
    complaint: Option<Receiver<String>>,
    /// Dropped, it calls the watch off.
    watch: Option<Sender<()>>,
}

impl GitChild {
    /// Starts git without input.
    pub fn start(mut command: Command, limit: Duration) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut git = Self { child: command.spawn()?, complaint: None, watch: None };
        limit_process(git.child.id())?;
        git.watch = Some(watch(pidfd(&git.child)?, limit)?);
        let stderr = git.child.stderr.take().ok_or_else(|| io::Error::other("git has no standard error"))?;
        git.complaint = Some(listen(stderr)?);
        Ok(git)
    }

    /// What it prints. Reading it ends at the latest when the time is over.
    pub fn output(&mut self) -> io::Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| io::Error::other("git has no output"))
    }

    /// Waits for its end; gives the beginning of what it complained of as well.
    pub fn end(mut self) -> io::Result<(ExitStatus, String)> {
        let status = self.child.wait()?;
        let complaint = self.complaint.take().and_then(|told| told.recv_timeout(COMPLAINT_WITHIN).ok());
        Ok((status, complaint.unwrap_or_default()))
    }
}

impl Drop for GitChild {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _nobody_asks = self.child.wait();
    }
}

/// Names the process, and never another that has got its number.
fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("git has no process id"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn watch(process: OwnedFd, limit: Duration) -> io::Result<Sender<()>> {
    let (watch, called_off) = mpsc::channel();
    let thread = thread::Builder::new().name("git-limit".to_owned());
    thread.spawn(move || {
        if called_off.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a git child took too long and is ended");
            let _ended_already = pidfd_send_signal(&process, Signal::KILL);
        }
    })?;
    Ok(watch)
}

/// All of it is read, so that git never waits for a reader; the beginning is kept.
fn listen(mut stderr: ChildStderr) -> io::Result<Receiver<String>> {
    let (told, complaint) = mpsc::channel();
    let thread = thread::Builder::new().name("git-stderr".to_owned());
    thread.spawn(move || {
        let mut text = Vec::new();
        let _kept = (&mut stderr).take(MAX_COMPLAINT).read_to_end(&mut text);
        let _dropped = io::copy(&mut stderr, &mut io::sink());
        let _nobody_asks = told.send(String::from_utf8_lossy(&text).trim().to_owned());
    })?;
    Ok(complaint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Far beyond what anything here takes.
    const LONG: Duration = Duration::from_secs(300);

    fn start(script: &str, limit: Duration) -> GitChild {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        GitChild::start(command, limit).unwrap()
    }

    fn read(child: &mut GitChild) -> String {
        io::read_to_string(child.output().unwrap()).unwrap()
    }

    #[test]
    fn complaints_stop_nobody() {
        let mut child = start("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo tree; exit 3", LONG);
        assert_eq!(read(&mut child), "tree\n");
        let (status, complaint) = child.end().unwrap();
        assert_eq!((status.code(), complaint.len() as u64), (Some(3), MAX_COMPLAINT));
    }

    #[test]
    fn it_ends_in_time() {
        let mut child = start("echo begun; exec sleep 1000", Duration::from_millis(50));
        assert_eq!(read(&mut child), "begun\n");
        assert!(!child.end().unwrap().0.success());
    }

    #[test]
    fn nobody_is_left_behind() {
        let child = start("exec sleep 1000", LONG);
        let process = format!("/proc/{}", child.child.id());
        assert!(Path::new(&process).exists());
        drop(child);
        assert!(!Path::new(&process).exists());
    }
}
