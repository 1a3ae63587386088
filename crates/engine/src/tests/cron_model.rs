//! Recurring commands under clocks that run, leap and go back, servers that are away, runs that end or do not, and rows that are
//! pruned, in any order: no instant is begun twice, and none is left out without a word.
//!
//! There is no driver here: what it does before and after a pass is called, so that a step is one look at one instant.

use super::*;
use crate::driver::{Schedules, give_up_late};
use domain::app_json::cron::{Concurrency, CronEntry};
use domain::ids::{CronId, JobId};
use domain::job::JobState;
use domain::process::ExitStatus;
use domain::time::{WallMillis, in_words};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use store::tables::cron::{RunOutcome, RunRow};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2026-01-01
const START: WallMillis = WallMillis(1_767_225_600_000);
/// Few, so that rows are pruned all the time.
const KEPT: u32 = 4;
/// Dense and rare, fixed and elapsed.
const SCHEDULES: [&str; 3] = ["*/10 * * * *", "30 2 * * *", "7 */5 * * *"];

/// What happens between two looks.
#[derive(Debug, Clone)]
enum Step {
    /// Both clocks go on.
    Wait(u64),
    /// The wall clock alone is put forth or back.
    Leap(i64),
    /// What runs ends, and what waits begins.
    RunsEnd,
    /// Another server process comes.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![
        6 => (1..30 * MINUTE).prop_map(Step::Wait),
        2 => (1..2 * DAY).prop_map(Step::Wait),
    ];
    let leap = prop_oneof![
        (-2 * (HOUR as i64)..2 * HOUR as i64).prop_map(Step::Leap),
        (-3 * (DAY as i64)..3 * DAY as i64).prop_map(Step::Leap),
        Just(Step::Leap(40 * DAY as i64)),
        Just(Step::Leap(-40 * (DAY as i64))),
    ];
    let step = prop_oneof![8 => wait, 2 => leap, 6 => Just(Step::RunsEnd), 1 => Just(Step::Restart)];
    prop::collection::vec(step, 1..60)
}

/// An engine without a driver, and all that was ever told of its entries.
struct Model {
    folder: TempDir,
    clock: Arc<TestClock>,
    engine: Engine,
    schedules: Schedules,
    entries: Vec<(CronId, CronEntry)>,
    app: AppId,
    rows: BTreeMap<u64, RunRow>,
    looked_at: WallMillis,
    seed: u128,
}

impl Model {
    fn new(concurrency: Concurrency) -> Self {
        let Deployed { ledger, app, admin } = DEPLOYED.get_or_init(deployed);
        let (app, folder) = (*app, tempfile::tempdir().unwrap());
        std::fs::create_dir_all(folder.path().join("ledger")).unwrap();
        std::fs::write(folder.path().join("ledger/ledger.db"), ledger).unwrap();
        let clock = Arc::new(TestClock::default());
        clock.stop();
        clock.set_wall(START);
        let engine = open(folder.path(), &clock, 1);
        let mut entries = Vec::new();
        for schedule in SCHEDULES {
            let entry = CronEntry::checked("work", schedule, Some("Europe/Berlin"), concurrency).unwrap();
            let added = ops::cron::add(&engine, admin, &AppRef::Id(app), entry.clone()).unwrap();
            entries.push((added.row.id, entry));
        }
        let (schedules, rows) = (Schedules::default(), BTreeMap::new());
        Self { folder, clock, engine, schedules, entries, app, rows, looked_at: START, seed: 1 }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(millis) => self.clock.advance_millis(*millis),
            Step::Leap(millis) => {
                let now = self.engine.now().0.saturating_add_signed(*millis);
                self.clock.set_wall(WallMillis(now.max(START.0)));
            }
            Step::RunsEnd => self.end_runs(),
            Step::Restart => {
                self.seed += 1;
                self.engine.shutdown();
                self.engine = open(self.folder.path(), &self.clock, self.seed);
                self.schedules = Schedules::default();
            }
        }
    }

    fn end_runs(&self) {
        let unfinished = self.engine.read(|reader| Ok(reader.unfinished_jobs(self.app)?)).unwrap();
        for row in unfinished {
            let (job, now) = (row.job.id, self.engine.now());
            self.engine.write(|writer| end(writer, job, now)).unwrap();
        }
    }

    /// What a pass does, and what it has told since the last.
    fn look(&mut self) -> Result<(), TestCaseError> {
        self.schedules.before_pass(&self.engine);
        give_up_late(&self.engine);
        let history = self.engine.read(|reader| Ok(reader.cron_history(self.app, None, 1000)?)).unwrap();
        // The newest told last: what is told of a row may change until then.
        self.rows.extend(history.into_iter().map(|row| (row.run.sequence, row.run)));
        let kept = KEPT as usize + domain::cron::admit::RUNNING_LIMIT + 1;
        for (id, entry) in &self.entries {
            let history =
                self.engine.read(|reader| Ok(reader.cron_history(self.app, Some(*id), 1000)?)).unwrap();
            prop_assert!(history.len() <= kept, "{} rows of {}", history.len(), entry.schedule);
            self.check(*id, entry)?;
        }
        self.looked_at = self.engine.now();
        Ok(())
    }

    fn check(&self, id: CronId, entry: &CronEntry) -> Result<(), TestCaseError> {
        let (mut begun, mut told) = (BTreeSet::new(), BTreeSet::new());
        for row in self.rows.values().filter(|row| row.entry == id) {
            let Some(due_at) = row.due_at else { continue };
            match row.outcome {
                RunOutcome::Started { .. } | RunOutcome::Skipped { .. } => {
                    prop_assert!(begun.insert(due_at), "{} twice at {}", entry.schedule, in_words(due_at));
                    told.insert(due_at);
                }
                RunOutcome::Missed { count } => {
                    told.extend(instants(entry, WallMillis(due_at.0 - 1)).take(count as usize));
                }
            }
        }
        let now = self.engine.now();
        for at in instants(entry, self.looked_at).take_while(|at| *at <= now) {
            prop_assert!(told.contains(&at), "no word of {} at {}", entry.schedule, in_words(at));
        }
        Ok(())
    }
}

