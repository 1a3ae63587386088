//! Ledgers of earlier formats: each is brought up with everything in it, and what made them is never changed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use domain::ids::{AppId, JobId, ProcessId};
use domain::names::ReleaseVersion;
use domain::release::ReleaseStatus;
use domain::time::WallMillis;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use store::{MasterKey, Nonce, Opening, Store};

/// The tables of the first format, and the rows that a server of that format had made in them.
const FIRST: [&str; 2] =
    [include_str!("../src/migrations/0001_begin.sql"), include_str!("../fixtures/ledger-1.sql")];
/// Each migration that was released, by the digest of its file.
const RELEASED: &str = include_str!("../fixtures/migrations.sha256");

fn open(path: &Path) -> Store {
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    let now = WallMillis(1_800_000_000_000);
    Store::open(path, Opening { master, nonce: Nonce([1; 24]), epoch: 5, now }).unwrap()
}

#[test]
fn a_ledger_of_the_first_format_is_brought_up_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let first = Connection::open(&path).unwrap();
    FIRST.iter().for_each(|sql| first.execute_batch(sql).unwrap());
    drop(first);
    let store = open(&path);
    let id = AppId::from_u128(2);
    let app = store.read(|reader| reader.app(id)).unwrap().unwrap();
    assert_eq!((app.name.as_str(), app.index), ("app-2", 0));
    let release =
        |version| store.read(|r| r.release_by_version(id, ReleaseVersion(version))).unwrap().unwrap();
    let (one, two) = (release(1), release(2));
    assert_eq!(one.status, ReleaseStatus::Succeeded);
    assert_eq!(two.status, ReleaseStatus::Failed { reason: "boom".to_owned() });
    assert_eq!(one.artifact.slug.unwrap().hex(), "0a".repeat(32));
    assert_eq!(one.artifact.process_types.values().collect::<Vec<_>>(), ["./server"]);
    let config = store.read(|reader| reader.config_of(id, one.id)).unwrap();
    let values: Vec<_> = config.iter().map(|(key, value)| (key.as_str(), value.expose().as_str())).collect();
    assert_eq!(values, [("KEY", "one")], "unsealed");
    let standing = store.read(|reader| reader.standings()).unwrap().remove(&id).unwrap();
    assert_eq!(standing.current, Some(one.id));
    let formation = store.read(|reader| reader.formation(id)).unwrap();
    assert_eq!(formation.values().map(|quantity| quantity.quantity).collect::<Vec<_>>(), [3]);
    let job = store.read(|reader| reader.job(JobId::from_u128(7))).unwrap().unwrap();
    assert_eq!(job.job.command, "bash");
    let environment = store.read(|reader| reader.job_environment(id, job.job.id)).unwrap();
    assert_eq!(environment[0].1.expose(), "xterm");
    assert!(store.read(|reader| reader.recorded_exits()).unwrap().contains(&ProcessId::from_u128(4)));
    drop(store);
    let raw = Connection::open(&path).unwrap();
    let broken: i64 =
        raw.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    let sound: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!((broken, sound.as_str()), (0, "ok"));
}

/// Ledgers hold what these made, and a change of one would reach none of them: add a migration. Its line is added to the list before a
/// release that has it.
#[test]
fn migrations_that_were_released_are_never_edited() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/migrations");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let digest = hex::encode(Sha256::digest(std::fs::read(&path).unwrap()));
            format!("{digest}  {}", path.file_name().unwrap().to_str().unwrap())
        })
        .collect();
    found.sort_by_key(|line| line.split_once("  ").map(|(_, name)| name.to_owned()));
    let released: Vec<&str> = RELEASED.lines().collect();
    assert!(found.len() >= released.len(), "{found:?}");
    assert_eq!(found[..released.len()], released);
}
