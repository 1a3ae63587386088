//! A slug's configuration: an OCI image configuration (image-spec 1.1, `config.md`) of one layer, `/app`.
//!
//! Its exact bytes are stored, and their SHA-256 is the slug's identity. It holds what a release needs to know about a build and
//! nothing that differs between two builds of the same source: no time, no commit, no build id, no host name.

use crate::digest::Digest;
use domain::app_json::AppJson;
use domain::names::{ProcessType, SlugId};
use domain::runtime::{InvalidRuntime, Runtime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of the labels below.
pub const FORMAT: &str = "1";
/// Every slug was created then: 1980-01-01T00:00:01Z, as everything inside it.
pub const CREATED: &str = "1980-01-01T00:00:01Z";
/// A configuration beyond this size was not written by us.
pub const MAX_BYTES: u64 = 1024 * 1024;

const LABEL_FORMAT: &str = "dozen.slug.format";
const LABEL_PROCESSES: &str = "dozen.slug.processes";
const LABEL_BUILDER: &str = "dozen.slug.builder";
const LABEL_STACK: &str = "dozen.slug.stack";
const LABEL_RUNTIME: &str = "dozen.slug.runtime";
const LABEL_APP_JSON: &str = "dozen.slug.app-json";

/// What a builder says about a slug beside its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlugMeta {
    /// Process types and their commands.
    pub processes: BTreeMap<ProcessType, String>,
    /// Which builder made it: `rust`, `static`.
    pub builder: String,
    /// The base that it needs below it.
    pub stack: String,
    /// The interpreter that it needs beside it.
    pub runtime: Option<Runtime>,
    /// What its processes find in their environment unless the app's config vars say otherwise.
    pub environment: BTreeMap<String, String>,
    /// What its `app.json` says about running its processes.
    pub app_json: AppJson,
}

/// An image configuration as stored. Field names are those of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlugConfig {
    created: String,
    architecture: String,
    os: String,
    config: Execution,
    rootfs: RootFs,
    history: Vec<History>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    user: String,
    /// `NAME=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    working_dir: String,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct History {
    created: String,
    created_by: String,
}

