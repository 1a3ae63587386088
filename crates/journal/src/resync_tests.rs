//! Tests of `resync`.

use super::*;
use crate::codec::encode;
use crate::frame::{FrameRef, Stamp, Stream};
use domain::ids::{AppId, WriterId};
use domain::time::BootMillis;
use proptest::prelude::*;

const MARKER: Marker = Marker(0x0bad_5eed);

fn frame_bytes(payload: &[u8], marker: Marker) -> Vec<u8> {
    let frame = FrameRef {
        kind: Kind::Line,
        app: AppId::from_u128(1),
        process: None,
        name: "web.1",
        stream: Stream::Stdout,
        stamp: Stamp { wall_micros: 1, boot: BootMillis(1) },
        sequence: 0,
        payload,
    };
    let mut out = Vec::new();
    encode(&frame, marker, &mut out);
    out
}

fn segment(frames: &[&[u8]]) -> Vec<u8> {
    let header = SegmentHeader {
        writer: WriterId::from_u128(1),
        number: 1,
        marker: MARKER,
        first_sequence: 0,
        order_floor: 0,
    };
    [&header.to_bytes()[..], &frames.concat()].concat()
}

#[test]
fn search_finds_the_next_true_frame() {
    let frame = frame_bytes(b"line", MARKER);
    let after = |junk: &[u8]| [junk, &frame].concat();
    assert_eq!(next_frame(&after(b"junk"), MARKER), Search::Found { skip: 4 });
    assert_eq!(next_frame(&after(&MARKER.to_bytes()), MARKER), Search::Found { skip: 4 });
    assert_eq!(next_frame(&after(b"j")[..20], MARKER), Search::Perhaps { skip: 1 });
    assert_eq!(next_frame(&[b'j', MARKER.to_bytes()[0]], MARKER), Search::Perhaps { skip: 1 });
    assert_eq!(next_frame(b"junk", MARKER), Search::None { skip: 4 });
    assert_eq!(next_frame(b"", MARKER), Search::None { skip: 0 });
}

#[test]
fn a_frame_that_an_app_printed_is_not_taken_for_one() {
    // The app knows the format, not the marker of the segment that its line lands in.
    let forged = frame_bytes(b"forged line of another app", Marker(0x1234_5678));
    let mut carrier = frame_bytes(&forged, MARKER);
    let damaged_at = 20;
    carrier[damaged_at] ^= 0xff;
    let honest = frame_bytes(b"honest", MARKER);
    let count = decode_any(&segment(&[&carrier, &honest]));
    assert_eq!(count, DecodeCount { frames: 1, damaged_bytes: carrier.len() });
}

#[test]
fn a_file_of_markers_ends() {
    let markers = MARKER.to_bytes().repeat(50_000);
    assert_eq!(decode_any(&segment(&[&markers])).damaged_bytes, markers.len());
}

proptest! {
    /// Whatever bytes are lost, changed or added in between, every frame after the damage is found again.
    #[test]
    fn frames_after_damage_are_found(before in 0..4_usize, damage in prop::collection::vec(any::<u8>(), 0..200), after in 1..4_usize) {
        let frame = frame_bytes(b"line", MARKER);
        let bytes = segment(&[&frame.repeat(before), &damage, &frame.repeat(after)]);
        prop_assert_eq!(decode_any(&bytes), DecodeCount { frames: before + after, damaged_bytes: damage.len() });
    }

    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..2000), with_header: bool) {
        let bytes = if with_header { segment(&[&bytes]) } else { bytes };
        let _ = decode_any(&bytes);
    }
}
