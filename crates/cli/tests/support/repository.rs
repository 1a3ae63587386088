//! A local git repository and pushes from it, by the real git.

use super::server::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A repository in a temporary folder, with a remote for one app.
pub struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dozen-repo-").tempdir().expect("a temporary folder");
        let repository = Self { folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["config", "user.name", "Ada"]);
        repository.git(&["config", "user.email", "ada@example.com"]);
        repository
    }

    /// One whose `web` is the probe, and `worker` as well.
    pub fn with_probe() -> Self {
        let repository = Self::new();
        repository.write("Procfile", "web: ./probe\nworker: ./probe worker\n");
        repository.write("version", "one\n");
        std::fs::copy(probe(), repository.path().join("probe")).expect("the probe is copied");
        repository.commit("first");
        repository
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("its folders");
        std::fs::write(path, text).expect("a file");
    }

    /// Commits everything and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Makes the remote `dozen` lead to an app of this server.
    pub fn connect(&self, server: &Server, app: &str) {
        let mut command = server.command();
        let output =
            command.args(["git:remote", "-a", app]).current_dir(self.path()).output().expect("dozen runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Pushes and returns all of it.
    pub fn try_push(&self, server: &Server) -> Output {
        self.push_command(server).output().expect("git runs")
    }

    pub fn push_command(&self, server: &Server) -> Command {
        let mut command = Command::new("git");
        let dozen = super::server::program().parent().expect("a folder").to_path_buf();
        let path = format!("{}:{}", dozen.display(), std::env::var("PATH").unwrap_or_default());
        command.args(["push", "dozen", "HEAD:refs/heads/main"]).current_dir(self.path());
        // The credential helper is our own client.
        command
            .envs(server.command().get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", path);
        // A variable of the machine's would go before the repository's own setting of whom to trust.
        command.env_remove("GIT_SSL_CAINFO").env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
        command
    }

    /// Pushes, which must succeed, and returns what people see.
    pub fn push(&self, server: &Server) -> String {
        let output = self.try_push(server);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "git push ended with {}:\n{text}\n{}",
            output.status,
            server.output()
        );
        text
    }

    pub fn git(&self, words: &[&str]) -> String {
        let output = Command::new("git").args(words).current_dir(self.path()).output().expect("git runs");
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Names a compiled probe, for a user who has no compiler.
pub const PROBE_VARIABLE: &str = "DOZEN_PROBE_UNDER_TEST";

/// The compiled probe, made once per test program.
pub fn probe() -> PathBuf {
    if let Some(path) = std::env::var_os(PROBE_VARIABLE) {
        return path.into();
    }
    static PROBE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = PROBE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps/probe.rs");
        let mut rustc = Command::new("rustc");
        rustc
            .args(["--edition", "2024", "-O", "-C", "strip=symbols", "-o"])
            .arg(folder.path().join("probe"))
            .arg(source);
        assert!(rustc.status().expect("rustc runs").success(), "the probe compiles");
        folder
    });
    folder.path().join("probe")
}
