//! Loads route tables: the one writer of [`Shared::table`]. A table is taken whole or not at all; what cannot be taken leaves the last
//! good one in force and is remembered for `status`. The order of the steps of a load is the subject of [`crate::drain`].

use crate::settings::Draining;
use crate::shared::{Serial, Shared};
use crate::table::Registry;
use domain::ids::RouterId;
use domain::route::{Generation, ROUTE_TABLE_FORMAT, RouteTable, RouterStatus};
use serde::Deserialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A table of 10,000 apps is about 5 MB.
const TABLE_BYTES: u64 = 64 * 1024 * 1024;
/// Loads that may wait for the slowest thread's acknowledgement and still be told apart.
const REMEMBERED_LOADS: usize = 64;

/// Why a table was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot read the route table {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the route table {} has more than {TABLE_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("the route table {} cannot be understood", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("the route table {} has format {found}, and this router reads format {ROUTE_TABLE_FORMAT}", path.display())]
    Format { path: PathBuf, found: u32 },
    #[error("the route table on disk ({found}) is older than the one in force ({in_force})")]
    Older { found: DisplayGeneration, in_force: DisplayGeneration },
}

/// A generation for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayGeneration(pub Generation);

impl std::fmt::Display for DisplayGeneration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {} counter {}", self.0.epoch, self.0.counter)
    }
}

/// What a look at the file led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// The table of this serial is in force; it may or may not be new.
    InForce(Serial),
    /// The file was not taken; [`Loader::refused`] says why.
    Refused,
}

/// Identifies one version of the file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileMark {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Owned by the supervisor's one task.
#[derive(Debug)]
pub(crate) struct Loader {
    router: RouterId,
    path: PathBuf,
    shared: Arc<Shared>,
    registry: Registry,
    serial: Serial,
    loads: VecDeque<(Serial, Generation)>,
    seen: Option<FileMark>,
    refused: Option<String>,
}

impl Loader {
    pub(crate) fn new(router: RouterId, path: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            router,
            path,
            shared,
            registry: Registry::default(),
            serial: 0,
            loads: VecDeque::new(),
            seen: None,
            refused: None,
        }
    }

    /// Looks at the file, and loads it if it is not the one that was last looked at.
    pub(crate) fn refresh(&mut self) -> Refreshed {
        match self.try_refresh() {
            Ok(()) => {}
            Err(error) => {
                let chain = domain::cause::chain(&error);
                if self.refused.as_ref() != Some(&chain) {
                    tracing::warn!(
                        error = chain,
                        "the route table was not taken; the last good one stays in force"
                    );
                }
                self.refused = Some(chain);
            }
        }
        if self.refused.is_some() { Refreshed::Refused } else { Refreshed::InForce(self.serial) }
    }

    fn try_refresh(&mut self) -> Result<(), TableError> {
        let failed = |source| TableError::Read { path: self.path.clone(), source };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            // There is none before the server has made the first.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.serial == 0 => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let mark = mark_of(&file).map_err(failed)?;
        if self.seen == Some(mark) {
            return Ok(());
        }
        let table = self.read(file)?;
        self.seen = Some(mark);
        self.refused = None;
        self.take(&table)
    }

    fn read(&self, file: File) -> Result<RouteTable, TableError> {
        let path = || self.path.clone();
        let mut bytes = Vec::new();
        file.take(TABLE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| TableError::Read { path: path(), source })?;
        if bytes.len() as u64 > TABLE_BYTES {
            return Err(TableError::TooLarge { path: path() });
        }
        parse_table(&bytes).map_err(|fault| match fault {
            TableFault::Parse(source) => TableError::Parse { path: path(), source },
            TableFault::Format(found) => TableError::Format { path: path(), found },
        })
    }

    fn take(&mut self, table: &RouteTable) -> Result<(), TableError> {
        let in_force = self.shared.table.load().generation;
        match in_force {
            Some(in_force) if table.generation == in_force => Ok(()),
            Some(in_force) if table.generation < in_force => Err(TableError::Older {
                found: DisplayGeneration(table.generation),
                in_force: DisplayGeneration(in_force),
            }),
            _ => {
                self.put_in_force(table);
                Ok(())
            }
        }
    }

    /// The steps of [`crate::drain`], in their order.
    fn put_in_force(&mut self, table: &RouteTable) {
        let snapshot = Arc::new(self.registry.build(table));
        self.shared.table.store(Arc::clone(&snapshot));
        match self.shared.draining {
            Draining::Counted => self.registry.close_unrouted(&snapshot),
            #[cfg(feature = "test-hooks")]
            Draining::Ignored => {}
        }
        self.serial += 1;
        self.loads.push_back((self.serial, table.generation));
        if self.loads.len() > REMEMBERED_LOADS {
            self.loads.pop_front();
        }
        self.shared.serial.send_replace(self.serial);
        tracing::debug!(
            epoch = table.generation.epoch,
            counter = table.generation.counter,
            "route table in force"
        );
    }

    /// Why the file was not taken when it was last looked at.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    pub(crate) fn status(&mut self) -> RouterStatus {
        let acknowledged = self.shared.acknowledged();
        let loaded = self.loads.iter().rev().find(|(serial, _)| *serial <= acknowledged);
        let loaded = loaded.map(|(_, generation)| *generation);
        let in_force = self.shared.table.load_full();
        let held = match self.shared.draining {
            Draining::Counted => self.registry.held(&in_force),
            #[cfg(feature = "test-hooks")]
            Draining::Ignored => {
                let mut held = self.registry.held(&in_force);
                held.retain(|process| process.routed);
                held.iter_mut().for_each(|process| process.in_flight = 0);
                held
            }
        };
        RouterStatus { router: self.router, loaded, held }
    }
}

