//! One build, from the look at its source to the published slug.

use crate::advice;
use crate::cancel::CancelToken;
use crate::clean;
use crate::detect::{self, Choice, Detected, Listing, detect};
use crate::error::BuildError;
use crate::execute::{self, End, Ran};
use crate::look;
use crate::mirrors::Mirrors;
use crate::native::NativeError;
use crate::native::rust::{self, RustError};
use crate::native::static_site::{Site, StaticfileError};
use crate::output::{Output, Printer};
use crate::processes::{self, Processes};
use crate::request::{BuildLimits, BuildRequest, BuiltSlug};
use crate::step::{self, Started};
use blobs::tree::{ExtractError, ReadError, Refusal, SourceTree};
use blobs::{LayerStore, Published, SlugMeta, SlugStore, StagedSlug};
use domain::ids::ProcessId;
use domain::process::ExitStatus;
use domain::runtime::{Language, Runtime};
use sandbox::client::Launcher;
use sandbox::layout::DataFolder;
use sandbox::spec::{Command, Toolchain};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest `Staticfile` that is read.
const STATICFILE_BYTES: u64 = 64 * 1024;

/// Builds, one at a time per call; calls for different apps may run at once.
#[derive(Debug, Clone)]
pub struct Builder {
    pub data: DataFolder,
    pub slugs: Arc<SlugStore>,
    /// The number by which the server made itself known to the launcher.
    pub incarnation: u64,
    pub limits: BuildLimits,
    /// The base that slugs are built for and run on.
    pub stack: String,
    pub layers: LayerStore,
    pub mirrors: Mirrors,
}

/// One build under way.
pub(crate) struct Run<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a BuildRequest,
    cancel: &'a CancelToken,
    pub(crate) printer: Printer<'a>,
    pub(crate) tree: SourceTree,
    pub(crate) listing: Listing,
}

/// What a builder made: the slug to be, and what is said about it.
pub(crate) struct Made {
    pub(crate) staged: StagedSlug,
    pub(crate) defaults: Processes,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Made {
    /// Something that needs nothing but the stack.
    fn alone(staged: StagedSlug, defaults: Processes) -> Self {
        Self { staged, defaults, runtime: None, environment: BTreeMap::new() }
    }
}

impl Builder {
    /// Builds what lies in the request's source folder, which is gone afterwards. Blocking, minutes long; ends by itself within
    /// its limits. Every line of `output` is whole and safe to print; the error is not among them.
    pub fn build(
        &self,
        request: &BuildRequest,
        output: &mut dyn Output,
        cancel: &CancelToken,
    ) -> Result<BuiltSlug, BuildError> {
        let built = self.build_source(request, output, cancel);
        let removed = clean::remove_source(&self.data, request.build);
        if let Err(error) = removed {
            let left = format!("The build's source could not be removed now: {error}");
            Printer::new(output, self.limits.output_bytes).warning(&left);
        }
        built
    }

    fn build_source(
        &self,
        request: &BuildRequest,
        output: &mut dyn Output,
        cancel: &CancelToken,
    ) -> Result<BuiltSlug, BuildError> {
        let path = self.data.build_source(request.build);
        let tree = SourceTree::open(&path)
            .map_err(|source| BuildError::SourceFolder { path: path.clone(), source })?;
        let listing = look::observe_listing(&tree)?;
        let printer = Printer::new(output, self.limits.output_bytes);
        Run { builder: self, request, cancel, printer, tree, listing }.run()
    }
}

impl Run<'_> {
    fn run(mut self) -> Result<BuiltSlug, BuildError> {
        let choice = match self.chosen() {
            Some(builder) => Choice { builder, because: "chosen with buildpacks:set", others: Vec::new() },
            None => detect(&self.listing)?,
        };
        let detected = choice.builder;
        self.announce(&choice);
        advice::check(&self.tree)?;
        self.end_if_cancelled()?;
        let made = match detected {
            Detected::Python => self.interpreted(Language::Python)?,
            Detected::Rust => self.rust()?,
            Detected::Node => self.interpreted(Language::Node)?,
            Detected::Static => self.static_site()?,
            Detected::Procfile => Made::alone(self.adopted()?, Processes::new()),
        };
        self.end_if_cancelled()?;
        self.publish(detected, made)
    }

