//! Tests of `summary`.

use super::*;
use crate::frame::{Stamp, Stream};
use domain::time::BootMillis;
use proptest::prelude::*;

fn frame(app: u128, sequence: u64, wall_micros: u64) -> FrameRef<'static> {
    FrameRef {
        kind: Kind::Line,
        app: AppId::from_u128(app),
        process: None,
        name: "router",
        stream: Stream::Router,
        stamp: Stamp { wall_micros, boot: BootMillis(0) },
        sequence,
        payload: b"",
    }
}

#[test]
fn a_summary_tells_times_apps_and_chunks() {
    let mut summary = Summary::default();
    for (app, sequence, wall, offset, floor) in [
        (1, 10, 500, 64, 90),
        (1, 11, 400, 60_000, 500),
        (2, 12, 700, 65_537, 500),
        (3, 13, 800, 300_000, 700),
    ] {
        summary.observe(&frame(app, sequence, wall), offset, floor);
    }
    assert_eq!((summary.frames, summary.first_sequence, summary.next_sequence), (4, 10, 14));
    assert_eq!((summary.first_order, summary.last_order), (500, 800));
    let bits = |apps: &[u128]| apps.iter().fold(0, |bits, app| bits | AppsSeen::bit(AppId::from_u128(*app)));
    assert_eq!(summary.apps, AppsSeen::Several(bits(&[1, 2, 3])));
    let mark = |offset, order_floor, sequence, apps: &[u128]| Mark {
        offset,
        order_floor,
        sequence,
        apps: bits(apps),
    };
    let expected = [mark(64, 90, 10, &[1]), mark(65_537, 500, 12, &[2]), mark(300_000, 700, 13, &[3])];
    assert_eq!(summary.marks, expected);
    assert_eq!(Summary::parse(&summary.to_payload()), Ok(summary));
}

#[test]
fn one_app_is_told_exactly_and_several_perhaps() {
    let mut apps = AppsSeen::None;
    assert!(!apps.may_hold(AppId::from_u128(1)));
    apps.add(AppId::from_u128(1));
    apps.add(AppId::from_u128(1));
    assert_eq!(apps, AppsSeen::One(AppId::from_u128(1)));
    assert!(apps.may_hold(AppId::from_u128(1)) && !apps.may_hold(AppId::from_u128(65)));
    apps.add(AppId::from_u128(2));
    assert!(
        apps.may_hold(AppId::from_u128(2))
            && apps.may_hold(AppId::from_u128(65))
            && !apps.may_hold(AppId::from_u128(3))
    );
}

#[test]
fn a_seal_takes_no_part() {
    let mut summary = Summary::default();
    summary.observe(&FrameRef { kind: Kind::Seal, ..frame(1, 1, 1) }, 64, 0);
    assert_eq!(summary, Summary::default());
    assert_eq!(Summary::parse(&summary.to_payload()), Ok(summary));
}

#[test]
fn a_summary_of_the_largest_segment_fits_into_a_frame() {
    let mut summary = Summary::default();
    for offset in (0..crate::Caps::MAX_SEGMENT_BYTES).step_by(CHUNK_BYTES as usize) {
        summary.observe(&frame(1, 0, 0), offset, 0);
    }
    assert!(summary.to_payload().len() <= crate::MAX_PAYLOAD_BYTES);
    assert_eq!(summary.to_payload().len(), summary.payload_bytes());
}

proptest! {
    #[test]
    fn any_payload_parses_or_does_not(payload in prop::collection::vec(any::<u8>(), 0..200), marks in 0..4_u32) {
        let mut payload = payload;
        if payload.len() >= 48 {
            payload[44..48].copy_from_slice(&marks.to_le_bytes());
        }
        if let Ok(summary) = Summary::parse(&payload) {
            prop_assert_eq!(summary.to_payload()[..64].to_vec(), payload[..64].to_vec());
        }
        let _ = Summary::seal_within(&payload);
    }
}