fn mark_of(file: &File) -> io::Result<FileMark> {
    let metadata = file.metadata()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Ok(FileMark { inode: metadata.ino(), size: metadata.size(), modified })
}

enum TableFault {
    Parse(serde_json::Error),
    Format(u32),
}

/// Looks at the format first: another one may not parse at all.
fn parse_table(bytes: &[u8]) -> Result<RouteTable, TableFault> {
    #[derive(Deserialize)]
    struct OnlyFormat {
        format: u32,
    }
    let OnlyFormat { format } = serde_json::from_slice(bytes).map_err(TableFault::Parse)?;
    if format != ROUTE_TABLE_FORMAT {
        return Err(TableFault::Format(format));
    }
    serde_json::from_slice(bytes).map_err(TableFault::Parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Limits, Timeouts};
    use std::fs;

    fn loader(dir: &tempfile::TempDir) -> Loader {
        let shared = Shared::new(2, Timeouts::default(), Limits::default(), Draining::Counted);
        Loader::new(RouterId::from_u128(1), dir.path().join("table.json"), Arc::new(shared))
    }

    fn publish(loader: &Loader, text: &str) {
        let next = loader.path.with_extension("next");
        fs::write(&next, text).expect("written");
        fs::rename(next, &loader.path).expect("renamed");
    }

    fn table(counter: u64) -> String {
        serde_json::to_string(&RouteTable::empty(Generation { epoch: 1, counter })).expect("a table")
    }

    #[test]
    fn only_a_newer_and_well_formed_table_is_taken() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut loader = loader(&dir);
        assert_eq!(loader.refresh(), Refreshed::InForce(0));
        publish(&loader, &table(3));
        assert_eq!(loader.refresh(), Refreshed::InForce(1));
        let bad = [
            ("not json", "cannot be understood"),
            ("{}", "cannot be understood"),
            ("{\"format\":2,\"entirely\":\"other\"}", "has format 2, and this router reads format 1"),
            ("{\"format\":1}", "cannot be understood"),
            (&table(2), "(epoch 1 counter 2) is older than the one in force (epoch 1 counter 3)"),
        ];
        for (text, reason) in bad {
            publish(&loader, text);
            assert_eq!(loader.refresh(), Refreshed::Refused, "{text}");
            assert!(
                loader.refused().is_some_and(|refused| refused.contains(reason)),
                "{:?}",
                loader.refused()
            );
            assert_eq!(loader.refresh(), Refreshed::Refused, "a second look must not forget: {text}");
        }
        fs::remove_file(&loader.path).expect("removed");
        assert_eq!(loader.refresh(), Refreshed::Refused);
        publish(&loader, &table(4));
        assert_eq!(loader.refresh(), Refreshed::InForce(2));
        assert_eq!(loader.refused(), None);
    }

    #[test]
    fn loaded_is_what_every_thread_has_acknowledged() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut loader = loader(&dir);
        let counter = |loader: &mut Loader| loader.status().loaded.map(|generation| generation.counter);
        assert_eq!(counter(&mut loader), None);
        publish(&loader, &table(7));
        loader.refresh();
        assert_eq!(counter(&mut loader), None);
        loader.shared.acknowledge(0, 1);
        assert_eq!(counter(&mut loader), None);
        loader.shared.acknowledge(1, 1);
        assert_eq!(counter(&mut loader), Some(7));
        publish(&loader, &table(8));
        loader.refresh();
        loader.shared.acknowledge(0, 2);
        assert_eq!(counter(&mut loader), Some(7));
        loader.shared.acknowledge(1, 2);
        assert_eq!(counter(&mut loader), Some(8));
    }
}
