//! Tests of `reader`.

use super::*;
use crate::frame::{Entry, Stamp, Stream};
use crate::segment::segment_file_name;
use crate::writer::{Caps, FreeSpaceFloor, SegmentWriter};
use domain::ids::AppId;
use domain::time::BootMillis;
use proptest::prelude::*;
use std::fs::OpenOptions;
use std::io::Write;

const WRITER: WriterId = WriterId::from_u128(5);

fn writer(folder: &std::path::Path, segment_bytes: u64) -> SegmentWriter {
    let caps = Caps { segment_bytes, total_bytes: u64::MAX, floor: FreeSpaceFloor::NONE };
    SegmentWriter::open(folder, WRITER, caps).unwrap()
}

fn append(writer: &mut SegmentWriter, wall_micros: u64, text: &str) {
    writer.append(&Entry {
        app: AppId::from_u128(1),
        process: None,
        name: "web.1",
        stream: Stream::Stdout,
        stamp: Stamp { wall_micros, boot: BootMillis(1) },
        payload: text.as_bytes(),
    });
}

/// Each event as a short text, until there is nothing more.
fn drain(reader: &mut SegmentReader) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        events.push(match reader.next_event().unwrap() {
            Event::Idle => return events,
            Event::Frame { frame, order, lost_before: 0, .. } => {
                format!("{}@{order}", String::from_utf8_lossy(frame.payload))
            }
            Event::Frame { frame, lost_before, .. } => {
                format!("{} after {lost_before} lost", String::from_utf8_lossy(frame.payload))
            }
            Event::Damaged { position, bytes } => format!("{bytes} damaged in {}", position.segment),
            Event::Unreadable { segment, reason } => format!("{segment} unreadable: {reason}"),
            Event::SegmentEnd { segment, sealed } => format!("end of {segment} {sealed:?}"),
        });
    }
}

fn reader(folder: &std::path::Path) -> SegmentReader {
    SegmentReader::from_start(folder.to_owned(), WRITER)
}

fn bytes_of(folder: &std::path::Path, segment: u64) -> Vec<u8> {
    std::fs::read(folder.join(segment_file_name(segment))).unwrap()
}

#[test]
fn follows_growth_and_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = reader(folder.path());
    assert!(drain(&mut reader).is_empty(), "an empty folder is idle");
    let mut writer = writer(folder.path(), 400);
    append(&mut writer, 10, "one");
    assert!(drain(&mut reader).is_empty(), "nothing was flushed");
    writer.flush();
    assert_eq!(drain(&mut reader), ["one@10"]);
    append(&mut writer, 11, "two");
    append(&mut writer, 12, "three");
    append(&mut writer, 13, "four");
    writer.flush();
    assert_eq!(drain(&mut reader), ["two@11", "end of 1 BySeal", "three@12", "four@13"]);
    writer.close(Stamp::default());
    assert_eq!(drain(&mut reader), ["end of 2 BySeal"]);
    assert!(drain(&mut reader).is_empty());
}

#[test]
fn a_clock_set_back_does_not_reorder_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), 300);
    for (wall, text) in [(50, "a"), (20, "b"), (30, "c"), (60, "d")] {
        append(&mut first, wall, text);
    }
    first.flush();
    let orders: Vec<_> =
        drain(&mut reader(folder.path())).into_iter().filter(|event| event.contains('@')).collect();
    assert_eq!(orders, ["a@50", "b@50", "c@50", "d@60"]);
}

#[test]
fn a_torn_tail_costs_one_frame_and_is_waited_for_until_a_later_segment_exists() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), 100_000);
    append(&mut first, 1, "kept");
    append(&mut first, 2, "torn");
    first.flush();
    drop(first);
    let path = folder.path().join(segment_file_name(1));
    let whole = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(whole - 3).unwrap();
    let mut reader = reader(folder.path());
    assert_eq!(drain(&mut reader), ["kept@1"]);
    assert!(drain(&mut reader).is_empty());
    let mut second = writer(folder.path(), 100_000);
    append(&mut second, 3, "next");
    second.flush();
    let torn = whole - 3 - HEADER_BYTES as u64 - 81;
    assert_eq!(
        drain(&mut reader),
        [format!("{torn} damaged in 1"), "end of 1 BySuccessor".to_owned(), "next@3".to_owned()]
    );
}

#[test]
fn a_frame_taken_back_and_written_anew_is_not_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), 100_000);
    append(&mut writer, 1, "kept");
    append(&mut writer, 2, "whole in the end");
    writer.flush();
    let path = folder.path().join(segment_file_name(1));
    let bytes = std::fs::read(&path).unwrap();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(bytes.len() as u64 - 10).unwrap();
    let mut reader = reader(folder.path());
    assert_eq!(drain(&mut reader), ["kept@1"]);
    let tail = bytes.len() as u64 - 30;
    file.set_len(tail).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(tail)).unwrap();
    file.write_all(&bytes[bytes.len() - 30..]).unwrap();
    assert_eq!(drain(&mut reader), ["whole in the end@2"]);
}

#[test]
fn damage_is_skipped_and_the_lines_lost_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), 100_000);
    for text in ["a", "b", "c", "d"] {
        append(&mut first, 1, text);
    }
    first.close(Stamp::default());
    let mut bytes = bytes_of(folder.path(), 1);
    // Each frame takes 78 bytes: spoil "b" and "c".
    bytes[HEADER_BYTES + 78 + 30..HEADER_BYTES + 156 + 10].fill(0xee);
    std::fs::write(folder.path().join(segment_file_name(1)), bytes).unwrap();
    assert_eq!(
        drain(&mut reader(folder.path())),
        ["a@1", "156 damaged in 1", "d after 2 lost", "end of 1 BySeal"]
    );
}

