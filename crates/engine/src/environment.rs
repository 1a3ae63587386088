//! The values that a process is started with, unsealed at the moment when someone spawns it.

use crate::engine::Engine;
use crate::error::Error;
use crate::ports::{EnvironmentError, ReleaseEnvironment};
use domain::feature::Feature;
use domain::formation::Size;
use domain::ids::{AppId, JobId, ReleaseId};
use domain::job::JobStreams;
use domain::names::{CommitId, ConfigKey, SourceVersion};
use domain::process::Purpose;
use domain::release::Release;
use domain::secret::Secret;
use domain::time;
use std::collections::{BTreeMap, BTreeSet};
use store::Reader;

pub(crate) struct Environment(pub(crate) Engine);

impl ReleaseEnvironment for Environment {
    fn environment(
        &self,
        release: ReleaseId,
        purpose: &Purpose,
    ) -> Result<Vec<(ConfigKey, Secret<String>)>, EnvironmentError> {
        let found = self.0.read(|reader| {
            let Some(release) = reader.release(release)? else { return Ok(None) };
            collect(reader, &release, purpose).map(Some)
        });
        let vars = found.map_err(unreadable)?;
        let vars = vars.ok_or_else(|| EnvironmentError::Unknown(format!("release {release}")))?;
        Ok(vars.into_iter().collect())
    }

    fn features(&self, app: AppId) -> Result<BTreeSet<Feature>, EnvironmentError> {
        let found = self.0.read(|reader| Ok(reader.features(app)?)).map_err(unreadable)?;
        Ok(found.into_keys().collect())
    }

    fn streams(&self, job: JobId) -> Result<JobStreams, EnvironmentError> {
        let found = self.0.read(|reader| Ok(reader.job(job)?)).map_err(unreadable)?;
        found.map(|row| row.job.streams).ok_or_else(|| EnvironmentError::Unknown(format!("job {job}")))
    }
}

/// Memory for one worker process of a web server, from which `WEB_CONCURRENCY` follows.
const WORKER_MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// Later ones win: defaults, config vars, the job's own, then the platform's.
fn collect(
    reader: &Reader<'_>,
    release: &Release,
    purpose: &Purpose,
) -> Result<BTreeMap<ConfigKey, Secret<String>>, Error> {
    let config = reader.config_of(release.app, release.id)?;
    let mut vars = BTreeMap::from([web_concurrency(size_of(reader, release, purpose)?)?]);
    vars.extend(config.iter().map(|(key, value)| (key.clone(), value.clone())));
    match purpose {
        Purpose::Job { job, .. } => vars.extend(reader.job_environment(release.app, *job)?),
        Purpose::Slot { .. } => {}
    }
    for (name, value) in platform_vars(reader, release)? {
        let key = name.parse().map_err(|_| Error::internal("a platform var has no valid name"))?;
        vars.insert(key, Secret::new(value));
    }
    Ok(vars)
}

/// What a process may use: the size of its type, or of its job.
fn size_of(reader: &Reader<'_>, release: &Release, purpose: &Purpose) -> Result<Size, Error> {
    Ok(match purpose {
        Purpose::Slot { process_type, .. } => {
            let formation = reader.formation(release.app)?;
            formation.get(process_type).map(|row| row.size).unwrap_or_default()
        }
        Purpose::Job { job, .. } => reader.job(*job)?.map(|row| row.size).unwrap_or_default(),
    })
}

/// How many worker processes fit into a size: many web servers read it.
fn web_concurrency(size: Size) -> Result<(ConfigKey, Secret<String>), Error> {
    let key = "WEB_CONCURRENCY".parse().map_err(|_| Error::internal("a platform var has no valid name"))?;
    let workers = (size.limits().memory_bytes / WORKER_MEMORY_BYTES).max(1);
    Ok((key, Secret::new(workers.to_string())))
}

/// The commit, or what else was named as the source's version. The second is Heroku's name for it, the third the one before that;
/// libraries that report errors look for them.
const VERSION_VARS: [&str; 3] = ["SOURCE_VERSION", "HEROKU_BUILD_COMMIT", "HEROKU_SLUG_COMMIT"];

fn platform_vars(reader: &Reader<'_>, release: &Release) -> Result<Vec<(&'static str, String)>, Error> {
    let mut vars = vec![
        ("HEROKU_RELEASE_VERSION", release.version.to_string()),
        ("HEROKU_RELEASE_CREATED_AT", time::in_iso_8601(release.created_at)),
        ("HEROKU_APP_ID", release.app.to_string()),
    ];
    let artifact = &release.artifact;
    let named = artifact.commit.as_ref().map(CommitId::as_str);
    let version = named.or(artifact.version.as_ref().map(SourceVersion::as_str));
    vars.extend(version.into_iter().flat_map(|version| VERSION_VARS.map(|name| (name, version.to_owned()))));
    vars.extend(reader.app(release.app)?.map(|app| ("HEROKU_APP_NAME", app.name.to_string())));
    Ok(vars)
}

fn unreadable(error: Error) -> EnvironmentError {
    EnvironmentError::Unreadable(error.to_string())
}
