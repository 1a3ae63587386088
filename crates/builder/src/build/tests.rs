//! Builds that need no sandbox: static sites, Procfiles, and everything that is refused before one would be started.

use super::*;
use crate::{BuildEnvironment, Fault, PreviousBuild};
use domain::ids::{AppId, BuildId, ProcessId};
use std::fs;
use std::path::PathBuf;

struct Bench {
    _place: tempfile::TempDir,
    builder: Builder,
    builds: std::cell::Cell<u128>,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let slugs = Arc::new(SlugStore::open(&place.path().join("slugs")).expect("opens"));
        let builder = Builder {
            data: DataFolder::new(place.path()),
            slugs,
            incarnation: 1,
            limits: BuildLimits::DEFAULT,
            stack: "host".to_owned(),
            layers: LayerStore::new(place.path().join("layers")),
            mirrors: Mirrors::default(),
        };
        Self { _place: place, builder, builds: std::cell::Cell::new(0) }
    }

    fn request(&self, files: &[(&str, &str)]) -> (BuildRequest, PathBuf) {
        self.builds.set(self.builds.get() + 1);
        let number = self.builds.get();
        let request = BuildRequest {
            app: AppId::from_u128(1),
            app_index: 0,
            build: BuildId::from_u128(number),
            process: ProcessId::from_u128(number),
            buildpacks: Vec::new(),
            commit: None,
            previous: None,
            environment: BuildEnvironment::default(),
            request_id: None,
        };
        let source = self.builder.data.build_source(request.build);
        fs::create_dir_all(&source).expect("made");
        for (name, content) in files {
            let path = source.join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, content).expect("written");
        }
        (request, source)
    }

    fn build(&self, request: &BuildRequest) -> (Result<BuiltSlug, BuildError>, Vec<String>) {
        let mut lines = Vec::new();
        let built = self.builder.build(request, &mut lines, &CancelToken::new());
        (built, lines)
    }

    fn built(&self, files: &[(&str, &str)]) -> (BuiltSlug, Vec<String>) {
        let (built, lines) = self.build(&self.request(files).0);
        (built.expect("built"), lines)
    }

    fn refused(&self, files: &[(&str, &str)]) -> BuildError {
        self.build(&self.request(files).0).0.expect_err("refused")
    }

    fn stored(&self, slug: &BuiltSlug, name: &str) -> Option<String> {
        fs::read_to_string(self.builder.slugs.tree_path(&slug.slug).join(name)).ok()
    }
}

fn processes(slug: &BuiltSlug) -> String {
    let pairs: Vec<_> = slug.processes.iter().map(|(name, command)| format!("{name}: {command}")).collect();
    pairs.join("\n")
}

