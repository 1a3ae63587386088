//! Tests of `merge`.

use super::*;
use journal::{Caps, Entry, FreeSpaceFloor, SegmentWriter, Stream, WriterFolder};
use std::path::Path;

const APP: AppId = AppId::from_u128(1);

fn writer(root: &Path, id: u128) -> SegmentWriter {
    let id = WriterId::from_u128(id);
    let folder = root.join(id.to_string());
    WriterFolder::make(&folder, 0o770).unwrap();
    SegmentWriter::open(&folder, id, Caps { floor: FreeSpaceFloor::NONE, ..Caps::DEFAULT }).unwrap()
}

/// Milliseconds after an instant, on both clocks.
fn at(millis: u64) -> Stamp {
    Stamp { wall_micros: 1_700_000_000_000_000 + millis * 1000, boot: BootMillis(50_000 + millis) }
}

fn say(writer: &mut SegmentWriter, stamp: Stamp, app: AppId, text: &str) {
    let payload = text.as_bytes();
    writer.append(&Entry { app, process: None, name: "web.1", stream: Stream::Stdout, stamp, payload });
    writer.flush();
}

fn merge(root: &Path, writers: &[u128]) -> Merge {
    let mut merge = Merge::new(APP, Filter::default(), Cursor::START);
    for id in writers {
        let writer = WriterId::from_u128(*id);
        merge.add(root.join(writer.to_string()), Position { writer, segment: 0, offset: 0 }, 0);
    }
    merge
}

fn next(merge: &mut Merge, now: Stamp) -> String {
    match merge.next(now) {
        Next::Line(line) => String::from_utf8(line.text).unwrap(),
        Next::At(at) => format!("at {}", at.0 - 50_000),
        Next::StillReading => "still reading".to_owned(),
        Next::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn lines_wait_until_no_earlier_one_can_come() {
    let root = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (writer(root.path(), 1), writer(root.path(), 2));
    let mut merge = merge(root.path(), &[1, 2]);
    say(&mut a, at(10), APP, "a at 10");
    assert_eq!(next(&mut merge, at(50)), "at 110");
    // B was stopped between taking the time and writing.
    say(&mut b, at(5), APP, "b at 5");
    merge.wake(WriterId::from_u128(2));
    assert_eq!(next(&mut merge, at(104)), "at 105");
    assert_eq!(next(&mut merge, at(110)), "b at 5");
    assert_eq!(next(&mut merge, at(110)), "a at 10");
    assert_eq!(next(&mut merge, at(110)), "nothing");
    say(&mut b, at(6), APP, "b, too late for its place, is not lost");
    merge.wake(WriterId::from_u128(2));
    assert_eq!(next(&mut merge, at(210)), "b, too late for its place, is not lost");
}

#[test]
fn neither_clock_alone_holds_a_line_back() {
    let line = |stamp: Stamp| {
        let root = tempfile::tempdir().unwrap();
        say(&mut writer(root.path(), 1), stamp, APP, "line");
        next(&mut merge(root.path(), &[1]), at(0))
    };
    let cases = [
        ("young on both", at(0), "at 100"),
        ("old", Stamp { wall_micros: at(0).wall_micros - 200_000, boot: BootMillis(49_800) }, "line"),
        (
            "the wall clock was set back since",
            Stamp { wall_micros: at(3_600_000).wall_micros, boot: BootMillis(49_800) },
            "line",
        ),
        (
            "of an earlier boot",
            Stamp { wall_micros: at(3_600_000).wall_micros, boot: BootMillis(9_000_000) },
            "line",
        ),
    ];
    for (name, stamp, expected) in cases {
        assert_eq!(line(stamp), expected, "{name}");
    }
}

#[test]
fn others_lines_are_passed_over_a_share_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let mut shared = writer(root.path(), 1);
    for n in 0..FRAMES_PER_TURN as u64 + 100 {
        shared.append(&Entry {
            app: AppId::from_u128(2),
            process: None,
            name: "router",
            stream: Stream::Router,
            stamp: at(n / 1000),
            payload: b"",
        });
    }
    say(&mut shared, at(30), APP, "mine");
    let mut merge = merge(root.path(), &[1]);
    assert_eq!(next(&mut merge, at(500)), "still reading");
    assert_eq!(next(&mut merge, at(500)), "mine");
}

#[test]
fn a_writer_whose_folder_goes_is_left() {
    let root = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (writer(root.path(), 1), writer(root.path(), 2));
    let mut merge = merge(root.path(), &[1, 2]);
    say(&mut a, at(0), APP, "a");
    say(&mut b, at(1), APP, "b");
    std::fs::remove_dir_all(root.path().join(WriterId::from_u128(1).to_string())).unwrap();
    assert_eq!(next(&mut merge, at(500)), "b");
    assert!(!merge.knows(WriterId::from_u128(1)) && merge.knows(WriterId::from_u128(2)));
}
