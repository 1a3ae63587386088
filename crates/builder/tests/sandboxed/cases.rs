//! What is built, and what happens when it goes wrong.

use crate::files::copy_for;
use crate::world::{APP, Wish, World, app_id, sample, until};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A name and what is tried under it.
pub type Case = (&'static str, fn(&World));

pub const CASES: &[Case] = &[
    ("a_rust_app_is_built_and_runs", builds_and_runs),
    ("one_edited_file_compiles_one_crate", edits),
    ("the_same_source_gives_the_same_slug_from_an_empty_cache_too", reproduces),
    ("a_build_that_fails_tells_why_and_keeps_its_cache", fails),
    ("a_build_that_is_killed_loses_its_cache", cancels),
    ("a_build_that_takes_too_long_is_stopped", times_out),
    ("a_build_that_needs_too_much_memory_is_told_so", runs_out_of_memory),
    ("output_beyond_the_limit_is_counted", talks_too_much),
    ("what_a_build_hands_out_is_a_strangers_archive", hands_out_nonsense),
    ("whoever_holds_its_pipes_holds_no_build", ends_though_its_pipes_are_held),
    ("what_a_dead_server_left_is_cleaned", leaves_things),
    ("a_static_site_is_served", serves),
    ("a_procfile_alone_runs_a_script", runs_a_script),
    ("the_sample_app_is_built_and_runs", sample_app),
];

const BUILD_UID: u32 = 2_000_000 + 2 * APP + 1;

fn app(main: &str) -> Vec<(&'static str, String)> {
    let manifest = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}")
    };
    let lock = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"lib\",\n]\n\n\
                [[package]]\nname = \"lib\"\nversion = \"0.1.0\"\n";
    let workspace = "[workspace]\nmembers = [\"lib\"]\n[dependencies]\nlib = { path = \"lib\" }\n";
    vec![
        ("Cargo.toml", manifest("app", workspace)),
        ("Cargo.lock", lock.to_owned()),
        ("src/main.rs", main.to_owned()),
        ("lib/Cargo.toml", manifest("lib", "")),
        ("lib/src/lib.rs", "pub fn text() -> &'static str { \"from the library\" }\n".to_owned()),
        ("templates/page", "a file beside the code".to_owned()),
        ("templates/alias@", "page".to_owned()),
    ]
}

const PLAIN: &str = "fn main() { println!(\"{}\", lib::text()); }\n";

fn with_build_script(script: &str) -> Vec<(&'static str, String)> {
    let mut files = app(PLAIN);
    files.push(("build.rs", script.to_owned()));
    files
}