    /// The last of the buildpacks that is a builder of ours; the others are told as passed over.
    fn chosen(&mut self) -> Option<Detected> {
        let mut chosen = None;
        for buildpack in &self.request.buildpacks {
            match buildpack.builder().and_then(Detected::from_name) {
                Some(builder) => chosen = Some(builder),
                None => self.printer.warning(&format!(
                    "The buildpack {buildpack} is no builder of this server and is passed over"
                )),
            }
        }
        chosen
    }

    fn announce(&mut self, choice: &Choice) {
        let (detected, because) = (choice.builder, choice.because);
        self.printer.heading(&format!("Building on the {} stack", self.builder.stack));
        self.printer.heading(&format!("{} app detected ({because})", detected.title()));
        let before = self.request.previous.as_ref().map(|previous| previous.builder.as_str());
        if let Some(before) = before.filter(|before| *before != detected.name()) {
            self.printer.warning(&format!("The build before this one was made by the builder \"{before}\""));
        }
        for (other, file) in &choice.others {
            self.printer.detail(&format!(
                "{} would fit as well ({file}): `dozen buildpacks:set dozen/{}` chooses it",
                other.title(),
                other.name()
            ));
        }
    }

    fn end_if_cancelled(&self) -> Result<(), BuildError> {
        if self.cancel.is_cancelled() { Err(BuildError::Cancelled) } else { Ok(()) }
    }

    /// A staged slug that holds the source as it was pushed.
    pub(crate) fn adopted(&self) -> Result<StagedSlug, BuildError> {
        let mut staged = self.builder.slugs.stage()?;
        staged.adopt(&self.builder.data.build_source(self.request.build))?;
        Ok(staged)
    }

    fn static_site(&mut self) -> Result<Made, BuildError> {
        let mut site = Site::of(&self.listing);
        match self.tree.read(detect::STATICFILE, STATICFILE_BYTES) {
            Ok(None) => {}
            Ok(Some(bytes)) => site = site.parse(&bytes).map_err(NativeError::from)?,
            Err(ReadError::TooLarge { .. }) => {
                return Err(NativeError::from(StaticfileError::TooLarge).into());
            }
            Err(error) => return Err(error.into()),
        }
        if !self.tree.is_file(&site.index())? {
            return Err(NativeError::from(StaticfileError::NoIndex { root: site.root }).into());
        }
        let served = if site.root.is_empty() { "the top folder" } else { &site.root };
        self.printer.detail(&format!("Serving {served}; nothing is to be compiled"));
        let defaults = processes::web(&site.command());
        Ok(Made::alone(self.adopted()?, defaults))
    }

    fn rust(&mut self) -> Result<Made, BuildError> {
        rust::check(&self.listing).map_err(NativeError::from)?;
        let mut launcher = self.launcher()?;
        let toolchains = launcher.status().map_err(execute::ExecuteError::from)?.toolchains;
        if !toolchains.contains(&Toolchain::Rust) {
            return Err(NativeError::from(RustError::NoToolchain).into());
        }
        drop(launcher);
        let binaries = self.builder.slugs.stage()?;
        let environment = rust::plan_environment(self.request, &self.builder.mirrors);
        let argv = rust::plan_arguments(&self.listing);
        self.step(argv, "cargo build --release --locked", Toolchain::Rust, &environment, &binaries)?;
        let staged = self.adopted()?;
        staged.put(rust::TARGET, binaries)?;
        let tree = SourceTree::open(&staged.tree_path())
            .map_err(|source| BuildError::SourceFolder { path: staged.tree_path(), source })?;
        let defaults = rust::default_processes(&tree, &self.listing).map_err(NativeError::from)?;
        Ok(Made::alone(staged, defaults))
    }

    pub(crate) fn launcher(&self) -> Result<Launcher, execute::ExecuteError> {
        let mut launcher = Launcher::connect(&self.builder.data.launcher_socket())?;
        launcher.hello(self.builder.incarnation)?;
        Ok(launcher)
    }

