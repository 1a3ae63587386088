//! Python: the locked packages, in a virtual environment at `/app/.venv` over the server's interpreter.
//!
//! Locks of uv, Poetry and Pipenv are rendered for pip (module `locks`), so that what is installed is what was locked and nothing else.
//! A `requirements.txt` is given to pip as it is. The code itself is not installed: it lies in `/app`, which is on `PYTHONPATH`.

pub(crate) mod defaults;
mod graph;
mod hash;
pub(crate) mod locks;
mod requirements;

use super::manifests::{ManifestError, Manifests, Role, first_line};
use super::plan::{Code, HandOut, Install, InstallOrder, Tool};
use super::runtime::Wanted;
use crate::error::BuildError;
use blobs::tree::SourceTree;
pub use graph::GraphError;
use locks::Rendered;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// The folder of the virtual environment in the slug.
pub const ENVIRONMENT: &str = ".venv";
pub(crate) const MANAGE: &str = "manage.py";
pub(crate) const PYPROJECT: &str = "pyproject.toml";
pub(crate) const PIPFILE: &str = "Pipfile";
pub(crate) const REQUIREMENTS: &str = "requirements.txt";
pub(crate) const UV_LOCK: &str = "uv.lock";
pub(crate) const POETRY_LOCK: &str = "poetry.lock";
pub(crate) const PIPFILE_LOCK: &str = "Pipfile.lock";
const VERSION_FILE: &str = ".python-version";
const RUNTIME_FILE: &str = "runtime.txt";

/// Locks, the preferred one first.
pub(crate) const LOCKS: [&str; 4] = [UV_LOCK, POETRY_LOCK, PIPFILE_LOCK, REQUIREMENTS];
/// What says that an app is written in Python, and locks nothing.
pub(crate) const MANIFESTS: [&str; 3] = [PYPROJECT, PIPFILE, "setup.py"];
const OTHERS: [&str; 3] = [VERSION_FILE, RUNTIME_FILE, MANAGE];
/// Files that a requirements file may include, all together.
const MOST_INCLUDES: usize = 50;
/// Config var by which people turn Django's step off, as on Heroku.
const DISABLE_COLLECTSTATIC: &str = "DISABLE_COLLECTSTATIC";

/// Why a Python app cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(
        "there is a {manifest} and no lock file: what is installed must be exactly what was tried. Fix: {fix}, and commit what it writes"
    )]
    NoLock { manifest: &'static str, fix: &'static str },
    #[error("{lock} no longer fits {manifest}. Fix: run `{fix}` and commit {lock}")]
    Drift { lock: &'static str, manifest: &'static str, fix: &'static str },
    #[error("there is a {lock} and no {manifest} that it belongs to. Fix: commit {manifest} as well")]
    NoManifest { lock: &'static str, manifest: &'static str },
    #[error("{file} cannot be read: {reason}. Fix: correct it, or let the tool that wrote it write it anew")]
    Malformed { file: &'static str, reason: String },
    #[error(
        "{lock} has the format \"{found}\", which Dozen does not read. Fix: run `{fix}` with a current version and commit {lock}"
    )]
    LockFormat { lock: &'static str, found: String, fix: &'static str },
    #[error("{lock} cannot be followed: {reason}. Fix: run `{fix}` and commit {lock}")]
    Graph { lock: &'static str, fix: &'static str, reason: GraphError },
    #[error(
        "\"{name}\" of {lock} comes from git, a URL or a path, whose content the lock does not tell. Fix: depend on a released version, or put \
         the code into the repository"
    )]
    Elsewhere { lock: &'static str, name: String },
    #[error(
        "{file} includes \"{included}\", which is not in the repository. Fix: commit it, or take the line out"
    )]
    NoInclude { file: String, included: String },
    #[error("requirements.txt includes more than {MOST_INCLUDES} files")]
    TooManyIncludes,
    #[error(
        "there is no Procfile, and nothing here tells how the app is started. Fix: add a Procfile with a line such as \"web: gunicorn \
         MODULE:app\""
    )]
    NoProcess,
}

