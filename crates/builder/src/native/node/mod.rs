//! Node.js: the locked packages in `node_modules`, the app's `build` script, and the packages of its developers taken out again.

pub(crate) mod defaults;
pub(crate) mod package;

use super::manifests::{ManifestError, Manifests, first_line};
use super::plan::{Code, HandOut, Install, InstallOrder, Tool};
use super::runtime::Wanted;
use crate::error::BuildError;
use blobs::tree::SourceTree;
use package::Package;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// The folder of packages in the slug.
pub const MODULES: &str = "node_modules";
pub(crate) const PACKAGE: &str = "package.json";
const NPM_LOCK: &str = "package-lock.json";
const SHRINKWRAP: &str = "npm-shrinkwrap.json";
const PNPM_LOCK: &str = "pnpm-lock.yaml";
pub(crate) const YARN_LOCK: &str = "yarn.lock";
const LOCKS: [&str; 4] = [SHRINKWRAP, NPM_LOCK, PNPM_LOCK, YARN_LOCK];
const BUN_LOCKS: [&str; 2] = ["bun.lock", "bun.lockb"];
/// Settings of the package managers, and of which version is meant.
const SETTINGS: [&str; 5] = [".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml"];
/// Yarn's table of where every locked package lies, as large as a lock.
const PLUG_AND_PLAY: &str = ".pnp.cjs";
const NODE_VERSION: &str = ".node-version";
const NVMRC: &str = ".nvmrc";
/// What tells that a `yarn.lock` is one of Yarn 2 or later.
const BERRY: &str = "__metadata:";

/// Scripts of Heroku's, which win over the plain names.
const PREBUILD: &str = "heroku-prebuild";
const POSTBUILD: &str = "heroku-postbuild";
const CLEANUP: &str = "heroku-cleanup";
const BUILD: &str = "build";
/// Scripts that package managers run while they install.
const LIFECYCLE: [&str; 4] = ["preinstall", "install", "postinstall", "prepare"];

/// Why a Node.js app cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{file} cannot be read: {reason}. Fix: correct it, or let the tool that wrote it write it anew")]
    Malformed { file: &'static str, reason: String },
    #[error(
        "package.json names packages and there is no lock file: what is installed must be exactly what was tried. Fix: run `npm install` \
         (or `pnpm install`, `yarn install`) and commit the lock file that it writes"
    )]
    NoLock,
    #[error("there are several lock files: {}. Fix: remove all but the one of the package manager that you use", .files.join(", "))]
    SeveralLocks { files: Vec<&'static str> },
    #[error(
        "package.json asks for {asked}, and the lock file there is {lock}. Fix: commit the lock file of {asked}, or correct \
         \"packageManager\""
    )]
    OtherManager { asked: String, lock: &'static str },
    #[error(
        "{file} is a lock file of Bun, which Dozen does not install with. Fix: commit one of npm, pnpm or Yarn"
    )]
    Bun { file: &'static str },
    #[error(
        "package.json needs \"{name}\", which {lock} does not hold. Fix: run `npm install` and commit {lock}"
    )]
    Drift { name: String, lock: &'static str },
    #[error(
        "there is no Procfile, and package.json has no \"start\" script and names no \"main\" file that is there. Fix: add a Procfile with a \
         line such as \"web: node server.js\", or a \"start\" script"
    )]
    NoProcess,
}

/// Everything that decides about the build of a Node.js app.
pub(crate) fn plan(tree: &SourceTree) -> Result<Install, BuildError> {
    let locks: Vec<&str> = LOCKS.iter().chain(&BUN_LOCKS).chain(&[PLUG_AND_PLAY]).copied().collect();
    let others: Vec<&str> = [PACKAGE, NODE_VERSION, NVMRC].iter().chain(&SETTINGS).copied().collect();
    let manifests = Manifests::read(tree, &locks, &others)?;
    let has_modules = tree.list(MODULES)?.is_some();
    let mut install = decide(manifests).map_err(super::NativeError::from)?;
    if has_modules {
        install.remarks.push(format!(
            "The folder {MODULES}/ of the repository is ignored: packages are installed from the lock file. Add it to .gitignore"
        ));
    }
    Ok(install)
}

