//! A builder that does as it is told.

use crate::ports::{BuildJob, BuildRunner, Cancel};
use domain::app_json::AppJson;
use domain::build::{BuildFailure, BuildFailureKind, BuiltSlug};
use domain::formation::ProcessTypes;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a held build looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(5);

/// Succeeds with these process types, or fails for this reason.
pub struct ScriptedBuilder {
    script: Mutex<Script>,
    changed: Condvar,
}

struct Script {
    process_types: ProcessTypes,
    app_json: AppJson,
    failure: Option<String>,
    held: bool,
    /// Builds begun, in order.
    begun: Vec<String>,
    panics: bool,
}

impl Default for ScriptedBuilder {
    fn default() -> Self {
        let script = Script {
            process_types: ProcessTypes::new(),
            app_json: AppJson::default(),
            failure: None,
            held: false,
            begun: Vec::new(),
            panics: false,
        };
        Self { script: Mutex::new(script), changed: Condvar::new() }
    }
}

impl ScriptedBuilder {
    /// What the next builds' Procfile says.
    pub fn procfile(&self, types: &[(&str, &str)]) {
        let parse = |(name, command): &(&str, &str)| Some((name.parse().ok()?, (*command).to_owned()));
        self.lock().process_types = types.iter().filter_map(parse).collect();
    }

    /// What the next builds' app.json says.
    pub fn app_json(&self, app_json: AppJson) {
        self.lock().app_json = app_json;
    }

    pub fn fail(&self, reason: Option<&str>) {
        self.lock().failure = reason.map(str::to_owned);
    }

    pub fn panic_next(&self) {
        self.lock().panics = true;
    }

    /// Builds begin and do not end until [`ScriptedBuilder::let_go`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    pub fn let_go(&self) {
        self.lock().held = false;
        self.changed.notify_all();
    }

    /// Commits of the builds that have begun.
    pub fn begun(&self) -> Vec<String> {
        self.lock().begun.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BuildRunner for ScriptedBuilder {
    fn build(
        &self,
        job: BuildJob,
        output: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<BuiltSlug, BuildFailure> {
        let commit = job.commit.as_ref().map(ToString::to_string).unwrap_or_default();
        output("-----> Building");
        let mut script = self.lock();
        script.begun.push(commit.clone());
        while script.held && !cancel.is_cancelled() {
            script = self.changed.wait_timeout(script, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        let failure = |kind, reason: &str| BuildFailure { kind, reason: reason.to_owned(), hint: None };
        if cancel.is_cancelled() {
            return Err(failure(BuildFailureKind::Cancelled, "it was cancelled"));
        }
        if std::mem::take(&mut script.panics) {
            drop(script);
            std::panic::panic_any("the scripted builder panics, as it was told");
        }
        if let Some(reason) = &script.failure {
            return Err(failure(BuildFailureKind::Source, reason));
        }
        output("-----> Built");
        let digest = format!("sha256:{:0>64}", commit.chars().take(40).collect::<String>());
        let slug =
            digest.parse().map_err(|_| failure(BuildFailureKind::Platform, "the commit makes no digest"))?;
        let process_types = script.process_types.clone();
        Ok(BuiltSlug {
            slug,
            process_types,
            app_json: script.app_json.clone(),
            size_bytes: 4096,
            builder: "scripted".to_owned(),
        })
    }
}
