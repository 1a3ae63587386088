//! Calling cargo and reading what it says: JSON about artifacts on its standard output, text for people on the other.

use super::Places;
use super::cache::Cache;
use super::child::{self, each_line, pass_on};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Longest JSON message; longer ones are not about artifacts.
const MAX_JSON_LINE: u64 = 4 * 1024 * 1024;

/// Cargo's settings of a mirror, which end with the sandbox.
const MIRROR_FILE: &str = "dozen-mirror.toml";

/// Binaries by name.
pub(super) type Binaries = BTreeMap<String, PathBuf>;

#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    target: Option<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    #[serde(default)]
    workspace_default_members: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    targets: Vec<Target>,
}

/// Cargo in the work folder, with its home and its target folder in the cache.
pub(super) fn command(places: &Places, cache: &Cache) -> io::Result<Command> {
    let mut command = child::command(places, places.toolchain.join("bin/cargo"));
    if let Some(url) = &places.crates_mirror {
        command.arg("--config").arg(write_mirror(&places.temporary, url)?);
    }
    command
        .env("CARGO_HOME", cache.path("cargo"))
        .env("CARGO_TARGET_DIR", cache.path("target"))
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .env("RUSTC", places.toolchain.join("bin/rustc"));
    Ok(command)
}

/// The URL may hold a password, which everybody on the machine could read in an argument, and later builds in the cache.
fn write_mirror(folder: &Path, url: &str) -> io::Result<PathBuf> {
    let path = folder.join(MIRROR_FILE);
    let text = format!(
        "[source.crates-io]\nreplace-with = \"dozen-mirror\"\n[source.dozen-mirror]\nregistry = \"{url}\"\n"
    );
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

/// Builds. The second value is how cargo ended; the first is complete only if it succeeded.
pub(super) fn build(
    places: &Places,
    cache: &Cache,
    output: &mut (dyn Write + Send),
) -> io::Result<(Binaries, ExitStatus)> {
    let mut child = command(places, cache)?
        .args(["build", "--release", "--locked", "--message-format=json-render-diagnostics"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (messages, text) = pipes(&mut child);
    let binaries = std::thread::scope(|scope| {
        let telling = scope.spawn(|| pass_on(text, output));
        let binaries = read_messages(messages);
        telling.join().expect("passing lines on does not panic")?;
        binaries
    })?;
    Ok((binaries, child.wait()?))
}

fn pipes(child: &mut Child) -> (impl Read + use<>, impl Read + Send + use<>) {
    let stdout = child.stdout.take().expect("it was piped");
    let stderr = child.stderr.take().expect("it was piped");
    (stdout, stderr)
}

fn read_messages(messages: impl Read) -> io::Result<Binaries> {
    let mut binaries = Binaries::new();
    each_line(messages, MAX_JSON_LINE, &mut |line| {
        // Lines that are no messages come from build scripts that print to the wrong place.
        if let Ok(message) = serde_json::from_slice::<Message>(line) {
            binaries.extend(binary_of(message));
        }
    })?;
    Ok(binaries)
}

/// The executable of a `bin` target; examples, tests and build scripts are others.
fn binary_of(message: Message) -> Option<(String, PathBuf)> {
    let target = message.target?;
    let is_binary = message.reason == "compiler-artifact" && target.kind.iter().any(|kind| kind == "bin");
    is_binary.then_some((target.name, message.executable?))
}

/// Names of the binaries that a plain `cargo build` would make, without compiling. `None` when cargo does not say.
pub(super) fn planned_binaries(places: &Places, cache: &Cache) -> io::Result<Option<Vec<String>>> {
    let output = command(places, cache)?
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .stderr(Stdio::null())
        .output()?;
    // If the manifest is broken the build will say so, better.
    Ok(output.status.success().then(|| binaries_in(&output.stdout)).flatten())
}

fn binaries_in(metadata: &[u8]) -> Option<Vec<String>> {
    let metadata: Metadata = serde_json::from_slice(metadata).ok()?;
    let built = |package: &&Package| {
        let default = &metadata.workspace_default_members;
        default.is_empty() || default.contains(&package.id)
    };
    let targets = metadata.packages.iter().filter(built).flat_map(|package| &package.targets);
    let binaries = targets.filter(|target| target.kind.iter().any(|kind| kind == "bin"));
    Some(binaries.map(|target| target.name.clone()).collect())
}

/// `rustc 1.95.0 (59807616e 2026-04-14)`.
pub(super) fn version(places: &Places) -> io::Result<String> {
    let output = Command::new(places.toolchain.join("bin/rustc")).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_among_the_messages() {
        let messages = concat!(
            "not json\n",
            r#"{"reason":"build-script-executed"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"lib","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"hello","kind":["bin"]},"executable":"/t/release/hello"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"ex","kind":["example"]},"executable":"/t/ex"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"build-script-build","kind":["custom-build"]},"executable":"/t/b"}"#,
        );
        let binaries = read_messages(messages.as_bytes()).expect("reads");
        assert_eq!(binaries, Binaries::from([("hello".to_owned(), PathBuf::from("/t/release/hello"))]));
    }

    #[test]
    fn planned_binaries_are_those_of_default_members() {
        let metadata = r#"{"packages":[
            {"id":"a","targets":[{"name":"a","kind":["lib"]},{"name":"one","kind":["bin"]}]},
            {"id":"b","targets":[{"name":"two","kind":["bin"]},{"name":"t","kind":["test"]}]}],
            "workspace_default_members":["a"]}"#;
        assert_eq!(binaries_in(metadata.as_bytes()), Some(vec!["one".to_owned()]));
        let all = metadata
            .replace(r#","workspace_default_members":["a"]"#, "")
            .replace(r#""workspace_default_members":["a"]"#, r#""workspace_default_members":[]"#);
        assert_eq!(binaries_in(all.as_bytes()), Some(vec!["one".to_owned(), "two".to_owned()]));
        assert_eq!(binaries_in(b"{}"), None);
    }
}
