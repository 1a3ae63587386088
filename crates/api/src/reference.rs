//! How one thing names another: in answers always the whole object, in requests whatever a client likes to send.

use domain::ids::{AccountId, AppId, BuildId, ReleaseId};
use domain::names::{AppName, ReleaseVersion};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use std::fmt;
use uuid::Uuid;

/// An app within another object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppReference {
    pub id: AppId,
    pub name: AppName,
}

/// An app of which only the id is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppIdReference {
    pub id: AppId,
}

/// A person or machine user within another object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserReference {
    pub id: AccountId,
    pub email: String,
}

/// A release within another object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleaseReference {
    pub id: ReleaseId,
    pub version: ReleaseVersion,
}

/// A release of which only the id is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleaseIdReference {
    pub id: ReleaseId,
}

/// A build within another object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildReference {
    pub id: BuildId,
}

/// A stack, region, team or size: an id and a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedReference {
    pub id: Uuid,
    pub name: String,
}

/// A thing of which only the id is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IdReference {
    pub id: Uuid,
}

/// How a request names a thing: `"hello"`, `{"id": "..."}`, `{"name": "hello"}`, `{"email": "..."}` or `{"version": 3}`. Which of
/// them fits is for the reader of the noun to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Identity(pub String);

/// The keys under which clients put an identity, in the order of trust.
const IDENTITY_KEYS: [&str; 4] = ["id", "name", "email", "version"];

impl Identity {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The release number that it may be: `3` and `v3` both are.
    pub fn as_release_version(&self) -> Option<ReleaseVersion> {
        let digits = self.0.strip_prefix('v').unwrap_or(&self.0);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().map(ReleaseVersion)).flatten()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        parse_identity(&value).map(Self).ok_or_else(|| {
            de::Error::custom("expected a name, an id, or an object with one of id, name, email, version")
        })
    }
}

fn parse_identity(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(fields) => {
            IDENTITY_KEYS.iter().filter_map(|key| fields.get(*key)).find_map(|inner| match inner {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            })
        }
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_an_identity() {
        for (json, expected) in [
            (r#""hello""#, "hello"),
            (r#"{"id":"x","name":"y"}"#, "x"),
            (r#"{"id":null,"name":"y"}"#, "y"),
            (r#"{"email":"a@b"}"#, "a@b"),
            ("7", "7"),
            (r#"{"version":7}"#, "7"),
        ] {
            assert_eq!(serde_json::from_str::<Identity>(json).expect(json).as_str(), expected);
        }
        for json in ["null", "true", "[]", "{}", r#"{"id":[]}"#] {
            assert!(serde_json::from_str::<Identity>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn release_versions_have_two_forms() {
        for (text, expected) in [
            ("v2", Some(2)),
            ("17", Some(17)),
            ("v", None),
            ("", None),
            ("vv2", None),
            ("-1", None),
            ("+1", None),
        ] {
            assert_eq!(
                Identity(text.to_owned()).as_release_version(),
                expected.map(ReleaseVersion),
                "{text}"
            );
        }
    }
}
