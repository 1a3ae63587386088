//! The tar extractor, for tars and gzipped ones: whatever comes, nothing outside of the folder changes, and a failure leaves nothing inside it.

#![no_main]

use blobs::tree::{Limits, SourceTree, extract, unpack, unwrap_single_folder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let outer = tempfile::tempdir().expect("a folder");
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    let tree = SourceTree::open(&inner).expect("it opens");
    let limits = Limits { entries: 200, total_bytes: 1 << 20, file_bytes: 1 << 20, ..Limits::SOURCE };
    let mut archive = bytes;
    let Ok(mut unpacked) = unpack(&mut archive) else { return };
    let extracted = extract(&mut unpacked, tree.as_folder(), &limits.arrived_as(bytes.len() as u64));
    let left = || std::fs::read_dir(&inner).expect("it reads").count();
    if extracted.is_err() {
        assert_eq!(left(), 0, "a failed extraction leaves nothing");
    } else if unwrap_single_folder(tree.as_folder(), &limits).is_err() {
        // A link that leaves the smaller tree: refused before anything moved.
        assert!(left() <= 1);
    }
    assert_eq!(std::fs::read_dir(outer.path()).expect("it reads").count(), 1, "nothing beside the folder");
});
