//! A whole Dozen of the release build in a temporary folder, started as people start it.

use super::dozen;
use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_TIMEOUT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);

/// A running server. Dropping it stops everything and removes the folder.
pub struct Server {
    folder: PathBuf,
    api_port: u16,
    pub http_port: u16,
    foreground: Child,
}

impl Server {
    pub fn start(name: &str) -> Result<Self> {
        Self::start_with(name, &[])
    }

    /// The same with more settings.
    pub fn start_with(name: &str, settings: &[(&str, String)]) -> Result<Self> {
        let folder = temporary_folder(name)?;
        let (api_port, http_port) = (free_port()?, free_port()?);
        let log = std::fs::File::create(folder.join("server.out"))?;
        let mut command = command(&folder, api_port, http_port);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.arg("server").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let foreground = command.spawn().context("cannot start dozen server")?;
        let mut server = Self { folder, api_port, http_port, foreground };
        server.wait_until_up()?;
        Ok(server)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.folder.join("config/credentials.json").exists() {
            if self.foreground.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("dozen server did not come up:\n{}", self.output());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Everything that the server and its daemons have printed.
    pub fn output(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("server.out") + &read("data/dozen.log")
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn command(&self) -> Command {
        command(&self.folder, self.api_port, self.http_port)
    }

    /// Runs a client command that must succeed.
    pub fn dozen(&self, words: &[&str]) -> Result<String> {
        let output = self.command().args(words).stdin(Stdio::null()).output().context("cannot run dozen")?;
        if !output.status.success() {
            bail!(
                "dozen {} ended with {}: {}",
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn host(&self, app: &str) -> String {
        format!("{app}.localhost:{}", self.http_port)
    }

    /// The pid of a daemon: `serve`, `router` or `launcher`.
    pub fn daemon(&self, word: &str) -> Result<u32> {
        let marker = format!("DOZEN_DATA={}", self.data().display());
        let found = processes().find(|pid| {
            let has = |file: &str, wanted: &str| {
                let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                text.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
            };
            has("cmdline", word) && has("environ", &marker)
        });
        found.with_context(|| format!("there is no {word}"))
    }

    /// The pids of all shims and of what the launcher makes them of.
    pub fn shims(&self) -> Result<Shims> {
        let launcher = self.daemon("launcher")?;
        let is_shim = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"shim") && parent_of(*pid) == Some(launcher)
        };
        let (holding, templates) = processes().filter(is_shim).partition(|pid| child_of(*pid).is_some());
        Ok(Shims { holding, templates })
    }
}

/// Processes called shims.
pub struct Shims {
    /// Each holds an app's process.
    pub holding: Vec<u32>,
    /// Holds none and never will: the others are clones of it.
    pub templates: Vec<u32>,
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.dozen(&["server", "stop", "--apps"]) {
            Ok(_) => {}
            Err(error) => eprintln!("{error:#}\n{}", self.output()),
        }
        let _ended = self.foreground.kill();
        let _reaped = self.foreground.wait();
        remove_control_groups();
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// A folder of this run that daemons of other users can pass through.
fn temporary_folder(name: &str) -> Result<PathBuf> {
    folder_in(&std::env::temp_dir(), name)
}

/// The same, elsewhere.
pub fn folder_in(parent: &Path, name: &str) -> Result<PathBuf> {
    let folder = parent.join(format!("dozen-bench-{name}-{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn command(folder: &Path, api_port: u16, http_port: u16) -> Command {
    let program = dozen();
    let path = std::env::var("PATH").unwrap_or_default();
    let beside = program.parent().unwrap_or(folder).display().to_string();
    let mut command = Command::new(program);
    command.env("PATH", format!("{beside}:{path}"));
    command.env("DOZEN_DATA", folder.join("data")).env("DOZEN_CONFIG_HOME", folder.join("config"));
    command.env("DOZEN_API_LISTEN", format!("127.0.0.1:{api_port}"));
    command.env("DOZEN_HTTP_LISTEN", format!("127.0.0.1:{http_port}"));
    command.env("DOZEN_CGROUP", control_group());
    command
}

/// The folder that all control groups of this run lie in: beside it another server may run on the same machine.
pub fn control_group() -> String {
    format!("dozen-bench-{}", std::process::id())
}

/// Removes that folder from every hierarchy. What still holds a group stays.
pub fn remove_control_groups() {
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([top.to_owned()]) {
        let _in_use_or_never_there = std::fs::remove_dir(hierarchy.join(control_group()));
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The first child of a process.
pub fn child_of(parent: u32) -> Option<u32> {
    processes().find(|pid| parent_of(*pid) == Some(parent))
}

fn parent_of(pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
