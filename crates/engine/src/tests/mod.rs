//! Use cases end to end, over ports from memory and a ledger on disk.

mod access;
mod builds;
mod config;
mod cron;
mod cron_model;
mod cron_troubles;
mod deploys;
mod disk;
mod idempotency;
mod intake;
mod jobs;
mod lifecycle;
mod processes;
mod survival;

use crate::context::{Context, IdempotencyKey, RequestId};
use crate::doubles::{
    MemoryBackend, MemoryLog, MemoryRepositories, ScriptedBuilder, SeededRandom, TestClock,
};
use crate::engine::Engine;
use crate::ops;
use crate::ports::{Ports, Workers};
use crate::reference::{AppRef, ReleaseRef};
use crate::settings::Settings;
use domain::build::{BuildSource, BuildStatus};
use domain::config_vars::ConfigPatch;
use domain::ids::{AppId, BuildId};
use domain::names::CommitId;
use domain::policy::Actor;
use domain::process::Purpose;
use domain::release::{Release, ReleaseStatus};
use domain::secret::Secret;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY: [u8; 32] = [7; 32];
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server's worth of ports around a ledger in a temporary folder. Everything but the engine outlives a restart.
struct World {
    folder: TempDir,
    clock: Arc<TestClock>,
    log: Arc<MemoryLog>,
    repositories: Arc<MemoryRepositories>,
    builder: Arc<ScriptedBuilder>,
    backend: Arc<MemoryBackend>,
    engine: Engine,
    admin: Context,
    seed: u128,
}

impl World {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl Fn(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, log) = (Arc::new(TestClock::default()), Arc::new(MemoryLog::default()));
        let (repositories, builder) =
            (Arc::new(MemoryRepositories::default()), Arc::new(ScriptedBuilder::default()));
        builder.procfile(&[("web", "serve")]);
        let ports = Ports {
            log: log.clone(),
            repositories: repositories.clone(),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
        };
        let engine = Engine::open(settings(folder.path(), change), &KEY, ports).unwrap();
        let backend = Arc::new(MemoryBackend::new(clock.clone(), engine.environment(), 99));
        engine.start(Workers { backend: backend.clone(), builder: builder.clone() }).unwrap();
        let token = ops::accounts::bootstrap(&engine, &"admin@example.com".parse().unwrap(), |_| Ok(()))
            .unwrap()
            .unwrap();
        let admin = context(&engine, &token.secret);
        Self { folder, clock, log, repositories, builder, backend, engine, admin, seed: 1 }
    }

    /// Another server process over the same ledger and the same world of processes.
    fn restart(&mut self) {
        self.engine.shutdown();
        self.reopen();
    }

    fn reopen(&mut self) {
        self.reopen_with(|_| {});
    }

    fn reopen_with(&mut self, change: impl Fn(&mut Settings)) {
        self.seed += 1;
        let ports = Ports {
            log: self.log.clone(),
            repositories: self.repositories.clone(),
            clock: self.clock.clone(),
            random: Arc::new(SeededRandom::new(self.seed)),
        };
        self.engine = Engine::open(settings(self.folder.path(), change), &KEY, ports).unwrap();
        let workers = Workers { backend: self.backend.clone(), builder: self.builder.clone() };
        self.engine.start(workers).unwrap();
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger/ledger.db")
    }

    fn app(&self, name: &str) -> (AppId, AppRef) {
        let info = ops::apps::create(&self.engine, &self.admin, Some(name.parse().unwrap())).unwrap();
        (info.app.id, AppRef::Id(info.app.id))
    }

    /// Accepts a build of this commit.
    fn accept(&self, app: &AppRef, commit: &CommitId) -> BuildId {
        let build = crate::builds::new_id(&self.engine);
        std::fs::create_dir_all(crate::builds::source_folder(&self.engine, build)).unwrap();
        let info =
            crate::builds::accept(&self.engine, &self.admin, app, build, BuildSource::Commit(commit.clone()));
        info.unwrap().build.id
    }

    fn built(&self, build: BuildId) -> BuildStatus {
        crate::builds::wait(&self.engine, build, PATIENCE).unwrap().expect("the build ends")
    }

    /// Builds a commit and waits for the end of its release.
    fn push(&self, app: &AppRef, commit: u64) -> Release {
        let build = self.accept(app, &commit_of(commit));
        match self.built(build) {
            BuildStatus::Succeeded { release, .. } => self.ended(app, &ReleaseRef::Id(release)),
            other => panic!("the build ended as {other:?}"),
        }
    }

    /// Waits for the end of a release.
    fn ended(&self, app: &AppRef, release: &ReleaseRef) -> Release {
        let find = || ops::releases::info(&self.engine, &self.admin, app, release).unwrap().release;
        self.until("the release ends", || Some(find()).filter(|release| release.status.is_final()))
    }

    fn set(&self, app: &AppRef, name: &str, value: Option<&str>) -> Option<Release> {
        let patch: ConfigPatch = [(name.parse().unwrap(), value.map(Secret::from))].into_iter().collect();
        ops::config::patch(&self.engine, &self.admin, app, &patch).unwrap().release
    }

    fn current(&self, app: &AppRef) -> Option<u64> {
        ops::apps::info(&self.engine, &self.admin, app).unwrap().current.map(|version| version.0)
    }

    fn statuses(&self, app: &AppRef) -> Vec<ReleaseStatus> {
        let all = ops::releases::list(&self.engine, &self.admin, app).unwrap();
        all.into_iter().map(|info| info.release.status).collect()
    }

    /// Living slots of an app: `web.1 v2`.
    fn running(&self, app: AppId) -> Vec<String> {
        let observed = self.backend.observed();
        let living =
            observed.processes.iter().filter(|process| process.app == app && process.state.is_live());
        let mut names: Vec<_> = living
            .filter(|process| matches!(process.purpose, Purpose::Slot { .. }))
            .map(|process| {
                let release = ReleaseRef::Id(process.purpose.release());
                let info = ops::releases::info(&self.engine, &self.admin, &AppRef::Id(app), &release);
                // A restored ledger may not know the release of what is about to be stopped.
                let version =
                    info.map_or_else(|_| "unknown".to_owned(), |info| info.release.version.to_string());
                format!("{} {version}", process.purpose.display_name())
            })
            .collect();
        names.sort();
        names
    }

    fn until_running(&self, app: AppId, expected: &[&str]) {
        self.until(&format!("{expected:?} run"), || (self.running(app) == expected).then_some(()));
    }

    /// Waits until `look` finds something.
    fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.engine.changed().rings();
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "never: {what}");
            self.engine.changed().wait_past(seen, Duration::from_millis(50));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.builder.let_go();
        self.engine.shutdown();
    }
}

