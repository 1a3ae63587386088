//! Tests of `writer`.

use super::*;
use crate::frame::Stream;
use crate::segment::segment_file_name;
use crate::{Event, FRAME_VERSION, HEADER_BYTES, Liveness, MAX_LINE_BYTES, SegmentReader};
use domain::ids::AppId;
use std::path::PathBuf;

const WRITER: WriterId = WriterId::from_u128(5);
const APP: AppId = AppId::from_u128(1);

const SMALL: Caps = Caps { segment_bytes: 2_000, total_bytes: u64::MAX, floor: FreeSpaceFloor::NONE };

fn entry(text: &[u8], boot: u64) -> Entry<'_> {
    let stamp = Stamp { wall_micros: 1_000_000 + boot, boot: BootMillis(boot) };
    Entry { app: APP, process: None, name: "web.1", stream: Stream::Stdout, stamp, payload: text }
}

fn at(boot: u64) -> Stamp {
    entry(b"", boot).stamp
}

fn texts(folder: &Path) -> Vec<String> {
    let mut reader = SegmentReader::from_start(folder.to_owned(), WRITER);
    let mut texts = Vec::new();
    loop {
        match reader.next_event().unwrap() {
            Event::Idle => return texts,
            Event::Frame { frame, lost_before, .. } => {
                assert_eq!(lost_before, 0);
                texts.push(String::from_utf8_lossy(frame.payload).into_owned());
            }
            Event::SegmentEnd { .. } => {}
            other @ (Event::Damaged { .. } | Event::Unreadable { .. }) => panic!("{other:?}"),
        }
    }
}

fn segments(folder: &Path) -> Vec<u64> {
    WriterFolder::open(folder).unwrap().segments().unwrap().iter().map(|segment| segment.number).collect()
}

#[test]
fn what_was_flushed_survives_a_kill_and_what_was_not_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, Caps::DEFAULT).unwrap();
    writer.append(&entry(b"flushed", 1));
    writer.flush();
    writer.append(&entry(b"not flushed", 2));
    // As after SIGKILL: nothing of the writer runs any more.
    std::mem::forget(writer);
    assert_eq!(texts(folder.path()), ["flushed"]);
}

#[test]
fn rotates_and_seals_with_a_summary() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, SMALL).unwrap();
    let lines: Vec<String> = (0..50).map(|n| format!("line {n:03} {}", "x".repeat(50))).collect();
    for (n, line) in lines.iter().enumerate() {
        writer.append(&entry(line.as_bytes(), n as u64));
    }
    writer.close(at(60));
    assert_eq!(texts(folder.path()), lines);
    let opened = WriterFolder::open(folder.path()).unwrap();
    let looks: Vec<_> = segments(folder.path()).iter().map(|number| opened.look(*number).unwrap()).collect();
    assert!(looks.len() >= 4 && looks.iter().all(|look| look.file.bytes <= SMALL.segment_bytes));
    let mut sequence = 0;
    for look in looks {
        let (header, summary) = (look.header.unwrap(), look.seal.expect("sealed"));
        assert_eq!(
            (header.writer, header.first_sequence, summary.first_sequence),
            (WRITER, sequence, sequence)
        );
        assert_eq!(summary.frames, summary.next_sequence - summary.first_sequence);
        sequence = summary.next_sequence;
    }
    assert_eq!(sequence, 50);
}

#[test]
fn a_later_writer_goes_on_where_an_earlier_ended() {
    let folder = tempfile::tempdir().unwrap();
    for (boot, sealed) in [(1, true), (2, false), (3, true)] {
        let mut writer = SegmentWriter::open(folder.path(), WRITER, SMALL).unwrap();
        writer.append(&entry(format!("run {boot}").as_bytes(), boot));
        writer.flush();
        if sealed {
            writer.close(at(boot));
        }
    }
    // `texts` also checks that no sequence number is missing.
    assert_eq!(texts(folder.path()), ["run 1", "run 2", "run 3"]);
    assert_eq!(segments(folder.path()), [1, 2, 3]);
}

#[test]
fn one_writer_per_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = SegmentWriter::open(folder.path(), WRITER, SMALL).unwrap();
    let second = SegmentWriter::open(folder.path(), WRITER, SMALL);
    assert!(matches!(second, Err(OpenError::Folder(FolderError::Held { .. }))));
    drop(first);
    assert_eq!(WriterFolder::open(folder.path()).unwrap().liveness().unwrap(), Liveness::Gone);
}

#[test]
fn a_long_line_becomes_lines_and_an_empty_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, Caps::DEFAULT).unwrap();
    let long = "y".repeat(MAX_LINE_BYTES + 1);
    writer.append(&entry(long.as_bytes(), 1));
    writer.append(&entry(b"", 1));
    writer.flush();
    let lengths: Vec<_> = texts(folder.path()).iter().map(String::len).collect();
    assert_eq!(lengths, [MAX_LINE_BYTES, 1, 0]);
    assert_eq!(writer.stats().appended, 3);
}

