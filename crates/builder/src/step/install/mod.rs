//! The step that installs packages: copy the source, install exactly what is locked, run the app's own scripts, hand out the folder
//! of packages or everything.

mod node;
mod python;
mod tree;
mod yarn;

use super::cache::{Cache, Found};
use super::{Places, child, say};
use crate::native::NativeError;
use crate::native::plan::{HandOut, InstallOrder, Tool};
use crate::native::{node as node_plan, python as python_plan};
use blobs::tree::{PackError, pack};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// In the cache: installations by key, for apps whose scripts need them at each build.
const INSTALLED: &str = "installed";

/// Why the step failed. Printed by the step itself as its last line.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("the order of the step cannot be read")]
    Order(#[source] serde_json::Error),
    #[error("the build cache could not be used")]
    Cache(#[source] io::Error),
    #[error("the source could not be copied into the work folder")]
    Copy(#[source] io::Error),
    #[error("\"{command}\" could not be run")]
    Run {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("\"{command}\" failed with {status}")]
    Failed { command: String, status: ExitStatus },
    #[error("{0}")]
    NoTool(&'static str),
    #[error(transparent)]
    Plan(#[from] NativeError),
    #[error("the result could not be read")]
    Result(#[source] io::Error),
    #[error("the result could not be handed out")]
    Pack(#[from] PackError),
}

/// What the halves of both languages work with.
struct Work<'a> {
    places: &'a Places,
    cache: &'a Cache,
    order: &'a InstallOrder,
    output: &'a mut (dyn Write + Send),
}

pub(super) fn parse(order: &str) -> Result<InstallOrder, InstallError> {
    serde_json::from_str(order).map_err(InstallError::Order)
}

pub(super) fn install(
    places: &Places,
    order: &InstallOrder,
    result: &mut dyn Write,
    output: &mut (dyn Write + Send),
) -> Result<(), InstallError> {
    let (cache, found) = Cache::begin(&places.cache).map_err(InstallError::Cache)?;
    if found == Found::Wiped {
        say::heading(output, "The build before did not end by itself: starting from an empty cache");
    }
    let installed = Work { places, cache: &cache, order, output }.run(result);
    // Whatever it came to, it ended by itself.
    cache.end().map_err(InstallError::Cache)?;
    installed
}

impl Work<'_> {
    fn run(&mut self, result: &mut dyn Write) -> Result<(), InstallError> {
        let folder = self.folder();
        tree::copy(&self.places.source, &self.places.work, &[folder]).map_err(InstallError::Copy)?;
        match self.order.tool {
            Tool::Pip { .. } => self.python()?,
            Tool::Npm | Tool::Pnpm | Tool::Yarn | Tool::YarnBerry | Tool::Nothing => self.node()?,
        }
        self.hand_out(result)
    }

    /// The folder of packages in the work folder.
    fn folder(&self) -> &'static str {
        match self.order.tool {
            Tool::Pip { .. } => python_plan::ENVIRONMENT,
            Tool::Npm | Tool::Pnpm | Tool::Yarn | Tool::YarnBerry | Tool::Nothing => node_plan::MODULES,
        }
    }

    fn packages(&self) -> PathBuf {
        self.places.work.join(self.folder())
    }

    fn hand_out(&self, result: &mut dyn Write) -> Result<(), InstallError> {
        let work = File::open(&self.places.work).map_err(InstallError::Result)?;
        match self.order.hand_out {
            HandOut::Tree => pack(work.as_fd(), "", result)?,
            HandOut::Dependencies => {
                // An app may have needed nothing of what it locks.
                std::fs::create_dir_all(self.packages()).map_err(InstallError::Result)?;
                let packages = File::open(self.packages()).map_err(InstallError::Result)?;
                pack(packages.as_fd(), self.folder(), result)?
            }
        };
        Ok(())
    }

    /// Where this installation is kept between builds whose scripts need it. `None`: it depends on everything and is made anew.
    fn kept(&self) -> Option<PathBuf> {
        let is_wanted = self.order.hand_out == HandOut::Tree && !self.order.key.is_empty();
        is_wanted.then(|| self.cache.path(INSTALLED).join(&self.order.key))
    }

    /// Puts a kept installation into the work folder. Says whether there was one.
    fn restore(&mut self) -> Result<bool, InstallError> {
        let Some(kept) = self.kept().map(|kept| kept.join(self.folder())).filter(|kept| kept.is_dir()) else {
            return Ok(false);
        };
        say::heading(self.output, "Using the installed packages: nothing they are made from has changed");
        std::fs::create_dir(self.packages()).map_err(InstallError::Cache)?;
        tree::copy(&kept, &self.packages(), &[]).map_err(InstallError::Cache)?;
        Ok(true)
    }

    /// Keeps what was installed, in place of what was kept before: whole or not at all.
    fn keep(&self) -> Result<(), InstallError> {
        let Some(kept) = self.kept() else { return Ok(()) };
        let all = self.cache.path(INSTALLED);
        let new = self.cache.path("installed.new");
        let copy = || -> io::Result<()> {
            for old in [&all, &new] {
                remove_if_there(old)?;
            }
            std::fs::create_dir_all(new.join(self.folder()))?;
            tree::copy(&self.packages(), &new.join(self.folder()), &[])?;
            std::fs::create_dir_all(&all)?;
            std::fs::rename(&new, &kept)
        };
        copy().map_err(InstallError::Cache)
    }

    /// Runs a tool, telling how it is called.
    fn call(&mut self, command: std::process::Command, shown: &str) -> Result<(), InstallError> {
        say::detail(self.output, shown);
        self.call_quietly(command, shown)
    }

    fn call_quietly(&mut self, command: std::process::Command, shown: &str) -> Result<(), InstallError> {
        let failed = |source| InstallError::Run { command: shown.to_owned(), source };
        let status = child::run(command, self.output).map_err(failed)?;
        if status.success() {
            Ok(())
        } else {
            Err(InstallError::Failed { command: shown.to_owned(), status })
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
