//! Rust: `cargo build --release --locked` in the sandbox, by the step in [`crate::step`].
//!
//! The slug is the source as pushed, with the binaries at `target/release/NAME`, where `./target/release/NAME` in a Procfile
//! finds them, in production as on a developer's machine. What the build itself wrote into the source tree is not part of it:
//! the next build of the same commit might not write it again, and slugs depend on the source alone.

use crate::detect::{self, Listing};
use crate::mirrors::Mirrors;
use crate::processes::{self, Processes};
use crate::request::BuildRequest;
use crate::step::{ProcfileThere, RUST_STEP, STEP_COMMAND};
use crate::variables;
use blobs::tree::{Kind, ReadError, SourceTree};
use sandbox::spec::{HELPER_PATH, RUST_PATH};

/// Where the binaries are in the slug, below `/app`.
pub const BINARIES: &str = "target/release";
/// The top folder that belongs to the builder: what the repository holds under this name is not taken.
pub const TARGET: &str = "target";

/// Config vars that mean something to cargo or to well-known build scripts, by name and by prefix. No others are passed on.
const DECLARED_NAMES: [&str; 4] = ["RUSTFLAGS", "SQLX_OFFLINE", "CARGO_BUILD_JOBS", "CARGO_BUILD_RUSTFLAGS"];
const DECLARED_PREFIXES: [&str; 4] =
    ["CARGO_PROFILE_RELEASE_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_NET_"];

/// Why a Rust app cannot be built or run.
#[derive(Debug, thiserror::Error)]
pub enum RustError {
    #[error(
        "there is a Cargo.toml and no Cargo.lock: what is built must be exactly what was tried. Fix: run `cargo generate-lockfile`, \
         remove Cargo.lock from .gitignore if it is there, and commit it"
    )]
    NoLockfile,
    #[error(
        "this server has no Rust toolchain. Fix: set DOZEN_RUST_PREFIX to a Rust installation (`rustc --print sysroot` tells one) \
         and start the launcher again"
    )]
    NoToolchain,
    #[error("there is no Procfile, and the build made {}. Fix: add a Procfile with a line such as \"web: ./target/release/NAME\"", made(.binaries))]
    NotOneBinary { binaries: Vec<String> },
    #[error("the binaries in the slug cannot be listed")]
    Binaries(#[source] ReadError),
}

fn made(binaries: &[String]) -> String {
    match binaries {
        [] => "no binary".to_owned(),
        several => format!("several binaries ({})", several.join(", ")),
    }
}

/// Refuses early what cargo would refuse late.
pub(crate) fn check(listing: &Listing) -> Result<(), RustError> {
    let has_lock = listing.files.iter().any(|file| file == detect::CARGO_LOCK);
    if has_lock { Ok(()) } else { Err(RustError::NoLockfile) }
}

/// What the step is told.
pub(crate) fn plan_arguments(listing: &Listing) -> Vec<String> {
    let procfile = if listing.procfile.is_some() { ProcfileThere::Yes } else { ProcfileThere::No };
    [HELPER_PATH, STEP_COMMAND, RUST_STEP, procfile.as_word()].map(str::to_owned).to_vec()
}

/// What the step and cargo find in their environment: ours, and the declared ones of the config vars.
pub(crate) fn plan_environment(request: &BuildRequest, mirrors: &Mirrors) -> Vec<(String, String)> {
    let path = format!("{RUST_PATH}/bin:/usr/local/bin:/usr/bin:/bin");
    let commit = request.commit.as_ref().map_or("", |commit| commit.as_str());
    let ours = [("PATH", path.as_str()), ("HOME", "/app"), ("LANG", "C.UTF-8"), ("SOURCE_VERSION", commit)];
    let declared = request.environment.iter().filter(|(name, _)| is_declared(name));
    let all = declared.chain(ours).map(|(name, value)| (name.to_owned(), value.to_owned()));
    all.chain(variables::crates(mirrors)).collect()
}

