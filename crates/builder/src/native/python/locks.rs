//! Lock files of uv, Poetry and Pipenv, each as a requirements file with hashes: pip and uv install exactly that, and none of the
//! three tools has to be on the server. What cannot be said so (packages from git, from a path) is refused by name.

use super::graph::{self, GraphError, Listed, MOST_STEPS, Need, Package, write_requirement};
use super::{PythonError, hash, normalised};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use toml::{Table, Value};

const PYPI: &str = "https://pypi.org/simple";
/// Formats of Poetry's lock: that of its versions 1.3 to 1.8, and that of version 2, which says in the lock itself which packages the
/// app needs.
const POETRY_PLAIN: &str = "2.0";
const POETRY_WITH_GROUPS: &str = "2.1";

/// A lock as pip reads it, and what it says about the interpreter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) requirements: String,
    pub(crate) requires_python: Option<String>,
    /// `3.11`: Pipenv asks for a series.
    pub(crate) python_version: Option<String>,
}

/// Indexes beside the public one, each once.
fn extra_indexes<'a>(urls: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = urls.map(|url| url.trim_end_matches('/')).filter(|url| *url != PYPI).collect();
    all.sort_unstable();
    all.dedup();
    all.iter().map(|url| format!("--extra-index-url {url}\n")).collect()
}

fn parse_toml<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, PythonError> {
    toml::from_str(text).map_err(|error| malformed(file, &error))
}

fn malformed(file: &'static str, error: &dyn std::fmt::Display) -> PythonError {
    let text = error.to_string();
    let reason = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    PythonError::Malformed { file, reason }
}

fn elsewhere(lock: &'static str, name: &str) -> PythonError {
    PythonError::Elsewhere { lock, name: name.to_owned() }
}

fn graph_error(lock: &'static str, fix: &'static str) -> impl Fn(GraphError) -> PythonError {
    move |reason| PythonError::Graph { lock, fix, reason }
}

