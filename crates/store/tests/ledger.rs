//! The ledger on a real disk: what is kept, what is undone, what cannot be moved, and what a killed writer leaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use domain::account::{Account, Email};
use domain::app::App;
use domain::app_json::cron::{Concurrency, CronEntry};
use domain::config_vars::ConfigVars;
use domain::cron::entries::Origin;
use domain::formation::Size;
use domain::ids::{AccountId, AppId, CronId, JobId, ProcessId, ReleaseId};
use domain::job::{Job, JobState, JobStreams};
use domain::names::{ConfigKey, ReleaseVersion};
use domain::policy::Role;
use domain::process::{ExitStatus, JobKind, Purpose};
use domain::release::{Artifact, Release, ReleaseStatus};
use domain::secret::Secret;
use domain::time::{BootId, BootMillis, WallMillis};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use store::tables::cron::{CronRow, RunOutcome};
use store::tables::exits::ExitRow;
use store::tables::jobs::JobRow;
use store::tables::releases::PromotedAt;
use store::tables::trials::TrialRow;
use store::{AppKey, MasterKey, Nonce, Opening, Store, StoreError, Writer, restore};

const NOW: WallMillis = WallMillis(1_700_000_000_000);
const OWNER: AccountId = AccountId::from_u128(1);

fn open(path: &Path) -> Store {
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    Store::open(path, Opening { master, nonce: Nonce([1; 24]), epoch: 5, now: NOW }).unwrap()
}

fn nonce(n: u8) -> Nonce {
    Nonce([n; 24])
}

fn write<T>(store: &Store, work: impl FnOnce(&Writer<'_>) -> Result<T, StoreError>) -> T {
    store.write(work).unwrap()
}

fn insert_owner(writer: &Writer<'_>) -> Result<(), StoreError> {
    let email: Email = "a@example.com".parse().unwrap();
    writer.insert_account(&Account { id: OWNER, email, role: Role::Admin, created_at: NOW, updated_at: NOW })
}

fn insert_app(writer: &Writer<'_>, n: u128) -> Result<AppId, StoreError> {
    let id = AppId::from_u128(n);
    let app = App {
        id,
        name: format!("app-{n}").parse().unwrap(),
        index: writer.take_app_index()?,
        owner: OWNER,
        maintenance: false,
        created_at: NOW,
        updated_at: NOW,
    };
    writer.insert_app(&app, &AppKey::from_bytes([n as u8; 32]), &nonce(n as u8))?;
    Ok(id)
}

fn vars(value: &str) -> ConfigVars {
    [("KEY".parse::<ConfigKey>().unwrap(), Secret::from(value))].into_iter().collect()
}

fn promoted_at(boot: &str) -> PromotedAt {
    PromotedAt { wall: NOW, boot_id: BootId(boot.into()), boot: BootMillis(77) }
}

fn release(app: AppId, version: u64) -> Release {
    Release {
        id: ReleaseId::from_u128((app.as_uuid().as_u128() << 64) | u128::from(version)),
        app,
        version: ReleaseVersion(version),
        artifact: Artifact::default(),
        attachments: Vec::new(),
        build_number: None,
        description: format!("release {version}"),
        actor: Some(OWNER),
        created_at: NOW,
        status: ReleaseStatus::Pending,
        status_at: NOW,
    }
}

/// A ledger with one app.
fn with_app(path: &Path) -> (Store, AppId) {
    let store = open(path);
    let app = write(&store, |writer| {
        insert_owner(writer)?;
        insert_app(writer, 2)
    });
    (store, app)
}

#[test]
fn a_release_comes_back_as_it_went_in_and_is_never_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let first = release(app, 1);
    write(&store, |writer| writer.append_release(&first, &vars("one"), &nonce(9)));
    let read = store.read(|reader| reader.release(first.id)).unwrap().unwrap();
    assert_eq!(read, first);
    assert_eq!(store.read(|reader| reader.config_of(app, first.id)).unwrap(), vars("one"));
    let changed: Result<bool, StoreError> = store.write(|writer| writer.try_to_change_release(first.id));
    assert!(matches!(changed, Err(StoreError::Statement(_))), "{changed:?}");
    let twice: Result<(), StoreError> = store.write(|w| w.append_release(&first, &vars("two"), &nonce(8)));
    assert!(twice.is_err());
    for status in [
        ReleaseStatus::PhaseRunning,
        ReleaseStatus::Starting,
        ReleaseStatus::Failed { reason: "boom".into() },
        ReleaseStatus::Superseded,
        ReleaseStatus::Succeeded,
    ] {
        write(&store, |writer| writer.set_release_status(first.id, &status, NOW));
        assert_eq!(store.read(|reader| reader.release(first.id)).unwrap().unwrap().status, status);
    }
}

