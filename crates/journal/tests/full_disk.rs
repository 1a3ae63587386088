//! A file system of 1 MB, filled and freed: the writer drops, counts, tells, and goes on. Needs root, to mount it.

use domain::ids::{AppId, WriterId};
use domain::time::BootMillis;
use journal::{
    Caps, DroppedNotice, Entry, Event, FreeSpaceFloor, Health, HoldReason, Kind, SegmentReader,
    SegmentWriter, Stamp, Stream,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::path::{Path, PathBuf};

const WRITER: WriterId = WriterId::from_u128(9);
const DISK_BYTES: u64 = 1024 * 1024;

/// A small tmpfs, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = CString::new(format!("size={DISK_BYTES}")).expect("no zero byte");
        mount("journal-test", folder.path(), "tmpfs", MountFlags::empty(), Some(options.as_c_str()))
            .expect("mounting a tmpfs needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all but `free` bytes of the space; removing the file gives them back.
    fn fill(&self, free: u64) -> PathBuf {
        let ballast = self.path().join("ballast");
        let stat = rustix::fs::statvfs(self.path()).expect("statvfs");
        let bytes = (stat.f_bavail * stat.f_frsize).saturating_sub(free);
        std::fs::write(&ballast, vec![1; usize::try_from(bytes).expect("a small disk")])
            .expect("room for the ballast");
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

fn stamp(boot: u64) -> Stamp {
    Stamp { wall_micros: boot * 1000, boot: BootMillis(boot) }
}

fn append(writer: &mut SegmentWriter, app: u128, boot: u64, text: &str) {
    writer.append(&Entry {
        app: AppId::from_u128(app),
        process: None,
        name: "web.1",
        stream: Stream::Stdout,
        stamp: stamp(boot),
        payload: text.as_bytes(),
    });
}

/// What a follower of the series sees: lines, and per app the number of lines that notices tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    lines: Vec<String>,
    told: std::collections::BTreeMap<AppId, u64>,
    lost: u64,
    damaged: u64,
}

fn read(folder: &Path) -> Seen {
    let mut reader = SegmentReader::from_start(folder.to_owned(), WRITER);
    let mut seen = Seen::default();
    loop {
        match reader.next_event().expect("readable") {
            Event::Idle => return seen,
            Event::Frame { frame, lost_before, .. } => {
                seen.lost += lost_before;
                match frame.kind {
                    Kind::Line => seen.lines.push(String::from_utf8_lossy(frame.payload).into_owned()),
                    Kind::Dropped => {
                        let notice = DroppedNotice::parse(frame.payload).expect("a whole notice");
                        *seen.told.entry(frame.app).or_default() += notice.count;
                    }
                    Kind::Seal => {}
                }
            }
            Event::Damaged { bytes, .. } => seen.damaged += bytes,
            Event::Unreadable { .. } | Event::SegmentEnd { .. } => {}
        }
    }
}

fn caps(floor: FreeSpaceFloor) -> Caps {
    Caps { segment_bytes: 64 * 1024, total_bytes: u64::MAX, floor }
}

#[test]
fn a_full_disk_costs_lines_that_are_counted_and_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root to mount a small file system");
        return;
    }
    let disk = Disk::mount();
    let folder = disk.path().join("w");
    std::fs::create_dir(&folder).expect("a folder");
    let mut writer = SegmentWriter::open(&folder, WRITER, caps(FreeSpaceFloor::NONE)).expect("a writer");
    append(&mut writer, 1, 0, "before");
    writer.flush();
    let ballast = disk.fill(100 * 1024);
    let text = "x".repeat(500);
    for n in 0..400_u64 {
        append(&mut writer, 1 + u128::from(n % 2), n, &format!("{n} {text}"));
        if n % 7 == 0 {
            writer.flush();
        }
    }
    writer.flush();
    assert!(matches!(writer.health(), Health::Holding(HoldReason::Refused(_))), "{:?}", writer.health());
    let stats = writer.stats();
    assert_eq!(stats.appended + stats.dropped, 401);
    assert!(stats.appended > 100 && stats.dropped > 100, "{stats:?}");
    let during = read(&folder);
    assert_eq!((during.lines.len() as u64, during.lost, during.damaged), (stats.appended, 0, 0));

    std::fs::remove_file(ballast).expect("freed");
    append(&mut writer, 1, 500, "dropped: looked at most once a second");
    append(&mut writer, 1, 1_400, "after");
    writer.flush();
    assert_eq!(writer.health(), Health::Writing);
    let after = read(&folder);
    assert_eq!(after.lines.last().map(String::as_str), Some("after"));
    assert_eq!(after.told.values().sum::<u64>(), stats.dropped + 1);
    assert_eq!(after.told.len(), 2, "each app is told its own count");
    assert_eq!((after.lost, after.damaged), (0, 0), "what was told is not missing as well");
    writer.close(stamp(1_500));
    assert_eq!(read(&folder).lines, after.lines);
}

#[test]
fn a_writer_opens_on_a_full_disk_and_begins_when_there_is_room() {
    let disk = Disk::mount();
    let folder = disk.path().join("w");
    std::fs::create_dir(&folder).expect("a folder");
    let ballast = disk.fill(0);
    let mut writer = SegmentWriter::open(&folder, WRITER, caps(FreeSpaceFloor::NONE)).expect("a writer");
    for boot in 0..50 {
        append(&mut writer, 1, boot, "dropped");
        writer.flush();
    }
    assert_eq!(writer.stats().dropped, 50);
    std::fs::remove_file(ballast).expect("freed");
    assert!(writer.due_at().is_some_and(|due| due.0 < 5_000), "it wants to look again");
    writer.sync_if_due(stamp(5_000));
    let seen = read(&folder);
    assert_eq!(
        (seen.told.values().sum::<u64>(), seen.lines.len()),
        (50, 0),
        "told without waiting for a line"
    );
    append(&mut writer, 1, 5_001, "kept");
    writer.flush();
    assert_eq!(read(&folder).lines, ["kept"]);
}

#[test]
fn the_floor_is_left_to_others() {
    let disk = Disk::mount();
    let folder = disk.path().join("w");
    std::fs::create_dir(&folder).expect("a folder");
    let floor = FreeSpaceFloor { bytes: 300 * 1024, permille: 1000 };
    let mut writer = SegmentWriter::open(&folder, WRITER, caps(floor)).expect("a writer");
    let text = "x".repeat(1000);
    for boot in 0..20_000 {
        append(&mut writer, 1, boot, &text);
    }
    writer.flush();
    assert_eq!(writer.health(), Health::Holding(HoldReason::LittleSpace));
    let stat = rustix::fs::statvfs(disk.path()).expect("statvfs");
    let free = stat.f_bavail * stat.f_frsize;
    // Looked at after each 16 KB: that, and the notices, are the most that go below.
    assert!((250 * 1024..300 * 1024).contains(&free), "{free}");
    std::fs::write(disk.path().join("ledger"), vec![1; 16 * 1024]).expect("the ledger still has room");
    let dropped = writer.stats().dropped;
    assert!(dropped > 19_000);
    writer.close(stamp(20_001));
    assert_eq!(
        read(&folder).told.values().sum::<u64>(),
        dropped,
        "a closing writer tells its count even then"
    );
}
