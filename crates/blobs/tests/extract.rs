//! Honest trees arrive whole, and normalised; any bytes at all do no harm.

mod support;

use blobs::tree::{Limits, SourceTree, extract, pack, unpack};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use support::{Place, Tar};
use tar::EntryType;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("is there").permissions().mode() & 0o7777
}

#[test]
fn what_is_honest_is_kept_and_normalised() {
    let bytes = Tar::new()
        .folder("./")
        .entry(EntryType::Directory, b"./secret/", b"", 0o700, b"")
        .entry(EntryType::Regular, b"./secret/run", b"", 0o6755, b"#!/bin/sh\n")
        .entry(EntryType::Regular, b"plain", b"", 0o600, b"text")
        .entry(EntryType::Regular, b"group-run", b"", 0o654, b"")
        .symlink("link", "secret/run")
        .symlink("dangling", "no/where")
        .symlink("loop", "loop")
        .hard_link("copy", "./secret/run")
        .folder("secret")
        .file("missing/parents/file", "x")
        .file("README", "upper")
        .file("readme", "lower")
        .entry(EntryType::Regular, b"bytes-\xff\xfe", b"", 0o644, b"")
        .long_name(&b"long/".repeat(40))
        .folder("cut")
        .pax(
            EntryType::XHeader,
            &[("path", "grün/ß".as_bytes()), ("mtime", b"1.5"), ("SCHILY.xattr.user.x", b"y")],
        )
        .file("ascii", "z")
        .end();
    let place = Place::new();
    let summary = place.extract(&bytes, &Limits::SOURCE).expect("accepted");
    assert_eq!((summary.files, summary.links, summary.bytes), (9, 3, 10 + 4 + 10 + 1 + 5 + 5 + 1));
    assert_eq!(summary.folders, 1 + 2 + 40 + 1);
    let at = |name: &str| place.tree().join(name);
    for (name, expected) in
        [("secret", 0o755), ("secret/run", 0o755), ("plain", 0o644), ("group-run", 0o644), ("copy", 0o755)]
    {
        assert_eq!(mode(&at(name)), expected, "{name}");
    }
    assert_eq!(fs::metadata(at("plain")).expect("is there").mtime(), 315_532_801);
    assert_eq!(fs::read_link(at("link")).expect("a link"), Path::new("secret/run"));
    assert_eq!(fs::read_to_string(at("copy")).expect("reads"), "#!/bin/sh\n");
    assert_eq!(fs::metadata(at("copy")).expect("is there").nlink(), 1);
    assert_eq!(fs::read_to_string(at("readme")).expect("reads"), "lower");
    assert_eq!(fs::read_to_string(at("grün/ß")).expect("reads"), "z");
    assert!(at(&"long/".repeat(40)).is_dir());
    place.assert_outside_untouched();
}

fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn git_archives_tell_their_commit() {
    let repository = tempfile::tempdir().expect("a folder");
    let at = |name: &str| repository.path().join(name);
    fs::create_dir_all(at("sub").join("d".repeat(120))).expect("made");
    fs::write(at("sub").join("d".repeat(120)).join("file"), "x").expect("written");
    fs::write(at("Procfile"), "web: x\n").expect("written");
    fs::write(at("run"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(at("run"), fs::Permissions::from_mode(0o755)).expect("set");
    std::os::unix::fs::symlink("sub", at("link")).expect("linked");
    git(repository.path(), &["init", "-q"]);
    git(repository.path(), &["add", "."]);
    git(repository.path(), &["commit", "-q", "-m", "first"]);
    let commit = String::from_utf8(git(repository.path(), &["rev-parse", "HEAD"])).expect("text");
    let bytes = git(repository.path(), &["archive", "HEAD"]);
    let place = Place::new();
    let summary = place.extract(&bytes, &Limits::SOURCE).expect("accepted");
    assert_eq!(summary.commit.expect("in the header").as_str(), commit.trim());
    assert_eq!((summary.files, summary.links), (3, 1));
    assert_eq!(mode(&place.tree().join("run")), 0o755);
    assert!(place.tree().join("sub").join("d".repeat(120)).join("file").is_file());
}

/// What a tree comes to: names, kinds, modes, contents.
fn described(folder: &Path) -> BTreeMap<Vec<u8>, String> {
    fn walk(folder: &Path, prefix: &[u8], into: &mut BTreeMap<Vec<u8>, String>) {
        for entry in fs::read_dir(folder).expect("reads") {
            let entry = entry.expect("an entry");
            let name =
                [prefix, std::os::unix::ffi::OsStrExt::as_bytes(entry.file_name().as_os_str())].concat();
            let kind = entry.file_type().expect("a kind");
            let text = if kind.is_symlink() {
                format!("link {:?}", fs::read_link(entry.path()).expect("a link"))
            } else if kind.is_dir() {
                walk(&entry.path(), &[name.as_slice(), b"/"].concat(), into);
                format!("folder {:o}", mode(&entry.path()))
            } else {
                format!("file {:o} {:?}", mode(&entry.path()), fs::read(entry.path()).expect("reads"))
            };
            into.insert(name, text);
        }
    }
    let mut all = BTreeMap::new();
    walk(folder, b"", &mut all);
    all
}

fn packed(folder: &Path, prefix: &str) -> Vec<u8> {
    let tree = SourceTree::open(folder).expect("opens");
    let mut bytes = Vec::new();
    pack(tree.as_folder(), prefix, &mut bytes).expect("packs");
    bytes
}

#[test]
fn packing_forgets_times_owners_and_attributes() {
    let make = |umask: u32| {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("bin")).expect("made");
        fs::write(at("bin/run"), "#!/bin/sh\n").expect("written");
        fs::set_permissions(at("bin/run"), fs::Permissions::from_mode(0o755 & !umask)).expect("set");
        fs::write(at("a"), "a").expect("written");
        fs::set_permissions(at("a"), fs::Permissions::from_mode(0o666 & !umask)).expect("set");
        std::os::unix::fs::symlink("t".repeat(150), at("link")).expect("linked");
        fs::write(at(&"n".repeat(150)), "n").expect("written");
        folder
    };
    let (one, other) = (make(0o077), make(0));
    // Only root can give a file away; all else is compared by anybody.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(other.path().join("a"), Some(1234), Some(1234)).expect("changed");
    }
    fs::File::options()
        .write(true)
        .open(other.path().join("a"))
        .and_then(|file| file.set_modified(std::time::SystemTime::UNIX_EPOCH))
        .expect("set");
    drop(std::os::unix::net::UnixListener::bind(other.path().join("socket")).expect("bound"));
    assert_eq!(packed(one.path(), "app"), packed(other.path(), "app"));
}

