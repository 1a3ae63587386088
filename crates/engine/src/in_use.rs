//! What the ledger still speaks of. Whatever else lies in the data folder has served its time.

use crate::engine::Engine;
use crate::error::Error;
use domain::ids::AppId;
use domain::names::SlugId;
use std::collections::BTreeSet;

/// Owners of what lies on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    pub apps: BTreeSet<AppId>,
    /// Of every release that could be rolled back to.
    pub slugs: BTreeSet<SlugId>,
}

impl Engine {
    /// A look of this moment. List what there is before, not after: what was made in between must not be taken for garbage.
    pub fn in_use(&self) -> Result<InUse, Error> {
        self.read(|reader| {
            let (apps, slugs) = (reader.app_ids()?, reader.slugs_in_use()?);
            Ok(InUse { apps: apps.into_iter().collect(), slugs: slugs.into_iter().collect() })
        })
    }
}
