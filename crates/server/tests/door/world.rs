//! A server with everything around it, in a temporary folder.

use crate::backend::AttachableBackend;
use crate::client::Client;
use crate::logs::MemoryHub;
use api::dozen::doctor::{Check, DoctorReport, Outcome};
use domain::build::{BuildFailure, BuildFailureKind, BuiltSlug};
use domain::ids::AppId;
use engine::doubles::{MemoryLog, SeededRandom, TestClock};
use engine::ports::{BuildJob, BuildRunner, Cancel, Ports, Repositories, Workers};
use engine::{AppRef, Context, Engine, ops};
use server::git::{GitRepositories, GitTool};
use server::ports::{Doctor, Fetch, FetchError, FetchLimits, SourceTrees, StageError, TreeForm};
use server::{ServerParts, Settings};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Far beyond what anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct World {
    pub folder: TempDir,
    pub engine: Engine,
    pub backend: Arc<AttachableBackend>,
    pub builder: Arc<TestBuilder>,
    pub repositories: GitRepositories,
    pub hub: Arc<MemoryHub>,
    pub token: String,
    pub address: SocketAddr,
    pub ssh_port: u16,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl World {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        for name in ["run", "ledger", "builds"] {
            fs::create_dir_all(data.join(name)).unwrap();
        }
        let tool = GitTool { program: "/usr/bin/git".into(), hooks: data.join("run/hooks") };
        let repositories = GitRepositories::new(&data.join("git"), tool).unwrap();
        let clock = Arc::new(TestClock::default());
        let ports = Ports {
            log: Arc::new(MemoryLog::default()),
            repositories: Arc::new(repositories.clone()),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
        };
        let settings =
            engine::Settings::new(data.join("ledger"), data.join("builds"), "localhost".parse().unwrap());
        let engine = Engine::open(settings, &[7; 32], ports).unwrap();
        let backend = Arc::new(AttachableBackend::new(clock, engine.environment()));
        let builder = Arc::new(TestBuilder::default());
        engine.start(Workers { backend: backend.clone(), builder: builder.clone() }).unwrap();
        let made = ops::accounts::bootstrap(&engine, &"ada@example.com".parse().unwrap(), |_| Ok(()))
            .unwrap()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ssh = TcpListener::bind("127.0.0.1:0").unwrap();
        let ssh_port = ssh.local_addr().unwrap().port();
        let hub = Arc::new(MemoryHub::default());
        let parts = ServerParts {
            listener,
            data,
            settings: server_settings(),
            engine: engine.clone(),
            repositories: repositories.clone(),
            ssh: Some(ssh),
            trees: Arc::new(TarTrees),
            fetch: Arc::new(OnePlace),
            logs: hub.clone(),
            doctor: Arc::new(WellDoctor),
        };
        let shutdown = CancellationToken::new();
        let serving = Some(serve(parts, shutdown.clone()));
        let token = made.secret.expose().clone();
        Self {
            folder,
            engine,
            backend,
            builder,
            repositories,
            hub,
            token,
            address,
            ssh_port,
            shutdown,
            serving,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn ca(&self) -> PathBuf {
        self.data().join("ca/ca.pem")
    }

    pub fn client(&self) -> Client {
        Client::new(self.address, &self.ca(), &self.token)
    }

    /// Makes an app by the API and gives its id.
    pub fn app(&self, name: &str) -> AppId {
        let made = self.client().post("/apps", &format!("{{\"name\":\"{name}\"}}"));
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Descriptions of an app's releases, oldest first.
    pub fn releases(&self, app: AppId) -> Vec<String> {
        let context = Context::system("test");
        let rows = ops::releases::list(&self.engine, &context, &AppRef::from(app)).unwrap();
        rows.into_iter()
            .map(|row| format!("{} {}", row.release.description, row.release.status.name()))
            .collect()
    }

    pub fn head_of(&self, app: AppId) -> Option<String> {
        self.repositories.head_of(app).unwrap().map(|commit| commit.to_string())
    }

    /// Tells the server to stop and waits for it.
    pub fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap();
        }
    }

    /// As [`World::stop`], without waiting.
    pub fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.builder.let_go();
        self.backend.end_all();
        self.engine.shutdown();
        self.stop();
    }
}

fn serve(parts: ServerParts, shutdown: CancellationToken) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(server::run(parts, shutdown)).unwrap();
    })
}

fn server_settings() -> Settings {
    Settings {
        base_domain: "localhost".parse().unwrap(),
        app_port: 8080,
        names: vec!["paas.example".to_owned()],
        hook_binary: std::env::current_exe().unwrap(),
        version: "0.0.0".to_owned(),
    }
}

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Extracts with the tar crate; a file called `refuse-me` is refused.
struct TarTrees;

