//! Releases, their sealed config, their status and the promotions.
//!
//! A release is appended once and never changed (a trigger sees to it). Its config vars are sealed under the app's data key and
//! bound to app and release.

use crate::error::{Result, StoreError};
use crate::seal::Nonce;
use crate::sql::{int, json, number, parsed, parsed_optional, to_json, wall};
use crate::{Reader, Writer};
use domain::app_json::AppJson;
use domain::config_vars::ConfigVars;
use domain::formation::ProcessTypes;
use domain::ids::{AppId, ReleaseId};
use domain::names::{CommitId, ConfigKey, ReleaseVersion, SlugId, SourceVersion};
use domain::release::{Artifact, Release, ReleaseStatus};
use domain::secret::Secret;
use domain::time::{BootId, BootMillis, WallMillis};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{OptionalExtension, Row};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The instant of a promotion, by both clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotedAt {
    /// For people.
    pub wall: WallMillis,
    /// For decisions.
    pub boot_id: BootId,
    pub boot: BootMillis,
}

const COLUMNS: &str =
    "SELECT id, app_id, version, slug, slug_size_bytes, process_types, app_json, commit_id, source_version,
    build_id, build_number, attachments, actor_id, description, created_at, status, reason, release_status.updated_at AS status_at
    FROM releases JOIN release_status ON release_status.release_id = releases.id";

fn read(row: &Row<'_>) -> rusqlite::Result<Release> {
    let build_number: Option<i64> = row.get("build_number")?;
    Ok(Release {
        id: parsed(row, "id")?,
        app: parsed(row, "app_id")?,
        version: ReleaseVersion(number(row, "version")?),
        artifact: Artifact {
            slug: parsed_optional(row, "slug")?,
            slug_size_bytes: number(row, "slug_size_bytes")?,
            process_types: json::<ProcessTypes>(row, "process_types")?,
            app_json: read_app_json(row)?,
            commit: parsed_optional(row, "commit_id")?,
            version: parsed_optional(row, "source_version")?,
            build: parsed_optional(row, "build_id")?,
        },
        attachments: json(row, "attachments")?,
        build_number: build_number.map(|number| number as u64),
        description: row.get("description")?,
        actor: parsed_optional(row, "actor_id")?,
        created_at: wall(row, "created_at")?,
        status: read_status(row)?,
        status_at: wall(row, "status_at")?,
    })
}

fn read_app_json(row: &Row<'_>) -> rusqlite::Result<AppJson> {
    match row.get_ref("app_json")? {
        ValueRef::Null => Ok(AppJson::default()),
        _ => json(row, "app_json"),
    }
}

fn read_status(row: &Row<'_>) -> rusqlite::Result<ReleaseStatus> {
    let word: String = row.get("status")?;
    Ok(match word.as_str() {
        "pending" => ReleaseStatus::Pending,
        "phase_running" => ReleaseStatus::PhaseRunning,
        "starting" => ReleaseStatus::Starting,
        "succeeded" => ReleaseStatus::Succeeded,
        "superseded" => ReleaseStatus::Superseded,
        "failed" => {
            ReleaseStatus::Failed { reason: row.get::<_, Option<String>>("reason")?.unwrap_or_default() }
        }
        _ => {
            let detail = format!("status {word:?} of a release").into();
            return Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, detail));
        }
    })
}

fn write_app_json(app_json: &AppJson) -> Result<Option<String>> {
    if app_json.is_empty() { Ok(None) } else { to_json("release", app_json).map(Some) }
}

fn config_place(app: AppId, release: ReleaseId) -> String {
    format!("config of app {app} release {release}")
}

/// Config vars as bytes to seal. JSON; the copy is overwritten after use.
pub(crate) fn encode_vars<'a>(
    what: &str,
    vars: impl Iterator<Item = (&'a ConfigKey, &'a Secret<String>)>,
) -> Result<Zeroizing<Vec<u8>>> {
    let plain: BTreeMap<&str, &str> =
        vars.map(|(key, value)| (key.as_str(), value.expose().as_str())).collect();
    let encoded = serde_json::to_vec(&plain).map_err(|_| StoreError::Seal { what: what.to_owned() })?;
    Ok(Zeroizing::new(encoded))
}