fn decide(manifests: Manifests) -> Result<Install, NodeError> {
    let package = Package::parse(manifests.text(PACKAGE)?.unwrap_or("{}"))?;
    let tool = choose_tool(&manifests, &package)?;
    let scripts = build_scripts(&package);
    let before = script(&package, PREBUILD);
    let runs_code = LIFECYCLE.iter().any(|name| package.scripts.contains_key(*name));
    let is_local =
        package.has_local_parts() || manifests.has(".yarnrc.yml") || manifests.has(".pnpmfile.cjs");
    let reads_all = runs_code || is_local || !before.is_empty();
    let is_plain = scripts.is_empty() && !reads_all;
    Ok(Install {
        order: InstallOrder {
            tool,
            key: String::new(),
            hand_out: if is_plain { HandOut::Dependencies } else { HandOut::Tree },
            before,
            scripts,
        },
        wishes: wishes(&manifests, &package)?,
        key_parts: manifests.into_parts(),
        depends_on: if reads_all { Code::All } else { Code::Manifests },
        remarks: Vec::new(),
        packages: package.dependencies.keys().cloned().collect(),
    })
}

/// In the order in which they run, the ones before and after a script included.
fn build_scripts(package: &Package) -> Vec<String> {
    let build = if package.scripts.contains_key(POSTBUILD) { POSTBUILD } else { BUILD };
    [script(package, build), script(package, CLEANUP)].concat()
}

fn script(package: &Package, name: &str) -> Vec<String> {
    if !package.scripts.contains_key(name) {
        return Vec::new();
    }
    let all = [format!("pre{name}"), name.to_owned(), format!("post{name}")];
    all.into_iter().filter(|name| package.scripts.contains_key(name)).collect()
}

fn choose_tool(manifests: &Manifests, package: &Package) -> Result<Tool, NodeError> {
    let locks: Vec<&'static str> = LOCKS.into_iter().filter(|lock| manifests.has(lock)).collect();
    let lock = match locks.as_slice() {
        [] => {
            if let Some(file) = BUN_LOCKS.into_iter().find(|lock| manifests.has(lock)) {
                return Err(NodeError::Bun { file });
            }
            return if package.needs_nothing() { Ok(Tool::Nothing) } else { Err(NodeError::NoLock) };
        }
        [lock] => *lock,
        // npm itself prefers the first of its two names.
        [first, second] if (*first, *second) == (SHRINKWRAP, NPM_LOCK) => *first,
        _ => return Err(NodeError::SeveralLocks { files: locks }),
    };
    let tool = match lock {
        PNPM_LOCK => Tool::Pnpm,
        YARN_LOCK if manifests.text(YARN_LOCK)?.is_some_and(|text| text.contains(BERRY)) => Tool::YarnBerry,
        YARN_LOCK => Tool::Yarn,
        _ => {
            check_npm_lock(manifests, package, lock)?;
            Tool::Npm
        }
    };
    check_manager(package, &tool, lock)?;
    Ok(tool)
}

/// `packageManager` against the lock file.
fn check_manager(package: &Package, tool: &Tool, lock: &'static str) -> Result<(), NodeError> {
    let Some(asked) = &package.package_manager else { return Ok(()) };
    let name = asked.split('@').next().unwrap_or_default();
    let fits = match tool {
        Tool::Pnpm => name == "pnpm",
        Tool::Yarn | Tool::YarnBerry => name == "yarn",
        Tool::Npm => name == "npm",
        Tool::Nothing | Tool::Pip { .. } => true,
    };
    let asked = asked.split('+').next().unwrap_or_default().to_owned();
    if fits { Ok(()) } else { Err(NodeError::OtherManager { asked, lock }) }
}

#[derive(Deserialize)]
struct NpmLock {
    /// By path; the app itself is the empty one. Absent in locks of npm 6.
    packages: Option<BTreeMap<String, IgnoredAny>>,
}

/// A package that the lock does not hold at all. Whether the versions fit, `npm ci` finds out.
fn check_npm_lock(manifests: &Manifests, package: &Package, lock: &'static str) -> Result<(), NodeError> {
    let text = manifests.text(lock)?.unwrap_or_default();
    let parsed: NpmLock = serde_json::from_str(text)
        .map_err(|error| NodeError::Malformed { file: lock, reason: error.to_string() })?;
    let Some(packages) = parsed.packages else { return Ok(()) };
    let is_held = |name: &str| packages.contains_key(&format!("{MODULES}/{name}"));
    let named = package.dependencies.keys().chain(package.dev_dependencies.keys());
    match named.into_iter().find(|name| !is_held(name)) {
        Some(name) => Err(NodeError::Drift { name: name.clone(), lock }),
        None => Ok(()),
    }
}