fn is_declared(name: &str) -> bool {
    DECLARED_NAMES.contains(&name) || DECLARED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A single binary is the `web` process of an app without Procfile; with a Procfile nothing is guessed.
pub(crate) fn default_processes(tree: &SourceTree, listing: &Listing) -> Result<Processes, RustError> {
    if listing.procfile.is_some() {
        return Ok(Processes::new());
    }
    let listed = tree.list(BINARIES).map_err(RustError::Binaries)?.unwrap_or_default();
    let files = listed.into_iter().filter(|entry| entry.kind == Kind::File);
    let binaries: Vec<String> = files.map(|file| String::from_utf8_lossy(&file.name).into_owned()).collect();
    match binaries.as_slice() {
        [only] => Ok(processes::web(&format!("./{BINARIES}/{only}"))),
        _ => Err(RustError::NotOneBinary { binaries }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::BuildEnvironment;
    use domain::ids::{AppId, BuildId, ProcessId};
    use domain::procfile::Procfile;
    use std::collections::BTreeMap;

    fn request(config: &[(&str, &str)]) -> BuildRequest {
        let config: BTreeMap<String, String> =
            config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BuildRequest {
            app: AppId::from_u128(1),
            app_index: 3,
            build: BuildId::from_u128(2),
            process: ProcessId::from_u128(4),
            buildpacks: Vec::new(),
            commit: Some("a".repeat(40).parse().expect("a commit")),
            previous: None,
            environment: BuildEnvironment::new(config),
            request_id: None,
        }
    }

    #[test]
    fn only_declared_config_vars_are_passed_on() {
        let config = [
            ("DATABASE_URL", "secret"),
            ("RUSTFLAGS", "-C x"),
            ("CARGO_REGISTRIES_OURS_TOKEN", "t"),
            ("CARGO_HOME", "/elsewhere"),
            ("PATH", "/evil"),
            ("LD_PRELOAD", "x"),
        ];
        let names: Vec<String> = plan_environment(&request(&config), &Mirrors::default())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let expected = ["CARGO_REGISTRIES_OURS_TOKEN", "RUSTFLAGS", "PATH", "HOME", "LANG", "SOURCE_VERSION"];
        assert_eq!(names, expected);
        assert!(!format!("{:?}", request(&config)).contains("secret"));
    }

    #[test]
    fn the_step_is_told_whether_there_is_a_procfile() {
        let without = plan_arguments(&Listing::default());
        assert_eq!(without, ["/.dozen/dozen", "build-step", "rust", "without-procfile"]);
        let listing = Listing { procfile: Procfile::parse(b"web: x").ok(), ..Listing::default() };
        assert_eq!(plan_arguments(&listing)[3], "with-procfile");
    }

    #[test]
    fn a_lockfile_is_asked_for() {
        let mut listing = Listing { files: vec!["Cargo.toml".to_owned()], ..Listing::default() };
        assert!(check(&listing).expect_err("refused").to_string().contains("cargo generate-lockfile"));
        listing.files.push("Cargo.lock".to_owned());
        assert!(check(&listing).is_ok());
    }

    #[test]
    fn a_single_binary_is_web_and_others_ask_for_a_procfile() {
        let place = tempfile::tempdir().expect("a folder");
        let tree = SourceTree::open(place.path()).expect("opens");
        let none = Listing::default();
        let message = default_processes(&tree, &none).expect_err("no binary").to_string();
        assert!(message.contains("no binary") && message.contains("Fix: "), "{message}");
        std::fs::create_dir_all(place.path().join(BINARIES)).expect("made");
        std::fs::write(place.path().join(BINARIES).join("hello"), "").expect("written");
        assert_eq!(default_processes(&tree, &none).expect("one"), processes::web("./target/release/hello"));
        std::fs::write(place.path().join(BINARIES).join("other"), "").expect("written");
        let message = default_processes(&tree, &none).expect_err("two").to_string();
        assert!(message.contains("hello, other"), "{message}");
        let with = Listing { procfile: Procfile::parse(b"worker: x").ok(), ..Listing::default() };
        assert_eq!(default_processes(&tree, &with).expect("as declared"), Processes::new());
    }
}