#[test]
fn packed_archives_read_well_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("d")).expect("made");
    fs::write(folder.path().join("d/z"), "z").expect("written");
    fs::write(folder.path().join("d-"), "sorted after d/, by folder").expect("written");
    fs::write(folder.path().join("n".repeat(200)), "n").expect("written");
    let bytes = packed(folder.path(), "app");
    let mut archive = tar::Archive::new(&bytes[..]);
    let names: Vec<String> = archive
        .entries()
        .expect("reads")
        .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
        .collect();
    let long = format!("app/{}", "n".repeat(200));
    assert_eq!(names, ["app/", "app/d/", "app/d/z", "app/d-", &long]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn packing_and_extracting_give_the_same_tree(
        files in proptest::collection::btree_map("[a-z]{1,8}(/[a-z]{1,120}){0,3}", proptest::collection::vec(any::<u8>(), 0..1500), 0..12),
        executable in any::<bool>(),
    ) {
        let source = tempfile::tempdir().expect("a folder");
        for (name, content) in &files {
            let at = source.path().join(name);
            if fs::create_dir_all(at.parent().expect("has one")).is_ok() && fs::write(&at, content).is_ok() {
                let mode = if executable { 0o755 } else { 0o644 };
                fs::set_permissions(&at, fs::Permissions::from_mode(mode)).expect("set");
            }
        }
        let bytes = packed(source.path(), "");
        let place = Place::new();
        place.extract(&bytes, &Limits::SOURCE).expect("accepted");
        prop_assert_eq!(described(&place.tree()), described(source.path()));
        prop_assert_eq!(packed(&place.tree(), ""), bytes);
    }
}

/// What the fuzz target does with any bytes: extraction succeeds or refuses, stays inside, and a refusal leaves nothing.
fn extract_any(bytes: &[u8]) {
    let limits = Limits { entries: 100, total_bytes: 100_000, ..Limits::SOURCE };
    let place = Place::new();
    let mut archive = bytes;
    let Ok(mut unpacked) = unpack(&mut archive) else { return };
    let tree = SourceTree::open(&place.tree()).expect("opens");
    match extract(&mut unpacked, tree.as_folder(), &limits.arrived_as(bytes.len() as u64)) {
        Ok(_) => drop(packed(&place.tree(), "app")),
        Err(_) => assert!(place.is_empty()),
    }
    place.assert_outside_untouched();
}

/// Keeps headers readable after a mutation: most of the surface lies behind the checksum.
fn mend_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/extract");
    let mut seeds: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is checked in")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("reads")))
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn the_corpus_does_no_harm() {
    let seeds = corpus();
    assert!(seeds.len() >= 8);
    for (name, bytes) in seeds {
        println!("{name}");
        extract_any(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_archives_do_no_harm(
        seed in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let seeds = corpus();
        let mut bytes = seeds[seed.index(seeds.len())].1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        mend_checksums(&mut bytes);
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        extract_any(&bytes);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        extract_any(&bytes);
    }
}

#[test]
fn a_reader_that_fails_is_told_apart_from_a_bad_archive() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let place = Place::new();
    let tree = SourceTree::open(&place.tree()).expect("opens");
    let error = extract(&mut Broken, tree.as_folder(), &Limits::SOURCE).expect_err("fails");
    assert!(matches!(error, blobs::tree::ExtractError::Read(_)));
}
