//! From a planned start to what the launcher is asked: the spec without values, and the environment beside it.

use blobs::config::ConfigError;
use blobs::{SlugError, SlugMeta, SlugStore};
use domain::app_json::health::HealthCheck;
use domain::feature::Feature;
use domain::job::JobStreams;
use domain::names::ConfigKey;
use domain::plan::Spawn;
use domain::process::Purpose;
use domain::runtime::Runtime;
use domain::secret::Secret;
use engine::ports::{EnvironmentError as NoEnvironment, ReleaseEnvironment};
use sandbox::environment::{EnvironmentError, SealedEnvironment};
use sandbox::format::Format;
use sandbox::spec::{
    Command, Held, Helper, Kind, Network, ProcessSpec, Readiness, Samples, Stdio, Toolchain, WindowSize,
};
use sandbox::system;
use std::collections::BTreeMap;

/// Where programs are looked for unless the app's config says otherwise.
const PATH: &str = "/app/bin:/usr/local/bin:/usr/bin:/bin";

/// Why a start cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("its environment is not to be had")]
    NoEnvironment(#[source] NoEnvironment),
    #[error("its environment cannot be passed on")]
    Environment(#[source] EnvironmentError),
    #[error("its slug cannot be read")]
    Slug(#[source] SlugError),
    #[error("its slug cannot be understood")]
    SlugConfig(#[source] ConfigError),
    #[error("the machine's boot id cannot be read")]
    BootId(#[source] std::io::Error),
}

/// A request to the launcher.
pub(crate) struct Prepared {
    pub spec: ProcessSpec,
    pub environment: SealedEnvironment,
}

pub(crate) fn prepare(
    spawn: &Spawn,
    source: &dyn ReleaseEnvironment,
    slugs: &SlugStore,
) -> Result<Prepared, SpecError> {
    let slug = slugs.config(&spawn.slug).map_err(SpecError::Slug)?.meta().map_err(SpecError::SlugConfig)?;
    let release = spawn.purpose.release();
    let vars = source.environment(release, &spawn.purpose).map_err(SpecError::NoEnvironment)?;
    let environment = seal(spawn, &slug, &vars)?;
    let stdio = match &spawn.purpose {
        Purpose::Slot { .. } => Stdio::Journal,
        Purpose::Job { job, .. } => stdio(source.streams(*job).map_err(SpecError::NoEnvironment)?),
    };
    let features = source.features(spawn.app).map_err(SpecError::NoEnvironment)?;
    let samples = match features.contains(&Feature::LogRuntimeMetrics) {
        true => Samples::Told,
        false => Samples::Untold,
    };
    let checks = health_checks(spawn, &slug);
    Ok(Prepared { spec: render(spawn, stdio, samples, slug.runtime, checks)?, environment })
}

const fn stdio(streams: JobStreams) -> Stdio {
    match streams {
        JobStreams::Log => Stdio::Journal,
        JobStreams::Pipes => Stdio::Held(Held::Pipes),
        JobStreams::Terminal { columns, lines } => {
            Stdio::Held(Held::Terminal(WindowSize { rows: lines, columns }))
        }
    }
}

/// Jobs run to their end and are asked nothing.
fn health_checks(spawn: &Spawn, slug: &SlugMeta) -> Vec<HealthCheck> {
    match &spawn.purpose {
        Purpose::Slot { process_type, .. } => {
            slug.app_json.health_checks.get(process_type).cloned().unwrap_or_default()
        }
        Purpose::Job { .. } => Vec::new(),
    }
}

fn render(
    spawn: &Spawn,
    stdio: Stdio,
    samples: Samples,
    runtime: Option<Runtime>,
    health_checks: Vec<HealthCheck>,
) -> Result<ProcessSpec, SpecError> {
    let readiness = if spawn.purpose.is_web() { Readiness::AcceptOnEndpoint } else { Readiness::Immediately };
    Ok(ProcessSpec {
        format: Format,
        process: spawn.process,
        app: spawn.app,
        app_index: spawn.app_index,
        kind: Kind::Process { purpose: spawn.purpose.clone(), slug: spawn.slug.clone() },
        display_name: spawn.purpose.display_name(),
        command: Command::shell(&spawn.command),
        limits: spawn.limits,
        stop: spawn.stop,
        endpoint: spawn.endpoint,
        readiness,
        health_checks,
        stdio,
        network: Network::App,
        toolchain: runtime.map(Toolchain::Runtime),
        helper: Helper::Bound,
        samples,
        time_limit_seconds: None,
        boot_id: system::boot_id().map_err(SpecError::BootId)?,
        started_at: system::boot_now(),
        request_id: None,
    })
}

/// What the slug brings, over it the app's vars, over them the platform's own.
fn seal(
    spawn: &Spawn,
    slug: &SlugMeta,
    vars: &[(ConfigKey, Secret<String>)],
) -> Result<SealedEnvironment, SpecError> {
    let name = spawn.purpose.display_name();
    let port = spawn.endpoint.map(|endpoint| endpoint.port().to_string());
    let id = spawn.process.to_string();
    let mut all: BTreeMap<&str, &str> = BTreeMap::from([("PATH", PATH), ("LANG", "C.UTF-8")]);
    all.extend(slug.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    all.extend(vars.iter().map(|(key, value)| (key.as_str(), value.expose().as_str())));
    all.extend([("HOME", "/app"), ("DYNO", &*name), ("HEROKU_DYNO_ID", &*id)]);
    all.extend(port.iter().map(|port| ("PORT", port.as_str())));
    SealedEnvironment::seal(all).map_err(SpecError::Environment)
}
