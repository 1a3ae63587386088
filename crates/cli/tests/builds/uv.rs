//! Locks of uv: followed by pip where there is no uv, and by uv itself, from what `uv lock` wrote.

use super::support::trace::tools;
use super::{World, app, push_traced, read};
use std::path::Path;
use std::process::Command;

const CODE: &str = "from flask import Flask\nimport importlib.util\napp = Flask(__name__)\n\n@app.get('/')\ndef index():\n    \
                    return {'redis': importlib.util.find_spec('redis') is not None}\n";
const PROJECT: &str = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.11\"\n\
                       dependencies = [\"flask\", \"gunicorn\"]\n\n[tool.uv]\nenvironments = [\"sys_platform == 'linux'\"]\n";

/// What `uv lock` writes for the project.
fn lock(world: &World) -> String {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::write(place.path().join("pyproject.toml"), PROJECT).expect("written");
    let python = world.managers("python").join("bin");
    let mut uv = Command::new(python.join("uv"));
    uv.args(["lock", "--quiet", "--python"]).arg(python.join("python3")).current_dir(place.path());
    uv.env("UV_DEFAULT_INDEX", format!("{}/simple", world.registry.url()));
    uv.env("UV_CACHE_DIR", place.path().join("cache")).env("UV_NO_CONFIG", "1");
    assert!(uv.status().expect("uv runs").success(), "uv locks the project");
    read(&place.path().join("uv.lock"))
}

#[test]
fn uv_installs_what_it_has_locked() {
    let Some(world) = World::make() else { return };
    let server = world.server("DOZEN_PYTHON_PREFIX", &world.managers("python"));
    let lock = lock(&world);
    let files = [("uv.lock", lock.as_str()), ("pyproject.toml", PROJECT), ("app.py", CODE)];
    let repository = app(&server, "locked", &files);
    let (told, seen) = push_traced(&server, &repository);
    assert!(tools(&seen).iter().any(|line| line.contains("uv pip install")), "{seen:#?}");
    assert!(told.contains("The default web process is that of Flask: gunicorn app:app"), "{told}");
    let answer = server.get("locked", "/").json();
    assert_eq!(answer, serde_json::json!({ "redis": false }), "only what is locked");

    repository.write("version.txt", "two");
    repository.commit("only code");
    let (told, seen) = push_traced(&server, &repository);
    assert!(told.contains("nothing they are made from has changed"), "{told}");
    assert!(seen.is_empty(), "a build process was started: {seen:#?}");
    assert_eq!(server.get("locked", "/").status, 200);
}

/// pip installs exactly what it names, and the app is started as its framework is.
#[test]
fn a_lock_of_uv_needs_no_uv() {
    let Some(world) = World::make() else { return };
    let server = world.server("DOZEN_PYTHON_PREFIX", Path::new("/usr"));
    let lock = lock(&world);
    let files = [("uv.lock", lock.as_str()), ("pyproject.toml", PROJECT), ("app.py", CODE)];
    let repository = app(&server, "locked", &files);
    let (told, seen) = push_traced(&server, &repository);
    assert!(tools(&seen).iter().any(|line| line.contains("pip")), "{seen:#?}");
    assert!(!tools(&seen).iter().any(|line| line.contains("uv pip")), "{seen:#?}");
    assert!(told.contains("The default web process is that of Flask: gunicorn app:app"), "{told}");
    let answer = server.get("locked", "/").json();
    assert_eq!(answer, serde_json::json!({ "redis": false }), "only what is locked");

    repository.write("pyproject.toml", &PROJECT.replace("\"flask\"", "\"flask>=99\""));
    repository.commit("drifted");
    let output = repository.try_push(&server);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("uv lock"), "{told}");
    println!("{told}");
}