#[derive(Deserialize)]
struct UvLock {
    version: u64,
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
    #[serde(default)]
    package: Vec<UvPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvPackage {
    name: String,
    #[serde(default)]
    version: String,
    source: Table,
    #[serde(default)]
    dependencies: Vec<UvNeed>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<UvNeed>>,
    sdist: Option<UvFile>,
    #[serde(default)]
    wheels: Vec<UvFile>,
    #[serde(default)]
    metadata: UvMetadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct UvMetadata {
    #[serde(default)]
    requires_dist: Vec<UvRequired>,
}

#[derive(Deserialize)]
struct UvRequired {
    name: String,
    #[serde(default)]
    specifier: Option<String>,
    #[serde(default)]
    marker: Option<String>,
}

#[derive(Deserialize)]
struct UvFile {
    hash: Option<String>,
}

#[derive(Deserialize)]
struct UvNeed {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

impl UvNeed {
    fn to_need(&self) -> Need {
        Need {
            name: normalised(&self.name),
            version: self.version.clone(),
            marker: self.marker.clone(),
            extras: self.extra.clone(),
        }
    }
}

impl UvPackage {
    /// The app itself: a package of this folder.
    fn is_root(&self) -> bool {
        ["virtual", "editable"].iter().any(|kind| self.source.get(*kind).and_then(Value::as_str) == Some("."))
    }

    fn to_package(&self) -> Package {
        let files = self.wheels.iter().chain(&self.sdist);
        let needs = |needs: &[UvNeed]| needs.iter().map(UvNeed::to_need).collect();
        Package {
            name: normalised(&self.name),
            version: self.version.clone(),
            hashes: files.filter_map(|file| file.hash.clone()).collect(),
            needs: needs(&self.dependencies),
            extras: self.optional_dependencies.iter().map(|(name, all)| (name.clone(), needs(all))).collect(),
        }
    }
}

/// `uv.lock`, format 1.
pub(super) fn uv(text: &str, pyproject: &Table) -> Result<Rendered, PythonError> {
    const LOCK: &str = "uv.lock";
    const FIX: &str = "uv lock";
    let lock: UvLock = parse_toml(LOCK, text)?;
    if lock.version != 1 {
        return Err(PythonError::LockFormat { lock: LOCK, found: lock.version.to_string(), fix: FIX });
    }
    let root = lock.package.iter().find(|package| package.is_root());
    let root = root.ok_or(PythonError::Drift { lock: LOCK, manifest: "pyproject.toml", fix: FIX })?;
    if uv_has_drifted(root, &lock, pyproject) {
        return Err(PythonError::Drift { lock: LOCK, manifest: "pyproject.toml", fix: FIX });
    }
    let packages: Vec<Package> = lock.package.iter().map(UvPackage::to_package).collect();
    let roots: Vec<Need> = root.dependencies.iter().map(UvNeed::to_need).collect();
    let listed = graph::render(&packages, &roots).map_err(graph_error(LOCK, FIX))?;
    for package in listed.used.iter().map(|index| &lock.package[*index]) {
        if !package.source.contains_key("registry") {
            return Err(elsewhere(LOCK, &package.name));
        }
    }
    let indexes = lock.package.iter().filter_map(|package| package.source.get("registry")?.as_str());
    Ok(Rendered {
        requirements: extra_indexes(indexes) + &listed.text,
        requires_python: lock.requires_python,
        python_version: None,
    })
}

/// What the lock remembers of the manifest against the manifest: names with their version ranges.
fn uv_has_drifted(root: &UvPackage, lock: &UvLock, pyproject: &Table) -> bool {
    let project = pyproject.get("project").and_then(Value::as_table);
    let declared = project.and_then(|project| project.get("dependencies")).and_then(Value::as_array);
    let mut declared: Vec<(String, String)> =
        declared.into_iter().flatten().filter_map(|one| one.as_str().map(requirement_key)).collect();
    let required = root.metadata.requires_dist.iter();
    // Optional sets are remembered under a marker of their own.
    let plain =
        required.filter(|one| !one.marker.as_deref().is_some_and(|marker| marker.contains("extra ==")));
    let mut remembered: Vec<(String, String)> = plain
        .map(|one| (normalised(&one.name), specifier_key(one.specifier.as_deref().unwrap_or_default())))
        .collect();
    declared.sort();
    remembered.sort();
    let requires = project.and_then(|project| project.get("requires-python")).and_then(Value::as_str);
    let same_python = match (requires, lock.requires_python.as_deref()) {
        (Some(declared), Some(locked)) => specifier_key(declared) == specifier_key(locked),
        (None, _) | (_, None) => true,
    };
    declared != remembered || !same_python
}

/// Name and version range of a requirement such as `Flask[async]>=3,<4 ; marker`.
fn requirement_key(text: &str) -> (String, String) {
    let text = text.split(';').next().unwrap_or_default();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let rest = if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest };
    let rest = rest.trim().trim_start_matches('(').trim_end_matches(')');
    let is_url = rest.starts_with('@');
    (normalised(name), if is_url { String::new() } else { specifier_key(rest) })
}

/// The parts of a range in a fixed order, without blanks.
fn specifier_key(text: &str) -> String {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut parts: Vec<&str> = compact.split(',').filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    parts.join(",")
}

#[derive(Deserialize)]
struct PoetryLock {
    #[serde(default)]
    package: Vec<PoetryPackage>,
    metadata: PoetryMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PoetryMetadata {
    #[serde(default)]
    lock_version: String,
    #[serde(default)]
    python_versions: Option<String>,
    content_hash: String,
}

#[derive(Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    optional: bool,
    markers: Option<Value>,
    #[serde(default)]
    files: Vec<PoetryFile>,
    source: Option<PoetrySource>,
    #[serde(default)]
    dependencies: Table,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct PoetryFile {
    hash: String,
}

#[derive(Deserialize)]
struct PoetrySource {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    url: String,
}

/// `poetry.lock` of Poetry 1.3 and later.
pub(super) fn poetry(text: &str, pyproject: &Table) -> Result<Rendered, PythonError> {
    const LOCK: &str = "poetry.lock";
    const FIX: &str = "poetry lock";
    let lock: PoetryLock = parse_toml(LOCK, text)?;
    let found = lock.metadata.lock_version.clone();
    if ![POETRY_PLAIN, POETRY_WITH_GROUPS].contains(&found.as_str()) {
        return Err(PythonError::LockFormat { lock: LOCK, found, fix: FIX });
    }
    if !hash::poetry_sums(pyproject).contains(&lock.metadata.content_hash) {
        return Err(PythonError::Drift { lock: LOCK, manifest: "pyproject.toml", fix: FIX });
    }
    let listed = if found == POETRY_WITH_GROUPS {
        poetry_groups(&lock)
    } else {
        poetry_graph(&lock, pyproject).map_err(graph_error(LOCK, "poetry lock (with Poetry 2 or later)"))?
    };
    let is_foreign =
        |package: &PoetryPackage| package.source.as_ref().is_some_and(|one| one.kind != "legacy");
    let mut used = listed.used.iter().map(|index| &lock.package[*index]);
    if let Some(package) = used.find(|package| is_foreign(package)) {
        return Err(elsewhere(LOCK, &package.name));
    }
    let indexes = lock.package.iter().filter_map(|package| Some(package.source.as_ref()?.url.as_str()));
    Ok(Rendered {
        requirements: extra_indexes(indexes) + &listed.text,
        requires_python: lock.metadata.python_versions.filter(|range| range != "*"),
        python_version: None,
    })
}

fn poetry_groups(lock: &PoetryLock) -> Listed {
    let mut listed = Listed::default();
    let is_main =
        |package: &PoetryPackage| package.groups.iter().any(|group| group == "main") && !package.optional;
    for (index, package) in lock.package.iter().enumerate().filter(|(_, package)| is_main(package)) {
        let marker = package.markers.as_ref().and_then(|markers| {
            markers.as_str().or_else(|| markers.get("main").and_then(Value::as_str)).map(str::to_owned)
        });
        let hashes: Vec<String> = package.files.iter().map(|file| file.hash.clone()).collect();
        let name = normalised(&package.name);
        write_requirement(&mut listed.text, &name, &package.version, marker.as_deref(), &hashes);
        listed.used.insert(index);
    }
    listed
}

fn poetry_graph(lock: &PoetryLock, pyproject: &Table) -> Result<Listed, GraphError> {
    let mut left = MOST_STEPS;
    let packages: Result<Vec<Package>, _> =
        lock.package.iter().map(|package| package.to_package(&mut left)).collect();
    let packages = packages?;
    let declared = pyproject.get("tool").and_then(|tool| tool.get("poetry")?.get("dependencies")?.as_table());
    let roots: Vec<Need> = declared
        .into_iter()
        .flatten()
        .filter(|(name, _)| normalised(name) != "python")
        .flat_map(|(name, value)| poetry_needs(name, value, Optional::LeaveOut))
        .collect();
    graph::render(&packages, &roots)
}

impl PoetryPackage {
    /// Extras name dependencies that are written elsewhere, each as often as they like: `left` is what may still be made of them.
    fn to_package(&self, left: &mut usize) -> Result<Package, GraphError> {
        let by_name: BTreeMap<String, (&String, &Value)> =
            self.dependencies.iter().rev().map(|one| (normalised(one.0), one)).collect();
        let mut extras = BTreeMap::new();
        for (extra, all) in &self.extras {
            let mut needs = Vec::new();
            for one in all {
                // `name (>=1.0)`, as written by the package.
                let found = by_name.get(&requirement_key(one).0);
                let found =
                    found.map_or_else(Vec::new, |(name, value)| poetry_needs(name, value, Optional::Include));
                *left = left.checked_sub(found.len()).ok_or(GraphError::TooLarge)?;
                needs.extend(found);
            }
            extras.insert(extra.clone(), needs);
        }
        let all = self.dependencies.iter();
        Ok(Package {
            name: normalised(&self.name),
            version: self.version.clone(),
            hashes: self.files.iter().map(|file| file.hash.clone()).collect(),
            needs: all.flat_map(|(name, value)| poetry_needs(name, value, Optional::LeaveOut)).collect(),
            extras,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Optional {
    LeaveOut,
    Include,
}

/// A dependency as Poetry writes it: a range, a table, or several tables.
fn poetry_needs(name: &str, value: &Value, optional: Optional) -> Vec<Need> {
    match value {
        Value::Array(several) => several.iter().flat_map(|one| poetry_needs(name, one, optional)).collect(),
        Value::Table(table) => {
            let is_optional = table.get("optional").and_then(Value::as_bool).unwrap_or(false);
            if is_optional && optional == Optional::LeaveOut {
                return Vec::new();
            }
            // A condition that speaks of an extra is what makes it optional, said a second time.
            let marker = table.get("markers").and_then(Value::as_str);
            let marker = marker.filter(|marker| !marker.contains("extra =="));
            let extras = table.get("extras").and_then(Value::as_array);
            let extras = extras.into_iter().flatten().filter_map(|extra| extra.as_str().map(str::to_owned));
            let name = normalised(name);
            vec![Need { name, version: None, marker: marker.map(str::to_owned), extras: extras.collect() }]
        }
        _ => vec![Need { name: normalised(name), ..Need::default() }],
    }
}

#[derive(Deserialize)]
struct PipfileLock {
    #[serde(rename = "_meta")]
    meta: PipfileMeta,
    #[serde(default)]
    default: BTreeMap<String, PipfilePackage>,
}

#[derive(Deserialize)]
struct PipfileMeta {
    #[serde(default)]
    hash: BTreeMap<String, String>,
    #[serde(default)]
    requires: BTreeMap<String, String>,
    #[serde(default)]
    sources: Vec<PipfileSource>,
}

#[derive(Deserialize)]
struct PipfileSource {
    url: String,
}

#[derive(Deserialize)]
struct PipfilePackage {
    version: Option<String>,
    markers: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
}

/// `Pipfile.lock`, format 6.
pub(super) fn pipenv(text: &str, pipfile: Option<&Table>) -> Result<Rendered, PythonError> {
    const LOCK: &str = "Pipfile.lock";
    let lock: PipfileLock = serde_json::from_str(text).map_err(|error| malformed(LOCK, &error))?;
    let locked = lock.meta.hash.get("sha256");
    if pipfile.is_some_and(|pipfile| locked != Some(&hash::pipfile_sum(pipfile))) {
        return Err(PythonError::Drift { lock: LOCK, manifest: "Pipfile", fix: "pipenv lock" });
    }
    let mut requirements = extra_indexes(lock.meta.sources.iter().map(|source| source.url.as_str()));
    for (name, package) in &lock.default {
        let version = package.version.as_deref().and_then(|version| version.strip_prefix("=="));
        let version = version.ok_or_else(|| elsewhere(LOCK, name))?;
        let marker = package.markers.as_deref();
        write_requirement(&mut requirements, &normalised(name), version, marker, &package.hashes);
    }
    let requires = |name: &str| lock.meta.requires.get(name).cloned();
    let python_version = requires("python_full_version").or_else(|| requires("python_version"));
    Ok(Rendered { requirements, requires_python: None, python_version })
}

#[cfg(test)]
mod tests;