/// A name as indexes compare it (PEP 503).
pub(crate) fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Everything that decides about the build of a Python app.
pub(crate) fn plan(tree: &SourceTree, config: &BTreeMap<String, String>) -> Result<Install, BuildError> {
    let others: Vec<&str> = MANIFESTS.iter().chain(&OTHERS).copied().collect();
    let mut manifests = Manifests::read(tree, &LOCKS, &others)?;
    let lock = choose_lock(&manifests).map_err(super::NativeError::from)?;
    let included = if lock == REQUIREMENTS { include(tree, &mut manifests)? } else { Included::default() };
    let has_manage = manifests.has(MANAGE);
    let mut install = plan_lock(manifests, lock, &included).map_err(super::NativeError::from)?;
    let collects = install.packages.contains("django")
        && has_manage
        && !config.contains_key(DISABLE_COLLECTSTATIC)
        && defaults::has_static_root(tree)?;
    if collects {
        install.order.scripts.push("collectstatic".to_owned());
        install.order.hand_out = HandOut::Tree;
    }
    Ok(install)
}

fn choose_lock(manifests: &Manifests) -> Result<&'static str, PythonError> {
    if let Some(lock) = LOCKS.into_iter().find(|lock| manifests.has(lock)) {
        return Ok(lock);
    }
    let manifest = MANIFESTS.into_iter().find(|manifest| manifests.has(manifest)).unwrap_or(PYPROJECT);
    let fix = match manifest {
        PIPFILE => "run `pipenv lock`",
        PYPROJECT if manifests.text(PYPROJECT)?.is_some_and(|text| text.contains("[tool.poetry")) => {
            "run `poetry lock`"
        }
        PYPROJECT => "run `uv lock`",
        _ => "run `pip freeze > requirements.txt` in a clean environment",
    };
    Err(PythonError::NoLock { manifest, fix })
}

fn plan_lock(manifests: Manifests, lock: &'static str, included: &Included) -> Result<Install, PythonError> {
    let rendered = if lock == REQUIREMENTS { None } else { Some(render(&manifests, lock)?) };
    let packages = match &rendered {
        Some(rendered) => requirements::parse(&rendered.requirements).names,
        None => included.names.clone(),
    };
    let order = InstallOrder {
        tool: Tool::Pip { lock: lock.to_owned() },
        key: String::new(),
        hand_out: HandOut::Dependencies,
        scripts: Vec::new(),
        before: Vec::new(),
    };
    Ok(Install {
        order,
        wishes: wishes(&manifests, rendered.as_ref())?,
        depends_on: if included.is_local { Code::All } else { Code::Manifests },
        remarks: remarks(&manifests, lock, included),
        packages,
        key_parts: manifests.into_parts(),
    })
}

/// A lock as pip reads it. Also called inside the sandbox, where it is needed.
pub(crate) fn render(manifests: &Manifests, lock: &'static str) -> Result<Rendered, PythonError> {
    let text = manifests.text(lock)?.unwrap_or_default();
    match lock {
        UV_LOCK => locks::uv(text, &table(manifests, PYPROJECT, lock)?),
        POETRY_LOCK => locks::poetry(text, &table(manifests, PYPROJECT, lock)?),
        _ => {
            let pipfile = if manifests.has(PIPFILE) { Some(table(manifests, PIPFILE, lock)?) } else { None };
            locks::pipenv(text, pipfile.as_ref())
        }
    }
}

fn table(manifests: &Manifests, file: &'static str, lock: &'static str) -> Result<Table, PythonError> {
    let text = manifests.text(file)?.ok_or(PythonError::NoManifest { lock, manifest: file })?;
    text.parse()
        .map_err(|error: toml::de::Error| PythonError::Malformed { file, reason: error.message().to_owned() })
}

/// What `requirements.txt` and the files that it includes say together.
#[derive(Debug, Default)]
struct Included {
    names: BTreeSet<String>,
    loose: Vec<String>,
    is_local: bool,
}

