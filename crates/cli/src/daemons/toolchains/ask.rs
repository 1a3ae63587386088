//! Asking a program of this machine one thing: a line, within a time, whatever the program does.
//!
//! A program of an installation may be anybody's. Root has it run by a user that owns nothing, who learns nothing of ours and can
//! reach nothing that not everybody can.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whoever has not answered by then is killed.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
const MOST_ANSWER_BYTES: u64 = 4096;
/// What a program of an installation is given of an environment. Libraries are found from the prefix, where it stands: the folders
/// above may be closed to its user.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("LD_LIBRARY_PATH", "lib")];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    #[error("cannot run it: {0}")]
    Start(std::io::Error),
    #[error("it has not answered in {} seconds", ANSWER_LIMIT.as_secs())]
    TooSlow,
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    #[error("it said nothing")]
    Nothing,
}

/// Asks a program that this user starts by its plain name.
pub fn ask_own(program: &str, arguments: &[&str]) -> Result<String, Silence> {
    let mut command = Command::new(program);
    // What lies in the folder that we were started in is nobody's choice of a program.
    command.args(arguments).current_dir("/");
    answer(command, ANSWER_LIMIT)
}

/// Asks a program by its name below a prefix, as `user` if we are root.
pub fn ask_stranger(
    prefix: &Path,
    program: &str,
    arguments: &[&str],
    user: Option<u32>,
) -> Result<String, Silence> {
    // By its descriptor it can be entered although a folder above it is closed, as apps do by a mount.
    let folder = File::open(prefix).map_err(Silence::Start)?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    command.env_clear().envs(ENVIRONMENT);
    if let Some(id) = user {
        command.uid(id).gid(id);
    }
    answer(command, ANSWER_LIMIT)
}

/// The first line of what it prints, once it has ended.
fn answer(mut command: Command, limit: Duration) -> Result<String, Silence> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(Silence::Start)?;
    let in_time = ends_in_time(&child, limit);
    // With whatever it started. It has not been waited for yet, so that its number is still its own.
    let _ = rustix::process::kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child.wait().map_err(Silence::Start)?;
    if !in_time {
        return Err(Silence::TooSlow);
    }
    if !status.success() {
        return Err(Silence::Failed(status));
    }
    let line = said(&mut child).lines().next().map(|line| line.trim().to_owned());
    line.filter(|line| !line.is_empty()).ok_or(Silence::Nothing)
}

fn ends_in_time(child: &Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while matches!(rustix::process::waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None)) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// What is there. Somebody may hold the other end open still: nobody waits for them.
fn said(child: &mut Child) -> String {
    let Some(pipe) = child.stdout.take() else { return String::new() };
    let mut bytes = Vec::new();
    if rustix::io::ioctl_fionbio(&pipe, true).is_ok() {
        let _until_it_would_wait = pipe.take(MOST_ANSWER_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const STRANGER: u32 = 31_003;

    fn program(prefix: &Path, script: &str) {
        std::fs::create_dir_all(prefix.join("bin")).unwrap();
        std::fs::write(prefix.join("bin/tool"), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(prefix.join("bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_strangers_program_runs_as_nobody_in_a_closed_folder() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root to run something as another user");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let prefix = place.path().join("tool");
        program(
            &prefix,
            "echo $(id -u) $(id -g) $(id -G) $HOME $DOZEN_X $1 $(test -e bin/tool && echo here)",
        );
        let answer = ask_stranger(&prefix, "bin/tool", &["--version"], Some(STRANGER)).unwrap();
        assert_eq!(answer, "31003 31003 31003 --version here");
        let as_us = ask_stranger(&prefix, "bin/tool", &[], None).unwrap();
        assert!(as_us.starts_with("0 "), "{as_us}");
    }

    #[test]
    fn whatever_it_does_there_is_an_end() {
        let place = tempfile::tempdir().unwrap();
        let ask = |script: &str| {
            program(place.path(), script);
            ask_stranger(place.path(), "bin/tool", &[], None)
        };
        assert_eq!(ask("printf '  one  \\ntwo\\n'").unwrap(), "one");
        // One that it leaves behind, in a session of its own, keeps the pipe open.
        assert_eq!(ask("setsid sh -c 'until test -e end; do sleep 0.1; done' & echo said").unwrap(), "said");
        std::fs::write(place.path().join("end"), "").unwrap();
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "sleep 600 & sleep 600"]);
        assert!(matches!(answer(hangs, Duration::from_millis(100)), Err(Silence::TooSlow)));
        assert!(matches!(ask("echo no; exit 3"), Err(Silence::Failed(_))));
        assert!(matches!(ask("echo; echo late"), Err(Silence::Nothing)));
        assert!(matches!(ask_stranger(place.path(), "bin/none", &[], None), Err(Silence::Start(_))));
        assert!(matches!(ask_own("dozen-no-such-program", &[]), Err(Silence::Start(_))));
        assert_eq!(ask_own("pwd", &[]).unwrap(), "/");
    }
}
