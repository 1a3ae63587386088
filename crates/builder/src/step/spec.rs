//! The process that a step is, as the launcher is asked for it.

use crate::request::{BuildLimits, BuildRequest};
use domain::process::{StopPolicy, StopSignal, StopTarget};
use domain::time::{BootId, BootMillis};
use sandbox::format::Format;
use sandbox::spec::{
    Command, Helper, Kind, Network, Passed, ProcessSpec, Readiness, Samples, Stdio, Toolchain,
};

/// Seconds between the polite end of a build that takes too long and SIGKILL.
const STOP_GRACE_SECONDS: u32 = 5;

/// When a step is started.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) boot_id: BootId,
    pub(crate) now: BootMillis,
}

pub(crate) fn plan_spec(
    request: &BuildRequest,
    limits: &BuildLimits,
    command: Command,
    toolchain: Toolchain,
    started: Started,
) -> ProcessSpec {
    ProcessSpec {
        format: Format,
        process: request.process,
        app: request.app,
        app_index: request.app_index,
        kind: Kind::Build { build: request.build },
        display_name: "build".to_owned(),
        command,
        limits: limits.process,
        stop: StopPolicy { signal: StopSignal::Term, to: StopTarget::All, grace_seconds: STOP_GRACE_SECONDS },
        endpoint: None,
        readiness: Readiness::Immediately,
        health_checks: Vec::new(),
        stdio: Stdio::Passed(Passed::Four),
        network: Network::App,
        toolchain: Some(toolchain),
        samples: Samples::Untold,
        helper: Helper::Bound,
        time_limit_seconds: Some(limits.time_seconds),
        boot_id: started.boot_id,
        started_at: started.now,
        request_id: request.request_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::plan::{HandOut, InstallOrder, Tool};
    use crate::request::BuildEnvironment;
    use domain::ids::{AppId, BuildId, ProcessId};
    use sandbox::spec::HELPER_PATH;

    #[test]
    fn every_step_is_one_that_the_launcher_accepts() {
        let request = BuildRequest {
            app: AppId::from_u128(1),
            app_index: 3,
            build: BuildId::from_u128(2),
            process: ProcessId::from_u128(4),
            commit: None,
            previous: None,
            environment: BuildEnvironment::default(),
            request_id: None,
            buildpacks: Vec::new(),
        };
        let order = InstallOrder {
            tool: Tool::Pip { lock: "requirements.txt".to_owned() },
            key: "0".repeat(64),
            hand_out: HandOut::Tree,
            before: Vec::new(),
            scripts: vec!["collectstatic".to_owned()],
        };
        let argv = vec![HELPER_PATH.to_owned(), serde_json::to_string(&order).expect("JSON")];
        let command = Command { argv, shown: "install".to_owned() };
        let toolchain = Toolchain::Runtime("python-3.11".parse().expect("a runtime"));
        let started = Started { boot_id: BootId("boot".to_owned()), now: BootMillis(7) };
        let spec = plan_spec(&request, &BuildLimits::DEFAULT, command, toolchain, started);
        assert_eq!(spec.validate(), Ok(()));
        assert_eq!(serde_json::from_str::<InstallOrder>(&spec.command.argv[1]).expect("read back"), order);
    }
}