fn include(tree: &SourceTree, manifests: &mut Manifests) -> Result<Included, BuildError> {
    let mut all = Included::default();
    let mut ahead = vec![REQUIREMENTS.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(file) = ahead.pop() {
        if !seen.insert(file.clone()) {
            continue;
        }
        if seen.len() > MOST_INCLUDES {
            return Err(super::NativeError::from(PythonError::TooManyIncludes).into());
        }
        let text =
            manifests.text(&file).map_err(|error| super::NativeError::from(PythonError::from(error)))?;
        let found = requirements::parse(text.unwrap_or_default());
        for included in found.includes {
            let path = beside(&file, &included);
            let is_there = !path.starts_with("..") && manifests.add(tree, &path, Role::Lock)?;
            if !is_there && !included.contains("://") {
                let error = PythonError::NoInclude { file, included };
                return Err(super::NativeError::from(error).into());
            }
            ahead.push(path);
        }
        all.names.extend(found.names);
        all.loose.extend(found.loose);
        all.is_local |= found.is_local;
    }
    Ok(all)
}

/// A path that a file names, relative to the folder of that file.
fn beside(file: &str, included: &str) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in included.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn wishes(manifests: &Manifests, rendered: Option<&Rendered>) -> Result<Vec<Wanted>, PythonError> {
    let mut wishes = Vec::new();
    let version = |text: &str, file: &str| Wanted::Version { text: text.to_owned(), file: file.to_owned() };
    let runtime = manifests.text(RUNTIME_FILE)?.and_then(first_line);
    if let Some(text) = manifests.text(VERSION_FILE)?.and_then(first_line) {
        wishes.push(version(text, VERSION_FILE));
    } else if let Some(text) = runtime {
        wishes.push(version(text.strip_prefix("python-").unwrap_or(text), RUNTIME_FILE));
    } else if let Some(text) = rendered.and_then(|rendered| rendered.python_version.as_deref()) {
        wishes.push(version(text, PIPFILE_LOCK));
    }
    let project = manifests.text(PYPROJECT)?.and_then(|text| text.parse::<Table>().ok());
    let declared =
        project.as_ref().and_then(|project| project.get("project")?.get("requires-python")?.as_str());
    let locked = rendered.and_then(|rendered| rendered.requires_python.as_deref());
    let poetry = project.as_ref().and_then(|project| {
        project.get("tool")?.get("poetry")?.get("dependencies")?.get("python").and_then(Value::as_str)
    });
    if let Some(text) = declared.or(locked).or(poetry) {
        wishes.push(Wanted::Range { text: text.to_owned(), file: PYPROJECT.to_owned() });
    }
    Ok(wishes)
}

/// Requirements named in one remark.
const NAMED: usize = 5;

fn remarks(manifests: &Manifests, lock: &str, included: &Included) -> Vec<String> {
    let mut remarks = Vec::new();
    let others: Vec<&str> =
        LOCKS.into_iter().filter(|other| *other != lock && manifests.has(other)).collect();
    if !others.is_empty() {
        remarks.push(format!("{lock} is followed; {} is not", others.join(", ")));
    }
    if !included.loose.is_empty() {
        let named: Vec<&str> = included.loose.iter().take(NAMED).map(String::as_str).collect();
        let more = included.loose.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        remarks.push(format!(
            "Without an exact version in requirements.txt: {}{more}. What is installed may differ from what you tried; `pip-compile \
             --generate-hashes` writes a complete file",
            named.join(", ")
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_indexes_do() {
        for (name, expected) in
            [("Flask", "flask"), ("a__b.-C", "a-b-c"), ("zope.interface", "zope-interface")]
        {
            assert_eq!(normalised(name), expected);
        }
    }

    #[test]
    fn included_paths_are_relative_to_their_file() {
        for (file, included, expected) in [
            ("requirements.txt", "requirements/base.txt", "requirements/base.txt"),
            ("requirements/prod.txt", "base.txt", "requirements/base.txt"),
            ("requirements/prod.txt", "../common.txt", "common.txt"),
            ("requirements.txt", "../../etc/passwd", "../../etc/passwd"),
            ("a.txt", "./b.txt", "b.txt"),
        ] {
            assert_eq!(beside(file, included), expected);
        }
    }

    #[test]
    fn what_is_wished_for_is_found_where_people_write_it() {
        let of = |files: &[(&str, &str)]| wishes(&Manifests::of(files), None).expect("reads");
        let version =
            |text: &str, file: &str| Wanted::Version { text: text.to_owned(), file: file.to_owned() };
        assert_eq!(of(&[(VERSION_FILE, "# ours\n3.12\n")]), [version("3.12", VERSION_FILE)]);
        assert_eq!(of(&[(RUNTIME_FILE, "python-3.11.7\n")]), [version("3.11.7", RUNTIME_FILE)]);
        let both = of(&[(VERSION_FILE, "3.12"), (PYPROJECT, "[project]\nrequires-python = \">=3.11\"")]);
        let range = Wanted::Range { text: ">=3.11".to_owned(), file: PYPROJECT.to_owned() };
        assert_eq!(both, [version("3.12", VERSION_FILE), range]);
    }
}
