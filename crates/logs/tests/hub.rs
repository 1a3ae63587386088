//! The hub over real folders, writers and clocks.

use domain::ids::{AppId, ProcessId, WriterId};
use domain::time::BootMillis;
use journal::{Caps, Entry, FreeSpaceFloor, SegmentWriter, Stamp, Stream, WriterFolder, segment_file_name};
use logs::{
    Cursor, Filter, Hub, HubSettings, Line, NameFilter, OwnLine, Retention, SLOW_READER_SECONDS, Source,
    Start, TAIL_BUFFER_LINES, Tail, render,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

const APP: AppId = AppId::from_u128(1);
const OTHER: AppId = AppId::from_u128(2);
const SERVER: WriterId = WriterId::from_u128(0xffff);

fn settings() -> HubSettings {
    HubSettings { own_caps: caps(4_000_000), ..HubSettings::new(SERVER) }
}

fn caps(segment_bytes: u64) -> Caps {
    Caps { segment_bytes, total_bytes: u64::MAX, floor: FreeSpaceFloor::NONE }
}

/// A process that writes lines.
struct Process {
    writer: SegmentWriter,
    name: &'static str,
    app: AppId,
}

impl Process {
    fn new(root: &Path, id: u128, app: AppId, name: &'static str) -> Self {
        Self::with_caps(root, id, app, name, caps(4_000_000))
    }

    fn with_caps(root: &Path, id: u128, app: AppId, name: &'static str, caps: Caps) -> Self {
        let id = WriterId::from_u128(id);
        let folder = root.join(id.to_string());
        WriterFolder::make(&folder, 0o2770).expect("a folder");
        Self { writer: SegmentWriter::open(&folder, id, caps).expect("a writer"), name, app }
    }

    fn say_at(&mut self, stamp: Stamp, text: &str) {
        self.line(stamp, Stream::Stdout, text);
        self.writer.flush();
    }

    fn say(&mut self, text: &str) {
        self.say_at(Stamp::now(), text);
    }

    fn line(&mut self, stamp: Stamp, stream: Stream, text: &str) {
        self.writer.append(&Entry {
            app: self.app,
            process: Some(ProcessId::from_u128(1)),
            name: self.name,
            stream,
            stamp,
            payload: text.as_bytes(),
        });
    }
}

/// `micros` after an instant some minutes ago: old enough to be given out at once.
fn past(micros: u64) -> Stamp {
    static BASE: LazyLock<Stamp> = LazyLock::new(Stamp::now);
    Stamp { wall_micros: BASE.wall_micros - 600_000_000 + micros, boot: BASE.boot }
}

fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
}

fn query(hub: &Hub, app: AppId, filter: &Filter, lines: usize) -> Vec<String> {
    texts(&hub.query(app, filter, lines))
}

fn tail(hub: &Hub, start: Start) -> Tail {
    hub.tail(APP, Filter::default(), start).expect("a tail")
}

fn take(tail: &mut Tail, count: usize) -> Vec<String> {
    let lines: Vec<_> = (0..count).map(|_| tail.blocking_next().expect("a line")).collect();
    texts(&lines)
}

#[test]
fn lines_of_all_writers_come_in_order_before_and_after_a_restart() {
    let root = tempfile::tempdir().expect("a folder");
    let hub = Hub::open(root.path(), settings()).expect("a hub");
    let mut processes =
        [Process::new(root.path(), 1, APP, "web.1"), Process::new(root.path(), 2, APP, "web.2")];
    let mut stranger = Process::new(root.path(), 3, OTHER, "web.1");
    // Written in another order than their times: first all of one process, then all of the other.
    for (n, process) in processes.iter_mut().enumerate() {
        for step in 0..300 {
            let micros = step * 2 + n as u64;
            process.say_at(past(micros * 1000), &format!("line {micros:03}"));
        }
        stranger.say("not yours");
    }
    let expected: Vec<_> = (0..600).map(|n| format!("line {n:03}")).collect();
    assert_eq!(query(&hub, APP, &Filter::default(), 1_000), expected);
    assert_eq!(query(&hub, APP, &Filter::default(), 7), expected[593..]);
    assert_eq!(query(&hub, APP, &Filter::default(), 0), [""; 0]);
    let web_2 = Filter { name: Some(NameFilter::parse("web.2")), ..Filter::default() };
    assert_eq!(query(&hub, APP, &web_2, 2), ["line 597", "line 599"]);
    assert_eq!(take(&mut tail(&hub, Start::Last(600)), 600), expected);
    assert_eq!(query(&hub, OTHER, &Filter::default(), 10), ["not yours", "not yours"]);
    drop(hub);
    let hub = Hub::open(root.path(), settings()).expect("a hub again");
    assert_eq!(query(&hub, APP, &Filter::default(), 1_000), expected);
    assert_eq!(hub.status().damage, logs::Damage::default());
}

