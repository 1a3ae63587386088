//! Tests of `index`.

use super::*;
use crate::line::OrderKey;
use journal::{AppsSeen, Caps, Entry, FreeSpaceFloor, SegmentWriter, Stamp, Stream};

const APP: AppId = AppId::from_u128(1);
const OTHER: AppId = AppId::from_u128(2);

fn writer(root: &Path, writer: u128) -> SegmentWriter {
    let writer = WriterId::from_u128(writer);
    let folder = root.join(writer.to_string());
    journal::WriterFolder::make(&folder, 0o770).unwrap();
    let caps = Caps { segment_bytes: 200_000, total_bytes: u64::MAX, floor: FreeSpaceFloor::NONE };
    SegmentWriter::open(&folder, writer, caps).unwrap()
}

fn append(writer: &mut SegmentWriter, app: AppId, wall_micros: u64) {
    writer.append(&Entry {
        app,
        process: None,
        name: "web.1",
        stream: Stream::Stdout,
        stamp: Stamp { wall_micros, ..Stamp::default() },
        payload: &[b'x'; 928],
    });
}

fn facts(index: &mut Index) -> Vec<(WriterId, Vec<SegmentFacts>)> {
    index.refresh();
    index.writers().map(|(writer, segments)| (writer, segments.to_vec())).collect()
}

#[test]
fn reading_and_seals_tell_the_same() {
    let root = tempfile::tempdir().unwrap();
    let mut follower = Index::open(root.path()).unwrap();
    let mut first = writer(root.path(), 1);
    for wall in 1..=500 {
        append(&mut first, if wall == 300 { OTHER } else { APP }, wall);
        if wall % 50 == 0 {
            first.flush();
            follower.refresh();
        }
    }
    first.close(Stamp::default());
    let followed = facts(&mut follower);
    let listed = facts(&mut Index::open(root.path()).unwrap());
    assert_eq!(followed, listed);
    let segments = &followed[0].1;
    assert_eq!(segments.len(), 3);
    assert_eq!((segments[0].first_order, segments[2].last_order, segments[2].next_sequence), (1, 500, 500));
    assert_eq!(segments[0].apps, AppsSeen::One(APP));
    assert!(segments[1].apps.may_hold(OTHER) && matches!(segments[1].apps, AppsSeen::Several(_)));
    assert!(segments.iter().all(|segment| segment.state == SegmentState::Sealed && segment.bytes > 100_000));
    assert_eq!(follower.damage(), Damage::default());
}

#[test]
fn news_tell_who_wrote_for_whom_once() {
    let root = tempfile::tempdir().unwrap();
    let mut index = Index::open(root.path()).unwrap();
    index.refresh();
    let mut first = writer(root.path(), 1);
    append(&mut first, APP, 1);
    index.refresh();
    assert!(!index.has_news(), "nothing was flushed");
    first.flush();
    let mut second = writer(root.path(), 2);
    append(&mut second, OTHER, 1);
    second.flush();
    index.refresh();
    index.refresh();
    let news = index.take_news();
    let concerns =
        |app| news.iter().filter(|piece| piece.concerns(app)).map(|piece| piece.writer).collect::<Vec<_>>();
    assert_eq!(concerns(APP), [WriterId::from_u128(1)]);
    assert_eq!(concerns(OTHER), [WriterId::from_u128(2)]);
    assert!(index.take_news().is_empty());
    std::fs::remove_dir_all(index.folder_of(WriterId::from_u128(2))).unwrap();
    index.refresh();
    assert_eq!(index.writers().count(), 1, "a folder that is gone is forgotten");
    drop(second);
    index.take_news();
    let mut again = writer(root.path(), 2);
    append(&mut again, OTHER, 2);
    again.flush();
    index.refresh();
    append(&mut again, OTHER, 3);
    again.flush();
    index.refresh();
    assert_eq!(
        index.segments_of(WriterId::from_u128(2))[0].next_sequence,
        2,
        "and watched when it is there again"
    );
}

#[test]
fn a_reader_begins_at_the_last_mark_before_its_cursor() {
    let root = tempfile::tempdir().unwrap();
    let mut first = writer(root.path(), 1);
    let id = WriterId::from_u128(1);
    // 1,005 bytes a frame: 198 frames a segment, a mark each 65 or 66 frames.
    for wall in 0..500 {
        append(&mut first, APP, 10 * wall);
    }
    first.flush();
    let mut index = Index::open(root.path()).unwrap();
    index.refresh();
    let begin = |cursor: &Cursor| index.start_of(id, cursor).unwrap();
    let after = |sequence: u64| Cursor::after(OrderKey { micros: 10 * sequence, writer: id, sequence });
    let heard = |sequence: u64| {
        let mut cursor = Cursor::START;
        cursor.advance(OrderKey { micros: 10 * sequence, writer: id, sequence });
        cursor
    };
    assert_eq!(begin(&Cursor::START).0.segment, 1);
    for sequence in [0, 64, 65, 66, 70, 150, 197, 198, 260, 300, 395, 396, 480, 499] {
        for cursor in [after(sequence), heard(sequence)] {
            let (position, floor) = begin(&cursor);
            let mut reader = journal::SegmentReader::at(index.folder_of(id), position, floor);
            let mut skipped = 0;
            let next = loop {
                match reader.next_event().unwrap() {
                    journal::Event::Frame { frame, order, .. } => {
                        assert_eq!(order, 10 * frame.sequence);
                        if cursor.is_before(OrderKey { micros: order, writer: id, sequence: frame.sequence })
                        {
                            break Some(frame.sequence);
                        }
                        skipped += 1;
                    }
                    journal::Event::Idle => break None,
                    _ => {}
                }
            };
            assert_eq!(next, (sequence < 499).then_some(sequence + 1), "{cursor:?}");
            assert!(skipped <= 66, "{skipped} frames read in vain");
        }
    }
    assert!(
        !index.writers_after(APP, &heard(499)).contains(&id)
            && index.writers_after(APP, &heard(498)).contains(&id)
    );
    assert!(index.writers_after(OTHER, &Cursor::START).is_empty());
}