    /// Runs the step; what it hands out lies in `into` afterwards.
    pub(crate) fn step(
        &mut self,
        argv: Vec<String>,
        shown: &str,
        toolchain: Toolchain,
        environment: &[(String, String)],
        into: &StagedSlug,
    ) -> Result<(), BuildError> {
        let mut launcher = self.launcher()?;
        let command = Command { argv, shown: shown.to_owned() };
        let started = Started { boot_id: execute::boot_id()?, now: sandbox::system::boot_now() };
        let spec = step::plan_spec(self.request, &self.builder.limits, command, toolchain, started);
        let step = execute::Step {
            data: &self.builder.data,
            spec: &spec,
            environment,
            result: into.tree(),
            cancel: self.cancel,
        };
        let ran = execute::run(&step, &mut launcher, &mut self.printer);
        self.printer.end();
        self.clean(spec.process);
        self.judge(ran?)
    }

    /// By a connection of its own: the launcher may have been started anew while the build ran.
    fn clean(&mut self, process: ProcessId) {
        let cleaned = self
            .launcher()
            .and_then(|mut launcher| Ok(execute::clean(&mut launcher, process, Some(self.request.build))?));
        if let Err(error) = cleaned {
            self.printer.warning(&format!("What the build left on disk could not be removed now: {error}"));
        }
    }

    fn judge(&self, ran: Ran) -> Result<(), BuildError> {
        let exit = match ran.end {
            End::Cancelled => return Err(BuildError::Cancelled),
            End::TimedOut => {
                return Err(BuildError::TimedOut { minutes: self.builder.limits.time_seconds / 60 });
            }
            End::Exited(exit) => exit,
        };
        match (exit.status, ran.result) {
            (ExitStatus::Code(0), Err(ExtractError::Read(error)))
                if error.kind() == std::io::ErrorKind::TimedOut =>
            {
                Err(BuildError::ResultHeldOpen)
            }
            (ExitStatus::Code(0), result) => result.map(|_| ()).map_err(BuildError::Result),
            // It failed because nobody read on: the refusal is the reason. Nothing handed out is a cut archive as well.
            (_, Err(ExtractError::Refused(refusal))) if !matches!(refusal, Refusal::Truncated { .. }) => {
                Err(BuildError::Result(refusal.into()))
            }
            // The kernel kills one process of many; what then failed says little about why.
            (_, _) if exit.out_of_memory => {
                let mebibytes = self.builder.limits.process.memory_bytes / (1024 * 1024);
                Err(BuildError::OutOfMemory { mebibytes })
            }
            (status, _) => Err(BuildError::StepFailed { status: status.to_string() }),
        }
    }

    fn publish(mut self, detected: Detected, made: Made) -> Result<BuiltSlug, BuildError> {
        let Made { staged, defaults, runtime, environment } = made;
        let defaults = &defaults;
        let procfile = self.listing.procfile.as_ref();
        processes::print(&mut self.printer, procfile, defaults, detected.title());
        let processes = processes::merged(procfile, defaults);
        let app_json = self.listing.app_json.clone().fitting(&processes)?;
        processes::print_app_json(&mut self.printer, &app_json);
        let meta = SlugMeta {
            processes,
            builder: detected.name().to_owned(),
            stack: self.builder.stack.clone(),
            runtime,
            environment,
            app_json,
        };
        let published = self.builder.slugs.publish(staged, &meta)?;
        self.tell(&published);
        let Published { id, files, bytes, outcome: _ } = published;
        Ok(BuiltSlug {
            slug: id,
            builder: meta.builder,
            processes: meta.processes,
            app_json: meta.app_json,
            files,
            bytes,
        })
    }

    fn tell(&mut self, published: &Published) {
        self.printer.heading("Storing the slug");
        let short = &published.id.hex()[..12];
        let (files, size) = (published.files, human_bytes(published.bytes));
        self.printer.detail(&format!("Done: slug {short}, {files} files, {size}"));
        if self.request.previous.as_ref().is_some_and(|previous| previous.slug == published.id) {
            self.printer.detail("It is the same slug as before: nothing in it has changed");
        }
    }
}

/// `1.5M`, as Heroku tells sizes.
fn human_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    for (size, unit) in UNITS {
        if bytes >= size {
            let tenths = bytes / (size / 10).max(1);
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests;
