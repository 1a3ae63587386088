//! Builds: one row each, whose status only the builds task changes.

use crate::error::{Result, StoreError};
use crate::sql::{int, number, parsed, parsed_optional, wall};
use crate::{Reader, Writer};
use domain::build::{Build, BuildSource, BuildStatus, TreeSource};
use domain::ids::{AppId, BuildId};
use domain::names::{CommitId, SourceChecksum, SourceVersion};
use domain::time::WallMillis;
use rusqlite::Row;

const COLUMNS: &str =
    "SELECT id, app_id, number, actor_id, commit_id, version, checksum, source_url, status, reason, slug, release_id,
    created_at, updated_at FROM builds";

fn read(row: &Row<'_>) -> rusqlite::Result<Build> {
    Ok(Build {
        id: parsed(row, "id")?,
        app: parsed(row, "app_id")?,
        number: number(row, "number")?,
        actor: parsed_optional(row, "actor_id")?,
        source: read_source(row)?,
        created_at: wall(row, "created_at")?,
        updated_at: wall(row, "updated_at")?,
        status: read_status(row)?,
    })
}

fn read_source(row: &Row<'_>) -> rusqlite::Result<BuildSource> {
    if let Some(commit) = parsed_optional(row, "commit_id")? {
        return Ok(BuildSource::Commit(commit));
    }
    Ok(BuildSource::Tree(TreeSource {
        version: parsed_optional(row, "version")?,
        checksum: parsed_optional(row, "checksum")?,
        url: row.get("source_url")?,
    }))
}

fn read_status(row: &Row<'_>) -> rusqlite::Result<BuildStatus> {
    let word: String = row.get("status")?;
    Ok(match word.as_str() {
        "waiting" => BuildStatus::Waiting,
        "running" => BuildStatus::Running,
        "succeeded" => {
            BuildStatus::Succeeded { slug: parsed(row, "slug")?, release: parsed(row, "release_id")? }
        }
        "superseded" => BuildStatus::Superseded,
        "failed" => {
            BuildStatus::Failed { reason: row.get::<_, Option<String>>("reason")?.unwrap_or_default() }
        }
        _ => {
            let detail = format!("status {word:?} of a build").into();
            return Err(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, detail));
        }
    })
}

const fn status_word(status: &BuildStatus) -> &'static str {
    match status {
        BuildStatus::Waiting => "waiting",
        BuildStatus::Running => "running",
        BuildStatus::Succeeded { .. } => "succeeded",
        BuildStatus::Failed { .. } => "failed",
        BuildStatus::Superseded => "superseded",
    }
}

impl Reader<'_> {
    pub fn build(&self, id: BuildId) -> Result<Option<Build>> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], read)
    }

    /// In order of acceptance.
    pub fn builds(&self, app: AppId) -> Result<Vec<Build>> {
        self.all(&format!("{COLUMNS} WHERE app_id = ?1 ORDER BY number"), [app.to_string()], read)
    }

    /// Waiting or running, of all apps.
    pub fn unfinished_builds(&self) -> Result<Vec<Build>> {
        self.all(
            &format!("{COLUMNS} WHERE status IN ('waiting', 'running') ORDER BY app_id, number"),
            (),
            read,
        )
    }

    /// The newest that succeeded and has a commit: what the deployed branch should point to.
    pub fn newest_succeeded_commit(&self, app: AppId) -> Result<Option<CommitId>> {
        let sql = "SELECT commit_id FROM builds WHERE app_id = ?1 AND status = 'succeeded' AND commit_id IS NOT NULL
            ORDER BY number DESC LIMIT 1";
        self.one(sql, [app.to_string()], |row| parsed(row, "commit_id"))
    }

    pub fn newest_build_number(&self, app: AppId) -> Result<u64> {
        self.count("SELECT coalesce(max(number), 0) FROM builds WHERE app_id = ?1", [app.to_string()])
    }
}

impl Writer<'_> {
    pub fn insert_build(&self, build: &Build) -> Result<()> {
        let sql = "INSERT INTO builds (id, app_id, number, actor_id, commit_id, version, checksum, source_url, status,
            created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let nothing = TreeSource::default();
        let tree = match &build.source {
            BuildSource::Commit(_) => &nothing,
            BuildSource::Tree(tree) => tree,
        };
        self.run(
            sql,
            rusqlite::params![
                build.id.to_string(),
                build.app.to_string(),
                int(build.number),
                build.actor.map(|id| id.to_string()),
                build.source.commit().map(CommitId::as_str),
                tree.version.as_ref().map(SourceVersion::as_str),
                tree.checksum.as_ref().map(SourceChecksum::as_str),
                tree.url.as_deref(),
                status_word(&build.status),
                int(build.created_at.0),
                int(build.updated_at.0),
            ],
        )
        .map(drop)
    }

    /// Fails if the build has ended before: an end is said once.
    pub fn set_build_status(&self, id: BuildId, status: &BuildStatus, now: WallMillis) -> Result<()> {
        let (slug, release, reason) = match status {
            BuildStatus::Succeeded { slug, release } => {
                (Some(slug.to_string()), Some(release.to_string()), None)
            }
            BuildStatus::Failed { reason } => (None, None, Some(reason)),
            BuildStatus::Waiting | BuildStatus::Running | BuildStatus::Superseded => (None, None, None),
        };
        let sql = "UPDATE builds SET status = ?2, slug = ?3, release_id = ?4, reason = ?5, updated_at = ?6
            WHERE id = ?1 AND status IN ('waiting', 'running')";
        match self.run(sql, (id.to_string(), status_word(status), slug, release, reason, int(now.0)))? {
            1 => Ok(()),
            _ => Err(StoreError::Content {
                table: "build",
                detail: format!("build {id} is gone or has ended before"),
            }),
        }
    }
}