pub(crate) fn decode_vars(what: &str, plain: &[u8]) -> Result<Vec<(ConfigKey, Secret<String>)>> {
    let decoded: BTreeMap<ConfigKey, String> =
        serde_json::from_slice(plain).map_err(|_| StoreError::Unsealable { what: what.to_owned() })?;
    Ok(decoded.into_iter().map(|(key, value)| (key, Secret::new(value))).collect())
}

impl Reader<'_> {
    pub fn release(&self, id: ReleaseId) -> Result<Option<Release>> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], read)
    }

    pub fn release_by_version(&self, app: AppId, version: ReleaseVersion) -> Result<Option<Release>> {
        self.one(
            &format!("{COLUMNS} WHERE app_id = ?1 AND version = ?2"),
            (app.to_string(), int(version.0)),
            read,
        )
    }

    /// Oldest first.
    pub fn releases(&self, app: AppId) -> Result<Vec<Release>> {
        self.all(&format!("{COLUMNS} WHERE app_id = ?1 ORDER BY version"), [app.to_string()], read)
    }

    /// The newest releases of an app, newest first, at most so many.
    pub fn newest_releases(&self, app: AppId, most: u32) -> Result<Vec<ReleaseId>> {
        let sql = "SELECT id FROM releases WHERE app_id = ?1 ORDER BY version DESC LIMIT ?2";
        self.all(sql, (app.to_string(), most), |row| parsed(row, "id"))
    }

    /// Of every release of every app.
    pub fn slugs_in_use(&self) -> Result<Vec<SlugId>> {
        self.all("SELECT DISTINCT slug FROM releases WHERE slug IS NOT NULL", (), |row| parsed(row, "slug"))
    }

    pub fn head_release(&self, app: AppId) -> Result<Option<Release>> {
        self.one(
            &format!("{COLUMNS} WHERE app_id = ?1 ORDER BY version DESC LIMIT 1"),
            [app.to_string()],
            read,
        )
    }

    /// The newest release that did not fail.
    pub fn sound_release(&self, app: AppId) -> Result<Option<Release>> {
        let sql = format!("{COLUMNS} WHERE app_id = ?1 AND status <> 'failed' ORDER BY version DESC LIMIT 1");
        self.one(&sql, [app.to_string()], read)
    }

    /// The newest release before this version that has served and has a slug, but for those named.
    pub fn newest_served_before(
        &self,
        app: AppId,
        before: ReleaseVersion,
        but: &BTreeSet<ReleaseId>,
    ) -> Result<Option<Release>> {
        let but: Vec<_> = but.iter().map(ReleaseId::to_string).collect();
        let sql = format!(
            "{COLUMNS} WHERE app_id = ?1 AND version < ?2 AND status = 'succeeded' AND slug IS NOT NULL
            AND id NOT IN (SELECT value FROM json_each(?3)) ORDER BY version DESC LIMIT 1"
        );
        self.one(&sql, (app.to_string(), int(before.0), to_json("release", &but)?), read)
    }

    /// The newest release with a slug, whatever became of it.
    pub fn newest_built_release(&self, app: AppId) -> Result<Option<Release>> {
        let sql = format!("{COLUMNS} WHERE app_id = ?1 AND slug IS NOT NULL ORDER BY version DESC LIMIT 1");
        self.one(&sql, [app.to_string()], read)
    }

    /// The greatest build number among the releases.
    pub fn newest_released_build(&self, app: AppId) -> Result<Option<u64>> {
        let sql = "SELECT max(build_number) FROM releases WHERE app_id = ?1";
        let found = self.one(sql, [app.to_string()], |row| row.get::<_, Option<i64>>(0))?;
        Ok(found.flatten().map(|number| number as u64))
    }

    /// Releases whose fate is not decided, of all apps, oldest first.
    pub fn unfinished_releases(&self) -> Result<Vec<Release>> {
        let sql = format!(
            "{COLUMNS} WHERE status IN ('pending', 'phase_running', 'starting') ORDER BY app_id, version"
        );
        self.all(&sql, (), read)
    }

    /// The release that serves: the one promoted last.
    pub fn current_release(&self, app: AppId) -> Result<Option<ReleaseId>> {
        let sql = "SELECT release_id FROM promotions WHERE app_id = ?1 ORDER BY sequence DESC LIMIT 1";
        self.one(sql, [app.to_string()], |row| parsed(row, "release_id"))
    }

    pub fn promoted_at(&self, app: AppId) -> Result<Option<WallMillis>> {
        let sql = "SELECT at FROM promotions WHERE app_id = ?1 ORDER BY sequence DESC LIMIT 1";
        self.one(sql, [app.to_string()], |row| wall(row, "at"))
    }

    /// The user's config vars of a release.
    pub fn config_of(&self, app: AppId, release: ReleaseId) -> Result<ConfigVars> {
        let sql = "SELECT config FROM releases WHERE id = ?1 AND app_id = ?2";
        let params = (release.to_string(), app.to_string());
        let sealed = self.one(sql, params, |row| row.get::<_, Vec<u8>>("config"))?;
        let place = config_place(app, release);
        let sealed = sealed.ok_or_else(|| StoreError::Unsealable { what: place.clone() })?;
        let plain = self.app_key(app)?.open(&place, &sealed)?;
        Ok(decode_vars(&place, &plain)?.into_iter().collect())
    }
}

