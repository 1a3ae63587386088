//! Trees that want out, want in, or want too much: each is refused by name, and leaves nothing behind.

mod support;

use blobs::tree::Limits;
use support::{Place, Tar};
use tar::EntryType;

const SMALL: Limits = Limits {
    entries: 50,
    total_bytes: 100_000,
    file_bytes: 60_000,
    depth: 10,
    path_bytes: 1000,
    compressed_bytes: None,
    spare_bytes: 0,
};

struct Case {
    what: &'static str,
    bytes: Vec<u8>,
    limits: Limits,
    /// Parts of the message.
    says: &'static [&'static str],
}

fn case(what: &'static str, bytes: Vec<u8>, says: &'static [&'static str]) -> Case {
    Case { what, bytes, limits: SMALL, says }
}

fn names() -> Vec<Case> {
    let deep = "d/".repeat(11) + "file";
    vec![
        case("absolute path", Tar::new().file("/etc/cron.d/x", "x").end(), &["/etc/cron.d/x", "absolute"]),
        case("parent at the start", Tar::new().file("../outside", "x").end(), &["../outside", "\"..\""]),
        case("parent in the middle", Tar::new().file("a/../../outside", "x").end(), &["a/../../outside"]),
        case("parent at the end", Tar::new().folder("a/..").end(), &["a/.."]),
        case("absolute folder", Tar::new().folder("/tmp/x/").end(), &["/tmp/x/", "absolute"]),
        case("empty name", Tar::new().file("", "x").end(), &["empty name"]),
        case("the tree itself as a file", Tar::new().file("./", "x").end(), &["folder's name"]),
        case("a file named as a folder", Tar::new().file("a/", "x").end(), &["\"a/\"", "folder's name"]),
        case("too deep", Tar::new().file(&deep, "x").end(), &["nested too deeply", "10"]),
        case(
            "a component of 300 bytes",
            Tar::new().long_name(&[b'n'; 300]).file("n", "x").end(),
            &["too long", "255"],
        ),
        case(
            "a path of 1001 bytes",
            Tar::new().long_name(&b"ab/".repeat(334)).file("n", "x").end(),
            &["too long", "1000"],
        ),
        case(
            "absolute by a long name",
            Tar::new().long_name(b"/etc/passwd").file("innocent", "x").end(),
            &["/etc/passwd"],
        ),
        case(
            "parent by an extended header",
            Tar::new().pax(EntryType::XHeader, &[("path", b"../outside")]).file("innocent", "x").end(),
            &["../outside"],
        ),
        case(
            "NUL by an extended header",
            Tar::new().pax(EntryType::XHeader, &[("path", b"a\0b")]).file("innocent", "x").end(),
            &["NUL"],
        ),
        case(
            "escape sequences in a name",
            Tar::new().file("/\x1b[2Jgone", "x").end(),
            &["\\x1b[2Jgone", "absolute"],
        ),
    ]
}

fn links() -> Vec<Case> {
    vec![
        case(
            "link to an absolute path",
            Tar::new().symlink("conf", "/etc/passwd").end(),
            &["\"conf\"", "/etc/passwd"],
        ),
        case(
            "link out of the tree",
            Tar::new().symlink("up", "../outside").end(),
            &["\"up\"", "leaves the tree"],
        ),
        case("link out from below", Tar::new().symlink("a/b", "../../outside").end(), &["\"a/b\"", "leaves"]),
        case(
            "link out through another link",
            Tar::new().symlink("d/e/up", "../..").symlink("d/e/x", "up/../outside").end(),
            &["\"d/e/x\"", "leaves"],
        ),
        case(
            "link made to leave by a later one",
            Tar::new().symlink("x", "y/../outside").symlink("y", ".").end(),
            &["\"x\"", "leaves"],
        ),
        case("link without target", Tar::new().symlink("a", "").end(), &["\"a\"", "target"]),
        case(
            "writing through a link",
            Tar::new().symlink("a", "b").folder("b").file("a/file", "x").end(),
            &["\"a/file\"", "below"],
        ),
        case(
            "writing through a link to the parent",
            Tar::new().symlink("a", "..").file("a/outside", "x").end(),
            &["\"a/outside\"", "below"],
        ),
        case("a folder over a link", Tar::new().symlink("a", "b").folder("a").end(), &["\"a\"", "below"]),
        case("writing below a file", Tar::new().file("a", "x").file("a/b", "x").end(), &["\"a/b\"", "below"]),
        case("hard link out", Tar::new().hard_link("a", "../outside").end(), &["hard link", "../outside"]),
        case(
            "hard link to an absolute path",
            Tar::new().hard_link("a", "/etc/shadow").end(),
            &["/etc/shadow"],
        ),
        case("hard link to what is not there", Tar::new().hard_link("a", "b").end(), &["\"a\"", "\"b\""]),
        case(
            "hard link to a folder",
            Tar::new().folder("b").hard_link("a", "b").end(),
            &["not an earlier regular file"],
        ),
        case(
            "hard link to a symbolic link",
            Tar::new().file("f", "x").symlink("b", "f").hard_link("a", "b").end(),
            &["not an earlier regular file"],
        ),
        case(
            "hard link to the tree",
            Tar::new().hard_link("a", "./").end(),
            &["not an earlier regular file"],
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let device = |kind| Tar::new().entry(kind, b"dev/sda", b"", 0o666, b"").end();
    vec![
        case("character device", device(EntryType::Char), &["dev/sda", "character device"]),
        case("block device", device(EntryType::Block), &["dev/sda", "block device"]),
        case("named pipe", device(EntryType::Fifo), &["dev/sda", "named pipe"]),
        case("GNU sparse file", device(EntryType::GNUSparse), &["dev/sda", "sparse"]),
        case(
            "sparse file by extended header",
            Tar::new().pax(EntryType::XHeader, &[("GNU.sparse.major", b"1")]).file("a", "x").end(),
            &["\"a\"", "sparse"],
        ),
        case("unknown type", device(EntryType::new(b'V')), &["dev/sda", "'V'"]),
        case("the same file twice", Tar::new().file("a", "1").file("./a", "2").end(), &["\"a\"", "twice"]),
        case("file over folder", Tar::new().folder("a").file("a", "x").end(), &["\"a\"", "twice"]),
        case("link over file", Tar::new().file("a", "x").symlink("a", "b").end(), &["\"a\"", "twice"]),
    ]
}

fn amounts() -> Vec<Case> {
    let many = (0..51).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), "")).end();
    let same_folder = (0..51).fold(Tar::new(), |tar, _| tar.folder("d")).end();
    let parents = (0..9).fold(Tar::new(), |tar, n| tar.folder(&format!("{n}/b/c/d/e/f"))).end();
    let big = "x".repeat(50_001);
    let repeated = (0..3).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), &big)).end();
    let copies = (0..3).fold(Tar::new().file("f", &big), |tar, n| tar.hard_link(&format!("c{n}"), "f")).end();
    let huge = Limits { total_bytes: u64::MAX, file_bytes: u64::MAX, ..SMALL };
    let lied = |size: u64| Tar::new().file("a", "x").altered(2, |header| header.set_size(size)).end();
    let mut ratio = case("expansion beyond the ratio", lied(70_000_000), &["expands", "100 times", "700"]);
    ratio.limits = huge.arrived_as(700);
    let mut endless = case("a file of 8 EiB that is not there", lied(1 << 62), &["ends early"]);
    endless.limits = huge;
    vec![
        case("too many files", many, &["more than 50"]),
        case("one folder over and over", same_folder, &["more than 50"]),
        case("too many missing parents", parents, &["more than 50"]),
        case(
            "a file too large",
            Tar::new().file("a", &"x".repeat(60_001)).end(),
            &["\"a\"", "60001", "60000"],
        ),
        case("files too large together", repeated, &["\"f1\"", "100000"]),
        case("copies by hard link too large together", copies, &["\"c0\"", "100000"]),
        case(
            "size by extended header too large",
            Tar::new().pax(EntryType::XHeader, &[("size", b"99999999")]).file("a", "x").end(),
            &["\"a\"", "99999999"],
        ),
        case(
            "an extended header of 2 MiB",
            Tar::new().pax(EntryType::XHeader, &[("comment", &[b'x'; 2 << 20])]).file("a", "x").end(),
            &["extended headers", "too large"],
        ),
        case(
            "endless extended headers",
            (0..2000)
                .fold(Tar::new(), |tar, _| tar.pax(EntryType::XHeader, &[("comment", &[b'x'; 600])]))
                .end(),
            &["extended headers", "too large"],
        ),
        ratio,
        endless,
    ]
}