fn instants(entry: &CronEntry, after: WallMillis) -> impl Iterator<Item = WallMillis> {
    let next = |at: &WallMillis| entry.schedule.next_after(*at, &entry.timezone);
    std::iter::successors(next(&after), next)
}

fn end(writer: &store::Writer<'_>, job: JobId, now: WallMillis) -> Result<(), crate::error::Error> {
    let process = domain::ids::ProcessId::from_uuid(*job.as_uuid());
    let row = writer.job(job)?.unwrap();
    let state = match row.job.cancelled && row.job.state == JobState::Waiting {
        true => JobState::NeverStarted,
        false => JobState::Ended { process, status: ExitStatus::Code(0) },
    };
    writer.start_job(job, process, now)?;
    writer.end_job(job, &state, now)?;
    Ok(())
}

/// An app that serves. Its ledger is what every case begins with.
struct Deployed {
    ledger: Vec<u8>,
    app: AppId,
    admin: Context,
}

static DEPLOYED: std::sync::OnceLock<Deployed> = std::sync::OnceLock::new();

fn deployed() -> Deployed {
    let world = World::start();
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.engine.shutdown();
    let copy = world.folder.path().join("copy.db");
    world.engine.backup(&copy).unwrap();
    let journal = copy.with_extension("db-wal");
    assert!(!journal.exists() || journal.metadata().unwrap().len() == 0, "the copy is whole");
    Deployed { ledger: std::fs::read(copy).unwrap(), app: id, admin: world.admin.clone() }
}

fn open(folder: &Path, clock: &Arc<TestClock>, seed: u128) -> Engine {
    let ports = Ports {
        log: Arc::new(MemoryLog::default()),
        repositories: Arc::new(MemoryRepositories::default()),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(1000 + seed)),
    };
    Engine::open(settings(folder, |settings| settings.cron_runs_kept = KEPT), &KEY, ports).unwrap()
}

fn run(concurrency: Concurrency, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new(concurrency);
    for step in steps {
        model.take(step);
        model.look()?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn no_instant_is_begun_twice_and_none_is_left_out_without_a_word(
        steps in steps(),
        concurrency in prop::sample::select(Concurrency::ALL.to_vec()),
    ) {
        run(concurrency, &steps)?;
    }
}

/// Where it went wrong once.
#[test]
fn a_clock_that_was_ahead_for_long_takes_nothing_from_the_schedule() {
    let mut steps = vec![Step::Wait(HOUR), Step::Leap(40 * DAY as i64)];
    steps.extend((0..20).flat_map(|_| [Step::Wait(10 * MINUTE), Step::RunsEnd]));
    steps.push(Step::Leap(-40 * (DAY as i64)));
    steps.extend((0..20).flat_map(|_| [Step::Wait(10 * MINUTE), Step::RunsEnd]));
    run(Concurrency::Allow, &steps).unwrap();
}

#[test]
fn those_that_are_due_at_once_take_few_transactions() {
    let mut model = Model::new(Concurrency::Allow);
    let entry = &model.entries[0].1;
    model
        .engine
        .write(|writer| {
            for n in 0..130_u32 {
                let entry = CronEntry { command: format!("work {n}"), ..entry.clone() };
                crate::cron::insert(
                    &model.engine,
                    writer,
                    model.app,
                    domain::cron::entries::Origin::Added,
                    entry,
                )?;
            }
            Ok(())
        })
        .unwrap();
    let commits = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = commits.clone();
    *model.engine.0.after_commit.lock().unwrap() = Some(Box::new(move |_| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    model.clock.advance_millis(10 * MINUTE);
    let again = model.schedules.before_pass(&model.engine);
    assert_eq!(again, Some(model.engine.now()), "more are due");
    assert!(model.schedules.before_pass(&model.engine) > again, "none is");
    assert_eq!(commits.load(std::sync::atomic::Ordering::SeqCst), 2);
    let history = model.engine.read(|reader| Ok(reader.cron_history(model.app, None, 1000)?)).unwrap();
    assert_eq!(history.len(), 131);
}
