//! Tests of `codec`.

use super::*;
use crate::frame::Frame;
use proptest::prelude::*;

const MARKER: Marker = Marker(0x1bad_cafe);

fn sample() -> Frame {
    Frame {
        kind: Kind::Line,
        app: AppId::from_u128(1),
        process: Some(ProcessId::from_u128(2)),
        name: "web.1".to_owned(),
        stream: Stream::Stderr,
        stamp: Stamp { wall_micros: 1_754_636_333_550_240, boot: BootMillis(12_345) },
        sequence: 9,
        payload: b"hello \xff world".to_vec(),
    }
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&frame.as_ref(), MARKER, &mut out);
    out
}

/// The bytes with `change` made and the checksum made right again: damage that only a field's own check can find.
fn forged(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = encoded(&sample());
    bytes[at] = value;
    let crc = crc32fast::hash(&bytes[layout::VERSION..]);
    bytes[layout::CRC..layout::VERSION].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn each_error_has_its_cause() {
    let mut not_utf8 = sample();
    not_utf8.name = "x".to_owned();
    let mut not_utf8_bytes = encoded(&not_utf8);
    not_utf8_bytes[layout::NAME] = 0xff;
    let crc = crc32fast::hash(&not_utf8_bytes[layout::VERSION..]);
    not_utf8_bytes[layout::CRC..layout::VERSION].copy_from_slice(&crc.to_le_bytes());
    let mut flipped = encoded(&sample());
    flipped[layout::NAME + 7] ^= 1;
    let whole = encoded(&sample());
    let cases = [
        (whole[..40].to_vec(), DecodeError::CutShort { needed: layout::NAME }),
        (whole[..whole.len() - 1].to_vec(), DecodeError::CutShort { needed: whole.len() }),
        (whole[1..].to_vec(), DecodeError::NoMarker),
        (forged(layout::VERSION, 2), DecodeError::UnknownVersion { found: 2 }),
        (forged(layout::KIND, 0), DecodeError::UnknownKind { found: 0 }),
        (forged(layout::STREAM, 99), DecodeError::UnknownStream { found: 99 }),
        (forged(layout::NAME_LENGTH, 81), DecodeError::NameTooLong { found: 81 }),
        (forged(layout::PAYLOAD_LENGTH + 3, 0xff), DecodeError::PayloadTooLong { found: 0xff00_000d }),
        (flipped, DecodeError::BadChecksum),
        (not_utf8_bytes, DecodeError::NameNotUtf8),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode(&bytes, MARKER), Err(expected));
    }
    assert!(decode(&whole, MARKER).is_ok());
}

#[test]
fn nothing_at_all_wants_more_bytes() {
    assert_eq!(decode(&[], MARKER), Err(DecodeError::CutShort { needed: layout::NAME }));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = encoded(&sample());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped, MARKER).is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_too_long_is_cut_at_a_character() {
    let mut frame = sample();
    frame.name = "ä".repeat(60);
    frame.payload = vec![b'x'; MAX_PAYLOAD_BYTES + 1];
    let bytes = encoded(&frame);
    let (decoded, length) = decode(&bytes, MARKER).unwrap();
    assert_eq!((decoded.name, length), ("ä".repeat(40).as_str(), bytes.len()));
    assert_eq!(decoded.payload.len(), MAX_PAYLOAD_BYTES);
    assert!(bytes.len() <= MAX_FRAME_BYTES);
}

prop_compose! {
    fn any_frame()(app: u128, process in prop::option::of(1..u128::MAX), name in "[a-zä.0-9]{0,30}", stream in 0..5_usize,
        wall_micros: u64, boot: u64, sequence: u64, payload in prop::collection::vec(any::<u8>(), 0..400)) -> Frame {
        Frame {
            kind: Kind::Line,
            app: AppId::from_u128(app),
            process: process.map(ProcessId::from_u128),
            name,
            stream: Stream::ALL[stream],
            stamp: Stamp { wall_micros, boot: BootMillis(boot) },
            sequence,
            payload,
        }
    }
}

proptest! {
    #[test]
    fn frames_come_back(frames in prop::collection::vec(any_frame(), 0..8)) {
        let mut bytes = Vec::new();
        for frame in &frames {
            encode(&frame.as_ref(), MARKER, &mut bytes);
        }
        let (mut rest, mut decoded) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (frame, length) = decode(rest, MARKER).unwrap();
            decoded.push(frame.to_frame());
            rest = &rest[length..];
        }
        prop_assert_eq!(decoded, frames);
    }

    #[test]
    fn any_bytes_decode_or_do_not(bytes in prop::collection::vec(any::<u8>(), 0..300), own_marker: bool) {
        let mut bytes = bytes;
        if own_marker && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&MARKER.to_bytes());
        }
        let _ = decode(&bytes, MARKER);
    }
}
