//! Replays the corpus through the decoder: every file must end in the count written here. The files are also the seeds of the
//! fuzz target for [`journal::decode_any`].

use journal::{DecodeCount, decode_any};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// File, frames, bytes that belong to no frame. `golden-1.seg` is format 1 as first written and must never change; the others
/// are that segment with one thing done to it, as their names say.
const EXPECTED: [(&str, usize, usize); 20] = [
    ("empty.seg", 0, 0),
    ("forged-in-payload.seg", 4, 327),
    ("frame-version-2.seg", 6, 93),
    ("golden-1.seg", 7, 0),
    ("header-crc.seg", 0, 881),
    ("header-cut.seg", 0, 40),
    ("header-format-2.seg", 0, 881),
    ("header-only.seg", 0, 0),
    ("hole-of-zeros.seg", 5, 4096),
    ("length-huge.seg", 6, 93),
    ("length-plausible.seg", 6, 93),
    ("marker-lost.seg", 6, 93),
    ("name-length-255.seg", 6, 93),
    ("notice-short.seg", 6, 0),
    ("only-markers.seg", 0, 8000),
    ("payload-flipped.seg", 6, 93),
    ("random-after-header.seg", 0, 3000),
    ("random.seg", 0, 3000),
    ("seal-bad-marks.seg", 6, 0),
    ("tail-torn.seg", 4, 50),
];

fn corpus() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder).expect("the corpus lies beside the crate");
    files
        .map(|file| file.expect("a readable folder").path())
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a readable file"))
        })
        .collect()
}

#[test]
fn every_file_of_the_corpus_decodes_to_its_count() {
    let found: Vec<_> = corpus()
        .iter()
        .map(|(name, bytes)| {
            let DecodeCount { frames, damaged_bytes } = decode_any(bytes);
            (name.clone(), frames, damaged_bytes)
        })
        .collect();
    let expected: Vec<_> =
        EXPECTED.iter().map(|(name, frames, damaged)| ((*name).to_owned(), *frames, *damaged)).collect();
    assert_eq!(found, expected);
}
