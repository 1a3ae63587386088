//! A push on its way: what the hook's secret leads to, and the order in which pushes of one app land.

use crate::secrets::SecretTable;
use domain::ids::{AppId, ReleaseId};
use domain::names::CommitId;
use engine::Context;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Git children that take pushes at once; further ones are asked to come again.
const MAX_PUSHES: usize = 32;
/// Of one app: one builds, one waits, a third takes the waiting one's place, and some may still be sending.
const MAX_PUSHES_OF_APP: usize = 8;
/// Longer than any push may take.
const LIFETIME: Duration = Duration::from_secs(7 * 60 * 60);

/// What the server knows of a push.
pub struct Push {
    pub app: AppId,
    pub context: Context,
    /// Where the app answers.
    pub url: String,
    progress: Mutex<PushProgress>,
}

#[derive(Default)]
struct PushProgress {
    release: Option<ReleaseId>,
    moves: Option<RefUpdate>,
    landing: Option<OwnedMutexGuard<()>>,
}

/// A deploy branch and the commit that the ledger has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name of the ref.
    pub branch: String,
    pub commit: CommitId,
}

/// What post-receive finds after git has moved the refs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landed {
    /// The release that the push became.
    pub release: Option<ReleaseId>,
    /// The full name of the deploy branch that moved.
    pub branch: Option<String>,
}

impl Push {
    pub fn new(app: AppId, context: Context, url: String) -> Self {
        Self { app, context, url, progress: Mutex::default() }
    }

    /// Remembers, until the refs have moved, that this push is the one that moves them.
    pub fn lands(&self, update: RefUpdate, release: Option<ReleaseId>, landing: OwnedMutexGuard<()>) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *progress = PushProgress { release, moves: Some(update), landing: Some(landing) };
    }

    /// The refs have moved: the next push of the app may land.
    pub fn landed(&self) -> Landed {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.landing = None;
        Landed {
            release: progress.release,
            branch: progress.moves.as_ref().map(|moves| moves.branch.clone()),
        }
    }

    /// The ref that git should have moved and did not, with the right to move it.
    fn stranded(&self) -> Option<Stranded> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let landing = progress.landing.take()?;
        Some(Stranded { app: self.app, update: progress.moves.clone()?, _landing: landing })
    }
}

/// A push whose git ended between the verdict and the move of the refs.
pub struct Stranded {
    pub app: AppId,
    pub update: RefUpdate,
    /// Until this is dropped no other push of the app lands.
    _landing: OwnedMutexGuard<()>,
}

/// All pushes.
pub struct Pushes {
    by_secret: SecretTable<Arc<Push>>,
    places: Arc<Semaphore>,
    lanes: Mutex<HashMap<AppId, Lane>>,
}

#[derive(Clone)]
struct Lane {
    places: Arc<Semaphore>,
    landing: Arc<tokio::sync::Mutex<()>>,
}

/// A push's right to a git child; dropped with the child.
pub struct Place {
    _all: OwnedSemaphorePermit,
    _app: OwnedSemaphorePermit,
}

impl Default for Pushes {
    fn default() -> Self {
        Self {
            by_secret: SecretTable::new("pushes", MAX_PUSHES, LIFETIME),
            places: Arc::new(Semaphore::new(MAX_PUSHES)),
            lanes: Mutex::default(),
        }
    }
}

impl Pushes {
    /// `None`: too many at this moment.
    pub fn place(&self, app: AppId) -> Option<Place> {
        let all = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let app = self.lane(app).places.try_acquire_owned().ok()?;
        Some(Place { _all: all, _app: app })
    }

    /// The secret for the hooks of a push.
    pub fn begin(&self, push: Arc<Push>) -> Option<String> {
        self.by_secret.insert(push).ok()
    }

    pub fn find(&self, secret: &str) -> Option<Arc<Push>> {
        self.by_secret.touch(secret)
    }

    /// The git child has ended, and with it the push.
    pub fn end(&self, secret: &str) -> Option<Stranded> {
        let stranded = self.by_secret.take(secret).and_then(|push| push.stranded());
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| Arc::strong_count(&lane.landing) > 1 || Arc::strong_count(&lane.places) > 1);
        stranded
    }

    /// Waits until this push alone may move the app's refs.
    pub async fn landing(&self, app: AppId) -> OwnedMutexGuard<()> {
        self.lane(app).landing.lock_owned().await
    }

    fn lane(&self, app: AppId) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Lane { places: Arc::new(Semaphore::new(MAX_PUSHES_OF_APP)), landing: Arc::default() };
        lanes.entry(app).or_insert_with(made).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push() -> Arc<Push> {
        Arc::new(Push::new(AppId::from_u128(1), Context::system("test"), String::new()))
    }

    #[tokio::test]
    async fn one_push_of_an_app_lands_at_a_time() {
        let pushes = Pushes::default();
        let (first, app) = (push(), AppId::from_u128(1));
        let secret = pushes.begin(Arc::clone(&first)).unwrap();
        let update = RefUpdate { branch: "refs/heads/main".into(), commit: "a".repeat(40).parse().unwrap() };
        first.lands(update.clone(), None, pushes.landing(app).await);
        let waits = tokio::time::timeout(Duration::from_millis(20), pushes.landing(app)).await;
        assert!(waits.is_err());
        drop(
            tokio::time::timeout(Duration::from_secs(5), pushes.landing(AppId::from_u128(2))).await.unwrap(),
        );
        let stranded = pushes.end(&secret).expect("git has not moved it");
        assert_eq!(stranded.update, update);
        assert!(tokio::time::timeout(Duration::from_millis(20), pushes.landing(app)).await.is_err());
        drop(stranded);
        drop(tokio::time::timeout(Duration::from_secs(5), pushes.landing(app)).await.unwrap());
        assert!(pushes.find(&secret).is_none());
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let pushes = Pushes::default();
        let app = AppId::from_u128(1);
        let places: Vec<_> = (0..MAX_PUSHES_OF_APP).map(|_| pushes.place(app).unwrap()).collect();
        assert!(pushes.place(app).is_none());
        assert!(pushes.place(AppId::from_u128(2)).is_some(), "other apps have their own");
        drop(places);
        assert!(pushes.place(app).is_some());
    }
}
