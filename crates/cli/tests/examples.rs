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
    fn start(server: &Server) -> Self {
        let launcher = server.daemon("launcher").expect("the launcher runs");
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let seen = std::thread::spawn(move || {
            let mut seen = std::collections::BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(processes().into_iter().filter_map(|pid| build_command(pid, launcher)));
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

/// Programs that the step calls, without the step itself, whose order names a package manager as well.
fn tools(seen: &[String]) -> Vec<&String> {
    seen.iter().filter(|line| !line.starts_with("/.dozen/")).collect()
}

/// Other servers may be at work on the machine.
fn descends_from(pid: u32, ancestor: u32) -> bool {
    let mut at = pid;
    while at > 1 && at != ancestor {
        let stat = std::fs::read_to_string(format!("/proc/{at}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        at = after.split_whitespace().nth(1).and_then(|parent| parent.parse().ok()).unwrap_or(0);
    }
    at == ancestor
}

fn build_command(pid: u32, launcher: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A process that may not be looked at belongs to root by its folder; its status tells who it is.
    let own: u32 =
        status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()?;
    let is_build = [uid, own].iter().any(|uid| APP_UIDS.contains(uid) && uid % 2 == 1);
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|byte| *byte == 0).take(4).map(|word| String::from_utf8_lossy(word).into_owned());
    (is_build && descends_from(pid, launcher)).then(|| words.collect::<Vec<_>>().join(" "))
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

    let trace = Trace::start(&server);
    let told = repository.push(&server);
    println!("{told}");
    let seen = trace.end();
    assert!(
        tools(&seen).iter().any(|line| line.contains(install)),
        "the trace sees what is there: {seen:#?}"
    );
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
    let trace = Trace::start(server);
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

const SERVER: &str = "
const fs = require('fs');
const has = (name) => { try { require.resolve(name); return true; } catch { return false; } };
require('http').createServer((request, response) => response.end(JSON.stringify({
  built: fs.readFileSync('built.txt', 'utf8').trim(), ms: has('ms'), devtool: has('devtool'),
}))).listen(process.env.PORT, '0.0.0.0');
";

/// A package of npm with one program, which prints the file of the source that it is given.
fn make_tool(folder: &Path) -> std::path::PathBuf {
    let package = folder.join("package");
    std::fs::create_dir_all(&package).expect("made");
    let text = r#"{"name":"devtool","version":"1.0.0","bin":{"devtool":"cli.js"}}"#;
    std::fs::write(package.join("package.json"), text).expect("written");
    let code = "#!/usr/bin/env node\nconsole.log('built of ' + require('fs').readFileSync(process.argv[2], 'utf8'));\n";
    std::fs::write(package.join("cli.js"), code).expect("written");
    let tarball = folder.join("devtool-1.0.0.tgz");
    let mut tar = std::process::Command::new("tar");
    assert!(
        tar.arg("czf")
            .arg(&tarball)
            .arg("-C")
            .arg(folder)
            .arg("package")
            .status()
            .expect("tar runs")
            .success()
    );
    tarball
}

/// A `build` script runs at each push, with the packages of developers, which are gone when the app runs; only the first push starts a
/// package manager. Without a Procfile the app is started by its `start` script.
#[test]
fn a_build_script_needs_a_package_manager_once() {
    let Some(packages) = registry::fetched() else {
        println!("skipped: the packages of the examples were not fetched (cargo xtask test does it)");
        return;
    };
    let registry = Registry::start();
    registry.offer_all(&packages);
    let place = tempfile::tempdir().expect("a folder");
    registry.offer_tarball(&make_tool(place.path()));
    let lock = std::fs::read_to_string(example("express").join("package-lock.json")).expect("there");
    let lock: serde_json::Value = serde_json::from_str(&lock).expect("JSON");
    let ms = lock["packages"]["node_modules/ms"]["version"].as_str().expect("locked").to_owned();
    let manifest = serde_json::json!({
        "name": "scripted", "version": "1.0.0",
        "scripts": { "build": "devtool source.txt > built.txt", "start": "node server.js" },
        "dependencies": { "ms": ms }, "devDependencies": { "devtool": "1.0.0" },
    });
    let lock = serde_json::json!({ "name": "scripted", "version": "1.0.0", "lockfileVersion": 3, "packages": {
        "": manifest,
        "node_modules/ms": { "version": ms },
        "node_modules/devtool": { "version": "1.0.0", "dev": true, "bin": { "devtool": "cli.js" } },
    } });
    let server = start(&registry);
    server.dozen(&["apps:create", "scripted"]);
    let repository = Repository::new();
    repository.write("package.json", &manifest.to_string());
    repository.write("package-lock.json", &lock.to_string());
    repository.write("server.js", SERVER);
    repository.write("source.txt", "one");
    repository.commit("first");
    repository.connect(&server, "scripted");
    println!("{}", repository.push(&server));
    let answer = server.get("scripted", "/").json();
    assert_eq!(answer, serde_json::json!({ "built": "built of one", "ms": true, "devtool": false }));

    repository.write("source.txt", "two");
    repository.commit("second");
    let trace = Trace::start(&server);
    let told = repository.push(&server);
    let seen = trace.end();
    println!("{told}\n{seen:#?}");
    assert!(!seen.is_empty(), "the step itself is seen");
    assert!(
        !tools(&seen).iter().any(|line| line.contains("npm")),
        "a package manager was started: {seen:#?}"
    );
    let answer = server.get("scripted", "/").json();
    assert_eq!(answer, serde_json::json!({ "built": "built of two", "ms": true, "devtool": false }));
}

/// A lock of uv, on a server without uv: pip installs exactly what it names, and the app is started as its framework is.
#[test]
fn a_lock_of_uv_needs_no_uv() {
    let Some(packages) = registry::fetched() else {
        println!("skipped: the packages of the examples were not fetched (cargo xtask test does it)");
        return;
    };
    let registry = Registry::start();
    registry.offer_all(&packages);
    let needed =
        ["flask", "blinker", "click", "itsdangerous", "jinja2", "markupsafe", "werkzeug", "gunicorn"];
    let mut lock = String::from("version = 1\nrequires-python = \">=3.9\"\n");
    for entry in std::fs::read_dir(packages.join("pypi")).expect("wheels").flatten() {
        let file = entry.file_name().into_string().expect("text");
        let mut parts = file.split('-');
        let (name, version) =
            (parts.next().unwrap_or_default().to_lowercase(), parts.next().unwrap_or_default());
        if needed.contains(&name.as_str()) {
            let sum =
                std::process::Command::new("sha256sum").arg(entry.path()).output().expect("it runs").stdout;
            let sum = String::from_utf8(sum).expect("text");
            let others: Vec<String> = if name == "flask" {
                needed[1..7].iter().map(|one| format!("{{ name = \"{one}\" }}")).collect()
            } else {
                Vec::new()
            };
            lock.push_str(&format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = {{ registry = \"https://pypi.org/simple\" }}\n\
                 dependencies = [{}]\nwheels = [{{ url = \"https://x/{file}\", hash = \"sha256:{}\" }}]\n",
                others.join(", "),
                sum.split(' ').next().unwrap_or_default()
            ));
        }
    }
    lock.push_str(
        "\n[[package]]\nname = \"shop\"\nversion = \"1\"\nsource = { virtual = \".\" }\n\
         dependencies = [{ name = \"flask\" }, { name = \"gunicorn\" }]\n\
         [package.metadata]\nrequires-dist = [{ name = \"flask\" }, { name = \"gunicorn\" }]\n",
    );
    let server = start(&registry);
    server.dozen(&["apps:create", "locked"]);
    let repository = Repository::new();
    repository.write("uv.lock", &lock);
    let project = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.9\"\ndependencies = [\"flask\", \"gunicorn\"]\n";
    repository.write("pyproject.toml", project);
    let code = "from flask import Flask\nimport importlib.util\napp = Flask(__name__)\n\n@app.get('/')\ndef index():\n    \
                return {'redis': importlib.util.find_spec('redis') is not None}\n";
    repository.write("app.py", code);
    repository.commit("first");
    repository.connect(&server, "locked");
    let told = repository.push(&server);
    println!("{told}");
    assert!(told.contains("The default web process is that of Flask: gunicorn app:app"), "{told}");
    assert_eq!(
        server.get("locked", "/").json(),
        serde_json::json!({ "redis": false }),
        "only what is locked"
    );

    repository.write("pyproject.toml", &project.replace("\"flask\"", "\"flask>=99\""));
    repository.commit("drifted");
    let output = repository.try_push(&server);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("uv lock"), "{told}");
    println!("{told}");
}
