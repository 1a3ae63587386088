//! A server of the demo's own, an app pushed to it, and the ways to ask it.

use super::http;
use super::service::Service;
use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The app of the demo.
pub const APP: &str = "hello";

/// Everything that runs.
pub struct World {
    folder: PathBuf,
    api_port: u16,
    http_port: u16,
    server: Child,
    pub service: Service,
}

impl World {
    pub fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("dozen-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // Daemons of other users pass through it.
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let service = Service::start().context("cannot start the backing service")?;
        let (api_port, http_port) = (free_port()?, free_port()?);
        let log = std::fs::File::create(folder.join("server.out"))?;
        let mut command = command(&folder, api_port, http_port);
        command.arg("server").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = command.spawn().context("cannot start dozen server")?;
        let mut world = Self { folder, api_port, http_port, server, service };
        world.wait_until_up()?;
        eprintln!(
            "a server is up: API on {api_port}, apps on {http_port}, data in {}",
            world.folder.display()
        );
        Ok(world)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !self.folder.join("config/credentials.json").exists() {
            if self.server.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("dozen server did not come up:\n{}", self.server_output());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What the sandbox of this server lacks and a server that root starts has. An error if no app can be started at all.
    pub fn weaker_walls(&self) -> Result<Vec<String>> {
        let output = self.try_dozen(&["doctor", "--json"])?;
        let report: Value = serde_json::from_slice(&output.stdout).context("dozen doctor printed no JSON")?;
        let named = |name: &'static str| {
            let checks = report["checks"].as_array().into_iter().flatten();
            checks
                .filter(move |check| check["name"] == name)
                .map(|check| check["detail"].as_str().unwrap_or_default())
        };
        if report["can_start_apps"] != true {
            bail!("this server can start no app: {}", named("launcher").collect::<Vec<_>>().join("; "));
        }
        Ok(named("weaker").map(str::to_owned).collect())
    }

    pub fn server_output(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        // The foreground repeats what the daemons log.
        read("server.out")
    }

    pub fn command(&self) -> Command {
        command(&self.folder, self.api_port, self.http_port)
    }

    /// Runs a client command to its end.
    pub fn try_dozen(&self, words: &[&str]) -> Result<Output> {
        self.command().args(words).stdin(Stdio::null()).output().context("cannot run dozen")
    }

    pub fn dozen(&self, words: &[&str]) -> Result<String> {
        let output = self.try_dozen(words)?;
        if !output.status.success() {
            bail!(
                "dozen {} ended with {}: {}",
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn json(&self, words: &[&str]) -> Result<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.dozen(&words)?)
            .with_context(|| format!("dozen {} printed no JSON", words.join(" ")))
    }

    pub fn host(&self) -> String {
        format!("{APP}.localhost:{}", self.http_port)
    }

    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        http::get(self.http_port, &self.host(), path)
    }

    /// A request by itself, for threads that have no world.
    pub fn getter(&self) -> impl Fn(&str) -> Result<(u16, String)> + Send + use<> {
        let (port, host) = (self.http_port, self.host());
        move |path| http::get(port, &host, path)
    }

    /// `GET /` as JSON.
    pub fn answer(&self) -> Result<Value> {
        let (status, body) = self.get("/")?;
        if status != 200 {
            bail!("GET / answered {status}: {body}");
        }
        serde_json::from_str(&body).context("GET / answered no JSON")
    }

    /// Polls until `check` gives something.
    pub fn eventually<T>(&self, what: &str, check: impl Fn(&Self) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + Duration::from_secs(45);
        loop {
            if let Some(found) = check(self) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("{what}: not within 45 s");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A repository with the example, pushed; returns its commit and what the push printed.
    pub fn push_example(&self) -> Result<(String, String)> {
        let repository = self.folder.join("hello");
        copy_tree(&shell::root().join("examples/hello"), &repository)?;
        for words in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["config", "user.name", "Demo"],
            &["config", "user.email", "demo@example.com"],
            &["add", "--all"],
            &["commit", "--quiet", "--message", "first"],
        ] {
            shell::run(Command::new("git").args(words).current_dir(&repository))?;
        }
        self.dozen(&["apps:create", APP])?;
        shell::run(
            self.command()
                .args(["git:remote", "-a", APP])
                .current_dir(&repository)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let commit =
            shell::capture(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(&repository))?;
        Ok((commit.trim().to_owned(), self.push(&repository)?))
    }

    fn push(&self, repository: &Path) -> Result<String> {
        use std::io::{BufRead, BufReader};
        let mut push = Command::new("git");
        push.args(["push", "dozen", "main"]).current_dir(repository).env("GIT_TERMINAL_PROMPT", "0");
        // A variable of the machine's would go before the repository's own setting of whom to trust.
        push.env_remove("GIT_SSL_CAINFO");
        push.envs(self.command().get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child =
            push.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run git push")?;
        let mut told = String::new();
        for line in BufReader::new(child.stderr.take().context("no output")?).lines() {
            let line = line?;
            eprintln!("  {line}");
            told.push_str(&line);
            told.push('\n');
        }
        if !child.wait()?.success() {
            bail!("git push failed:\n{told}");
        }
        Ok(told)
    }

    /// The pid of the control plane.
    pub fn server_pid(&self) -> Option<u32> {
        let marker = format!("DOZEN_DATA={}", self.folder.join("data").display());
        let entries = std::fs::read_dir("/proc").ok()?.flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"serve")
                && environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes())
        })
    }

    pub fn farewell(&self) -> String {
        format!(
            "\nThe app answers at http://{}/ until Ctrl-C. In another terminal:\n  export DOZEN_CONFIG_HOME={}\n  {} ps -a {APP}",
            self.host(),
            self.folder.join("config").display(),
            shell::target().join("debug/dozen").display(),
        )
    }

    /// The terminal's Ctrl-C reaches the server too; when it has ended, so do we.
    pub fn wait_for_interrupt(&mut self) {
        let _ended = self.server.wait();
    }

    /// Stops everything and removes the folder.
    pub fn stop(mut self) -> Result<()> {
        let _launcher_gone = self.command().args(["server"]).args(["stop", "--apps"]).output();
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}

fn command(folder: &Path, api_port: u16, http_port: u16) -> Command {
    let mut command = Command::new(shell::target().join("debug/dozen"));
    let bin = shell::target().join("debug");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", bin.display()));
    command.env("DOZEN_DATA", folder.join("data")).env("DOZEN_CONFIG_HOME", folder.join("config"));
    command.env("DOZEN_API_LISTEN", format!("127.0.0.1:{api_port}"));
    command.env("DOZEN_HTTP_LISTEN", format!("127.0.0.1:{http_port}"));
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "target" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
