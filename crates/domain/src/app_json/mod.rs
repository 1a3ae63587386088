//! `app.json`: what a source tree says about running its processes, beside the Procfile.
//!
//! Heroku's file, with the extensions that Dokku gave it: [health checks](health), [recurring commands](cron), and how the processes of
//! a type are [replaced](formation). What the file says of other things (`addons`, `buildpacks`, `env`, ...) is nobody's business
//! here and ignored; what it says of these is understood or refused, with the place and the remedy: a health check that is silently
//! not made is found out when it is needed.
//!
//! Pure: takes the file's bytes. What is kept is normal: two files that mean the same give the same [`AppJson`].

pub mod cron;
pub mod formation;
pub mod health;
pub mod startup;
mod text;

use crate::desired::Strategy;
use crate::formation::ProcessTypes;
use crate::names::ProcessType;
use cron::CronEntry;
use health::HealthCheck;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Larger files are no descriptions of apps.
pub const MAX_BYTES: usize = 256 * 1024;
/// What a release keeps of the file, in bytes: it is read whenever the release is looked at.
pub const MAX_KEPT_BYTES: usize = 64 * 1024;

/// What a release keeps of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppJson {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub health_checks: BTreeMap<ProcessType, Vec<HealthCheck>>,
    /// Types whose processes are not replaced as is usual for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub strategies: BTreeMap<ProcessType, Strategy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<CronEntry>,
}

/// A file that was understood, before it is known which process types there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    app_json: AppJson,
    /// Every process type of which the file says something, with the place.
    named: Vec<(String, ProcessType)>,
}

/// Why a file was refused. Every message names the place and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppJsonError {
    #[error(
        "app.json has {bytes} bytes, {MAX_BYTES} are allowed. Fix: keep in it only what describes the app"
    )]
    TooLarge { bytes: usize },
    #[error(
        "app.json is not JSON: {problem}. Fix: correct that line; `python3 -m json.tool app.json` finds such places"
    )]
    Syntax { problem: String },
    #[error(
        "what app.json says of health checks and recurring commands takes {bytes} bytes to keep, {MAX_KEPT_BYTES} are allowed. Fix: \
         check less, and move long commands into scripts"
    )]
    TooMuch { bytes: usize },
    #[error("app.json, {place}: {problem}")]
    Invalid { place: String, problem: String },
}

/// The parts of the file that are ours, as they are written.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    healthchecks: BTreeMap<ProcessType, Vec<health::Written>>,
    #[serde(default)]
    formation: BTreeMap<ProcessType, formation::Written>,
    #[serde(default)]
    cron: Vec<cron::Written>,
}

impl Described {
    pub fn parse(bytes: &[u8]) -> Result<Self, AppJsonError> {
        if bytes.len() > MAX_BYTES {
            return Err(AppJsonError::TooLarge { bytes: bytes.len() });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let file = read(bytes)?;
        let named = file.named();
        let app_json = AppJson {
            health_checks: health::check_all(file.healthchecks)?,
            strategies: formation::check_all(file.formation)?,
            cron: cron::check_all(file.cron)?,
        };
        app_json.check_size()?;
        Ok(Self { app_json, named })
    }

    pub const fn app_json(&self) -> &AppJson {
        &self.app_json
    }

    /// What a release with these process types keeps. What is said of a type that it lacks would never apply.
    pub fn fitting(self, types: &ProcessTypes) -> Result<AppJson, AppJsonError> {
        for (place, process_type) in &self.named {
            if process_type.is_release_phase() {
                return Err(invalid(
                    place,
                    "the release phase runs to its end, and is neither checked nor replaced. Fix: leave it out",
                ));
            }
            if !types.contains_key(process_type) {
                let there = types.keys().filter(|there| !there.is_release_phase()).map(ProcessType::as_str);
                let there = there.collect::<Vec<_>>().join(", ");
                return Err(invalid(
                    place,
                    format!(
                        "the app has no process type \"{process_type}\", but {there}. Fix: name one of these, or declare it in the Procfile"
                    ),
                ));
            }
        }
        Ok(self.app_json)
    }
}

impl File {
    fn named(&self) -> Vec<(String, ProcessType)> {
        let place =
            |part: &str, process_type: &ProcessType| (format!("{part}.{process_type}"), process_type.clone());
        let checked = self.healthchecks.keys().map(|process_type| place("healthchecks", process_type));
        let formation = self.formation.iter().filter(|(_, written)| written.says_something());
        checked.chain(formation.map(|(process_type, _)| place("formation", process_type))).collect()
    }
}

impl AppJson {
    /// Whatever the process types are.
    pub fn parse(bytes: &[u8]) -> Result<Self, AppJsonError> {
        Ok(Described::parse(bytes)?.app_json)
    }

    fn check_size(&self) -> Result<(), AppJsonError> {
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len());
        if bytes > MAX_KEPT_BYTES { Err(AppJsonError::TooMuch { bytes }) } else { Ok(()) }
    }

    /// Whether it says nothing that differs from having no such file.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How processes of this type are replaced by those of a new release.
    pub fn strategy(&self, process_type: &ProcessType) -> Strategy {
        let chosen = self.strategies.get(process_type).copied();
        chosen.unwrap_or_else(|| Strategy::default_for(process_type))
    }
}

fn read(bytes: &[u8]) -> Result<File, AppJsonError> {
    // serde takes a list for a structure, too.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(invalid("at its top", "it must be an object: { ... }"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let file = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = text::place(&error.path().to_string());
        let problem = text::shown(&error.inner().to_string());
        match error.inner().classify() {
            serde_json::error::Category::Data => AppJsonError::Invalid { place, problem },
            _ => AppJsonError::Syntax { problem },
        }
    })?;
    json.end().map_err(|error| AppJsonError::Syntax { problem: text::shown(&error.to_string()) })?;
    Ok(file)
}

fn invalid(place: impl Into<String>, problem: impl Into<String>) -> AppJsonError {
    AppJsonError::Invalid { place: text::shown(&place.into()), problem: problem.into() }
}

#[cfg(test)]
mod tests;
