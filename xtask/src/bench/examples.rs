//! Deploys of the Python and Node.js examples, for `bench deploy`: the first one, one in which nothing of the packages has changed,
//! and one in which a package is added. Each from the start of `git push` to the first answer of its release.

use super::deploy::{by_hand, push_and_wait};
use super::locks::split_requirement;
use super::registry::{self, Registry};
use super::repository::Repository;
use super::rows::{Row, median};
use super::server::Server;
use crate::shell;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Deploys in which only code changes.
const ROUNDS: u32 = 8;
const GOAL_MILLIS: f64 = 500.0;

/// One example, and how it is changed.
struct Example {
    name: &'static str,
    /// Its `web` line, for a start by hand in its slug's tree.
    command: &'static str,
    /// What a copy of the example begins with.
    before: fn(&Path) -> Result<()>,
    /// One package more.
    add: fn(&Path) -> Result<()>,
}

const ALL: [Example; 2] = [
    Example {
        name: "flask",
        command: "PYTHONPATH=$(echo .venv/lib/python*/site-packages) exec python3 -m gunicorn app:app",
        before: shrink_flask,
        add: grow_flask,
    },
    Example { name: "express", command: "exec node server.js", before: as_it_is, add: grow_express },
];

/// Nothing, said, where the packages could not be fetched.
pub fn run() -> Result<Vec<Row>> {
    let Some(packages) = registry::fetched() else {
        eprintln!("flask and express are left out: their packages could not be fetched");
        return Ok(Vec::new());
    };
    let registry = Registry::start();
    registry.offer_all(&packages);
    let server = Server::start_with("examples", &registry.settings())?;
    let mut rows = Vec::new();
    for example in &ALL {
        rows.extend(measure(&server, example)?);
    }
    Ok(rows)
}

fn measure(server: &Server, example: &Example) -> Result<Vec<Row>> {
    let name = example.name;
    let source = shell::root().join("examples").join(name);
    let repository = Repository::empty(server, name)?;
    shell::run(Command::new("cp").arg("-r").arg(format!("{}/.", source.display())).arg(repository.folder()))?;
    (example.before)(repository.folder())?;
    let mut release = 0;
    let mut deploy = |version: &str| -> Result<f64> {
        release += 1;
        repository.commit(version)?;
        let told = format!("\"release\":\"v{release}\"");
        Ok(push_and_wait(server, &repository, name, &told)?.0)
    };
    let cold = deploy("cold")?;
    let mut unchanged = Vec::new();
    for round in 0..ROUNDS {
        unchanged.push(deploy(&format!("round {round}"))?);
    }
    (example.add)(repository.folder())?;
    let added = deploy("a package more")?;
    let slug = newest_slug(&server.data())?;
    let hand: Vec<f64> = (0..ROUNDS).map(|_| by_hand(&slug, example.command)).collect::<Result<_>>()?;
    let (unchanged, hand) = (median(&unchanged), median(&hand));
    Ok(vec![
        Row::alone(&format!("{name}: first push to its answer, ms"), cold),
        Row::against(
            &format!("{name}: packages unchanged, median, ms"),
            unchanged,
            "the same command by hand",
            hand,
        ),
        Row::goal(&format!("{name}: packages unchanged, overhead"), unchanged - hand, GOAL_MILLIS),
        Row::alone(&format!("{name}: one package added, ms"), added),
    ])
}

/// The slug that was stored last.
fn newest_slug(data: &Path) -> Result<PathBuf> {
    let slugs =
        std::fs::read_dir(data.join("slugs"))?.flatten().map(|entry| entry.path().join("config.json"));
    let newest = slugs.filter_map(|config| Some((config.metadata().ok()?.modified().ok()?, config))).max();
    let (_, config) = newest.context("there is no slug")?;
    Ok(config.with_file_name("tree"))
}

/// Without redis, which nothing needs as long as its URL is not set.
fn shrink_flask(folder: &Path) -> Result<()> {
    let path = folder.join("requirements.txt");
    let text = std::fs::read_to_string(&path)?;
    Ok(std::fs::write(path, split_requirement(&text, "redis").0)?)
}

/// The whole of its requirements again.
fn grow_flask(folder: &Path) -> Result<()> {
    std::fs::copy(shell::root().join("examples/flask/requirements.txt"), folder.join("requirements.txt"))?;
    Ok(())
}

fn as_it_is(_folder: &Path) -> Result<()> {
    Ok(())
}

/// A package that was there for another's sake becomes one of the app's own: npm installs anew what the lock holds.
fn grow_express(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let locked: serde_json::Value = serde_json::from_slice(&std::fs::read(&lock)?)?;
    let version = locked["packages"]["node_modules/ms"]["version"].clone();
    edit_json(&folder.join("package.json"), |package| package["dependencies"]["ms"] = version.clone())?;
    edit_json(&lock, |lock| lock["packages"][""]["dependencies"]["ms"] = version.clone())
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) -> Result<()> {
    let mut value = serde_json::from_slice(&std::fs::read(path)?)?;
    edit(&mut value);
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&value)?)?)
}