#[test]
fn a_query_over_many_segments_finds_the_last_lines_of_a_rare_process() {
    let root = tempfile::tempdir().expect("a folder");
    let mut noisy = Process::with_caps(root.path(), 1, APP, "web.1", caps(200_000));
    let mut router = Process::with_caps(root.path(), 2, APP, "router", caps(200_000));
    for n in 0..8_000_u64 {
        noisy.line(past(n * 1000), Stream::Stdout, &format!("noise {n} {}", "x".repeat(100)));
        router.app = if n % 1_000 == 0 { APP } else { AppId::from_u128(u128::from(n % 60 + 10)) };
        router.line(past(n * 1000 + 1), Stream::Router, &format!("at=info n={n}"));
    }
    noisy.writer.flush();
    router.writer.flush();
    let hub = Hub::open(root.path(), settings()).expect("a hub");
    let heroku = Filter { source: Some(Source::Heroku), ..Filter::default() };
    assert_eq!(query(&hub, APP, &heroku, 3), ["at=info n=5000", "at=info n=6000", "at=info n=7000"]);
    assert_eq!(query(&hub, APP, &heroku, 100).len(), 8);
    let stderr = Filter { stream: Some(Stream::Stderr), ..Filter::default() };
    assert!(query(&hub, APP, &stderr, 5).is_empty());
    assert_eq!(query(&hub, AppId::from_u128(10), &Filter::default(), 1).len(), 1);
}

#[test]
fn a_tail_goes_on_from_its_cursor_after_a_restart_without_loss_or_repeat() {
    let root = tempfile::tempdir().expect("a folder");
    let mut web = Process::with_caps(root.path(), 1, APP, "web.1", caps(20_000));
    let mut worker = Process::with_caps(root.path(), 2, APP, "worker.1", caps(20_000));
    let mut expected = Vec::new();
    let mut taken = Vec::new();
    let mut cursor = Cursor::START.to_string();
    for round in 0..5_u64 {
        // Lines too young to be given out until all of the round are written: the tail is open meanwhile, and cannot overtake one
        // writer with lines of the other.
        let (clock, now) = settable_clock();
        *now.lock().expect("a clock") = past(round * 1_000_000);
        let hub = Hub::open_with_clock(root.path(), settings(), clock).expect("a hub");
        let start = Start::After(cursor.parse().expect("a cursor"));
        let mut tail = tail(&hub, start);
        for n in 0..100 {
            let micros = round * 1_000_000 + n * 1000;
            let text = format!("{micros}");
            if n % 3 == 0 {
                worker.say_at(past(micros), &text)
            } else {
                web.say_at(past(micros), &text)
            }
            expected.push(text);
        }
        *now.lock().expect("a clock") = Stamp::now();
        // Leave some for the next server, and some that come while there is none.
        taken.extend(take(&mut tail, if round == 4 { expected.len() - taken.len() } else { 70 }));
        cursor = tail.cursor().to_string();
        drop(hub);
        let text = format!("between {round}");
        if round < 4 {
            web.say_at(past(round * 1_000_000 + 500_000), &text);
            expected.push(text);
        }
    }
    assert_eq!(taken, expected);
}

#[test]
fn a_tail_gives_new_lines_and_new_processes_and_ends_cleanly() {
    let root = tempfile::tempdir().expect("a folder");
    let hub = Hub::open(root.path(), settings()).expect("a hub");
    let mut first = Process::new(root.path(), 1, APP, "web.1");
    first.say("old");
    let mut tail = tail(&hub, Start::Last(0));
    first.say("new");
    assert_eq!(take(&mut tail, 1), ["new"]);
    let mut second = Process::new(root.path(), 2, APP, "web.2");
    second.say("started later");
    assert_eq!(take(&mut tail, 1), ["started later"]);
    let own = OwnLine {
        app: APP,
        process: None,
        stream: Stream::Api,
        name: "api",
        text: "Release v2\nBuild succeeded",
    };
    hub.append(&own);
    let line = tail.blocking_next().expect("a line");
    assert!(render(&line).ends_with("+00:00 app[api]: Release v2"), "{}", render(&line));
    assert_eq!(take(&mut tail, 1), ["Build succeeded"]);
    assert_eq!(hub.status().tails, 1);
    drop(hub);
    assert_eq!(tail.blocking_next(), None);
}