impl SourceTrees for TarTrees {
    fn stage(&self, folder: &Path, tree: &mut dyn Read, form: &TreeForm) -> Result<(), StageError> {
        let failed = |error: std::io::Error| StageError::Failed(error.to_string());
        let folder = match &form.project {
            Some(project) => folder.join(format!("project {project}").replace('/', "-")),
            None => folder.to_owned(),
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut archive = tar::Archive::new(tree);
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            if entry.path().map_err(failed)?.ends_with("refuse-me") {
                return Err(StageError::Refused("\"refuse-me\" is not wanted".to_owned()));
            }
            entry.unpack_in(&folder).map_err(failed)?;
        }
        Ok(())
    }
}

/// The one address that gives something: a tar with the file `web`.
pub const ELSEWHERE: &str = "https://archives.example/hello.tar?token=s3cret";

/// Fetches [`ELSEWHERE`].
struct OnePlace;

impl Fetch for OnePlace {
    fn fetch(&self, url: &str, limits: &FetchLimits, into: &mut dyn Write) -> Result<(), FetchError> {
        if url != ELSEWHERE {
            return Err(FetchError::Refused("there is nothing at archives.example".to_owned()));
        }
        if limits.bytes == 0 {
            return Err(FetchError::Refused("it is larger than nothing".to_owned()));
        }
        into.write_all(&tar(&[("web", "serve")])).map_err(|error| FetchError::NotStored(error.to_string()))
    }
}

/// A tar with these files.
pub fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Builds by the tree's file `build`: lines `say TEXT`, `flood BYTES`, `hold [until-cancelled]`, `fail REASON`.
#[derive(Default)]
pub struct TestBuilder {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    waiting: usize,
    let_go: bool,
    /// Every file of every tree that was built, as `path=content`.
    seen: Vec<String>,
}

impl TestBuilder {
    /// Builds that are held at this moment.
    pub fn waiting(&self) -> usize {
        self.held.lock().unwrap().waiting
    }

    /// From now on `hold` holds nothing.
    pub fn let_go(&self) {
        self.held.lock().unwrap().let_go = true;
        self.changed.notify_all();
    }

    pub fn seen(&self) -> Vec<String> {
        self.held.lock().unwrap().seen.clone()
    }

    fn hold(&self, cancel: &Cancel) {
        let mut held = self.held.lock().unwrap();
        held.waiting += 1;
        while !held.let_go && !cancel.is_cancelled() {
            held = self.changed.wait_timeout(held, Duration::from_millis(10)).unwrap().0;
        }
        held.waiting -= 1;
    }
}

impl BuildRunner for TestBuilder {
    fn build(
        &self,
        job: BuildJob,
        output: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<BuiltSlug, BuildFailure> {
        self.held.lock().unwrap().seen.extend(files(&job.source));
        output("-----> Building for the test");
        let script = fs::read_to_string(job.source.join("build")).unwrap_or_default();
        for line in script.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("say", text) => output(text),
                ("flood", bytes) => {
                    for _ in 0..bytes.parse::<usize>().unwrap() / 100 {
                        output(&"x".repeat(99));
                    }
                }
                ("hold", how) => {
                    self.hold(cancel);
                    if how == "until-cancelled" && cancel.is_cancelled() {
                        let reason = "it was cancelled".to_owned();
                        return Err(BuildFailure { kind: BuildFailureKind::Cancelled, reason, hint: None });
                    }
                }
                ("fail", reason) => {
                    let kind = BuildFailureKind::Source;
                    return Err(BuildFailure { kind, reason: reason.to_owned(), hint: None });
                }
                _ => {}
            }
        }
        let command = |name: &str| fs::read_to_string(job.source.join(name)).ok();
        let web = command("web").unwrap_or_else(|| "serve".to_owned());
        let release = command("release").map(|command| ("release".parse().unwrap(), command));
        let commit = job.commit.map(|commit| commit.to_string()).unwrap_or_default();
        Ok(BuiltSlug {
            slug: format!("sha256:{commit:0>64}").parse().unwrap(),
            process_types: [("web".parse().unwrap(), web)].into_iter().chain(release).collect(),
            app_json: Default::default(),
            size_bytes: 4096,
            builder: "test".to_owned(),
        })
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        let kind = path.symlink_metadata().unwrap();
        if kind.is_dir() {
            found.extend(files(&path).into_iter().map(|inner| format!("{name}/{inner}")));
        } else if kind.is_file() {
            found.push(format!("{name}={}", String::from_utf8_lossy(&fs::read(&path).unwrap())));
        }
    }
    found
}

/// Finds one thing to warn of.
struct WellDoctor;

impl Doctor for WellDoctor {
    fn report(&self) -> DoctorReport {
        let check = Check {
            area: "launcher".to_owned(),
            name: "landlock".to_owned(),
            outcome: Outcome::Warning,
            detail: "no Landlock here".to_owned(),
            hint: None,
        };
        DoctorReport { can_start_apps: true, checks: vec![check] }
    }
}
