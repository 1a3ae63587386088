//! The Python and Node.js examples, pushed by git: they answer, are deployed again under load without a failed request, an unchanged
//! lock file starts no process of a package manager, and an added dependency is installed.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use support::eventually;
use support::load::{Load, Target};
use support::registry::{self, Registry};
use support::repository::Repository;
use support::server::{Server, processes};

/// A load that a development server's worth of Python carries on a busy machine.
const PER_SECOND: u64 = 20;

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn copy_example(repository: &Repository, name: &str) {
    let mut copy = std::process::Command::new("cp");
    let from = format!("{}/.", example(name).display());
    assert!(copy.args(["-r", &from]).arg(repository.path()).status().expect("cp runs").success());
    repository.commit("the example");
}

fn start(registry: &Registry) -> Server {
    let settings = registry.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_with(&settings)
}

/// What programs an app's build executed, seen by looking at every process of its build uid.
struct Trace {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<std::collections::BTreeSet<String>>,
}

impl Trace {
    /// Looks at all processes without a pause: one that lives a millisecond is seen, package managers live hundreds.
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let seen = std::thread::spawn(move || {
            let mut seen = std::collections::BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(processes().into_iter().filter_map(build_command));
            }
            seen
        });
        Self { stop, seen }
    }

    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().expect("it looked").into_iter().collect()
    }
}

/// First uid of apps; a build's is odd.
const APP_UIDS: std::ops::Range<u32> = 2_000_000..2_100_000;

fn build_command(pid: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A process that may not be looked at belongs to root by its folder; its status tells who it is.
    let own: u32 =
        status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()?;
    let is_build = [uid, own].iter().any(|uid| APP_UIDS.contains(uid) && uid % 2 == 1);
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|byte| *byte == 0).take(4).map(|word| String::from_utf8_lossy(word).into_owned());
    is_build.then(|| words.collect::<Vec<_>>().join(" "))
}

/// Pushes the example; answers, load, trace, growth.
fn whole_life(name: &str, install: &str, grow: impl Fn(&Repository)) {
    let Some(packages) = registry::fetched() else {
        println!("skipped: the packages of the examples were not fetched (cargo xtask test does it)");
        return;
    };
    let registry = Registry::start();
    registry.offer_all(&packages);
    let server = start(&registry);
    server.dozen(&["apps:create", name]);
    let repository = Repository::new();
    copy_example(&repository, name);
    repository.connect(&server, name);

    let trace = Trace::start();
    let told = repository.push(&server);
    println!("{told}");
    let seen = trace.end();
    assert!(seen.iter().any(|line| line.contains(install)), "the trace sees what is there: {seen:#?}");
    assert_eq!(server.get(name, "/").json()["release"], "v1");
    println!("{}", server.get(name, "/").text());

    without_a_package_manager(&server, &repository, name);
    under_load(&server, &repository, name);
    grow(&repository);
    repository.commit("one more");
    let told = repository.push(&server);
    assert!(!told.contains("nothing they are made from has changed"), "{told}");
    server.dozen(&["ps:scale", "worker=1", "-a", name]);
    eventually("the worker works", 30, || {
        server.dozen(&["logs", "-n", "1500", "-a", name]).contains("did a piece of work").then_some(())
    });
    let run =
        server.dozen(&["run", "-a", name, "--", "echo $WEB_CONCURRENCY; command -v python node gunicorn"]);
    println!("{run}");
}

/// Nothing but the code has changed: no process of a build is started at all.
fn without_a_package_manager(server: &Server, repository: &Repository, name: &str) {
    repository.write("version.txt", "two\n");
    repository.commit("only code");
    let trace = Trace::start();
    let told = repository.push(server);
    let seen = trace.end();
    println!("{told}");
    assert!(told.contains("nothing they are made from has changed"), "{told}");
    assert!(seen.is_empty(), "a build process was started: {seen:#?}");
    assert_eq!(server.get(name, "/").json()["release"], "v2");
}

fn under_load(server: &Server, repository: &Repository, name: &str) {
    let load =
        Load::start(Target { router: server.router(), host: server.host(name), per_second: PER_SECOND });
    eventually("the load runs", 30, || (load.count.load(Ordering::Relaxed) > PER_SECOND).then_some(()));
    for number in 0..3 {
        repository.write("version.txt", &format!("load {number}\n"));
        repository.commit("under load");
        repository.push(server);
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    let outcome = load.finish();
    println!(
        "{name}: sent {} answered {} failed {} releases {:?}",
        outcome.sent, outcome.answered, outcome.failed, outcome.releases
    );
    assert_eq!(outcome.failed, 0, "{:#?}", outcome.failures);
    assert!(outcome.releases.len() >= 3, "{:?}", outcome.releases);
}

#[test]
fn flask() {
    whole_life("flask", "pip", |repository| {
        let requirements =
            std::fs::read_to_string(repository.path().join("requirements.txt")).expect("there");
        repository.write("requirements.txt", &format!("{requirements}\n# one more line\n"));
    });
}

#[test]
fn express() {
    whole_life("express", "npm", |repository| {
        let package = std::fs::read_to_string(repository.path().join("package.json")).expect("there");
        repository.write("package.json", &package.replace("1.0.0", "1.0.1"));
        let lock = std::fs::read_to_string(repository.path().join("package-lock.json")).expect("there");
        repository.write("package-lock.json", &lock.replacen("1.0.0", "1.0.1", 2));
    });
}