fn settings(folder: &Path, change: impl Fn(&mut Settings)) -> Settings {
    let base = "localhost".parse().unwrap();
    let mut settings = Settings::new(folder.join("ledger"), folder.join("builds"), base);
    change(&mut settings);
    settings
}

fn context(engine: &Engine, token: &Secret<String>) -> Context {
    let found = ops::accounts::authenticate(engine, token).unwrap();
    let request_id = RequestId::new("test");
    Context { actor: found.actor, token: Some(found.token), request_id, idempotency: None }
}

/// The same caller, with a key.
fn keyed(context: &Context, path: &str, body: u8, key: &str) -> Context {
    let (method, path, key) = ("POST".to_owned(), path.to_owned(), key.to_owned());
    let idempotency = Some(IdempotencyKey { method, path, body_sha256: [body; 32], key });
    Context { idempotency, ..context.clone() }
}

fn account(context: &Context) -> domain::ids::AccountId {
    match context.actor {
        Actor::Account { id, .. } => id,
        Actor::System => panic!("the system is no account"),
    }
}

fn commit_of(n: u64) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

/// An engine over a new ledger, before anybody has an account.
fn bare_engine(folder: &std::path::Path) -> Engine {
    let ports = Ports {
        log: Arc::new(MemoryLog::default()),
        repositories: Arc::new(MemoryRepositories::default()),
        clock: Arc::new(TestClock::default()),
        random: Arc::new(SeededRandom::new(1)),
    };
    Engine::open(settings(folder, |_| {}), &KEY, ports).unwrap()
}

/// The source of an uploaded tree about which nothing is known.
fn tree() -> BuildSource {
    BuildSource::Tree(domain::build::TreeSource::default())
}
