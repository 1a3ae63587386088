//! The step with the real npm, and with a package manager that does what Yarn does, in folders of our own instead of a sandbox's.

use super::*;
use crate::native::plan::{HandOut, InstallOrder};
use crate::step::Places;
use crate::step::install::install;

struct Bench {
    _place: tempfile::TempDir,
    places: Places,
}

struct Built {
    lines: String,
    result: Vec<u8>,
}

impl Bench {
    /// `None` where the tools are not.
    fn new(files: &[(&str, &str)]) -> Option<Self> {
        if ["node", "npm"].iter().any(|tool| child::find(tool).is_none()) {
            eprintln!("skipped: needs Node.js and npm");
            return None;
        }
        let place = tempfile::tempdir().expect("a folder");
        let at = |name: &str| place.path().join(name);
        fs::create_dir(at("cache")).expect("made");
        for (name, content) in files {
            let path = at("src").join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, content).expect("written");
        }
        let places = Places {
            source: at("src"),
            work: at("app"),
            cache: at("cache"),
            toolchain: at("none"),
            certificates: at("none"),
            temporary: at("none"),
            crates_mirror: None,
        };
        Some(Self { _place: place, places })
    }

    fn build(&self, tool: Tool) -> Built {
        let _ = fs::remove_dir_all(&self.places.work);
        fs::create_dir(&self.places.work).expect("made");
        let (key, hand_out) = ("f".repeat(64), HandOut::Tree);
        let order = InstallOrder { tool, key, hand_out, before: Vec::new(), scripts: Vec::new() };
        let (mut result, mut output) = (Vec::new(), Vec::new());
        let outcome = install(&self.places, &order, &mut result, &mut output);
        let lines = String::from_utf8(output).expect("text");
        assert!(outcome.is_ok(), "{outcome:?} {lines}");
        Built { lines, result }
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.places.work.join(MODULES).join(path)).ok()
    }
}

const MANIFEST: &str = r#"{"name":"x","version":"1.0.0","dependencies":{"kept":"file:kept"},"devDependencies":{"gone":"file:gone"}}"#;

#[test]
fn npm_prunes_once_and_the_next_build_is_the_same_without_it() {
    let lock = r#"{"name":"x","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
        "":{"name":"x","version":"1.0.0","dependencies":{"kept":"file:kept"},"devDependencies":{"gone":"file:gone"}},
        "gone":{"version":"1.0.0","dev":true},"kept":{"version":"1.0.0"},
        "node_modules/gone":{"resolved":"gone","link":true},"node_modules/kept":{"resolved":"kept","link":true}}}"#;
    let files = [
        ("package.json", MANIFEST),
        ("package-lock.json", lock),
        ("kept/package.json", r#"{"name":"kept","version":"1.0.0"}"#),
        ("gone/package.json", r#"{"name":"gone","version":"1.0.0"}"#),
    ];
    let Some(bench) = Bench::new(&files) else { return };
    let first = bench.build(Tool::Npm);
    assert!(first.lines.contains("npm ci") && first.lines.contains("npm prune"), "{}", first.lines);
    let (kept, gone) = (bench.read("kept/package.json"), bench.read("gone/package.json"));
    assert!(kept.is_some() && gone.is_none(), "{kept:?} {gone:?}");
    let record = bench.read(".package-lock.json").expect("npm keeps one");
    assert!(record.contains("node_modules/kept") && !record.contains("node_modules/gone"), "{record}");
    let second = bench.build(Tool::Npm);
    assert!(second.lines.contains("Using the installed packages"), "{}", second.lines);
    assert!(!second.lines.contains("npm"), "{}", second.lines);
    assert_eq!(bench.read(".package-lock.json"), Some(record));
    assert!(second.result == first.result, "the same commit gives the same slug");
}

/// With the packages of developers, version 2 of `shared` is at the top, as they want it; without them, version 1 goes there.
const MANAGER: &str = r#"
const fs = require("fs"), path = require("path");
const put = (file, text) => {
    fs.mkdirSync(path.dirname("node_modules/" + file), { recursive: true });
    fs.writeFileSync("node_modules/" + file, text);
};
if (process.argv[2] === "install") {
    put("gone/index.js", "");
    put("shared/index.js", "2");
    put("kept/node_modules/shared/index.js", "1");
} else {
    for (const name of ["gone", "shared", "kept/node_modules"]) fs.rmSync("node_modules/" + name, { recursive: true });
    put("shared/index.js", "1");
    put("shared/more.js", "1");
}"#;

#[test]
fn a_manager_that_moves_packages_when_it_prunes_is_asked_each_time() {
    let files = [
        ("package.json", MANIFEST),
        ("yarn.lock", "__metadata:\n"),
        (".yarnrc.yml", "yarnPath: yarn.cjs\n"),
        ("yarn.cjs", MANAGER),
    ];
    let Some(bench) = Bench::new(&files) else { return };
    let first = bench.build(Tool::YarnBerry);
    assert_eq!(bench.read("shared/index.js").as_deref(), Some("1"), "{}", first.lines);
    let second = bench.build(Tool::YarnBerry);
    assert!(second.lines.contains("Using the installed packages"), "{}", second.lines);
    assert_eq!(bench.read("shared/index.js").as_deref(), Some("1"), "{}", second.lines);
    assert!(second.result == first.result, "the same commit gives the same slug");
}
