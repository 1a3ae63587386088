//! The step with the real cargo, in folders of our own instead of a sandbox's.

use super::*;
use std::fs;
use std::path::Path;
use std::process::Command;

struct Bench {
    place: tempfile::TempDir,
    places: Places,
}

struct Built {
    lines: Vec<String>,
    result: Vec<u8>,
    outcome: Result<(), StepError>,
}

impl Built {
    fn says(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }
}

fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc runs");
    PathBuf::from(String::from_utf8(output.stdout).expect("text").trim())
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let at = |name: &str| place.path().join(name);
        for name in ["src", "cache", "tmp"] {
            fs::create_dir(at(name)).expect("made");
        }
        let places = Places {
            source: at("src"),
            work: at("app"),
            cache: at("cache"),
            toolchain: sysroot(),
            certificates: at("none"),
            temporary: at("tmp"),
            crates_mirror: None,
        };
        Self { place, places }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.places.source.join(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        fs::write(path, content).expect("written");
    }

    /// A workspace of an app and a library, without dependencies from elsewhere.
    fn write_app(&self) {
        self.write(
            "Cargo.toml",
            "[workspace]\nmembers = [\"lib\"]\n[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
             [dependencies]\nlib = { path = \"lib\" }\n",
        );
        self.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"lib\",\n]\n\n[[package]]\nname = \"lib\"\nversion = \"0.1.0\"\n");
        self.write("src/main.rs", "fn main() { println!(\"{}\", lib::text()); }\n");
        self.write("lib/Cargo.toml", "[package]\nname = \"lib\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
        self.write("lib/src/lib.rs", "pub fn text() -> &'static str { \"one\" }\n");
    }

    fn build(&self, procfile: ProcfileThere) -> Built {
        let _ = fs::remove_dir_all(&self.places.work);
        fs::create_dir(&self.places.work).expect("made");
        let (mut result, mut output) = (Vec::new(), Vec::new());
        let outcome = build(&self.places, procfile, &mut result, &mut output);
        let lines = String::from_utf8(output).expect("text").lines().map(str::to_owned).collect();
        Built { lines, result, outcome }
    }

    /// What the binary in the result prints.
    fn run(&self, built: &Built) -> String {
        let folder = self.place.path().join("out");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("made");
        let tree = blobs::tree::SourceTree::open(&folder).expect("opens");
        let limits = blobs::tree::Limits::SOURCE;
        blobs::tree::extract(&mut &built.result[..], tree.as_folder(), &limits).expect("extracts");
        let names: Vec<_> = fs::read_dir(folder.join("release")).expect("reads").collect();
        assert_eq!(names.len(), 1, "the binary and nothing else");
        let output = Command::new(folder.join("release/app")).output().expect("runs");
        String::from_utf8(output.stdout).expect("text")
    }
}

#[test]
fn builds_again_only_what_changed_and_gives_the_same_for_the_same() {
    let bench = Bench::new();
    bench.write_app();
    let first = bench.build(ProcfileThere::No);
    assert!(first.outcome.is_ok(), "{:?} {:#?}", first.outcome, first.lines);
    assert!(first.says("No build cache yet") && first.says("Compiling lib") && first.says("Compiling app"));
    assert_eq!(bench.run(&first), "one\n");

    let again = bench.build(ProcfileThere::No);
    assert!(
        again.says("Restoring the build cache") && again.says("0 of 5 source files"),
        "{:#?}",
        again.lines
    );
    assert!(!again.says("Compiling app") && !again.says("Compiling lib"), "{:#?}", again.lines);
    assert!(again.result == first.result, "the same source gives the same result");

    bench.write("src/main.rs", "fn main() { println!(\"{} two\", lib::text()); }\n");
    let edited = bench.build(ProcfileThere::No);
    assert!(edited.says("1 of 5 source files"), "{:#?}", edited.lines);
    assert!(edited.says("Compiling app") && !edited.says("Compiling lib"), "{:#?}", edited.lines);
    assert_eq!(bench.run(&edited), "one two\n");

    bench.write("src/main.rs", "fn main() { println!(\"{}\", lib::text()); }\n");
    let back = bench.build(ProcfileThere::No);
    assert!(back.says("Compiling app"), "{:#?}", back.lines);
    assert!(
        back.result == first.result,
        "the same source gives the same result, whatever was built in between"
    );

    // A cache from nothing gives the same as well: nobody can tell from a slug how it was built.
    fs::remove_dir_all(&bench.places.cache).expect("removed");
    fs::create_dir(&bench.places.cache).expect("made");
    assert!(bench.build(ProcfileThere::No).result == first.result);
}