/// Why stored bytes are not a slug's configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the slug's configuration is not an image configuration")]
    Syntax(#[source] serde_json::Error),
    #[error("the slug's configuration has format {found}, this version of Dozen reads format {FORMAT}")]
    Format { found: String },
    #[error("the slug's list of process types is malformed")]
    Processes(#[source] serde_json::Error),
    #[error("what the slug keeps of its app.json is malformed")]
    AppJson(#[source] serde_json::Error),
    #[error("the slug's configuration names a runtime that this version of Dozen does not know")]
    Runtime(#[source] InvalidRuntime),
    #[error("the slug's configuration has the digest {found} and is named {expected}")]
    Digest { expected: SlugId, found: Digest },
}

impl SlugConfig {
    /// The configuration of a slug whose `/app` layer, uncompressed, has this digest.
    pub fn new(meta: &SlugMeta, app_layer: Digest) -> Self {
        let processes = serde_json::to_string(&meta.processes).expect("a map of strings is JSON");
        let labels = [
            (LABEL_FORMAT, &FORMAT.to_owned()),
            (LABEL_PROCESSES, &processes),
            (LABEL_BUILDER, &meta.builder),
            (LABEL_STACK, &meta.stack),
        ];
        let runtime = meta.runtime.map(|runtime| runtime.to_string());
        let labels = labels.into_iter().map(|(name, value)| (name, value.as_str()));
        let labels = labels.chain(runtime.iter().map(|runtime| (LABEL_RUNTIME, runtime.as_str())));
        let app_json = render_app_json(&meta.app_json);
        let labels = labels.chain(app_json.iter().map(|text| (LABEL_APP_JSON, text.as_str())));
        let web = meta.processes.iter().find(|(process_type, _)| process_type.is_web());
        let execution = Execution {
            user: format!("{id}:{id}", id = crate::tree::PACKED_ID),
            cmd: web.map(|(_, command)| shell(command)).unwrap_or_default(),
            working_dir: "/app".to_owned(),
            env: meta.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        Self {
            created: CREATED.to_owned(),
            architecture: architecture().to_owned(),
            os: "linux".to_owned(),
            config: execution,
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![app_layer] },
            history: vec![History { created: CREATED.to_owned(), created_by: meta.builder.clone() }],
        }
    }

    /// The bytes that are stored and hashed.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and maps of strings are JSON")
    }

    pub fn id(&self) -> SlugId {
        Digest::of(&self.to_bytes()).into_slug_id()
    }

    /// Reads stored bytes that must be the slug `expected`.
    pub fn parse(bytes: &[u8], expected: &SlugId) -> Result<Self, ConfigError> {
        let found = Digest::of(bytes);
        if found.as_str() != expected.as_str() {
            return Err(ConfigError::Digest { expected: expected.clone(), found });
        }
        let config: Self = serde_json::from_slice(bytes).map_err(ConfigError::Syntax)?;
        match config.label(LABEL_FORMAT) {
            FORMAT => Ok(config),
            other => Err(ConfigError::Format { found: format!("{other:?}") }),
        }
    }

    pub fn meta(&self) -> Result<SlugMeta, ConfigError> {
        Ok(SlugMeta {
            processes: serde_json::from_str(self.label(LABEL_PROCESSES)).map_err(ConfigError::Processes)?,
            builder: self.label(LABEL_BUILDER).to_owned(),
            stack: self.label(LABEL_STACK).to_owned(),
            runtime: self.runtime()?,
            environment: self.environment(),
            app_json: self.app_json()?,
        })
    }

    fn runtime(&self) -> Result<Option<Runtime>, ConfigError> {
        match self.label(LABEL_RUNTIME) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(ConfigError::Runtime),
        }
    }

    fn app_json(&self) -> Result<AppJson, ConfigError> {
        match self.label(LABEL_APP_JSON) {
            "" => Ok(AppJson::default()),
            text => serde_json::from_str(text).map_err(ConfigError::AppJson),
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.config.env.iter().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Digests of the uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.rootfs.diff_ids
    }

    fn label(&self, name: &str) -> &str {
        self.config.labels.get(name).map_or("", String::as_str)
    }
}

/// Nothing for an app without: a slug's identity does not change by a feature that it does not use.
fn render_app_json(app_json: &AppJson) -> Option<String> {
    let text = || serde_json::to_string(app_json).expect("maps of strings and numbers are JSON");
    (!app_json.is_empty()).then(text)
}

fn shell(command: &str) -> Vec<String> {
    ["/bin/sh", "-c", command].map(str::to_owned).to_vec()
}

/// This machine's architecture in the words of the specification, which are Go's.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        std::env::consts::ARCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> SlugMeta {
        let processes = [("web", "./server"), ("worker", "./work \"a b\"")];
        SlugMeta {
            processes: processes
                .into_iter()
                .map(|(name, command)| (name.parse().expect("a process type"), command.to_owned()))
                .collect(),
            builder: "rust".to_owned(),
            stack: "host".to_owned(),
            runtime: None,
            environment: BTreeMap::new(),
            app_json: AppJson::default(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let config = SlugConfig::new(&meta(), Digest::of(b"layer"));
        let read = SlugConfig::parse(&config.to_bytes(), &config.id()).expect("parses");
        assert_eq!(read, config);
        assert_eq!(read.meta().expect("has one"), meta());
        assert_eq!(read.diff_ids(), [Digest::of(b"layer")]);
        let python = SlugMeta {
            runtime: "python-3.11".parse().ok(),
            app_json: AppJson::parse(br#"{"cron": [{"command": "x", "schedule": "@daily"}]}"#)
                .expect("parses"),
            environment: BTreeMap::from([("A".to_owned(), "b=c".to_owned())]),
            ..meta()
        };
        let config = SlugConfig::new(&python, Digest::of(b"layer"));
        assert_eq!(config.meta().expect("has one"), python);
        assert!(String::from_utf8(config.to_bytes()).expect("text").contains(r#""Env":["A=b=c"]"#));
    }

    /// The identity of slugs is a promise: a change here makes every slug a new one and every promotion between pipelines a build.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_bytes_are_those_of_format_1() {
        let bytes =
            String::from_utf8(SlugConfig::new(&meta(), Digest::of(b"layer")).to_bytes()).expect("text");
        assert_eq!(
            bytes,
            concat!(
                r#"{"created":"1980-01-01T00:00:01Z","architecture":"amd64","os":"linux","config":{"User":"1000:1000","#,
                r#""Cmd":["/bin/sh","-c","./server"],"WorkingDir":"/app","Labels":{"dozen.slug.builder":"rust","#,
                r#""dozen.slug.format":"1","dozen.slug.processes":"{\"web\":\"./server\",\"worker\":\"./work \\\"a b\\\"\"}","#,
                r#""dozen.slug.stack":"host"}},"rootfs":{"type":"layers","diff_ids":["sha256:"#,
                r#"dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85"]},"#,
                r#""history":[{"created":"1980-01-01T00:00:01Z","created_by":"rust"}]}"#
            )
        );
    }

    #[test]
    fn other_bytes_and_other_formats_are_refused() {
        let config = SlugConfig::new(&meta(), Digest::of(b"layer"));
        let mut bytes = config.to_bytes();
        bytes.push(b' ');
        assert!(matches!(SlugConfig::parse(&bytes, &config.id()), Err(ConfigError::Digest { .. })));
        let text = String::from_utf8(config.to_bytes()).expect("text");
        let newer = text.replace("\"dozen.slug.format\":\"1\"", "\"dozen.slug.format\":\"2\"").into_bytes();
        let id = Digest::of(&newer).into_slug_id();
        assert!(matches!(SlugConfig::parse(&newer, &id), Err(ConfigError::Format { .. })));
        let id = Digest::of(b"{}").into_slug_id();
        assert!(matches!(SlugConfig::parse(b"{}", &id), Err(ConfigError::Syntax(_))));
    }
}