fn wish(files: Vec<(&'static str, String)>) -> Wish<'static> {
    Wish { files, ..Wish::default() }
}

fn cache(world: &World) -> PathBuf {
    world.data.cache(app_id())
}

fn forget_cache(world: &World) {
    until("the cache can be removed", || world.connect().remove_cache(app_id()).ok());
}

fn builds_and_runs(world: &World) {
    forget_cache(world);
    let main = "fn main() { println!(\"{} built in {} of {}\", lib::text(), env!(\"CARGO_MANIFEST_DIR\"), option_env!(\"SOURCE_VERSION\").unwrap_or(\"?\")); }\n";
    let built = world.build(&wish(app(main)));
    let slug = built.slug();
    assert_eq!(built.processes.get("web").map(String::as_str), Some("./target/release/app"), "{built:#?}");
    for line in [
        "-----> Rust app detected (Cargo.toml)",
        "-----> No build cache yet: everything is compiled this once",
        "          Compiling lib v0.1.0 (/app/lib)",
        "       Default types for Rust -> web",
    ] {
        assert!(built.lines.iter().any(|found| found == line), "{line:?} is missing in {:#?}", built.lines);
    }
    let commit = "c".repeat(40);
    assert_eq!(
        world.run(slug, "./target/release/app"),
        (0, format!("from the library built in /app of {commit}\n"))
    );
    let (code, listed) = world.run(slug, "cat templates/alias; echo; ls; ls target target/release; id -u");
    let app_uid = 2_000_000 + 2 * APP;
    let expected = format!(
        "a file beside the code\nCargo.lock\nCargo.toml\nlib\nsrc\ntarget\ntemplates\ntarget:\nrelease\n\ntarget/release:\napp\n{app_uid}\n"
    );
    assert_eq!((code, listed), (0, expected));
    world.assert_no_traces();
}

fn edits(world: &World) {
    let first = world.build(&wish(app(PLAIN)));
    first.slug();
    let edited = world.build(&wish(app("fn main() { println!(\"{}!\", lib::text()); }\n")));
    assert!(edited.says("1 of 6 source files are new or changed"), "{:#?}", edited.lines);
    assert!(edited.says("Compiling app") && !edited.says("Compiling lib"), "{:#?}", edited.lines);
    assert_eq!(world.run(edited.slug(), "target/release/app"), (0, "from the library!\n".to_owned()));
    let same = world.build(&wish(app("fn main() { println!(\"{}!\", lib::text()); }\n")));
    assert!(!same.says("Compiling app") && !same.says("Compiling lib"), "{:#?}", same.lines);
    assert_eq!(same.slug(), edited.slug());
}

fn reproduces(world: &World) {
    let first = world.build(&wish(app(PLAIN)));
    forget_cache(world);
    let second = world.build(&wish(app(PLAIN)));
    assert!(second.says("No build cache yet"));
    assert_eq!(first.slug(), second.slug());
    let mut files = app(PLAIN);
    files.push(("Procfile", "web: ./target/release/app\nworker: ./target/release/app work\n".to_owned()));
    let other = world.build(&wish(files));
    assert_ne!(other.slug(), second.slug(), "a Procfile makes another slug");
    assert_eq!(other.processes.len(), 2);
}

fn fails(world: &World) {
    world.build(&wish(app(PLAIN))).slug();
    let failed = world.build(&wish(app("fn main() { nonsense }\n")));
    assert!(failed.error.starts_with("the build ended with status 1"), "{failed:#?}");
    assert_eq!(failed.fault, "app");
    assert!(
        failed.says("cannot find value `nonsense`")
            && failed.says("cargo build failed with exit status: 101")
    );
    world.assert_no_traces();
    assert!(world.build(&wish(app(PLAIN))).says("Restoring the build cache"));
    let stale = wish(with_build_script("fn main() { std::process::exit(3) }\n"));
    assert!(world.build(&stale).says("exit status: 3"));
}

const ENDLESS: &str = "fn main() { println!(\"cargo:warning=x\"); loop { std::thread::sleep(std::time::Duration::from_secs(1)); } }\n";

fn cancels(world: &World) {
    world.build(&wish(app(PLAIN))).slug();
    let mut building = world.start(&wish(with_build_script(ENDLESS)));
    building.until_says("Compiling app");
    building.cancel();
    let cancelled = building.end();
    assert_eq!(
        (cancelled.fault.as_str(), cancelled.error.as_str()),
        ("cancelled", "the build was cancelled")
    );
    world.assert_no_traces();
    assert!(cache(world).join("dirty").exists());
    let next = world.build(&wish(app(PLAIN)));
    assert!(next.says("did not end by itself: starting from an empty cache"), "{:#?}", next.lines);
    assert!(next.says("Compiling lib"));
    assert!(!cache(world).join("dirty").exists());
}

fn times_out(world: &World) {
    let endless = Wish { time_seconds: Some(4), ..wish(with_build_script(ENDLESS)) };
    let stopped = world.build(&endless);
    assert!(stopped.error.starts_with("the build ran longer than"), "{stopped:#?}");
    assert_eq!(stopped.fault, "app");
    world.assert_no_traces();
}

fn runs_out_of_memory(world: &World) {
    let greedy = "fn main() { let mut all = Vec::new(); loop { all.push(vec![1_u8; 1 << 20]); } }\n";
    let limited = Wish { memory_bytes: Some(300 << 20), ..wish(with_build_script(greedy)) };
    let killed = world.build(&limited);
    assert!(killed.error.starts_with("the build needed more than 300 MiB of memory"), "{killed:#?}");
    assert_eq!(killed.fault, "app");
}

fn talks_too_much(world: &World) {
    let loud = "fn main() { for n in 0..20_000 { eprintln!(\"line {n}\"); } std::process::exit(1) }\n";
    let limited = Wish { output_bytes: Some(20_000), ..wish(with_build_script(loud)) };
    let told = world.build(&limited);
    assert!(told.says("More than 20000 bytes of output: the rest is not shown"), "{:#?}", told.lines.last());
    assert!(told.says("bytes of output were not shown"));
    assert!(told.lines.iter().map(String::len).sum::<usize>() < 40_000);
}

/// A build script runs as the step does, and finds the step's descriptors in /proc: nothing that it writes there is trusted.
fn hands_out_nonsense(world: &World) {
    let script = "use std::io::Write;\n\
        fn main() {\n\
            for entry in std::fs::read_dir(\"/proc\").unwrap().flatten() {\n\
                let fd = entry.path().join(\"fd/3\");\n\
                if std::fs::read_link(&fd).is_ok_and(|to| to.to_string_lossy().starts_with(\"pipe:\")) {\n\
                    if let Ok(mut result) = std::fs::File::options().write(true).open(&fd) {\n\
                        let _ = result.write_all(&[b'x'; 2048]);\n\
                        println!(\"cargo:warning=wrote into the result\");\n\
                    }\n\
                }\n\
            }\n\
        }\n";
    let refused = world.build(&wish(with_build_script(script)));
    if refused.says("wrote into the result") {
        assert!(refused.error.starts_with("what the build handed out was refused"), "{refused:#?}");
        assert_eq!(refused.fault, "app");
    } else {
        // The sandbox hides the descriptor: as good.
        refused.slug();
    }
    world.assert_no_traces();
}

/// A build can pass its descriptors to a process of its app, which outlives it. Here the test is the one that holds them.
fn ends_though_its_pipes_are_held(world: &World) {
    let waits = "fn main() { while !std::path::Path::new(\"/app/go\").exists() { std::thread::sleep(std::time::Duration::from_millis(20)); } }\n";
    let mut building = world.start(&wish(with_build_script(waits)));
    building.until_says("Compiling app");
    let held = until("its pipes can be held", step_pipes);
    fs::write(world.data.build_work(building.build).join("go"), "").unwrap();
    let ended = building.end();
    assert!(ended.error.starts_with("the build has ended, but its result stays open"), "{ended:#?}");
    assert_eq!(ended.fault, "app");
    drop(held);
    world.assert_no_traces();

    let mut building = world.start(&wish(with_build_script(ENDLESS)));
    building.until_says("Compiling app");
    let held = until("its pipes can be held", step_pipes);
    building.cancel();
    let cancelled = building.end();
    assert_eq!(cancelled.error, "the build was cancelled", "{cancelled:#?}");
    drop(held);
    world.assert_no_traces();
}

/// The ends for writing of the running step's output and result.
fn step_pipes() -> Option<Vec<fs::File>> {
    let mut processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let step = processes.find(|process| is_build_step(process))?;
    let open = |fd: &str| fs::File::options().write(true).open(step.join("fd").join(fd)).ok();
    [open("1"), open("3")].into_iter().collect()
}

fn is_build_step(process: &Path) -> bool {
    let is_ours = fs::metadata(process.join("fd/3")).is_ok_and(|file| file.file_type().is_fifo())
        && fs::metadata(process).is_ok_and(|folder| folder.uid() == BUILD_UID);
    let words = fs::read(process.join("cmdline")).unwrap_or_default();
    is_ours && words.split(|byte| *byte == 0).any(|word| word == b"build-step")
}

fn leaves_things(world: &World) {
    let mut building = world.start(&wish(with_build_script(ENDLESS)));
    building.until_says("Compiling app");
    let (build, process) = (building.build, building.process);
    building.kill_server();
    assert!(world.state(process).is_live(), "a build does not die with the server");
    assert!(world.data.build_source(build).exists());
    let cleaned = world.clean_abandoned();
    assert_eq!(cleaned.trim(), "Cleaned { stopped: 1, sources: 1, left: [] }");
    world.assert_no_traces();
    assert_eq!(world.clean_abandoned().trim(), "Cleaned { stopped: 0, sources: 0, left: [] }");
}

fn serves(world: &World) {
    let files = vec![("public/index.html", "<p>static</p>".to_owned()), ("secret", "not served".to_owned())];
    let built = world.build(&wish(files));
    let web = &built.processes["web"];
    assert_eq!(web, "/.dozen/dozen static-server --root public");
    let answer = world.ask(built.slug(), web, "/");
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") || answer.starts_with("HTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n<p>static</p>"), "{answer}");
    assert!(world.ask(built.slug(), web, "/secret").contains(" 404 "), "only the site is served");
}

fn runs_a_script(world: &World) {
    let files = vec![
        ("Procfile", "worker: ./work\n".to_owned()),
        ("work*", "#!/bin/sh\necho working in $PWD\n".to_owned()),
    ];
    let built = world.build(&wish(files));
    assert_eq!(world.run(built.slug(), &built.processes["worker"]), (0, "working in /app\n".to_owned()));
}

/// `examples/hello`, its dependencies fetched beforehand by the machine's own cargo, since this host reaches no registry.
fn sample_app(world: &World) {
    let sample = sample();
    let fetched = world.fetched.as_ref().expect("the package registry must be reachable for this one");
    forget_cache(world);
    fill_cache(world, fetched);
    let names = ["Cargo.toml", "Cargo.lock", "Procfile", "app.json"];
    let sources = fs::read_dir(sample.join("src")).unwrap().map(|entry| entry.unwrap().file_name());
    let paths: Vec<String> = names
        .iter()
        .map(|name| (*name).to_owned())
        .chain(sources.map(|name| format!("src/{}", name.to_str().unwrap())))
        .collect();
    let files =
        paths.iter().map(|path| (path.as_str(), fs::read_to_string(sample.join(path)).unwrap())).collect();
    let built = world.build(&Wish { files, config: vec![("CARGO_NET_OFFLINE", "true")], ..Wish::default() });
    let slug = built.slug();
    let types: Vec<&str> = built.processes.keys().map(String::as_str).collect();
    assert_eq!(types, ["release", "web", "worker"]);
    assert_eq!(world.run(slug, &built.processes["release"]).0, 0);
    assert_eq!(world.run(slug, "./target/release/hello task greet").1, "Hello from web.1 (unreleased)\n");
    assert_eq!(world.run(slug, "./target/release/hello task fail").0, 7);
    let answer = world.ask(slug, &built.processes["web"], "/");
    assert!(
        answer.contains("\"greeting\":\"Hello\"") && answer.contains("\"process\":\"web.1\""),
        "{answer}"
    );
}

/// Puts what was fetched where the build looks, as a build that ended by itself leaves it.
fn fill_cache(world: &World, fetched: &Path) {
    let cache = cache(world);
    fs::create_dir_all(&cache).unwrap();
    std::os::unix::fs::chown(&cache, Some(BUILD_UID), Some(BUILD_UID)).unwrap();
    copy_for(fetched, &cache.join("cargo"), BUILD_UID);
    fs::write(cache.join("format"), "1\n").unwrap();
    std::os::unix::fs::chown(cache.join("format"), Some(BUILD_UID), Some(BUILD_UID)).unwrap();
}