#[test]
fn deleted_segments_are_counted_by_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), 400);
    let mut follower = reader(folder.path());
    append(&mut writer, 1, "0");
    writer.flush();
    assert_eq!(drain(&mut follower), ["0@1"]);
    for number in 1..=8 {
        append(&mut writer, 1, &number.to_string());
    }
    writer.flush();
    for segment in 1..=3 {
        std::fs::remove_file(folder.path().join(segment_file_name(segment))).unwrap();
    }
    let met = drain(&mut follower);
    assert_eq!(met, ["6 after 5 lost", "7@1", "end of 4 BySeal", "8@1"]);
    let mut late = reader(folder.path());
    assert_eq!(drain(&mut late)[0], "6@1", "what was gone before this reader began is not lost to it");
    let mut resumed = reader(folder.path()).after_sequence(3);
    assert_eq!(drain(&mut resumed)[0], "6 after 2 lost");
}

#[test]
fn segments_of_another_format_or_without_header_are_skipped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut writer = writer(folder.path(), 400);
        append(&mut writer, 1, "x");
        writer.close(Stamp::default());
    }
    let mut other_format = bytes_of(folder.path(), 1);
    other_format[8] = 2;
    std::fs::write(folder.path().join(segment_file_name(1)), other_format).unwrap();
    std::fs::write(folder.path().join(segment_file_name(2)), b"").unwrap();
    let expected = [
        "1 unreadable: segment format 2 is not 1, the one this build reads",
        "2 unreadable: the segment is shorter than its header",
        "x@1",
        "end of 3 BySeal",
    ];
    assert_eq!(drain(&mut reader(folder.path())), expected);
}

#[test]
fn a_series_begun_anew_in_an_emptied_folder_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), 400);
    for text in ["a", "b", "c", "d"] {
        append(&mut first, 1, text);
    }
    first.close(Stamp::default());
    let mut follower = reader(folder.path());
    drain(&mut follower);
    let mut after = SegmentReader::after_segment(folder.path().to_owned(), WRITER, 2, 0);
    assert!(drain(&mut after).is_empty());
    std::fs::remove_file(folder.path().join(segment_file_name(1))).unwrap();
    std::fs::remove_file(folder.path().join(segment_file_name(2))).unwrap();
    assert!(drain(&mut follower).is_empty());
    let mut second = writer(folder.path(), 400);
    append(&mut second, 2, "anew");
    second.flush();
    assert_eq!(drain(&mut follower), ["anew@2"]);
    assert_eq!(drain(&mut after), ["anew@2"]);
}

#[test]
fn killed_after_any_byte_a_writer_leaves_whole_lines_and_its_successor_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = writer(folder.path(), 100_000);
    for text in ["a", "b", "c"] {
        append(&mut whole, 1, text);
    }
    whole.close(Stamp::default());
    let bytes = bytes_of(folder.path(), 1);
    for cut in 0..bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(segment_file_name(1)), &bytes[..cut]).unwrap();
        let kept = cut.saturating_sub(HEADER_BYTES).div_euclid(78).min(3);
        let mut follower = reader(folder.path());
        assert_eq!(drain(&mut follower).len(), kept, "cut at {cut}");
        let mut successor = writer(folder.path(), 100_000);
        append(&mut successor, 2, "next");
        successor.flush();
        let events = drain(&mut reader(folder.path()));
        let lines: Vec<_> = events.iter().filter(|event| event.contains('@')).map(String::as_str).collect();
        assert_eq!(lines, [&["a@1", "b@1", "c@1"][..kept], &["next@2"]].concat(), "cut at {cut}");
        assert_eq!(drain(&mut follower).last().map(String::as_str), Some("next@2"), "cut at {cut}");
    }
}

#[test]
fn resumes_at_a_position_of_an_earlier_reader() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), 100_000);
    for text in ["a", "b", "c"] {
        append(&mut writer, 7, text);
    }
    writer.flush();
    let mut first = reader(folder.path());
    let position = match first.next_event().unwrap() {
        Event::Frame { position, .. } => position,
        other => panic!("{other:?}"),
    };
    assert_eq!(position.offset, HEADER_BYTES as u64);
    let mut second = SegmentReader::at(folder.path().to_owned(), first.position(), first.order_floor());
    assert_eq!(drain(&mut second), ["b@7", "c@7"]);
    assert_eq!(drain(&mut SegmentReader::at(folder.path().to_owned(), position, 0)), ["a@7", "b@7", "c@7"]);
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let error = reader(std::path::Path::new("/nonexistent/w")).next_event().unwrap_err();
    assert!(error.to_string().contains("/nonexistent/w"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever happens to a segment's bytes, reading ends, and what it gives is a subsequence of what was written.
    #[test]
    fn any_damage_ends_and_invents_nothing(
        lines in prop::collection::vec("[a-z]{0,40}", 1..40),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path(), 1500);
        for (number, line) in lines.iter().enumerate() {
            append(&mut writer, 1, &format!("{number}:{line}"));
        }
        writer.close(Stamp::default());
        let segments = std::fs::read_dir(folder.path()).unwrap().count() as u64;
        for segment in 1..=segments {
            let mut bytes = bytes_of(folder.path(), segment);
            for (at, value) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            if let Some(cut) = &cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            std::fs::write(folder.path().join(segment_file_name(segment)), bytes).unwrap();
        }
        let read = drain(&mut reader(folder.path()));
        let texts = read.iter().filter(|event| event.contains(':') && !event.contains("unreadable"));
        let mut written = lines.iter().enumerate();
        for text in texts {
            prop_assert!(written.any(|(number, line)| text.starts_with(&format!("{number}:{line}"))), "{text}");
        }
    }
}
