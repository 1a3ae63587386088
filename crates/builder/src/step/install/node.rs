//! Node.js packages and the app's own scripts. Packages are installed with those of its developers, which scripts need, and without
//! them in the end. Where nothing else is done then, what was taken out is remembered with a kept installation, so that a build whose
//! lock has not changed starts no package manager at all.

use super::tree::{self, Change};
use super::{InstallError, Work, remove_if_there, yarn};
use crate::native::NativeError;
use crate::native::node::package::Package;
use crate::native::node::{MODULES, PACKAGE};
use crate::native::plan::Tool;
use crate::step::{child, say};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Beside a kept installation: which of its paths an app does without when it runs, each ended by a NUL.
const PRUNED: &str = "pruned";
/// Beside it as well: what the package manager then wrote into its own records of what is installed.
const RECORDS: &str = "records";
/// What npm, and pnpm, note about an installation in the folder of packages.
const NPM_RECORDS: [&str; 1] = [".package-lock.json"];
const PNPM_RECORDS: [&str; 3] = [".modules.yaml", ".pnpm/lock.yaml", ".pnpm-workspace-state-v1.json"];
/// Config vars by which people keep the packages of their developers, as on Heroku.
const KEEPS: [(&str, &str); 3] =
    [("NPM_CONFIG_PRODUCTION", "false"), ("YARN_PRODUCTION", "false"), ("PNPM_SKIP_PRUNING", "true")];
const YARN_SETTINGS: &str = ".yarnrc.yml";
/// Committed by who keeps Yarn's cache in the repository, and wants no folder of packages.
const PLUG_AND_PLAY: &str = ".pnp.cjs";