#[test]
fn only_the_release_that_serves_since_this_boot_is_on_trial() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let (first, second) = (release(app, 1), release(app, 2));
    let boot = BootId("boot".into());
    write(&store, |writer| {
        writer.append_release(&first, &vars("x"), &nonce(1))?;
        writer.append_release(&second, &vars("x"), &nonce(2))?;
        writer.append_promotion(app, first.id, &promoted_at("boot"))?;
        writer.count_trial_crash(app, first.id)
    });
    let trials = || store.read(|reader| reader.all_trials(&boot)).unwrap();
    let since = BootMillis(77);
    assert_eq!(trials(), [(first.id, TrialRow { since, crashes: 1 })].into());
    write(&store, |writer| {
        writer.count_trial_crash(app, first.id)?;
        writer.give_up(app, first.id, second.id)?;
        writer.append_promotion(app, second.id, &promoted_at("boot"))
    });
    assert_eq!(trials(), [(second.id, TrialRow { since, crashes: 0 })].into());
    let found = store.read(|reader| {
        let substitutes = [reader.is_substitute(app, first.id)?, reader.is_substitute(app, second.id)?];
        Ok::<_, StoreError>((reader.given_up(app)?, substitutes))
    });
    assert_eq!(found.unwrap(), ([first.id].into(), [false, true]));
    write(&store, |writer| writer.append_promotion(app, second.id, &promoted_at("another boot")));
    assert_eq!(trials(), [].into());
}

#[test]
fn an_error_undoes_the_whole_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let failed: Result<(), StoreError> = store.write(|writer| {
        writer.append_release(&release(app, 1), &vars("x"), &nonce(1))?;
        writer.append_promotion(app, release(app, 1).id, &promoted_at("boot"))?;
        Err(StoreError::NotALedger)
    });
    assert!(matches!(failed, Err(StoreError::NotALedger)));
    let left =
        store.read(|reader| Ok::<_, StoreError>((reader.releases(app)?, reader.current_release(app)?)));
    assert_eq!(left.unwrap(), (Vec::new(), None));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.write(|writer| {
            writer.append_release(&release(app, 1), &vars("x"), &nonce(1))?;
            assert!(writer.release(release(app, 1).id)?.is_none(), "the test panics here on purpose");
            Ok::<_, StoreError>(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(store.read(|reader| reader.releases(app)).unwrap(), Vec::new());
    write(&store, |writer| writer.append_release(&release(app, 1), &vars("x"), &nonce(1)));
}

#[test]
fn a_reader_sees_one_moment_while_a_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let seen = store.read(|reader| {
        let before = reader.releases(app)?.len();
        write(&store, |writer| writer.append_release(&release(app, 1), &vars("x"), &nonce(1)));
        Ok::<_, StoreError>((before, reader.releases(app)?.len()))
    });
    assert_eq!(seen.unwrap(), (0, 0));
    assert_eq!(store.read(|reader| reader.releases(app)).unwrap().len(), 1);
}

#[test]
fn sealed_values_cannot_be_moved_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let (store, app) = with_app(&path);
    let (first, second) = (release(app, 1), release(app, 2));
    write(&store, |writer| {
        writer.append_release(&first, &vars("one"), &nonce(1))?;
        writer.append_release(&second, &vars("two"), &nonce(2))
    });
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("DROP TRIGGER releases_are_immutable").unwrap();
    let moved =
        "UPDATE releases SET config = (SELECT config FROM releases WHERE version = 1) WHERE version = 2";
    assert_eq!(raw.execute(moved, []).unwrap(), 1);
    let opened = store.read(|reader| reader.config_of(app, second.id));
    assert!(matches!(opened, Err(StoreError::Unsealable { .. })), "{opened:?}");
    assert_eq!(store.read(|reader| reader.config_of(app, first.id)).unwrap(), vars("one"));
}

