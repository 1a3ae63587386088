//! The Heroku client that its users have, unmodified, and every variable that keeps it at one server.

use super::server::Server;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `cargo xtask test` installed the clients, else where it would.
pub fn clients() -> Option<PathBuf> {
    let told = std::env::var_os("DOZEN_TEST_CLIENTS").map(PathBuf::from);
    let folder = told.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients"));
    if folder.with_extension("lock").is_file() {
        return Some(folder);
    }
    println!("skipped: the Heroku clients are not installed; `cargo xtask test e2e` does it");
    None
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Both, for what goes now here and now there.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A user of the client: a home of their own, and a server.
pub struct Heroku {
    clients: PathBuf,
    home: tempfile::TempDir,
    variables: Vec<(&'static str, OsString)>,
    folder: PathBuf,
}

impl Heroku {
    /// At a server under its own address and authority, with the administrator's token.
    pub fn at(server: &Server, clients: &Path) -> Self {
        let host = format!("localhost:{}", server.api_port);
        let url = format!("https://{host}");
        let ca = server.data().join("ca/ca.pem").into_os_string();
        let text = |text: &str| OsString::from(text);
        let variables = vec![
            ("HEROKU_HOST", text(&url)),
            ("HEROKU_GIT_HOST", text(&host)),
            ("HEROKU_DATA_HOST", text("localhost")),
            ("HEROKU_PARTICLEBOARD_URL", text(&url)),
            ("HEROKU_LOGIN_HOST", text(&url)),
            ("HEROKU_STATUS_HOST", text(&url)),
            ("HEROKU_BUILDPACK_REGISTRY_URL", text(&format!("{url}/registry"))),
            ("HEROKU_EXEC_URL", text(&url)),
            ("PGDIAGNOSE_URL", text(&url)),
            ("NODE_EXTRA_CA_CERTS", ca.clone()),
            ("GIT_SSL_CAINFO", ca),
            ("HEROKU_API_KEY", text(&token(server))),
        ];
        Self::with(clients, variables)
    }

    /// With these variables alone, and those that keep it quiet.
    pub fn with(clients: &Path, variables: Vec<(&'static str, OsString)>) -> Self {
        let home = tempfile::Builder::new().prefix("dozen-home-").tempdir().expect("a home");
        let cache = home.path().join(".cache/heroku");
        std::fs::create_dir_all(&cache).expect("a cache");
        std::fs::write(cache.join("terms-of-service"), "").expect("the terms are known");
        let folder = home.path().to_owned();
        Self { clients: clients.to_owned(), home, variables, folder }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder in which commands run from now on.
    pub fn go_to(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.unset(name);
        self.variables.push((name, value.into()));
    }

    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| *known != name);
    }

    /// Any program in this user's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let own = [self.clients.join("node/bin"), self.clients.join("npm/node_modules/.bin")];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).expect("a path");
        command.env_clear().env("PATH", path).env("HOME", self.home.path()).current_dir(&self.folder);
        for (name, value) in [
            ("DISABLE_TELEMETRY", "true"),
            ("HEROKU_SKIP_NEW_VERSION_CHECK", "1"),
            ("HEROKU_DISABLE_AUTOUPDATE", "1"),
            ("HEROKU_NOTIFICATIONS", "0"),
            ("HEROKU_SKIP_ANALYTICS", "1"),
            ("HEROKU_NETRC_WRITE", "true"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("TERM", "xterm"),
        ] {
            command.env(name, value);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("NODE_PATH", self.clients.join("npm/node_modules"));
        command.env("PYTHONPATH", self.clients.join("python"));
        command
    }

    pub fn run(&self, words: &[&str]) -> Ended {
        self.run_with_input(words, "")
    }

    pub fn run_with_input(&self, words: &[&str], input: &str) -> Ended {
        let mut command = self.command("heroku");
        end_of(command.args(words), input)
    }

    /// Runs a command that must succeed; what it printed on standard output.
    pub fn ok(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "heroku {words:?}:\n{}", ended.said());
        ended.stdout
    }

    /// Runs a command that must succeed and say all of this, on either stream.
    pub fn says(&self, words: &[&str], parts: &[&str]) -> String {
        let ended = self.run(words);
        let said = ended.said();
        assert_eq!(ended.code, Some(0), "heroku {words:?}:\n{said}");
        for part in parts {
            assert!(said.contains(part), "heroku {words:?} does not say {part:?}:\n{said}");
        }
        said
    }

    /// Runs a command that must end with this code and say this.
    pub fn fails(&self, words: &[&str], code: i32, part: &str) {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(code), "heroku {words:?}:\n{}", ended.said());
        assert!(ended.said().contains(part), "heroku {words:?} does not say {part:?}:\n{}", ended.said());
    }
}

/// The administrator's token.
pub fn token(server: &Server) -> String {
    server.dozen(&["auth:token"]).trim().to_owned()
}

pub fn end_of(command: &mut Command, input: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let mut stdin = child.stdin.take().expect("a pipe");
    // One that does not read its input is no fault.
    let _unread = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