impl Work<'_> {
    pub(super) fn node(&mut self) -> Result<(), InstallError> {
        let package = self.package()?;
        self.run_scripts(&package, &self.order.before.clone())?;
        if !self.restore()? {
            self.install_node()?;
            self.keep()?;
        }
        self.run_scripts(&package, &self.order.scripts.clone())?;
        if package.dev_dependencies.is_empty() { Ok(()) } else { self.prune() }
    }

    fn package(&self) -> Result<Package, InstallError> {
        let text = fs::read_to_string(self.places.work.join(PACKAGE)).map_err(InstallError::Copy)?;
        Ok(Package::parse(&text).map_err(NativeError::from)?)
    }

    fn install_node(&mut self) -> Result<(), InstallError> {
        let (words, shown): (&[&str], &str) = match self.order.tool {
            Tool::Npm => (&["ci", "--include=dev", "--no-audit", "--no-fund"], "npm ci"),
            Tool::Pnpm => {
                (&["install", "--frozen-lockfile", "--prod=false"], "pnpm install --frozen-lockfile")
            }
            Tool::Yarn => (
                &["install", "--frozen-lockfile", "--production=false", "--non-interactive"],
                "yarn install --frozen-lockfile",
            ),
            Tool::YarnBerry => (&["install", "--immutable"], "yarn install --immutable"),
            Tool::Nothing | Tool::Pip { .. } => return Ok(()),
        };
        say::heading(self.output, "Installing packages");
        self.call_manager(words, shown)
    }

    fn call_manager(&mut self, words: &[&str], shown: &str) -> Result<(), InstallError> {
        let mut command = self.manager()?;
        command.args(words);
        if self.order.tool != Tool::Yarn {
            return self.call(command, shown);
        }
        let mirrored = yarn::lead_to_mirror(&self.places.work).map_err(InstallError::Copy)?;
        self.call(command, shown)?;
        mirrored.map_or(Ok(()), |mirrored| mirrored.put_back().map_err(InstallError::Result))
    }

    /// The package manager of the lock file, with its caches.
    fn manager(&self) -> Result<Command, InstallError> {
        let (name, absent) = match self.order.tool {
            Tool::Pnpm => (
                "pnpm",
                "this server has no pnpm. Fix: install it beside Node.js (`npm install --global pnpm`), or commit a lock file of npm",
            ),
            Tool::Yarn | Tool::YarnBerry => (
                "yarn",
                "this server has no Yarn. Fix: install it beside Node.js (`npm install --global yarn`), or commit a lock file of npm",
            ),
            Tool::Npm | Tool::Nothing | Tool::Pip { .. } => (
                "npm",
                "this server's Node.js has no npm. Fix: install it, on Debian with `apt-get install npm`",
            ),
        };
        let own = self.own_yarn();
        if self.order.tool == Tool::YarnBerry && own.is_none() {
            self.refuse_old_yarn()?;
        }
        let mut command = match own {
            Some(release) => {
                let mut command = child::command(self.places, "node");
                command.arg(release);
                command
            }
            None => child::command(self.places, child::find(name).ok_or(InstallError::NoTool(absent))?),
        };
        for (variable, folder) in
            [("npm_config_cache", "npm"), ("XDG_CACHE_HOME", "other"), ("YARN_CACHE_FOLDER", "yarn")]
        {
            command.env(variable, self.cache.path(folder));
        }
        if self.order.tool == Tool::Pnpm {
            // Links into a cache would leave it open to whoever writes to a package.
            command.env("npm_config_package_import_method", "copy");
            command.env("npm_config_store_dir", self.cache.path("pnpm"));
        }
        if self.order.tool == Tool::YarnBerry && !self.places.work.join(PLUG_AND_PLAY).exists() {
            // What it would make otherwise leads to its cache, which is not there when the app runs.
            command.env("YARN_NODE_LINKER", "node-modules");
        }
        command.env("npm_config_update_notifier", "false");
        command.env("YARN_ENABLE_TELEMETRY", "0").env("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0");
        Ok(command)
    }

    /// Yarn 1 passes over a lock that it cannot read, and installs what it likes.
    fn refuse_old_yarn(&self) -> Result<(), InstallError> {
        let Some(yarn) = child::find("yarn") else { return Ok(()) };
        let mut command = child::command(self.places, yarn);
        command.arg("--version");
        let version = child::capture(command).map_err(InstallError::Copy)?.unwrap_or_default();
        if !version.starts_with("1.") {
            return Ok(());
        }
        Err(InstallError::NoTool(
            "yarn.lock is one of Yarn 2 or later, and this server's Yarn is a release of Yarn 1. Fix: commit the release that you use \
             (`yarn set version stable --yarn-path`), or a lock file of npm",
        ))
    }

    /// A release of Yarn that is part of the repository, as its settings name it.
    fn own_yarn(&self) -> Option<PathBuf> {
        if self.order.tool != Tool::YarnBerry {
            return None;
        }
        let settings = fs::read_to_string(self.places.work.join(YARN_SETTINGS)).ok()?;
        let path = settings.lines().find_map(|line| line.strip_prefix("yarnPath:"))?.trim().trim_matches('"');
        let path = self.places.work.join(path);
        path.is_file().then_some(path)
    }

    /// As a package manager runs them.
    fn run_scripts(&mut self, package: &Package, names: &[String]) -> Result<(), InstallError> {
        for name in names {
            let Some(script) = package.scripts.get(name) else { continue };
            say::heading(self.output, &format!("Running the script \"{name}\""));
            let mut command = child::command(self.places, "/bin/sh");
            command.args(["-c", script]).envs(self.script_environment(package, name));
            self.call(command, script)?;
        }
        Ok(())
    }

    fn script_environment(&self, package: &Package, name: &str) -> Vec<(String, String)> {
        let work = &self.places.work;
        let path = std::env::var("PATH").unwrap_or_default();
        let text = |value: &Option<serde_json::Value>| {
            value.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        let node = child::find("node").unwrap_or_default().display().to_string();
        let pairs = [
            ("PATH", format!("{}:{path}", work.join(MODULES).join(".bin").display())),
            ("INIT_CWD", work.display().to_string()),
            ("NODE", node.clone()),
            ("npm_node_execpath", node),
            ("npm_lifecycle_event", name.to_owned()),
            ("npm_package_json", work.join(PACKAGE).display().to_string()),
            ("npm_package_name", text(&package.name)),
            ("npm_package_version", text(&package.version)),
            ("npm_config_cache", self.cache.path("npm").display().to_string()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Takes the packages of developers out.
    fn prune(&mut self) -> Result<(), InstallError> {
        let keeps = KEEPS.iter().any(|(name, value)| std::env::var(name).is_ok_and(|set| set == *value));
        if keeps || !self.packages().is_dir() {
            return Ok(());
        }
        if self.prune_as_before().map_err(InstallError::Result)? {
            return Ok(());
        }
        if self.kept().is_none() {
            return self.prune_by_manager();
        }
        let before = tree::list(&self.packages()).map_err(InstallError::Result)?;
        self.prune_by_manager()?;
        let after = tree::list(&self.packages()).map_err(InstallError::Result)?;
        match tree::compare(&before, &after).filter(|change| self.is_only_pruned(change)) {
            Some(change) => self.remember_pruned(&change).map_err(InstallError::Cache),
            None => Ok(()),
        }
    }

    /// Whether taking these paths out of another copy comes to the same. Without the packages of developers, Yarn puts others into
    /// their places.
    fn is_only_pruned(&self, change: &Change) -> bool {
        let records: &[&str] = match self.order.tool {
            Tool::Npm => &NPM_RECORDS,
            Tool::Pnpm => &PNPM_RECORDS,
            Tool::Yarn | Tool::YarnBerry | Tool::Nothing | Tool::Pip { .. } => return false,
        };
        change.written.iter().all(|path| records.iter().any(|record| Path::new(record) == path))
    }

    fn prune_by_manager(&mut self) -> Result<(), InstallError> {
        let (words, shown): (&[&str], &str) = match self.order.tool {
            Tool::Npm => (
                &["prune", "--omit=dev", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"],
                "npm prune --omit=dev",
            ),
            Tool::Pnpm => (&["prune", "--prod", "--ignore-scripts"], "pnpm prune --prod"),
            Tool::Yarn => (
                &[
                    "install",
                    "--production",
                    "--frozen-lockfile",
                    "--ignore-scripts",
                    "--offline",
                    "--non-interactive",
                ],
                "yarn install --production",
            ),
            Tool::YarnBerry => {
                (&["workspaces", "focus", "--all", "--production"], "yarn workspaces focus --production")
            }
            Tool::Nothing | Tool::Pip { .. } => return Ok(()),
        };
        say::heading(self.output, "Taking out the packages of developers");
        self.call_manager(words, shown)
    }

    /// Says whether it was known what is to be taken out.
    fn prune_as_before(&self) -> io::Result<bool> {
        let Some(kept) = self.kept() else { return Ok(false) };
        let bytes = match fs::read(kept.join(PRUNED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            read => read?,
        };
        let paths = bytes.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let gone = paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect();
        tree::remove(&self.packages(), &gone)?;
        tree::overwrite(&kept.join(RECORDS), &self.packages())?;
        Ok(true)
    }

    fn remember_pruned(&self, change: &Change) -> io::Result<()> {
        let Some(kept) = self.kept() else { return Ok(()) };
        let records = kept.join(RECORDS);
        remove_if_there(&records)?;
        fs::create_dir(&records)?;
        for path in &change.written {
            let record = records.join(path);
            fs::create_dir_all(record.parent().unwrap_or(&records))?;
            fs::copy(self.packages().join(path), record)?;
        }
        let mut bytes = Vec::new();
        for path in &change.gone {
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.push(0);
        }
        let list = kept.join(PRUNED);
        let new = list.with_extension("new");
        fs::write(&new, bytes)?;
        fs::rename(new, list)
    }
}

#[cfg(test)]
mod tests;