#[test]
fn a_broken_build_tells_where_and_leaves_a_clean_cache() {
    let bench = Bench::new();
    bench.write_app();
    bench.write("src/main.rs", "fn main() { nonsense }\n");
    let built = bench.build(ProcfileThere::Yes);
    assert!(matches!(built.outcome, Err(StepError::Build { .. })), "{:?}", built.outcome);
    assert!(built.says("src/main.rs:1:13"), "{:#?}", built.lines);
    assert!(built.lines.iter().all(|line| line.starts_with("----->") || line.starts_with("       ")));
    assert!(built.result.is_empty());
    assert!(bench.build(ProcfileThere::Yes).says("Restoring the build cache"));
}

#[test]
fn a_stale_lockfile_is_refused_by_cargo() {
    let bench = Bench::new();
    bench.write_app();
    bench.write("lib/Cargo.toml", "[package]\nname = \"lib\"\nversion = \"0.2.0\"\nedition = \"2021\"\n");
    let built = bench.build(ProcfileThere::Yes);
    assert!(matches!(built.outcome, Err(StepError::Build { .. })));
    assert!(built.says("--locked"), "{:#?}", built.lines);
}

#[test]
fn without_procfile_several_binaries_are_told_before_compiling() {
    let bench = Bench::new();
    bench.write_app();
    bench.write("src/bin/other.rs", "fn main() {}\n");
    let built = bench.build(ProcfileThere::No);
    let message = built.outcome.as_ref().expect_err("refused").to_string();
    assert!(message.contains("app, other") && message.contains("Fix: "), "{message}");
    assert!(!built.says("Compiling lib"), "{:#?}", built.lines);
    assert!(bench.build(ProcfileThere::Yes).outcome.is_ok(), "with a Procfile it is a choice already made");
}

#[test]
fn what_would_be_ignored_is_told() {
    let bench = Bench::new();
    bench.write_app();
    bench.write("target/release/app", "an old binary that somebody committed");
    bench.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.0.0\"\n");
    let built = bench.build(ProcfileThere::Yes);
    assert!(built.outcome.is_ok(), "{:#?}", built.lines);
    assert!(built.says("target/ of the repository is ignored"), "{:#?}", built.lines);
    assert!(built.says("rust-toolchain.toml is not followed"), "{:#?}", built.lines);
    assert_eq!(bench.run(&built), "one\n");
    assert!(!Path::new(&bench.places.work).join("target").exists());
}

#[test]
fn a_mirror_is_used_and_its_password_is_in_no_argument() {
    use std::os::unix::fs::PermissionsExt;
    let mut bench = Bench::new();
    bench.places.crates_mirror = Some("sparse+http://user:secret@127.0.0.1:1/index/".to_owned());
    bench.write_app();
    bench.write(".cargo/config.toml", "[net]\nretry = 0\n");
    bench.write(
        "lib/Cargo.toml",
        "[package]\nname = \"lib\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nserde = \"1\"\n",
    );
    bench.write("Cargo.lock", &format!(
        "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"lib\",\n]\n\n[[package]]\nname = \"lib\"\n\
         version = \"0.1.0\"\ndependencies = [\n \"serde\",\n]\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n",
        "a".repeat(64)
    ));
    let built = bench.build(ProcfileThere::No);
    assert!(matches!(built.outcome, Err(StepError::Build { .. })), "{:?} {:#?}", built.outcome, built.lines);
    assert!(built.says("127.0.0.1"), "it asks the mirror: {:#?}", built.lines);
    let (cache, _) = Cache::begin(&bench.places.cache).expect("begins");
    let command = cargo::command(&bench.places, &cache).expect("written");
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    assert!(words.iter().all(|word| !word.contains("secret")), "{words:?}");
    let files: Vec<_> = fs::read_dir(&bench.places.temporary).expect("reads").collect();
    let [Ok(file)] = files.as_slice() else { panic!("one file: {files:?}") };
    assert!(words.iter().any(|word| *word == file.path().to_string_lossy()), "{words:?}");
    assert_eq!(file.metadata().expect("is there").permissions().mode() & 0o777, 0o600);
}
