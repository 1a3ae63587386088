//! Python packages, in a virtual environment of our own making: two links and one file. pip or uv fills it by the lock.

use super::{InstallError, Work};
use crate::native::NativeError;
use crate::native::manifests::Manifests;
use crate::native::plan::Tool;
use crate::native::python::{self, LOCKS, PIPFILE, PYPROJECT, REQUIREMENTS};
use crate::step::{child, say};
use blobs::tree::SourceTree;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a rendered lock lies: outside of what is handed out.
const RENDERED: &str = "/tmp/locked-requirements.txt";
const COLLECT_STATIC: &str = "collectstatic";
/// Names of the interpreter in the environment. The other half of the build makes them again: links out of the tree are not taken.
const INTERPRETERS: [&str; 2] = ["python3", "python"];

impl Work<'_> {
    pub(super) fn python(&mut self) -> Result<(), InstallError> {
        if self.restore()? {
            self.link_interpreter().map_err(InstallError::Copy)?;
        } else {
            self.install_python()?;
        }
        for script in self.order.scripts.clone() {
            if script == COLLECT_STATIC {
                self.collect_static()?;
            }
        }
        self.unlink_interpreter().map_err(InstallError::Result)
    }

    fn install_python(&mut self) -> Result<(), InstallError> {
        self.make_environment().map_err(InstallError::Copy)?;
        let Tool::Pip { lock } = &self.order.tool else { return Ok(()) };
        let lock = lock.clone();
        say::heading(self.output, &format!("Installing the packages of {lock}"));
        let rendered = self.render(&lock)?;
        self.install_packages(rendered.as_deref())?;
        self.compile()?;
        // Links into the toolchain are not for the cache either.
        self.unlink_interpreter().map_err(InstallError::Cache)?;
        self.keep()?;
        self.link_interpreter().map_err(InstallError::Copy)
    }

    fn make_environment(&self) -> io::Result<()> {
        let home = self.places.toolchain.join("bin");
        fs::create_dir_all(self.packages().join("bin"))?;
        let text = format!("home = {}\ninclude-system-site-packages = false\n", home.display());
        fs::write(self.packages().join("pyvenv.cfg"), text)?;
        self.link_interpreter()
    }

    fn link_interpreter(&self) -> io::Result<()> {
        let bin = self.packages().join("bin");
        let [first, second] = INTERPRETERS;
        std::os::unix::fs::symlink(self.places.toolchain.join("bin/python3"), bin.join(first))?;
        std::os::unix::fs::symlink(first, bin.join(second))
    }

    fn unlink_interpreter(&self) -> io::Result<()> {
        let bin = self.packages().join("bin");
        INTERPRETERS.iter().try_for_each(|name| fs::remove_file(bin.join(name)))
    }

    /// The lock as pip reads it, in a file, unless it is pip's own kind.
    fn render(&self, lock: &str) -> Result<Option<PathBuf>, InstallError> {
        if lock == REQUIREMENTS {
            return Ok(None);
        }
        let lock = LOCKS.into_iter().find(|known| *known == lock).unwrap_or(REQUIREMENTS);
        let tree = SourceTree::open(&self.places.source).map_err(InstallError::Copy)?;
        let manifests = Manifests::read(&tree, &[lock], &[PYPROJECT, PIPFILE])
            .map_err(|error| InstallError::Copy(io::Error::other(error)))?;
        let rendered = python::render(&manifests, lock).map_err(NativeError::from)?;
        fs::write(RENDERED, rendered.requirements).map_err(InstallError::Copy)?;
        Ok(Some(PathBuf::from(RENDERED)))
    }

    fn install_packages(&mut self, rendered: Option<&Path>) -> Result<(), InstallError> {
        let python = self.packages().join("bin/python3");
        let (mut command, shown) = self.installer(&python)?;
        command.arg("-r").arg(rendered.unwrap_or(Path::new(REQUIREMENTS)));
        if rendered.is_some() {
            // The lock is complete: what it does not name is not wanted.
            command.args(["--no-deps", "--require-hashes"]);
        }
        self.call(command, &shown)
    }

    /// uv where it is, else pip; both without a word about themselves.
    fn installer(&self, python: &Path) -> Result<(Command, String), InstallError> {
        if let Some(uv) = child::find("uv") {
            let mut command = child::command(self.places, uv);
            command.args(["pip", "install", "--no-progress", "--link-mode", "copy", "--python"]).arg(python);
            command.env("UV_CACHE_DIR", self.cache.path("uv")).env("UV_PYTHON_DOWNLOADS", "never");
            return Ok((command, "uv pip install".to_owned()));
        }
        let runtime = self.places.toolchain.join("bin/python3");
        let mut version = child::command(self.places, &runtime);
        version.args(["-m", "pip", "--version"]);
        let version = child::capture(version).map_err(InstallError::Copy)?.ok_or(InstallError::NoTool(
            "this server's Python has neither pip nor uv. Fix: install one of them beside it, on Debian with `apt-get install python3-pip`",
        ))?;
        let mut command = child::command(self.places, runtime);
        command.args(["-m", "pip", "--python"]).arg(python).args([
            "install",
            "--no-compile",
            "--no-warn-script-location",
        ]);
        command.env("PIP_CACHE_DIR", self.cache.path("pip"));
        for (name, value) in [
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_NO_INPUT", "1"),
            ("PIP_PROGRESS_BAR", "off"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
        ] {
            command.env(name, value);
        }
        let version = version.split(" from ").next().unwrap_or_default().to_owned();
        Ok((command, format!("{version}: pip install")))
    }

    /// Ahead of time, since a slug cannot be written to; by content, since its files have no times of their own.
    fn compile(&mut self) -> Result<(), InstallError> {
        let mut command = child::command(self.places, self.packages().join("bin/python3"));
        command.args(["-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]);
        command.arg(self.packages().join("lib"));
        // Some packages carry code for other versions; what cannot be compiled is compiled by nobody.
        match child::capture(command) {
            Ok(_) => Ok(()),
            Err(source) => Err(InstallError::Run { command: "compileall".to_owned(), source }),
        }
    }

    fn collect_static(&mut self) -> Result<(), InstallError> {
        say::heading(self.output, "Collecting static files");
        let mut command = child::command(self.places, self.packages().join("bin/python3"));
        command.args(["manage.py", "collectstatic", "--noinput"]).env("PYTHONPATH", &self.places.work);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let collected = self.call(command, "python manage.py collectstatic --noinput");
        if collected.is_err() {
            say::warning(
                self.output,
                "Settings that need config vars fail here unless DOZEN_BUILD_CONFIG names those; DISABLE_COLLECTSTATIC=1 leaves this step out",
            );
        }
        collected
    }
}
