//! A real git client in a folder of its own.

use crate::world::World;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub struct Repo {
    pub folder: PathBuf,
    ca: PathBuf,
    remote: String,
}

/// What became of a git command.
#[derive(Debug)]
pub struct Ran {
    pub success: bool,
    pub text: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = [output.stdout, output.stderr].concat();
        Self { success: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// It succeeded and said all of this.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) -> &Self {
        assert!(self.success, "{}", self.text);
        self.holds(texts)
    }

    /// It failed and said all of this.
    #[track_caller]
    pub fn refused(&self, texts: &[&str]) -> &Self {
        assert!(!self.success, "{}", self.text);
        self.holds(texts)
    }

    #[track_caller]
    fn holds(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.text.contains(text), "no {text:?} in:\n{}", self.text);
        }
        self
    }
}

impl Repo {
    /// A repository with one commit of these files, with the app as its remote `dozen`.
    pub fn new(world: &World, app: &str, files: &[(&str, &str)]) -> Self {
        Self::with_token(world, app, &world.token, files)
    }

    pub fn with_token(world: &World, app: &str, token: &str, files: &[(&str, &str)]) -> Self {
        let folder = world.folder.path().join(format!("work-{app}-{}", rand(world)));
        fs::create_dir_all(&folder).unwrap();
        let remote = format!("https://heroku:{token}@localhost:{}/{app}.git", world.address.port());
        let repo = Self { folder, ca: world.ca(), remote };
        repo.run(&["init", "--quiet", "--initial-branch=main"]).says(&[]);
        repo.run(&["remote", "add", "dozen", &repo.remote.clone()]).says(&[]);
        repo.commit(files);
        repo
    }

    pub fn write(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Commits these files and gives the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        self.write(files);
        self.run(&["add", "--all", "--force"]).says(&[]);
        self.run(&["commit", "--quiet", "--allow-empty", "-m", "a change"]).says(&[]);
        self.head()
    }

    pub fn head(&self) -> String {
        self.run(&["rev-parse", "HEAD"]).text.trim().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&self.folder, &self.ca, arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub fn push(&self, refspecs: &[&str]) -> Ran {
        self.run(&[&["push", "dozen"], refspecs].concat())
    }

    /// Starts a push in a process group of its own.
    pub fn start_push(&self, refspecs: &[&str]) -> Child {
        let mut command = self.command(&[&["push", "dozen"], refspecs].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap()
    }
}

/// Git with nothing of this machine's configuration.
pub fn command(folder: &Path, ca: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.version=2"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSL_CAINFO", ca)
        .stdin(Stdio::null());
    command
}

fn rand(world: &World) -> usize {
    fs::read_dir(world.folder.path()).unwrap().count()
}