impl Writer<'_> {
    /// Appends a release with its config, pending. `release.status` is not looked at.
    pub fn append_release(&self, release: &Release, config: &ConfigVars, nonce: &Nonce) -> Result<()> {
        let place = config_place(release.app, release.id);
        let plain = encode_vars(&place, config.iter())?;
        let sealed = self.app_key(release.app)?.seal(&place, nonce, &plain)?;
        let sql = "INSERT INTO releases (id, app_id, version, slug, slug_size_bytes, process_types, commit_id, build_id,
            build_number, config, attachments, actor_id, description, created_at,
            source_version, app_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        self.run(
            sql,
            rusqlite::params![
                release.id.to_string(),
                release.app.to_string(),
                int(release.version.0),
                release.artifact.slug.as_ref().map(SlugId::as_str),
                int(release.artifact.slug_size_bytes),
                to_json("release", &release.artifact.process_types)?,
                release.artifact.commit.as_ref().map(CommitId::as_str),
                release.artifact.build.map(|id| id.to_string()),
                release.build_number.map(int),
                sealed,
                to_json("release", &release.attachments)?,
                release.actor.map(|id| id.to_string()),
                release.description,
                int(release.created_at.0),
                release.artifact.version.as_ref().map(SourceVersion::as_str),
                write_app_json(&release.artifact.app_json)?,
            ],
        )?;
        let sql = "INSERT INTO release_status (release_id, status, updated_at) VALUES (?1, 'pending', ?2)";
        self.run(sql, (release.id.to_string(), int(release.created_at.0))).map(drop)
    }

    pub fn set_release_status(&self, id: ReleaseId, status: &ReleaseStatus, now: WallMillis) -> Result<()> {
        let reason = match status {
            ReleaseStatus::Failed { reason } => Some(reason),
            ReleaseStatus::Pending
            | ReleaseStatus::PhaseRunning
            | ReleaseStatus::Starting
            | ReleaseStatus::Succeeded
            | ReleaseStatus::Superseded => None,
        };
        let sql = "UPDATE release_status SET status = ?2, reason = ?3, updated_at = ?4 WHERE release_id = ?1";
        self.run(sql, (id.to_string(), status.name(), reason, int(now.0))).map(drop)
    }

    pub fn append_promotion(&self, app: AppId, release: ReleaseId, at: &PromotedAt) -> Result<()> {
        let sql =
            "INSERT INTO promotions (app_id, release_id, at, boot_id, boot_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (app, release) = (app.to_string(), release.to_string());
        self.run(sql, (app, release, int(at.wall.0), &at.boot_id.0, int(at.boot.0))).map(drop)
    }

    /// For tests of the trigger and for nothing else: a release cannot be changed.
    #[doc(hidden)]
    pub fn try_to_change_release(&self, id: ReleaseId) -> Result<bool> {
        let sql = "UPDATE releases SET description = 'changed' WHERE id = ?1 RETURNING id";
        let changed =
            self.connection.prepare_cached(sql)?.query_row([id.to_string()], |_| Ok(())).optional()?;
        Ok(changed.is_some())
    }
}