#[test]
fn concurrent_writers_come_out_in_order() {
    let root = tempfile::tempdir().expect("a folder");
    let hub = Hub::open(root.path(), settings()).expect("a hub");
    let mut tail = tail(&hub, Start::Last(0));
    let root_path = root.path();
    std::thread::scope(|scope| {
        for id in 1..=4 {
            scope.spawn(move || {
                let mut process = Process::with_caps(root_path, id, APP, "web.1", caps(30_000));
                for n in 0..1_000 {
                    process.say(&format!("{id}:{n}"));
                    if n % 100 == 0 {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
        let lines: Vec<_> = (0..4_000).map(|_| tail.blocking_next().expect("a line")).collect();
        let mut next = [0; 5];
        for text in texts(&lines) {
            let (id, n) = text.split_once(':').expect("id and number");
            let id: usize = id.parse().expect("an id");
            assert_eq!(n.parse(), Ok(next[id]), "no line of a writer is missing, repeated or out of turn");
            next[id] += 1;
        }
    });
}

#[test]
fn a_reader_that_falls_behind_misses_nothing_and_a_dead_one_is_told_what_it_missed() {
    let root = tempfile::tempdir().expect("a folder");
    let boot_offset = Arc::new(AtomicU64::new(0));
    let ahead = Arc::clone(&boot_offset);
    let clock = Arc::new(move || {
        let now = Stamp::now();
        Stamp { boot: now.boot.plus_millis(ahead.load(Ordering::Relaxed)), ..now }
    });
    let hub = Hub::open_with_clock(root.path(), settings(), clock).expect("a hub");
    let mut process = Process::new(root.path(), 1, APP, "web.1");
    let count = TAIL_BUFFER_LINES * 3;
    for n in 0..count {
        process.line(past(n as u64), Stream::Stdout, &n.to_string());
    }
    process.writer.flush();
    let expected: Vec<_> = (0..count).map(|n| n.to_string()).collect();
    let mut behind = tail(&hub, Start::After(Cursor::START));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(take(&mut behind, count), expected, "it waits for its reader");

    let mut dead = tail(&hub, Start::After(Cursor::START));
    eventually("the dead reader is let go", || {
        boot_offset.fetch_add(SLOW_READER_SECONDS * 500, Ordering::Relaxed);
        hub.append(&OwnLine {
            app: OTHER,
            process: None,
            stream: Stream::Api,
            name: "api",
            text: "wakes the hub",
        });
        hub.status().slow_readers > 0
    });
    assert_eq!(take(&mut dead, TAIL_BUFFER_LINES), expected[..TAIL_BUFFER_LINES]);
    let resume = dead.cursor().clone();
    let farewell = dead.blocking_next().expect("a last line");
    let text = render(&farewell);
    let missed = count - TAIL_BUFFER_LINES;
    let expected_text = format!(
        "heroku[logplex]: L11 (Tail buffer overflow) -> This tail session dropped {missed} messages since "
    );
    assert!(text.contains(&expected_text), "{text}");
    assert_eq!(dead.blocking_next(), None);
    let mut resumed = tail(&hub, Start::After(resume));
    assert_eq!(
        take(&mut resumed, missed),
        expected[TAIL_BUFFER_LINES..],
        "coming back it gets them after all"
    );
}

#[test]
fn lost_lines_are_told_where_they_are_missing() {
    let root = tempfile::tempdir().expect("a folder");
    let mut process = Process::with_caps(root.path(), 1, APP, "web.1", caps(100_000));
    for n in 0..10_u64 {
        process.say_at(past(n), &format!("line {n}"));
    }
    let id = WriterId::from_u128(1);
    let path = root.path().join(id.to_string()).join(segment_file_name(1));
    let mut bytes = std::fs::read(&path).expect("a segment");
    // Each frame takes 83 bytes after a header of 64: spoil lines 4 and 5.
    bytes[64 + 4 * 83 + 10..64 + 5 * 83 + 30].fill(0);
    std::fs::write(&path, bytes).expect("spoilt");
    let hub = Hub::open(root.path(), settings()).expect("a hub");
    let lost = "Error L13: 2 messages lost since ";
    for lines in [query(&hub, APP, &Filter::default(), 100), take(&mut tail(&hub, Start::Last(100)), 9)] {
        assert_eq!((lines.len(), lines[3].as_str(), lines[5].as_str()), (9, "line 3", "line 6"));
        assert!(lines[4].starts_with(lost), "{}", lines[4]);
    }
    let router_only = Filter { name: Some(NameFilter::parse("router")), ..Filter::default() };
    assert_eq!(query(&hub, APP, &router_only, 10).len(), 1, "a filter does not hide a loss");
    assert_eq!(hub.status().damage.lost_frames, 2);
}

/// A clock that the test sets.
fn settable_clock() -> (logs::Clock, Arc<Mutex<Stamp>>) {
    let now = Arc::new(Mutex::new(Stamp::now()));
    let shown = Arc::clone(&now);
    (Arc::new(move || *shown.lock().expect("a clock")), now)
}

fn advance(clock: &Mutex<Stamp>, days: u64) {
    let mut now = clock.lock().expect("a clock");
    let seconds = days * 24 * 60 * 60;
    *now = Stamp { wall_micros: now.wall_micros + seconds * 1_000_000, boot: now.boot.plus_seconds(seconds) };
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1_200 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("never: {what}");
}

#[test]
fn after_seven_days_segments_and_empty_folders_go_and_living_writers_stay() {
    let root = tempfile::tempdir().expect("a folder");
    let (clock, now) = settable_clock();
    let hub = Hub::open_with_clock(root.path(), settings(), clock).expect("a hub");
    let mut sealed = Process::new(root.path(), 1, APP, "web.1");
    sealed.say("of a process that ended");
    sealed.writer.close(Stamp::now());
    let mut killed = Process::new(root.path(), 2, APP, "web.2");
    killed.say("of a process that was killed");
    drop(killed);
    let mut alive = Process::new(root.path(), 3, APP, "web.3");
    alive.say("of a living process");
    assert_eq!(query(&hub, APP, &Filter::default(), 10).len(), 3);
    advance(&now, 6);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(query(&hub, APP, &Filter::default(), 10).len(), 3);
    advance(&now, 2);
    let folder = |id: u128| root.path().join(WriterId::from_u128(id).to_string());
    eventually("the folders of writers that are gone are removed", || {
        !folder(1).exists() && !folder(2).exists()
    });
    assert_eq!(query(&hub, APP, &Filter::default(), 10), ["of a living process"]);
    alive.say("and it goes on");
    assert_eq!(query(&hub, APP, &Filter::default(), 10).len(), 2);
    assert!(folder(3).exists() && root.path().join(SERVER.to_string()).exists());
}

#[test]
fn a_deleted_app_leaves_nothing_but_what_still_grows() {
    let root = tempfile::tempdir().expect("a folder");
    let hub = Hub::open(root.path(), settings()).expect("a hub");
    for (id, app) in [(1, APP), (2, OTHER)] {
        let mut process = Process::new(root.path(), id, app, "web.1");
        process.say("ended");
        process.writer.close(Stamp::now());
    }
    let mut alive = Process::new(root.path(), 3, APP, "web.1");
    alive.say("stopping");
    hub.delete_app(APP);
    assert_eq!(query(&hub, APP, &Filter::default(), 10), ["stopping"]);
    assert_eq!(query(&hub, OTHER, &Filter::default(), 10), ["ended"]);
    assert!(!root.path().join(WriterId::from_u128(1).to_string()).exists());
    drop(alive);
    assert_eq!(hub.apps(), [APP, OTHER].into());
    hub.delete_app(APP);
    assert_eq!(hub.apps(), [OTHER].into());
    assert!(query(&hub, APP, &Filter::default(), 10).is_empty());
}

#[test]
fn an_app_over_its_bytes_loses_its_oldest_lines_and_other_apps_none() {
    let root = tempfile::tempdir().expect("a folder");
    let (clock, now) = settable_clock();
    let retention = Retention { bytes_per_app: 100_000, ..Retention::DEFAULT };
    let hub =
        Hub::open_with_clock(root.path(), HubSettings { retention, ..settings() }, clock).expect("a hub");
    let mut chatty = Process::with_caps(root.path(), 1, APP, "web.1", caps(20_000));
    let mut quiet = Process::with_caps(root.path(), 2, OTHER, "web.1", caps(20_000));
    quiet.say_at(past(0), "first of all");
    for n in 0..2_000 {
        chatty.say_at(past(n + 1), &format!("line {n:04} {}", "x".repeat(100)));
    }
    now.lock().expect("a clock").boot = BootMillis(Stamp::now().boot.0 + 61_000);
    eventually("the app is under its cap", || {
        let kept = hub.query(APP, &Filter::default(), 1_500);
        (300..600).contains(&kept.len())
    });
    let kept = query(&hub, APP, &Filter::default(), 1_500);
    assert!(kept[kept.len() - 1].starts_with("line 1999"));
    assert_eq!(query(&hub, OTHER, &Filter::default(), 10), ["first of all"]);
    let mut late = tail(&hub, Start::After(Cursor::START));
    assert!(
        take(&mut late, 1)[0].starts_with("line "),
        "what was deleted by age or size is no loss to a new reader"
    );
}
