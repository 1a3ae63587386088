//! A git repository with a finished program as its app, and pushes from it by the real git.

use super::server::Server;
use crate::shell;
use anyhow::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The app's one process, as its Procfile and a shell would start it.
pub const COMMAND: &str = "./probe";

pub struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// A repository for an app that is created with it.
    pub fn new(server: &Server, app: &str, probe: &Path) -> Result<Self> {
        let repository = Self::empty(server, app)?;
        std::fs::write(repository.folder.join("Procfile"), format!("web: {COMMAND}\n"))?;
        std::fs::copy(probe, repository.folder.join("probe"))?;
        Ok(repository)
    }

    /// One without files, for an app that is created with it.
    pub fn empty(server: &Server, app: &str) -> Result<Self> {
        let repository = Self { folder: server.folder().join(app) };
        std::fs::create_dir(&repository.folder)?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.git(&["config", "user.name", "Bench"])?;
        repository.git(&["config", "user.email", "bench@example.com"])?;
        server.dozen(&["apps:create", app])?;
        let mut remote = server.command();
        remote.args(["git:remote", "-a", app]).current_dir(&repository.folder);
        shell::run(remote.stdout(Stdio::null()).stderr(Stdio::null()))?;
        Ok(repository)
    }

    /// Commits everything, with a version for the app to tell.
    pub fn commit(&self, version: &str) -> Result<()> {
        std::fs::write(self.folder.join("version"), version)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", version])
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A push that prints into a file of its own.
    pub fn push(&self, server: &Server) -> Result<Command> {
        let log = File::create(self.log())?;
        let mut push = Command::new("git");
        push.args(["push", "dozen", "HEAD:refs/heads/main"]).current_dir(&self.folder);
        push.envs(server.command().get_envs().filter_map(|(name, value)| Some((name, value?))));
        // A variable of the machine's would go before the repository's own setting of whom to trust.
        push.env_remove("GIT_SSL_CAINFO").env("GIT_TERMINAL_PROMPT", "0");
        push.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(push)
    }

    /// What the last push has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.join(".git/push.out")
    }

    fn git(&self, words: &[&str]) -> Result<()> {
        shell::run(Command::new("git").args(words).current_dir(&self.folder))
    }
}

/// Compiles the app: a web server on the standard library alone, which answers with its version.
pub fn compile_probe(server: &Server) -> Result<PathBuf> {
    let program = server.folder().join("probe");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-O", "-C", "strip=symbols", "-o"]).arg(&program);
    shell::run(rustc.arg(shell::root().join("crates/cli/tests/apps/probe.rs")))?;
    Ok(program)
}