fn damage() -> Vec<Case> {
    let whole = Tar::new().file("a", &"x".repeat(600)).file("b", "x").end();
    let mut flipped = whole.clone();
    flipped[3] ^= 1;
    let global =
        |records: &[(&str, &[u8])]| Tar::new().pax(EntryType::XGlobalHeader, records).file("a", "x").end();
    let cut = |bytes: usize| whole[..bytes].to_vec();
    vec![
        case("nothing at all", vec![], &["ends early"]),
        case("cut in a header", cut(300), &["ends early"]),
        case("cut in a content", cut(700), &["ends early", "content"]),
        case("cut in the padding", cut(512 + 601), &["ends early"]),
        case("cut between entries", cut(512 + 1024), &["ends early", "no end mark"]),
        case("half an end mark", cut(whole.len() - 512), &["ends early"]),
        case("a header after the end", [whole.clone(), whole.clone()].concat(), &["after its end"]),
        case("garbage after the end", [whole.clone(), b"x".to_vec()].concat(), &["after its end"]),
        case("endless padding", [whole.clone(), vec![0; 2 << 20]].concat(), &["after its end"]),
        case("a flipped bit", flipped, &["byte 0", "checksum"]),
        case("not an archive", b"<!DOCTYPE html>".repeat(100), &["byte 0"]),
        case(
            "one empty block in between",
            Tar::new().file("a", "x").raw(&[0; 512]).file("b", "x").end(),
            &["empty block"],
        ),
        case(
            "a negative size",
            Tar::new().file("a", "").altered(1, |header| header.as_old_mut().size = [0xff; 12]).end(),
            &["negative or too large"],
        ),
        case(
            "a size that is no number",
            Tar::new().file("a", "").altered(1, |header| header.as_old_mut().size = *b"00000000xyz\0").end(),
            &["not octal"],
        ),
        case(
            "a broken extended header",
            Tar::new().entry(EntryType::XHeader, b"p", b"", 0, b"99 a=b\n").end(),
            &["malformed"],
        ),
        case("a path for all", global(&[("path", b"b")]), &["every entry"]),
        case("a size for all", global(&[("size", b"1")]), &["every entry"]),
        case("a name for nothing", Tar::new().long_name(b"a").end(), &["announces one more"]),
    ]
}

#[test]
fn every_hostile_archive_is_refused_and_leaves_nothing() {
    let cases: Vec<Case> = [names(), links(), kinds(), amounts(), damage()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    for case in cases {
        let place = Place::new();
        let result = place.extract(&case.bytes, &case.limits);
        let message = result.expect_err(case.what).to_string();
        for part in case.says {
            assert!(message.contains(part), "{}: {message:?} should contain {part:?}", case.what);
        }
        assert!(place.is_empty(), "{}: something was left behind", case.what);
        place.assert_outside_untouched();
    }
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let place = Place::new();
    std::fs::write(place.tree().join("mine"), "kept").expect("written");
    let error = place.extract(&Tar::new().file("a", "x").end(), &SMALL).expect_err("refused");
    assert!(error.to_string().contains("not empty"));
    assert_eq!(std::fs::read_to_string(place.tree().join("mine")).expect("reads"), "kept");
    assert!(!place.tree().join("a").exists());
}