#[test]
fn the_buffer_is_written_out_within_a_batch_and_not_kept_large() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, Caps::DEFAULT).unwrap();
    for _ in 0..1_000 {
        writer.append(&entry(&[b'x'; 1_000], 1));
        assert!(writer.buffer.len() < FLUSH_BYTES + 2_000);
    }
    assert!(texts(folder.path()).len() > 950);
    writer.flush();
    assert_eq!(texts(folder.path()).len(), 1_000);
    assert!(writer.buffer.capacity() <= KEPT_BUFFER_BYTES);
}

#[test]
fn beyond_its_cap_a_writer_deletes_its_oldest_segments() {
    let folder = tempfile::tempdir().unwrap();
    let caps = Caps { total_bytes: 8_000, ..SMALL };
    let mut writer = SegmentWriter::open(folder.path(), WRITER, caps).unwrap();
    for n in 0..200_u64 {
        writer.append(&entry(format!("line {n:03} {}", "x".repeat(50)).as_bytes(), n));
    }
    writer.flush();
    let left = segments(folder.path());
    assert_eq!(left.len(), 4);
    let opened = WriterFolder::open(folder.path()).unwrap();
    assert!(opened.segments().unwrap().iter().map(|segment| segment.bytes).sum::<u64>() <= caps.total_bytes);
    assert_eq!(writer.stats().discarded_segments, left[0] - 1);
    assert!(texts(folder.path()).last().unwrap().starts_with("line 199"));
}

#[test]
fn syncs_only_when_due_and_seals_after_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, Caps::DEFAULT).unwrap();
    assert_eq!(writer.due_at(), None);
    writer.append(&entry(b"x", 1_000));
    writer.flush();
    assert_eq!(writer.due_at(), Some(BootMillis(1_000 + SYNC_MILLIS)));
    writer.sync_if_due(at(1_000 + SYNC_MILLIS - 1));
    assert!(writer.dirty_since.is_some());
    writer.sync_if_due(at(1_000 + SYNC_MILLIS));
    assert_eq!((writer.dirty_since, writer.stats().failed_syncs), (None, 0));
    assert_eq!(writer.due_at(), Some(BootMillis(1_000 + SEAL_AFTER_MILLIS)));
    let opened = WriterFolder::open(folder.path()).unwrap();
    writer.seal_if_due(at(999 + SEAL_AFTER_MILLIS));
    assert!(opened.look(1).unwrap().seal.is_none());
    writer.seal_if_due(at(1_000 + SEAL_AFTER_MILLIS));
    assert!(opened.look(1).unwrap().seal.is_some());
    assert_eq!(writer.due_at(), None);
    assert_eq!(segments(folder.path()), [1], "a new segment is made only for a line");
}

#[test]
fn a_sync_can_be_waited_for_apart_from_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, Caps::DEFAULT).unwrap();
    writer.append(&entry(b"x", 1_000));
    writer.flush();
    assert!(writer.due_sync(at(1_000 + SYNC_MILLIS - 1)).is_none());
    let due = writer.due_sync(at(1_000 + SYNC_MILLIS)).expect("due");
    assert!(writer.due_sync(at(2_000 + SYNC_MILLIS)).is_none(), "handed out once");
    drop(writer);
    assert_eq!(due.run(), Ok(()));
}

#[test]
fn a_segment_deleted_under_the_writer_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::open(folder.path(), WRITER, Caps::DEFAULT).unwrap();
    writer.append(&entry(b"deleted", 1));
    writer.flush();
    std::fs::remove_file(folder.path().join(segment_file_name(1))).unwrap();
    writer.sync_if_due(at(10_000));
    writer.append(&entry(b"kept", 10_001));
    writer.flush();
    assert_eq!(texts(folder.path()), ["kept"]);
    assert_eq!(writer.stats().discarded_segments, 1);
}

/// Format 1, byte for byte: a later build must read what this one writes.
#[test]
fn the_format_is_the_one_of_the_golden_segment() {
    let golden =
        std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/golden-1.seg")).unwrap();
    let header = SegmentHeader::parse(&golden).unwrap();
    assert_eq!((header.number, header.first_sequence, FRAME_VERSION), (1, 0, 1));
    let mut bytes = header.to_bytes().to_vec();
    let mut output = Vec::new();
    let mut rest = &golden[HEADER_BYTES..];
    while let Ok((frame, length)) = crate::decode(rest, header.marker) {
        crate::encode(&frame, header.marker, &mut bytes);
        output.push(format!("{:?} {:?} {} {}", frame.kind, frame.stream, frame.name, frame.sequence));
        rest = &rest[length..];
    }
    assert_eq!(bytes, golden);
    let expected = [
        "Line Stdout web.1 0",
        "Line Stderr worker.2 1",
        "Line Platform web.1 2",
        "Line Router router 3",
        "Line Api api 4",
        "Dropped Platform log-shuttle 5",
        "Seal Platform  6",
    ];
    assert_eq!(output, expected);
}