fn wishes(manifests: &Manifests, package: &Package) -> Result<Vec<Wanted>, NodeError> {
    let mut wishes = Vec::new();
    for file in [NODE_VERSION, NVMRC] {
        // A moving name such as `lts/*` asks for nothing in particular.
        let line = manifests
            .text(file)?
            .and_then(first_line)
            .filter(|line| line.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
        if let Some(text) = line {
            wishes.push(Wanted::Version { text: text.to_owned(), file: file.to_owned() });
            break;
        }
    }
    if let Some(text) = package.engines.get("node") {
        wishes.push(Wanted::Range { text: text.clone(), file: format!("\"engines\" of {PACKAGE}") });
    }
    Ok(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{"packages":{"":{},"node_modules/express":{},"node_modules/vite":{}}}"#;

    fn decided(package: &str, files: &[(&str, &str)]) -> Result<Install, String> {
        let all: Vec<(&str, &str)> = files.iter().copied().chain([(PACKAGE, package)]).collect();
        decide(Manifests::of(&all)).map_err(|error| error.to_string())
    }

    fn summary(package: &str, files: &[(&str, &str)]) -> String {
        decided(package, files).map_or_else(
            |error| format!("refused: {error}"),
            |install| {
                let InstallOrder { tool, hand_out, before, scripts, .. } = install.order;
                format!("{tool:?} {hand_out:?} {before:?} {scripts:?} {:?}", install.depends_on)
            },
        )
    }

    #[test]
    fn what_is_run_follows_from_lock_and_scripts() {
        let npm = [(NPM_LOCK, LOCK)];
        let express = r#"{"dependencies":{"express":"^4"}}"#;
        let cases = [
            summary(express, &npm),
            summary(
                r#"{"dependencies":{"express":"^4"},"scripts":{"build":"x","prebuild":"y","start":"z"}}"#,
                &npm,
            ),
            summary(r#"{"scripts":{"build":"x","heroku-postbuild":"y","heroku-prebuild":"z"}}"#, &npm),
            summary(r#"{"dependencies":{"express":"^4"},"scripts":{"postinstall":"x"}}"#, &npm),
            summary(r#"{"dependencies":{"mine":"file:./mine"}}"#, &[(YARN_LOCK, "")]),
            summary(express, &[(YARN_LOCK, "__metadata:\n  version: 8\n")]),
            summary(express, &[(PNPM_LOCK, "lockfileVersion: '9.0'\n")]),
            summary(r#"{"scripts":{"start":"node x"}}"#, &[]),
            summary(express, &[(NPM_LOCK, LOCK), (SHRINKWRAP, LOCK)]),
        ];
        insta::assert_snapshot!(cases.join("\n"));
    }

    #[test]
    fn what_cannot_be_built_is_refused_with_a_remedy() {
        let express = r#"{"dependencies":{"express":"^4"}}"#;
        let cases = [
            summary(express, &[]),
            summary(express, &[(NPM_LOCK, LOCK), (YARN_LOCK, "")]),
            summary(express, &[("bun.lock", "{}")]),
            summary(r#"{"dependencies":{"left-pad":"1"}}"#, &[(NPM_LOCK, LOCK)]),
            summary("{", &[]),
            summary(express, &[(NPM_LOCK, "{")]),
            summary(
                r#"{"packageManager":"pnpm@9.1.0+sha512.abc","dependencies":{"express":"^4"}}"#,
                &[(NPM_LOCK, LOCK)],
            ),
            summary(r#"{"scripts":[]}"#, &[]),
        ];
        insta::assert_snapshot!(cases.join("\n"));
    }

    #[test]
    fn the_wished_version_is_found_where_people_write_it() {
        let of = |package: &str, files: &[(&str, &str)]| decided(package, files).expect("decided").wishes;
        let version =
            |text: &str, file: &str| Wanted::Version { text: text.to_owned(), file: file.to_owned() };
        assert_eq!(of("{}", &[(NVMRC, "v20.1.0\n")]), [version("v20.1.0", NVMRC)]);
        assert_eq!(of("{}", &[(NVMRC, "lts/*\n")]), []);
        assert_eq!(of("{}", &[(NVMRC, "18"), (NODE_VERSION, "20")]), [version("20", NODE_VERSION)]);
        let engines = of(r#"{"engines":{"node":">=18"}}"#, &[]);
        assert!(matches!(&engines[..], [Wanted::Range { text, .. }] if text == ">=18"), "{engines:?}");
    }
}
