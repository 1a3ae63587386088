//! What goes out of the log, by a real hub and a real ledger.

use super::*;
use crate::daemons::serve::adapters::{MachineClock, SystemRandom};
use domain::config_vars::ConfigPatch;
use domain::ids::WriterId;
use domain::names::CommitId;
use domain::secret::Secret;
use engine::RequestId;
use engine::ports::{Ports, RefMove, Repositories, RepositoryError};
use logs::HubSettings;
use std::time::Instant;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Far beyond what a line takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct NoRepositories;

impl Repositories for NoRepositories {
    fn head_of(&self, _: AppId) -> Result<Option<CommitId>, RepositoryError> {
        Ok(None)
    }

    fn set_ref_if_objects_present(&self, _: AppId, _: &CommitId) -> Result<RefMove, RepositoryError> {
        Ok(RefMove::ObjectsMissing)
    }

    fn remove(&self, _: AppId) -> Result<(), RepositoryError> {
        Ok(())
    }
}

struct World {
    _folder: TempDir,
    _runtime: Runtime,
    feeds: HubFeeds,
    admin: Context,
    app: AppId,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let settings = HubSettings::new(WriterId::from_u128(1));
        let hub = Arc::new(Hub::open(&folder.path().join("logs"), settings).unwrap());
        let ports = Ports {
            log: Arc::new(HubLog(hub.clone())),
            repositories: Arc::new(NoRepositories),
            clock: Arc::new(MachineClock::new().unwrap()),
            random: Arc::new(SystemRandom),
        };
        let base = "localhost".parse().unwrap();
        let settings =
            engine::Settings::new(folder.path().join("ledger"), folder.path().join("builds"), base);
        let engine = Engine::open(settings, &[7; 32], ports).unwrap();
        let token = ops::accounts::bootstrap(&engine, &"a@example.com".parse().unwrap(), |_| Ok(()));
        let found = ops::accounts::authenticate(&engine, &token.unwrap().unwrap().secret).unwrap();
        let request_id = RequestId::new("test");
        let admin = Context { actor: found.actor, token: Some(found.token), request_id, idempotency: None };
        let app = ops::apps::create(&engine, &admin, Some("hello".parse().unwrap())).unwrap().app.id;
        let runtime = Runtime::new().unwrap();
        let feeds = HubFeeds { hub, engine, runtime: runtime.handle().clone() };
        Self { _folder: folder, _runtime: runtime, feeds, admin, app }
    }

    fn set(&self, name: &str, value: &str) {
        let patch: ConfigPatch =
            [(name.parse().unwrap(), Some(Secret::new(value.to_owned())))].into_iter().collect();
        ops::config::patch(&self.feeds.engine, &self.admin, &AppRef::from(self.app), &patch).unwrap();
    }

    fn say(&self, text: &str) {
        let line = LogLine {
            stream: LogStream::Platform,
            name: "web.1".to_owned(),
            process: None,
            text: text.to_owned(),
        };
        HubLog(self.feeds.hub.clone()).append(self.app, line);
    }

    fn open(&self, follow: Follow) -> Result<Box<dyn LogFeed>, String> {
        self.feeds.open(&LogQuery {
            app: self.app,
            lines: 100,
            follow,
            name: Some("web.1".to_owned()),
            process_type: None,
            source: None,
            process: None,
            after: None,
        })
    }
}

/// The next messages of a feed; none at its end.
fn messages(feed: &mut dyn LogFeed) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match feed.next(Duration::from_millis(100)) {
            LogNext::Lines(records) => return records.into_iter().map(|record| record.message).collect(),
            LogNext::Quiet => {}
            LogNext::End => return Vec::new(),
        }
    }
    panic!("neither lines nor an end");
}

#[test]
fn what_any_recent_release_keeps_secret_is_blanked() {
    let world = World::new();
    world.set("API_TOKEN", "first-value");
    world.set("API_TOKEN", "second-value");
    world.set("GREETING", "hello-there");
    world.say("first-value second-value hello-there");
    let mut past = world.open(Follow::Stop).unwrap();
    assert_eq!(messages(&mut *past), ["[REDACTED] [REDACTED] hello-there"]);
}

#[test]
fn a_tail_knows_what_was_set_after_it_was_opened() {
    let world = World::new();
    world.say("ready");
    let mut tail = world.open(Follow::GoOn).unwrap();
    assert_eq!(messages(&mut *tail), ["ready"]);
    world.set("API_TOKEN", "late-value");
    world.say("token=late-value");
    assert_eq!(messages(&mut *tail), ["token=[REDACTED]"]);
}

#[test]
fn nothing_is_shown_when_it_is_not_known_what_is_secret() {
    let world = World::new();
    world.set("API_TOKEN", "secret-value");
    let mut tail = world.open(Follow::GoOn).unwrap();
    ops::apps::destroy(&world.feeds.engine, &world.admin, &AppRef::from(world.app)).unwrap();
    world.say("token=secret-value");
    assert!(messages(&mut *tail).is_empty(), "the tail ends");
    for follow in [Follow::Stop, Follow::GoOn] {
        assert!(world.open(follow).is_err());
    }
}
