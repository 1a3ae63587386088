//! What is extracted does not depend on who extracts. A test program of its own, since a umask belongs to a whole process.

mod support;

use blobs::tree::Limits;
use std::os::unix::fs::PermissionsExt;
use support::{Place, Tar};
use tar::EntryType;

#[test]
fn the_umask_changes_nothing() {
    let place = Place::new();
    let bytes =
        Tar::new().folder("a").file("a/b", "x").entry(EntryType::Regular, b"run", b"", 0o755, b"").end();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    std::fs::set_permissions(place.tree(), std::fs::Permissions::from_mode(0o700)).expect("set");
    place.extract(&bytes, &Limits::SOURCE).expect("accepted");
    for (name, expected) in [("", 0o755), ("a", 0o755), ("a/b", 0o644), ("run", 0o755)] {
        let metadata = std::fs::metadata(place.tree().join(name)).expect("is there");
        assert_eq!(metadata.permissions().mode() & 0o7777, expected, "{name}");
    }
}
