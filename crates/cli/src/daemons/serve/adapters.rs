//! The engine's ports, fulfilled by this machine.

use builder::{BuildError, BuildLimits, BuildRequest, Builder, CancelToken, Fault};
use domain::build::{BuildFailure, BuildFailureKind, BuiltSlug};
use domain::ids::ProcessId;
use domain::time::{BootId, BootMillis, WallMillis};
use engine::ports::{BuildJob, BuildRunner, Cancel, Clock, Random};
use std::time::Duration;

/// How often a running build looks whether it is still wanted.
const CANCEL_POLL: Duration = Duration::from_millis(100);

/// The machine's clocks.
pub struct MachineClock {
    boot_id: BootId,
}

impl MachineClock {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { boot_id: sandbox::system::boot_id()? })
    }
}

impl Clock for MachineClock {
    fn wall(&self) -> WallMillis {
        sandbox::system::wall_now()
    }

    fn boot(&self) -> BootMillis {
        sandbox::system::boot_now()
    }

    fn boot_id(&self) -> BootId {
        self.boot_id.clone()
    }
}

/// The operating system's random source.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel's random source is ready once the machine has booted");
    }
}

/// The native builders.
pub struct NativeBuilds {
    pub builder: Builder,
}

impl BuildRunner for NativeBuilds {
    fn build(
        &self,
        job: BuildJob,
        output: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<BuiltSlug, BuildFailure> {
        let token = CancelToken::new();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| pass_on_cancel(cancel, &token, &done));
            let built = self.run(job, output, &token);
            done.store(true, std::sync::atomic::Ordering::Release);
            built
        })
    }
}

impl NativeBuilds {
    fn run(
        &self,
        job: BuildJob,
        output: &mut dyn FnMut(&str),
        token: &CancelToken,
    ) -> Result<BuiltSlug, BuildFailure> {
        let limits =
            BuildLimits { process: job.limits, time_seconds: job.time_limit_seconds, ..self.builder.limits };
        let builder = Builder { limits, ..self.builder.clone() };
        let mut lines = |line: &str| output(line);
        let built =
            builder.build(&render_request(job), &mut lines, token).map_err(|error| render_failure(&error))?;
        Ok(BuiltSlug {
            slug: built.slug,
            process_types: built.processes,
            size_bytes: built.bytes,
            builder: built.builder,
        })
    }
}

fn pass_on_cancel(cancel: &Cancel, token: &CancelToken, done: &std::sync::atomic::AtomicBool) {
    while !done.load(std::sync::atomic::Ordering::Acquire) {
        if cancel.is_cancelled() {
            token.cancel();
            return;
        }
        std::thread::sleep(CANCEL_POLL);
    }
}

fn render_request(job: BuildJob) -> BuildRequest {
    let values = job.config.iter().map(|(key, value)| (key.to_string(), value.expose().clone())).collect();
    let mut id = [0; 16];
    SystemRandom.fill(&mut id);
    BuildRequest {
        app: job.app,
        app_index: job.app_index,
        build: job.build,
        process: ProcessId::from_u128(u128::from_ne_bytes(id)),
        buildpacks: job.buildpacks,
        commit: job.commit,
        previous: None,
        environment: builder::BuildEnvironment::new(values),
        request_id: None,
    }
}

fn render_failure(error: &BuildError) -> BuildFailure {
    let kind = match error.fault() {
        Fault::App => BuildFailureKind::Source,
        Fault::Platform => BuildFailureKind::Platform,
        Fault::Cancelled => BuildFailureKind::Cancelled,
    };
    let text = domain::cause::chain(error);
    let (reason, hint) = match text.split_once(" Fix: ") {
        Some((reason, fix)) => (reason.to_owned(), Some(fix.to_owned())),
        None => (text, None),
    };
    BuildFailure { kind, reason, hint }
}