fn job(app: AppId, release: ReleaseId, n: u128) -> JobRow {
    let job = Job {
        id: JobId::from_u128(n),
        app,
        kind: JobKind::OneOff,
        release,
        number: n as u32,
        command: "bash".into(),
        streams: JobStreams::Terminal { columns: 80, lines: 24 },
        limits: Size::default().limits(),
        time_limit_seconds: 60,
        actor: Some(OWNER),
        created_at: NOW,
        updated_at: NOW,
        cancelled: false,
        state: JobState::Waiting,
    };
    JobRow { job, size: Size::default(), held: false }
}

#[test]
fn a_job_starts_once_ends_once_and_keeps_its_own_vars_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let of = release(app, 1);
    let row = job(app, of.id, 7);
    let environment = vec![("TERM".parse().unwrap(), Secret::from("xterm"))];
    write(&store, |writer| {
        writer.append_release(&of, &ConfigVars::default(), &nonce(1))?;
        writer.insert_job(&row, &environment, &nonce(3))
    });
    assert_eq!(store.read(|reader| reader.job(row.job.id)).unwrap().unwrap(), row);
    assert_eq!(store.read(|reader| reader.job_environment(app, row.job.id)).unwrap(), environment);
    let (first, second) = (ProcessId::from_u128(1), ProcessId::from_u128(2));
    let start = |process| write(&store, |writer| writer.start_job(row.job.id, process, NOW));
    assert_eq!((start(first), start(second), start(first)), (true, false, false));
    let ended = JobState::Ended { process: first, status: ExitStatus::Code(3) };
    let end = |state: &JobState| write(&store, |writer| writer.end_job(row.job.id, state, NOW));
    assert!(!end(&JobState::NeverStarted), "it was started");
    assert_eq!((end(&ended), end(&ended), end(&JobState::Lost { process: first })), (true, false, false));
    assert_eq!(store.read(|reader| reader.job(row.job.id)).unwrap().unwrap().job.state, ended);
    let cancelled = job(app, of.id, 8);
    write(&store, |writer| {
        writer.insert_job(&cancelled, &[], &nonce(4))?;
        assert!(writer.cancel_job(cancelled.job.id, NOW)?);
        assert!(!writer.cancel_job(cancelled.job.id, NOW)?);
        assert!(!writer.start_job(cancelled.job.id, second, NOW)?, "a cancelled job never starts");
        assert!(writer.end_job(cancelled.job.id, &JobState::NeverStarted, NOW)?);
        Ok(())
    });
}

#[test]
fn an_end_is_recorded_once_and_outlives_its_app() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let purpose =
        Purpose::Slot { release: release(app, 1).id, process_type: "web".parse().unwrap(), index: 1 };
    let row = ExitRow { process: ProcessId::from_u128(4), app, purpose, exit: None, recorded_at: NOW };
    let boot = BootId("b".into());
    let record = || write(&store, |writer| writer.record_exit(&row, &boot));
    assert_eq!((record(), record()), (true, false));
    write(&store, |writer| writer.delete_app(app));
    assert!(store.read(|reader| reader.recorded_exits()).unwrap().contains(&row.process));
    write(&store, |writer| writer.set_exit_gone(row.process));
    assert!(store.read(|reader| reader.recorded_exits()).unwrap().is_empty());
    assert_eq!(store.read(|reader| reader.exit(row.process)).unwrap().unwrap(), row);
    let again = write(&store, |writer| insert_app(writer, 3));
    let index = store.read(|reader| reader.app(again)).unwrap().unwrap().index;
    assert_eq!(index, 1, "the number of the deleted app is not given out again");
}

