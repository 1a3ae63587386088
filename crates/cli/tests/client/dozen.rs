//! The binary in a home of its own.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A home and a current folder; nothing of the developer's environment but `PATH`.
pub struct Dozen {
    pub folder: TempDir,
    variables: Vec<(OsString, OsString)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }
}

impl Dozen {
    /// Not logged in anywhere.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, variables: Vec::new() }
    }

    /// With address and token of a server in the environment.
    pub fn at(url: &str) -> Self {
        Self::new().with("DOZEN_URL", url).with("DOZEN_TOKEN", "secret-token")
    }

    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn program() -> &'static str {
        env!("CARGO_BIN_EXE_dozen")
    }

    /// A command of any program in this environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("DOZEN_CONFIG_HOME", self.home());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with_input(arguments, b"")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        end_of(self.command(Self::program()).args(arguments), input)
    }

    /// Runs git here and gives its output.
    pub fn git(&self, arguments: &[&str]) -> String {
        let ended = end_of(self.command("git").args(arguments), b"");
        assert_eq!(ended.code, Some(0), "git {arguments:?}: {}", ended.stderr);
        ended.stdout().to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub fn end_of(command: &mut Command, input: &[u8]) -> Ended {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    feeder.join().expect("fed");
    Ended {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).expect("there").mode() & 0o777
}

/// Longest wait for a program that has begun.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Waits until a program is as far as that. One that is not is killed, so that a test that fails leaves nothing behind.
pub fn until(what: &str, child: &mut Child, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + READY_WITHIN;
    while !ready() {
        let has_ended = child.try_wait().expect("it can be looked at").is_some();
        if has_ended || Instant::now() > end {
            let _it_may_have_ended = child.kill();
            panic!("{what}: not before it ended, or within {} s", READY_WITHIN.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
