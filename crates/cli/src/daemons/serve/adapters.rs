//! The engine's ports, fulfilled by this machine.

use builder::{BuildError, BuildLimits, BuildRequest, Builder, CancelToken, Fault};
use domain::build::{BuildFailure, BuildFailureKind, BuiltSlug};
use domain::ids::ProcessId;
use domain::time::{BootId, BootMillis, WallMillis};
use engine::ports::{BuildJob, BuildRunner, Cancel, Clock, Random};
use std::time::Duration;

/// How often a running build looks whether it is still wanted.
const CANCEL_POLL: Duration = Duration::from_millis(100);
/// Longest reason of a failed build, and longest advice, in bytes: both are kept, and both may quote what is in the source.
const REASON_BYTES: usize = 2 * 1024;

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
            app_json: built.app_json,
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
    let (reason, fix) = text.split_once(" Fix: ").map_or((&*text, None), |(reason, fix)| (reason, Some(fix)));
    let shown = |text: &str| builder::quoted(text, REASON_BYTES);
    BuildFailure { kind, reason: shown(reason), hint: fix.map(shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failure_is_safe_to_print_and_short_enough_to_keep() {
        let failure = |status: String| render_failure(&BuildError::StepFailed { status });
        let plain = failure("\x1b[2Jstatus 1\n. Fix: stop\x07".to_owned());
        assert!(plain.reason.starts_with("the build ended with [2Jstatus 1 "), "{}", plain.reason);
        assert!(plain.hint.is_some_and(|hint| hint.starts_with("stop;")));
        let long = failure(format!("{}. Fix: {}", "x".repeat(REASON_BYTES), "y".repeat(REASON_BYTES)));
        let most = REASON_BYTES + '…'.len_utf8();
        assert_eq!((long.reason.len(), long.hint.map(|hint| hint.len())), (most, Some(most)));
    }
}