#[test]
fn a_static_site_is_its_files() {
    let bench = Bench::new();
    let (slug, lines) = bench.built(&[("index.html", "hello"), ("css/style.css", "body{}")]);
    assert_eq!(processes(&slug), "web: /.dozen/dozen static-server");
    assert_eq!((slug.builder.as_str(), slug.files, slug.bytes), ("static", 2, 11));
    assert_eq!(bench.stored(&slug, "css/style.css").as_deref(), Some("body{}"));
    let short = &slug.slug.hex()[..12];
    let expected = [
        "-----> Building on the host stack",
        "-----> Static site app detected (index.html)",
        "       Serving the top folder; nothing is to be compiled",
        "-----> Discovering process types",
        "       Procfile declares types -> (none)",
        "       Default types for Static site -> web",
        "-----> Storing the slug",
        &format!("       Done: slug {short}, 2 files, 11B"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_same_source_is_the_same_slug_and_another_is_not() {
    let bench = Bench::new();
    let files = [("index.html", "hello"), ("Procfile", "worker: w\n")];
    let (first, _) = bench.built(&files);
    let (mut request, _) = bench.request(&files);
    request.previous = Some(PreviousBuild { builder: "static".to_owned(), slug: first.slug.clone() });
    let (again, lines) = bench.build(&request);
    assert_eq!(again.expect("built"), first);
    assert!(lines.iter().any(|line| line.contains("the same slug as before")), "{lines:#?}");
    assert_ne!(bench.built(&[("index.html", "hello"), ("Procfile", "worker: v\n")]).0.slug, first.slug);
    assert_ne!(bench.built(&[("index.html", "hullo"), ("Procfile", "worker: w\n")]).0.slug, first.slug);
}

#[test]
fn a_slug_keeps_what_app_json_says() {
    let bench = Bench::new();
    let app_json = r#"{"cron": [{"command": "x", "schedule": "@daily"}], "env": {}}"#;
    let (with, lines) = bench.built(&[("index.html", "hello"), ("app.json", app_json)]);
    assert_eq!(with.app_json.cron[0].schedule.as_str(), "@daily");
    assert!(lines.iter().any(|line| line.ends_with("recurring commands -> 1")), "{lines:#?}");
    let (without, _) = bench.built(&[("index.html", "hello"), ("app.json", "{}")]);
    assert_ne!(with.slug, without.slug);
    let meta = bench.builder.slugs.config(&with.slug).expect("reads").meta().expect("has one");
    assert_eq!(meta.app_json, with.app_json);
}

#[test]
fn app_json_may_speak_of_process_types_that_are_there() {
    let bench = Bench::new();
    let check =
        |name: &str| format!(r#"{{"healthchecks": {{"{name}": [{{"type": "startup", "uptime": 1}}]}}}}"#);
    let build = |name: &str| {
        let app_json = check(name);
        let files = [("index.html", "x"), ("Procfile", "worker: w\nrelease: r\n"), ("app.json", &app_json)];
        let (request, _) = bench.request(&files);
        bench.build(&request).0
    };
    // `web` comes of the builder, `worker` of the Procfile.
    assert!(build("web").is_ok() && build("worker").is_ok());
    for name in ["wroker", "release"] {
        let error = build(name).expect_err(name);
        assert_eq!(error.fault(), Fault::App);
        assert!(error.to_string().starts_with(&format!("app.json, healthchecks.{name}: ")), "{error}");
    }
}

#[test]
fn a_procfile_alone_runs_what_is_there() {
    let bench = Bench::new();
    let (mut request, source) = bench.request(&[("Procfile", "web: ./server\n"), ("server", "#!/bin/sh\n")]);
    fs::set_permissions(source.join("server"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("set");
    request.previous = Some(PreviousBuild {
        builder: "rust".to_owned(),
        slug: format!("sha256:{}", "0".repeat(64)).parse().expect("an id"),
    });
    let (built, lines) = bench.build(&request);
    let slug = built.expect("built");
    assert_eq!((slug.builder.as_str(), processes(&slug).as_str()), ("procfile", "web: ./server"));
    assert_eq!(bench.stored(&slug, "server").as_deref(), Some("#!/bin/sh\n"));
    assert!(lines.iter().any(|line| line.starts_with(" !     ") && line.contains("\"rust\"")), "{lines:#?}");
}

#[test]
fn a_staticfile_chooses_the_folder() {
    let bench = Bench::new();
    let files = [
        ("Staticfile", "root: dist\npushstate: enabled\n"),
        ("dist/index.html", "x"),
        ("Procfile", "worker: w"),
    ];
    let (slug, _) = bench.built(&files);
    let expected = "web: /.dozen/dozen static-server --root dist --single-page\nworker: w";
    assert_eq!(processes(&slug), expected);
}

#[test]
fn what_cannot_be_built_is_refused_with_a_remedy() {
    let bench = Bench::new();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("README.md", "x")], "Looked in its top folder for: requirements.txt"),
        (&[("Procfile", "web ./x")], "Procfile line 1"),
        (&[("index.html", "x"), ("Procfile", "web: a\nweb: b")], "Procfile lines 1 and 2"),
        (&[("Cargo.toml", "[package]")], "cargo generate-lockfile"),
        (&[("Staticfile", "root: dist")], "\"dist\" that the Staticfile names has no index.html"),
        (&[("Staticfile", "ssi: on"), ("index.html", "x")], "Staticfile line 1"),
        (&[("Procfile", &"#".repeat(70_000))], "are allowed"),
        (
            &[
                ("index.html", "x"),
                (".gitattributes", "* filter=lfs"),
                ("a", "version https://git-lfs.github.com/spec/v1\n"),
            ],
            "\"a\"",
        ),
    ];
    for (files, expected) in cases {
        let error = bench.refused(files);
        assert!(error.to_string().contains(expected), "{error} should contain {expected}");
        assert_eq!(error.fault(), Fault::App, "{error}");
    }
    assert!(bench.builder.slugs.list().expect("lists").is_empty());
}

#[test]
fn links_are_not_followed() {
    let bench = Bench::new();
    let (request, source) = bench.request(&[("index.html", "x")]);
    std::os::unix::fs::symlink("/etc/hostname", source.join("Procfile")).expect("linked");
    let error = bench.build(&request).0.expect_err("refused");
    assert!(error.to_string().contains("cannot be read"), "{error}");
    let (request, source) = bench.request(&[]);
    std::os::unix::fs::symlink("/etc/hostname", source.join("index.html")).expect("linked");
    assert!(matches!(bench.build(&request).0, Err(BuildError::NotDetected(_))));
}

#[test]
fn the_source_is_gone_whatever_happened() {
    let bench = Bench::new();
    for files in [&[("index.html", "x")][..], &[("README", "x")][..]] {
        let (request, source) = bench.request(files);
        let _ = bench.build(&request);
        assert!(!source.exists() && !source.parent().expect("has one").exists());
    }
}

#[test]
fn a_cancelled_build_makes_no_slug() {
    let bench = Bench::new();
    let cancel = CancelToken::new();
    cancel.cancel();
    let (request, _) = bench.request(&[("index.html", "x")]);
    let error = bench.builder.build(&request, &mut Vec::new(), &cancel).expect_err("cancelled");
    assert_eq!(error.fault(), Fault::Cancelled);
    assert!(bench.builder.slugs.list().expect("lists").is_empty());
}

#[test]
fn without_a_launcher_rust_apps_wait_for_another_push() {
    let bench = Bench::new();
    let error = bench.refused(&[("Cargo.toml", "[package]"), ("Cargo.lock", "")]);
    assert_eq!(error.fault(), Fault::Platform, "{error}");
}

#[test]
fn sizes_are_told_briefly() {
    for (bytes, expected) in
        [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (1_600_000, "1.5M"), (3 << 30, "3.0G")]
    {
        assert_eq!(human_bytes(bytes), expected);
    }
}

/// Every message that somebody gets who pushes one of these: what is wrong, and what mends it.
#[test]
fn broken_builds_are_told_what_mends_them() {
    let bench = Bench::new();
    const EXPRESS: (&str, &str) = ("package.json", r#"{"dependencies":{"express":"^4"}}"#);
    const NPM_LOCK: (&str, &str) = ("package-lock.json", r#"{"packages":{"node_modules/express":{}}}"#);
    const UV_PROJECT: (&str, &str) =
        ("pyproject.toml", "[project]\nname = \"shop\"\nversion = \"1\"\ndependencies = [\"flask\"]\n");
    const DRIFTED: &str =
        "version = 1\n[[package]]\nname = \"shop\"\nversion = \"1\"\nsource = { virtual = \".\" }\n";
    const POETRY: &str = "package = []\n[metadata]\nlock-version = \"2.1\"\ncontent-hash = \"0\"\n";
    const GIT: &str = "package = []\n[metadata]\nlock-version = \"1.1\"\ncontent-hash = \"0\"\n";
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("nothing that is known", &[("README.md", "x")]),
        ("a Procfile with a mistake", &[("Procfile", "web ./x")]),
        ("Rust without a lock", &[("Cargo.toml", "[package]")]),
        ("Python without a lock", &[UV_PROJECT]),
        ("Poetry without a lock", &[("pyproject.toml", "[tool.poetry]\nname = \"shop\"")]),
        ("Pipenv without a lock", &[("Pipfile", "[packages]\nflask = \"*\"")]),
        ("setup.py alone", &[("setup.py", "from setuptools import setup")]),
        ("uv: drift", &[UV_PROJECT, ("uv.lock", DRIFTED)]),
        ("uv: no manifest", &[("uv.lock", DRIFTED)]),
        ("uv: a newer format", &[UV_PROJECT, ("uv.lock", "version = 9\n")]),
        ("uv: half a lock", &[UV_PROJECT, ("uv.lock", "version = 1\n[[package]\n")]),
        ("Poetry: drift", &[("pyproject.toml", "[tool.poetry]"), ("poetry.lock", POETRY)]),
        ("Poetry: an old format", &[("pyproject.toml", "[tool.poetry]"), ("poetry.lock", GIT)]),
        (
            "Pipenv: drift",
            &[
                ("Pipfile", "[packages]\nflask = \"*\""),
                ("Pipfile.lock", r#"{"_meta":{"hash":{"sha256":"0"}}}"#),
            ],
        ),
        (
            "Pipenv: from git",
            &[("Pipfile.lock", r#"{"_meta":{},"default":{"mine":{"git":"https://x","ref":"0"}}}"#)],
        ),
        ("requirements: an include that is not there", &[("requirements.txt", "-r base.txt\n")]),
        ("requirements: UTF-16", &[("requirements.txt", "\u{fffe}")]),
        ("Node.js without a lock", &[EXPRESS]),
        ("Node.js with two locks", &[EXPRESS, NPM_LOCK, ("yarn.lock", "")]),
        ("Node.js: drift", &[("package.json", r#"{"dependencies":{"left-pad":"1"}}"#), NPM_LOCK]),
        ("Node.js: no JSON", &[("package.json", "{,}")]),
        (
            "Node.js: another package manager",
            &[("package.json", r#"{"packageManager":"yarn@4.1.0"}"#), NPM_LOCK],
        ),
        ("Node.js: Bun", &[EXPRESS, ("bun.lock", "{}")]),
        (
            "app.json: a check that asks nothing",
            &[("index.html", "x"), ("app.json", r#"{"healthchecks":{"web":[{"type":"startup"}]}}"#)],
        ),
        (
            "app.json: a check by a command",
            &[
                ("index.html", "x"),
                ("app.json", r#"{"healthchecks":{"web":[{"type":"liveness","command":["bin/ok"]}]}}"#),
            ],
        ),
        ("app.json: no JSON", &[("index.html", "x"), ("app.json", "{,}")]),
        ("a static site without its page", &[("Staticfile", "root: dist")]),
    ];
    let mut told = String::new();
    for (name, files) in cases {
        let (request, source) = bench.request(files);
        if name.ends_with("UTF-16") {
            fs::write(source.join("requirements.txt"), b"\xff\xfef\0l\0").expect("written");
        }
        let error = bench.build(&request).0.expect_err(name);
        assert_eq!(error.fault(), Fault::App, "{name}: {error}");
        told.push_str(&format!("{name}\n    {}\n", domain::cause::chain(&error)));
    }
    insta::assert_snapshot!(told);
}

/// The last of what may be missing, which only a running server can tell: an interpreter, and how an app is started.
#[test]
fn what_a_native_builder_lacks_is_told_with_its_remedy() {
    let errors = [
        NativeError::from(crate::native::python::PythonError::NoProcess),
        NativeError::from(crate::native::node::NodeError::NoProcess),
        NativeError::from(RustError::NoToolchain),
        NativeError::from(crate::native::RuntimeError::None { language: Language::Python }),
    ];
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(told.iter().all(|text| text.contains("Fix: ")), "{told:#?}");
    insta::assert_snapshot!(told.join("\n"));
}
