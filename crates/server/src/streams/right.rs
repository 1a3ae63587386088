//! The right by which a stream is open: that of the token with which its address was asked for. It is looked at when the stream is
//! opened and every minute after that, so that a stream does not outlive a token, a membership or an app.

use domain::ids::{AccountId, AppId, TokenId};
use domain::policy::Action;
use engine::error::Kind;
use engine::{AppRef, Context, Engine, Error, RequestId, ops};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What somebody may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub token: TokenId,
    pub app: AppId,
    pub action: Action,
}

impl Claim {
    /// Whose it is, if it holds at this moment.
    pub fn look(&self, engine: &Engine) -> Result<AccountId, Error> {
        let holder = ops::accounts::holder(engine, self.token)?;
        let context = Context {
            actor: holder.actor,
            token: Some(self.token),
            request_id: RequestId::new("stream"),
            idempotency: None,
        };
        ops::apps::authorise_app(engine, &context, &AppRef::from(self.app), self.action)?;
        Ok(holder.account.id)
    }
}

/// What keeps a stream open.
pub struct Leash {
    pub engine: Engine,
    pub claim: Claim,
    pub shutdown: CancellationToken,
    looked: Instant,
}

impl Leash {
    /// The claim was looked at a moment ago.
    pub fn new(engine: Engine, claim: Claim, shutdown: CancellationToken) -> Self {
        Self { engine, claim, shutdown, looked: Instant::now() }
    }

    /// Whether to go on. Blocks for a look now and then.
    pub fn holds(&mut self) -> bool {
        !self.shutdown.is_cancelled() && self.holds_at(Instant::now())
    }

    fn holds_at(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.looked) < LOOK_EVERY {
            return true;
        }
        self.looked = now;
        match self.claim.look(&self.engine) {
            Ok(_) => true,
            // Nothing was taken away: the ledger cannot be read at this moment.
            Err(error) => matches!(error.kind(), Kind::Unavailable | Kind::Internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::doubles::{MemoryLog, MemoryRepositories, SeededRandom, TestClock};
    use engine::ports::Ports;
    use engine::reference::TokenRef;
    use std::sync::Arc;

    fn engine(folder: &std::path::Path) -> Engine {
        let ports = Ports {
            log: Arc::new(MemoryLog::default()),
            repositories: Arc::new(MemoryRepositories::default()),
            clock: Arc::new(TestClock::default()),
            random: Arc::new(SeededRandom::new(1)),
        };
        let base = "localhost".parse().unwrap();
        let settings = engine::Settings::new(folder.join("ledger"), folder.join("builds"), base);
        Engine::open(settings, &[7; 32], ports).unwrap()
    }

    #[test]
    fn a_stream_ends_with_what_gave_the_right_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let made = ops::accounts::bootstrap(&engine, &"a@example.com".parse().unwrap(), |_| Ok(()));
        let token = made.unwrap().unwrap();
        let found = ops::accounts::authenticate(&engine, &token.secret).unwrap();
        let admin = Context {
            actor: found.actor,
            token: Some(found.token),
            request_id: RequestId::new("test"),
            idempotency: None,
        };
        let app =
            |name: &str| ops::apps::create(&engine, &admin, Some(name.parse().unwrap())).unwrap().app.id;
        let leash = |app| {
            let claim = Claim { token: found.token, app, action: Action::LogRead };
            assert_eq!(claim.look(&engine).unwrap(), found.account.id);
            Leash::new(engine.clone(), claim, CancellationToken::new())
        };
        let (mut of_doomed, mut of_kept) = (leash(app("doomed")), leash(app("kept")));
        let (soon, later) = (of_kept.looked + LOOK_EVERY / 2, of_kept.looked + LOOK_EVERY * 2);
        ops::apps::destroy(&engine, &admin, &AppRef::from(of_doomed.claim.app)).unwrap();
        assert!(of_doomed.holds_at(soon) && !of_doomed.holds_at(later), "the app is gone");
        assert!(of_kept.holds_at(later));
        ops::accounts::revoke(&engine, &admin, &TokenRef::Id(found.token)).unwrap();
        assert!(!of_kept.holds_at(later + LOOK_EVERY * 2), "the token is gone");
        of_kept.shutdown.cancel();
        assert!(!of_kept.holds());
    }
}
