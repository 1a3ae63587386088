//! `/apps/:app/buildpack-installations`: which builders build an app, in order; none: the one that fits the source.

use crate::build::Buildpack;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

/// The item of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildpackInstallation {
    /// From 0.
    pub ordinal: u64,
    pub buildpack: Buildpack,
}

/// The body of `PUT`: replaces the whole list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateBuildpacks {
    pub updates: Vec<BuildpackUpdate>,
}

/// One builder, by name or address. Also read: `{"buildpack": {"url": ...}}` and `{"buildpack": {"name": ...}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildpackUpdate {
    pub buildpack: String,
}

impl<'de> Deserialize<'de> for BuildpackUpdate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let update = Value::deserialize(deserializer)?;
        let given = &update["buildpack"];
        let text = given.as_str().or_else(|| given["url"].as_str()).or_else(|| given["name"].as_str());
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        text.map(|text| Self { buildpack: text.to_owned() })
            .ok_or_else(|| de::Error::custom("each update needs a buildpack: its name or its address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_in_every_form() {
        for (json, expected) in [
            (r#"{"buildpack":"heroku/python"}"#, Some("heroku/python")),
            (r#"{"buildpack":{"url":"https://x/y"}}"#, Some("https://x/y")),
            (r#"{"buildpack":{"name":"dozen/rust"}}"#, Some("dozen/rust")),
            ("{}", None),
            (r#"{"buildpack":""}"#, None),
            (r#"{"buildpack":null}"#, None),
            ("[]", None),
        ] {
            let read = serde_json::from_str::<BuildpackUpdate>(json).ok();
            assert_eq!(read.as_ref().map(|update| update.buildpack.as_str()), expected, "{json}");
        }
    }
}