#[test]
fn restore_brings_back_the_copy_under_a_later_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("ledger.db"), folder.path().join("copy.db"));
    let (store, app) = with_app(&path);
    write(&store, |writer| writer.append_release(&release(app, 1), &vars("one"), &nonce(1)));
    store.backup(&copy).unwrap();
    write(&store, |writer| writer.append_release(&release(app, 2), &vars("two"), &nonce(2)));
    drop(store);
    assert_eq!(restore(&copy, &path, 0).unwrap(), 6);
    assert_eq!(restore(&copy, &path, 100).unwrap(), 100);
    let store = open(&path);
    assert_eq!(store.read(|reader| reader.epoch()).unwrap(), 100);
    assert_eq!(store.read(|reader| reader.releases(app)).unwrap().len(), 1);
    assert_eq!(store.read(|reader| reader.config_of(app, release(app, 1).id)).unwrap(), vars("one"));
}

const CHILD: &str = "DOZEN_TEST_LEDGER_WRITER";

/// Not a test of its own: what [`a_killed_writer_loses_nothing_that_it_announced`] starts and kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = open(Path::new(&path));
    let app = AppId::from_u128(2);
    loop {
        let next = store.read(|reader| reader.releases(app)).unwrap().len() as u64 + 1;
        write(&store, |writer| writer.append_release(&release(app, next), &vars("x"), &nonce(next as u8)));
        println!("committed {next}");
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_announced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let (store, app) = with_app(&path);
    drop(store);
    for round in 1..=6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let announced =
            lines.map_while(Result::ok).filter_map(|line| line.split_once("committed ")?.1.parse().ok());
        let last: u64 = announced.take(round * 3).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(&path);
        let releases = store.read(|reader| reader.releases(app)).unwrap();
        assert!(releases.len() as u64 >= last, "{} of {last}", releases.len());
        for (index, release) in releases.iter().enumerate() {
            assert_eq!(release.version.0, index as u64 + 1);
            assert_eq!(store.read(|reader| reader.config_of(app, release.id)).unwrap(), vars("x"));
        }
        let raw = rusqlite::Connection::open(&path).unwrap();
        let sound: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger/ledger.db");
    let (_store, _) = with_app(&path);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
}

#[test]
fn an_instant_of_a_recurring_command_has_one_row_and_old_rows_go() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let of = release(app, 1);
    let entry = CronEntry::checked("x", "* * * * *", Some("Europe/Berlin"), Concurrency::Forbid).unwrap();
    let id = CronId::from_u128(1);
    let next_due = Some(WallMillis(NOW.0 + 7));
    let row = CronRow { id, app, origin: Origin::Added, entry, created_at: NOW, dealt_until: NOW, next_due };
    let started = |n| RunOutcome::Started { job: JobId::from_u128(n) };
    write(&store, |writer| {
        writer.append_release(&of, &ConfigVars::default(), &nonce(1))?;
        for n in 1..=3 {
            let mut job = job(app, of.id, n);
            job.job.kind = JobKind::Cron;
            writer.insert_job(&job, &[], &nonce(n as u8))?;
        }
        writer.insert_cron_entry(&row)?;
        writer.insert_cron_run(id, Some(WallMillis(100)), &started(1), NOW)?;
        writer.insert_cron_run(id, Some(WallMillis(200)), &RunOutcome::Missed { count: 9 }, NOW)
    });
    assert_eq!(store.read(|reader| reader.cron_entry(id)).unwrap().unwrap(), row);
    assert_eq!(store.read(|reader| reader.next_cron_due(NOW)).unwrap(), next_due);
    for outcome in [started(2), RunOutcome::Skipped { reason: "x".into() }] {
        let insert = |writer: &Writer<'_>| writer.insert_cron_run(id, Some(WallMillis(100)), &outcome, NOW);
        let twice: Result<(), StoreError> = store.write(insert);
        assert!(twice.is_err(), "{outcome:?}");
    }
    let ended = JobState::Ended { process: ProcessId::from_u128(1), status: ExitStatus::Code(0) };
    write(&store, |writer| {
        // A missed instant may come again; by hand there is no instant.
        writer.insert_cron_run(id, Some(WallMillis(200)), &started(2), NOW)?;
        writer.insert_cron_run(id, None, &started(3), NOW)?;
        assert!(writer.start_job(JobId::from_u128(1), ProcessId::from_u128(1), NOW)?);
        assert!(writer.end_job(JobId::from_u128(1), &ended, NOW)?);
        assert_eq!(writer.unfinished_cron_jobs(id)?.len(), 2);
        writer.prune_cron_runs(id, 1)
    });
    // The third has not ended: its row stays with it, and so does the newest.
    let left = store.read(|reader| reader.cron_history(app, Some(id), 10)).unwrap();
    let left: Vec<_> = left.into_iter().map(|row| row.run.outcome).collect();
    assert_eq!(left, [started(3), started(2)]);
    let dealt_with = |at| store.read(|reader| reader.is_cron_instant_dealt_with(id, WallMillis(at))).unwrap();
    assert!(dealt_with(100), "its row is gone, and that it was is not forgotten");
    assert!(dealt_with(200) && !dealt_with(201) && !dealt_with(99));
    let newest = |at_most| store.read(|reader| reader.newest_cron_instant(id, WallMillis(at_most))).unwrap();
    assert_eq!([99, 150, 900].map(newest), [None, Some(WallMillis(100)), Some(WallMillis(200))]);
    assert!(store.read(|reader| reader.job(JobId::from_u128(1))).unwrap().is_none());
    write(&store, |writer| {
        assert!(writer.remove_cron_entry(id, NOW)?);
        assert!(!writer.remove_cron_entry(id, NOW)?);
        assert_eq!(writer.next_cron_due(WallMillis(0))?, None);
        writer.prune_removed_cron_entries(WallMillis(NOW.0 + 1), 10)?;
        writer.prune_removed_cron_entries_of(app, 0)?;
        assert_eq!(writer.cron_history(app, None, 10)?.len(), 2, "runs go on");
        Ok(())
    });
    write(&store, |writer| {
        for n in 2..=3 {
            writer.start_job(JobId::from_u128(n), ProcessId::from_u128(n), NOW)?;
            let process = ProcessId::from_u128(n);
            writer.end_job(
                JobId::from_u128(n),
                &JobState::Ended { process, status: ExitStatus::Code(0) },
                NOW,
            )?;
        }
        writer.prune_removed_cron_entries_of(app, 1)?;
        assert_eq!(writer.cron_history(app, None, 10)?.len(), 2, "the newest is kept");
        writer.prune_removed_cron_entries(WallMillis(NOW.0 + 1), 10)?;
        assert!(writer.job(JobId::from_u128(2))?.is_none());
        Ok(())
    });
    assert!(store.read(|reader| reader.cron_history(app, None, 10)).unwrap().is_empty());
}

