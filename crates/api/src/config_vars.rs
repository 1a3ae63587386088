//! `/apps/:app/config-vars` and `/apps/:app/releases/:release/config-vars`: an app's own settings. Values are secrets: `Debug`
//! shows names only.

use domain::names::ConfigKey;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// All config vars: a flat object of texts.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ConfigVars(pub BTreeMap<ConfigKey, String>);

/// The body of `PATCH /apps/:app/config-vars`: a text sets, null unsets, what is absent stays.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ConfigPatch(pub BTreeMap<ConfigKey, Option<String>>);

impl<'de> Deserialize<'de> for ConfigPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<ConfigKey, Value>::deserialize(deserializer)?;
        given
            .into_iter()
            .map(|(key, value)| Ok((key.clone(), parse_value(&key, value)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Numbers and flags are taken as their text, since that is what they become in the environment anyway.
fn parse_value<E: de::Error>(key: &ConfigKey, value: Value) -> Result<Option<String>, E> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Array(_) | Value::Object(_) => {
            Err(E::custom(format!("the value of {key} must be a text or null")))
        }
    }
}

impl fmt::Debug for ConfigVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for ConfigPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_sets_and_unsets() {
        let patch: ConfigPatch = serde_json::from_str(r#"{"A":"1","B":null,"C":2,"D":true}"#).expect("valid");
        let plain: Vec<_> = patch.0.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        assert_eq!(plain, [("A", Some("1")), ("B", None), ("C", Some("2")), ("D", Some("true"))]);
    }

    #[test]
    fn a_patch_refuses_bad_names_and_nested_values() {
        for json in [r#"{"A-B":"1"}"#, r#"{"":"1"}"#, r#"{"A":{}}"#, r#"{"A":[]}"#, "[]"] {
            assert!(serde_json::from_str::<ConfigPatch>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn debug_hides_values() {
        let vars: ConfigVars = serde_json::from_str(r#"{"KEY":"hush"}"#).expect("valid");
        assert_eq!(format!("{vars:?}"), r#"{"KEY"}"#);
    }
}
