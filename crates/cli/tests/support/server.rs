//! A whole Dozen in a temporary folder: `dozen server` as people start it.

use super::eventually;
use super::http;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The program under test.
pub const DOZEN: &str = env!("CARGO_BIN_EXE_dozen");

/// Names another copy of it, for a user who cannot reach the first.
pub const PROGRAM_VARIABLE: &str = "DOZEN_UNDER_TEST";

/// The program under test, where this user may execute it.
pub fn program() -> PathBuf {
    std::env::var_os(PROGRAM_VARIABLE).map_or_else(|| DOZEN.into(), PathBuf::from)
}

/// A running server. Dropping it stops everything and removes the folder.
pub struct Server {
    folder: tempfile::TempDir,
    pub api_port: u16,
    pub http_port: u16,
    settings: Vec<(String, String)>,
    foreground: Option<Child>,
    /// In place of the program under test.
    installed: Option<PathBuf>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts with more settings.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(free_port(), free_port(), settings)
    }

    /// Starts with these ports.
    pub fn start_on(api_port: u16, http_port: u16, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("dozen-e2e-").tempdir().expect("a temporary folder");
        // Daemons of other users must be able to pass through.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("its mode");
        let hooks = folder.path().join("hooks");
        std::fs::create_dir(&hooks).expect("a folder for fail points");
        std::fs::set_permissions(&hooks, std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("its mode");
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { folder, api_port, http_port, settings, foreground: None, installed: None };
        server.start_again();
        server
    }

    /// Runs `dozen server` and waits until the API answers.
    pub fn start_again(&mut self) {
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder.path().join("server.out"))
            .expect("a log");
        let mut command = self.command();
        command.arg("server").stdin(Stdio::null()).stdout(log.try_clone().expect("a copy")).stderr(log);
        let mut child = command.spawn().expect("dozen server starts");
        let port = self.api_port;
        eventually("the server is up", 40, || {
            if let Some(status) = child.try_wait().expect("its status") {
                panic!("dozen server ended with {status}:\n{}", self.output());
            }
            let answers = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            (answers && self.credentials().exists()).then_some(())
        });
        self.foreground = Some(child);
    }

    /// Changes a setting from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn credentials(&self) -> PathBuf {
        self.folder.path().join("config/credentials.json")
    }

    /// Everything that the server and its daemons have printed.
    pub fn output(&self) -> String {
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        read(self.folder.path().join("server.out")) + &read(self.data().join("dozen.log"))
    }

    /// The program with this server's settings and credentials.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.installed.clone().unwrap_or_else(program));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.folder.path());
        for name in ["CARGO_HOME", "RUSTUP_HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("DOZEN_DATA", self.data()).env("DOZEN_CONFIG_HOME", self.folder.path().join("config"));
        command.env("DOZEN_API_LISTEN", format!("127.0.0.1:{}", self.api_port));
        command.env("DOZEN_HTTP_LISTEN", format!("127.0.0.1:{}", self.http_port));
        command.env("DOZEN_ROUTER_THREADS", "2").env("DOZEN_FAIL_POINT_FILE", self.fail_point_file());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where tests write the place at which the server is to be killed; see the fail points of the host backend.
    pub fn fail_point_file(&self) -> PathBuf {
        self.folder.path().join("hooks/fail-point")
    }

    /// Runs a client command and returns all of it.
    pub fn try_dozen(&self, words: &[&str]) -> Output {
        self.command().args(words).stdin(Stdio::null()).output().expect("dozen runs")
    }

    /// Runs a client command that must succeed and returns its standard output.
    pub fn dozen(&self, words: &[&str]) -> String {
        let output = self.try_dozen(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "dozen {words:?} ended with {}:\n{text}\n{errors}\n{}",
            output.status,
            self.output()
        );
        text
    }

    /// The same with `--json`.
    pub fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let text = self.dozen(&words);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{words:?} printed no JSON ({error}):\n{text}"))
    }

    pub fn router(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.http_port))
    }

    pub fn host(&self, app: &str) -> String {
        format!("{app}.localhost:{}", self.http_port)
    }

    /// `GET` of an app's path through the router.
    pub fn get(&self, app: &str, path: &str) -> http::Response {
        http::get(self.router(), &self.host(app), path)
            .unwrap_or_else(|error| panic!("GET {path} of {app}: {error}"))
    }

    /// The pid of a daemon: `serve`, `router` or `launcher`.
    pub fn daemon(&self, word: &str) -> Option<u32> {
        let marker = format!("DOZEN_DATA={}", self.data().display());
        processes().into_iter().find(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let second = arguments.split(|byte| *byte == 0).nth(1).unwrap_or_default();
            second == word.as_bytes()
                && environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes())
        })
    }

    /// Ends a daemon as by a crash.
    pub fn kill(&self, word: &str) {
        let pid = self.daemon(word).unwrap_or_else(|| panic!("{word} runs"));
        kill(pid);
        eventually("the daemon is gone", 5, || (self.daemon(word) != Some(pid)).then_some(()));
    }

    /// Does what the installation of another build does: launcher and server start anew from it, while the apps and the router go on.
    pub fn upgrade(&mut self) {
        let installed = self.folder.path().join("dozen-of-another-build");
        super::build::write_another(&program(), &installed);
        self.installed = Some(installed);
        self.kill("launcher");
        self.start_again();
        self.kill("serve");
        self.wait_for_api();
    }

    pub fn wait_for_api(&self) {
        eventually("the API answers", 30, || {
            self.try_dozen(&["apps", "--json"]).status.success().then_some(())
        });
    }

    /// Ends `dozen server stop --apps`: nothing is left running.
    pub fn stop(&mut self) {
        let output = self.command().args(["server", "stop", "--apps"]).output();
        if let Some(mut child) = self.foreground.take() {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        if let Ok(output) = output.as_ref().map_err(ToString::to_string)
            && !output.status.success()
        {
            eprintln!("dozen server stop: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- output of the server\n{}\n----", self.output());
        }
        self.stop();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Every pid there is.
pub fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// SIGKILL.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it was ours to kill");
}
