//! Builds of interpreted languages: the interpreter is chosen, the installation looked for under its key, and only if it is not
//! there, or if the app has scripts to run, a step is run in the sandbox.

use crate::build::{Made, Run};
use crate::error::BuildError;
use crate::execute::ExecuteError;
use crate::native::node::{self, NodeError};
use crate::native::plan::{Code, HandOut, Install, Tool};
use crate::native::python::{self, PythonError};
use crate::native::runtime::{Chosen, choose};
use crate::native::{NativeError, node::package::Package};
use crate::processes::Processes;
use crate::step::{INSTALL_STEP, STEP_COMMAND};
use crate::variables;
use blobs::digest::Digester;
use blobs::tree::{self, SourceTree};
use blobs::{LayerKey, StagedSlug};
use domain::runtime::Language;
use rustix::fd::AsFd;
use sandbox::spec::{HELPER_PATH, Toolchain, runtime_path};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What installations of this version are kept under: a change in how they are made changes it.
const INSTALL_FORMAT: &str = "dozen installation 1";
/// Installations of an app that are kept: the present one, the one before, and one for who goes back and forth.
const KEPT_LAYERS: usize = 3;

impl Run<'_> {
    /// A Python or Node.js app.
    pub(crate) fn interpreted(&mut self, language: Language) -> Result<Made, BuildError> {
        let config = self.config();
        let mut install = match language {
            Language::Python => python::plan(&self.tree, &config)?,
            Language::Node => node::plan(&self.tree)?,
        };
        let mut launcher = self.launcher()?;
        let installed = launcher.status().map_err(ExecuteError::from)?.runtimes;
        drop(launcher);
        let chosen = choose(language, &install.wishes, &installed).map_err(NativeError::from)?;
        self.tell_plan(language, &install, &chosen);
        let key = self.key(language, &install, &chosen, &config)?;
        let is_reusable = install.depends_on == Code::Manifests;
        install.order.key = if is_reusable { key.hex().to_owned() } else { String::new() };
        // They may be megabytes, and the installation minutes.
        install.key_parts.retain(|(name, _)| name == node::PACKAGE);
        // Before minutes of installing rather than after; a build may still make what is to be started.
        if install.order.hand_out == HandOut::Dependencies {
            self.defaults(language, &install, None)?;
        }
        let staged = match install.order.hand_out {
            HandOut::Dependencies => self.with_layer(language, &install, &chosen, &key)?,
            HandOut::Tree => self.built_tree(language, &install, &chosen)?,
        };
        let defaults = self.defaults(language, &install, Some(&staged))?;
        let environment = variables::at_run(language);
        Ok(Made { staged, defaults, runtime: Some(chosen.runtime), environment })
    }

    fn config(&self) -> BTreeMap<String, String> {
        self.request.environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn tell_plan(&mut self, language: Language, install: &Install, chosen: &Chosen) {
        self.printer.heading(&format!("Using {} {}", language.title(), chosen.version));
        for remark in chosen.remark.iter().chain(&install.remarks) {
            self.printer.warning(remark);
        }
    }

    /// A digest of everything that the installation is made from.
    fn key(
        &self,
        language: Language,
        install: &Install,
        chosen: &Chosen,
        config: &BTreeMap<String, String>,
    ) -> Result<LayerKey, BuildError> {
        let mut digest = Digester::default();
        let mut part = |name: &str, bytes: &[u8]| {
            let head = format!("{name} {}\n", bytes.len());
            digest
                .write_all(head.as_bytes())
                .and_then(|()| digest.write_all(bytes))
                .expect("a digest takes all");
        };
        part("format", INSTALL_FORMAT.as_bytes());
        part("stack", self.builder.stack.as_bytes());
        part("language", language.as_word().as_bytes());
        part("version", chosen.version.as_bytes());
        part("tool", format!("{:?}", install.order.tool).as_bytes());
        install.key_parts.iter().for_each(|(name, bytes)| part(name, bytes));
        for (name, value) in variables::deciding(language, config, &self.builder.mirrors) {
            part(name, value.as_bytes());
        }
        if install.depends_on == Code::All {
            tree::pack(self.tree.as_folder(), "", &mut digest).map_err(blobs::SlugError::Pack)?;
        }
        Ok(LayerKey::new(digest.finish()))
    }

    /// The source as pushed, with the installed dependencies beside it.
    fn with_layer(
        &mut self,
        language: Language,
        install: &Install,
        chosen: &Chosen,
        key: &LayerKey,
    ) -> Result<StagedSlug, BuildError> {
        if install.order.tool == Tool::Nothing {
            self.printer.detail("There are no packages to install");
            return self.adopted();
        }
        let app = self.request.app;
        let layer = match self.builder.layers.find(app, key)? {
            Some(layer) => {
                self.printer.heading("Using the installed packages: nothing they are made from has changed");
                layer
            }
            None => {
                let made = self.built_tree(language, install, chosen)?;
                self.builder.layers.publish(app, key, made)?
            }
        };
        let staged = self.adopted()?;
        let failed = |source: io::Error| BuildError::Layer { source };
        tree::remove_tree(staged.tree(), folder_of(language)).map_err(failed)?;
        tree::share_tree(layer.as_fd(), staged.tree()).map_err(failed)?;
        if let Err(error) = self.builder.layers.prune(app, KEPT_LAYERS) {
            self.printer.warning(&format!("Older packages could not be removed now: {error}"));
        }
        Ok(staged)
    }

    /// What the step hands out.
    fn built_tree(
        &mut self,
        language: Language,
        install: &Install,
        chosen: &Chosen,
    ) -> Result<StagedSlug, BuildError> {
        let staged = self.builder.slugs.stage()?;
        let order = serde_json::to_string(&install.order).expect("names are JSON");
        let argv = [HELPER_PATH, STEP_COMMAND, INSTALL_STEP, &order].map(str::to_owned).to_vec();
        let shown = format!("install packages for {}", language.title());
        let toolchain = Toolchain::Runtime(chosen.runtime);
        let environment = variables::at_build(language, self.request, &self.builder.mirrors);
        self.step(argv, &shown, toolchain, &environment, &staged)?;
        if language == Language::Python {
            link_interpreter(&staged, chosen).map_err(|source| BuildError::Layer { source })?;
        }
        Ok(staged)
    }

    /// The default process types. An app that has neither those nor a Procfile cannot be started.
    fn defaults(
        &mut self,
        language: Language,
        install: &Install,
        built: Option<&StagedSlug>,
    ) -> Result<Processes, BuildError> {
        if self.listing.procfile.as_ref().is_some_and(domain::procfile::Procfile::has_web) {
            return Ok(Processes::new());
        }
        let opened;
        let tree = match built {
            Some(staged) => {
                opened = SourceTree::open(&staged.tree_path())
                    .map_err(|source| BuildError::SourceFolder { path: staged.tree_path(), source })?;
                &opened
            }
            None => &self.tree,
        };
        let found = match language {
            Language::Python => python::defaults::find(tree, &install.packages)?,
            Language::Node => {
                let text = install.key_parts.iter().find(|(name, _)| name == node::PACKAGE);
                let text = text.map(|(_, bytes)| String::from_utf8_lossy(bytes)).unwrap_or_default();
                node::defaults::find(tree, &Package::parse(&text).map_err(NativeError::from)?)?
            }
        };
        match (found, &self.listing.procfile) {
            (Some((processes, why)), _) => {
                if built.is_some() {
                    let command = processes.values().next().map_or("", String::as_str);
                    self.printer.detail(&format!("The default web process is that of {why}: {command}"));
                }
                Ok(processes)
            }
            (None, Some(_)) => Ok(Processes::new()),
            (None, None) => Err(no_process(language).into()),
        }
    }
}

fn no_process(language: Language) -> NativeError {
    match language {
        Language::Python => PythonError::NoProcess.into(),
        Language::Node => NodeError::NoProcess.into(),
    }
}

/// The one folder of a layer.
const fn folder_of(language: Language) -> &'static str {
    match language {
        Language::Python => python::ENVIRONMENT,
        Language::Node => node::MODULES,
    }
}

/// The interpreter's names in the virtual environment. They lead out of the slug, so they are made here: nothing of that kind is
/// taken from a sandbox.
fn link_interpreter(staged: &StagedSlug, chosen: &Chosen) -> io::Result<()> {
    let folder = format!("{}/bin", python::ENVIRONMENT);
    let tree = SourceTree::of(staged.tree().try_clone_to_owned()?);
    let bin = tree.open_folder(&folder).map_err(io::Error::other)?;
    let Some(bin) = bin else { return Ok(()) };
    let series = format!("python{}", chosen.runtime.series());
    let target = format!("{}/bin/python3", runtime_path(Language::Python));
    for (name, target) in [("python3", target.as_str()), ("python", "python3"), (&series, "python3")] {
        tree::remove_tree(&bin, name)?;
        rustix::fs::symlinkat(target, &bin, name)?;
    }
    Ok(())
}