#[test]
fn a_part_that_fails_is_undone_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let append = |writer: &Writer<'_>, n| {
        writer.append_release(&release(app, n), &ConfigVars::default(), &nonce(n as u8))
    };
    write(&store, |writer| {
        append(writer, 1)?;
        let failed: Result<(), StoreError> = writer.attempt(|| {
            append(writer, 2)?;
            append(writer, 1)
        });
        assert!(failed.is_err());
        writer.attempt(|| append(writer, 3))
    });
    let versions = store.read(|reader| reader.releases(app)).unwrap();
    assert_eq!(versions.iter().map(|release| release.version.0).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn rows_go_one_by_one_and_their_instants_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (store, app) = with_app(&folder.path().join("ledger.db"));
    let entry = CronEntry::checked("x", "* * * * *", None, Concurrency::Forbid).unwrap();
    let id = CronId::from_u128(1);
    let row =
        CronRow { id, app, origin: Origin::Added, entry, created_at: NOW, dealt_until: NOW, next_due: None };
    write(&store, |writer| writer.insert_cron_entry(&row));
    let skipped = RunOutcome::Skipped { reason: "x".into() };
    write(&store, |writer| {
        for at in (0..50).chain(1_000_000..1_000_050) {
            writer.insert_cron_run(id, Some(WallMillis(at)), &skipped, NOW)?;
            writer.prune_cron_runs(id, 10)?;
            assert!(writer.cron_history(app, Some(id), 100)?.len() <= 10);
        }
        Ok(())
    });
    let dealt_with = |at| store.read(|reader| reader.is_cron_instant_dealt_with(id, WallMillis(at))).unwrap();
    assert!([0, 25, 49, 1_000_000, 1_000_020, 1_000_049].map(dealt_with).into_iter().all(|yes| yes));
    assert!(!dealt_with(50) && !dealt_with(500_000) && !dealt_with(999_999) && !dealt_with(1_000_050));
}
