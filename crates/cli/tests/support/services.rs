//! A real Redis and a real PostgreSQL beyond the host, as `cargo xtask test` has fetched them: on an address that apps reach, each
//! with a password.

use super::eventually;
use super::outside::{NEIGHBOUR, Outside, UPLINK};
use super::registry;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const REDIS_PORT: u16 = 6379;
const POSTGRESQL_PORT: u16 = 5432;
const PASSWORD: &str = "only-for-this-test";
/// Where Debian has one release of PostgreSQL beside another.
const RELEASES: &str = "usr/lib/postgresql";

/// Both, running. Dropping it ends them.
pub struct Services {
    root: PathBuf,
    folder: tempfile::TempDir,
    running: Vec<Child>,
}

impl Services {
    /// `None`, said, if they were not fetched.
    pub fn start(outside: &Outside) -> Option<Self> {
        let root = registry::fetched()?.join("services");
        let folder = tempfile::Builder::new().prefix("dozen-services-").tempdir().expect("a folder");
        let mut services = Self { root, folder, running: Vec::new() };
        services.redis(outside)?;
        services.postgresql(outside)?;
        Some(services)
    }

    pub fn redis_url(&self) -> String {
        format!("redis://:{PASSWORD}@{NEIGHBOUR}:{REDIS_PORT}/0")
    }

    pub fn postgresql_url(&self) -> String {
        format!("postgresql://shop:{PASSWORD}@{NEIGHBOUR}:{POSTGRESQL_PORT}/postgres")
    }

    /// What Redis answers to a command, asked by its own client.
    pub fn ask_redis(&self, outside: &Outside, words: &[&str]) -> String {
        let mut client = self.command(outside, &self.root.join("usr/bin/redis-cli"));
        client.args(["-h", NEIGHBOUR]).args(words).env("REDISCLI_AUTH", PASSWORD);
        let output = client.output().expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn redis(&mut self, outside: &Outside) -> Option<()> {
        let program = self.root.join("usr/bin/redis-server");
        if !program.is_file() {
            return None;
        }
        let file = self.folder.path().join("redis.conf");
        let place = self.folder.path().display();
        let text = format!(
            "bind {NEIGHBOUR}\nport {REDIS_PORT}\nrequirepass {PASSWORD}\nsave \"\"\ndir {place}\nlogfile {place}/redis.log\n"
        );
        std::fs::write(&file, text).expect("written");
        let server = self.command(outside, &program).arg(file).spawn().expect("redis-server starts");
        self.running.push(server);
        eventually("Redis answers", 30, || (self.ask_redis(outside, &["ping"]) == "PONG").then_some(()));
        Some(())
    }

    fn postgresql(&mut self, outside: &Outside) -> Option<()> {
        let programs = self.postgresql_programs()?;
        let data = self.folder.path().join("data");
        let password = self.folder.path().join("password");
        std::fs::write(&password, PASSWORD).expect("written");
        let mut make = self.as_somebody(outside, &programs.join("initdb"));
        make.args(["--no-sync", "--username=shop", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]);
        let status = make.arg("--pwfile").arg(password).arg("--pgdata").arg(&data).status();
        assert!(status.expect("initdb runs").success(), "initdb makes a cluster");
        // Packets of apps come from the host's uplink.
        let rule = format!("host all all {UPLINK}/32 scram-sha-256\n");
        std::fs::write(data.join("pg_hba.conf"), rule).expect("written");
        let mut server = self.as_somebody(outside, &programs.join("postgres"));
        server.arg("-D").arg(&data).args([
            "-h",
            NEIGHBOUR,
            "-p",
            &POSTGRESQL_PORT.to_string(),
            "-F",
            "-k",
            "",
        ]);
        let log = std::fs::File::create(self.folder.path().join("postgresql.log")).expect("a log");
        self.running.push(server.stderr(log).spawn().expect("postgres starts"));
        eventually("PostgreSQL answers", 30, || {
            let mut ask = self.command(outside, &programs.join("pg_isready"));
            let asked = ask.args(["-q", "-h", NEIGHBOUR]).status().expect("pg_isready runs");
            asked.success().then_some(())
        });
        Some(())
    }

    /// The unpacked release, else the machine's own.
    fn postgresql_programs(&self) -> Option<PathBuf> {
        let roots = [self.root.clone(), PathBuf::from("/")];
        let releases = roots.iter().filter_map(|root| std::fs::read_dir(root.join(RELEASES)).ok()).flatten();
        releases.flatten().map(|entry| entry.path().join("bin")).find(|bin| bin.join("postgres").is_file())
    }

    /// A program among its own libraries, in the outside's network.
    fn command(&self, outside: &Outside, program: &Path) -> Command {
        let folders = std::fs::read_dir(self.root.join("usr/lib")).into_iter().flatten().flatten();
        let libraries: Vec<String> = folders
            .map(|entry| entry.path().display().to_string())
            .filter(|path| path.ends_with("-linux-gnu"))
            .collect();
        let mut command = outside.command(program);
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// PostgreSQL refuses to be started by root: it is root's, under the name of somebody else.
    fn as_somebody(&self, outside: &Outside, program: &Path) -> Command {
        let mut command = self.command(outside, Path::new("unshare"));
        command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
        command.stdout(Stdio::null());
        command
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for child in &mut self.running {
            end(child);
        }
    }
}

/// By a signal that lets PostgreSQL end what it started; both end at once at it.
fn end(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
    let _reaped = child.wait();
}
