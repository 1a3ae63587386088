//! The config vars of an app: a map of names to secret values, and the patch that changes it.
//!
//! A patch is pure: an op reads the head release's vars inside its write transaction and applies the patch there. A patch that
//! changes nothing makes no release.

use crate::names::ConfigKey;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// All names and values of one app together, in bytes. Heroku's limit.
pub const CONFIG_LIMIT_BYTES: usize = 64 * 1024;

/// The config vars that a person has set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigVars(BTreeMap<ConfigKey, Secret<String>>);

/// What to change: a value sets, `None` removes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigPatch(BTreeMap<ConfigKey, Option<Secret<String>>>);

/// Config vars after a patch, and which names it touched for real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    pub vars: ConfigVars,
    pub change: ConfigChange,
}

/// The names that a patch changed. No values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigChange {
    pub set: Vec<ConfigKey>,
    pub removed: Vec<ConfigKey>,
}

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefused {
    #[error("config vars would take {bytes} bytes; the limit is {CONFIG_LIMIT_BYTES}")]
    TooLarge { bytes: usize },
    #[error("the value of {key} contains a NUL byte, which no environment variable can hold")]
    NulByte { key: ConfigKey },
}

impl ConfigVars {
    pub fn get(&self, key: &ConfigKey) -> Option<&Secret<String>> {
        self.0.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ConfigKey, &Secret<String>)> {
        self.0.iter()
    }

    pub fn names(&self) -> impl Iterator<Item = &ConfigKey> {
        self.0.keys()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Names and values together.
    pub fn size_bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.as_str().len() + value.expose().len()).sum()
    }

    /// These vars with `patch` applied.
    pub fn patched(&self, patch: &ConfigPatch) -> Result<Patched, ConfigRefused> {
        let mut vars = self.clone();
        let mut change = ConfigChange::default();
        for (key, value) in &patch.0 {
            vars.apply(key, value.as_ref(), &mut change)?;
        }
        let bytes = vars.size_bytes();
        if bytes > CONFIG_LIMIT_BYTES && !change.set.is_empty() {
            return Err(ConfigRefused::TooLarge { bytes });
        }
        Ok(Patched { vars, change })
    }

    fn apply(
        &mut self,
        key: &ConfigKey,
        value: Option<&Secret<String>>,
        change: &mut ConfigChange,
    ) -> Result<(), ConfigRefused> {
        match value {
            None => {
                if self.0.remove(key).is_some() {
                    change.removed.push(key.clone());
                }
            }
            Some(value) if value.expose().contains('\0') => {
                return Err(ConfigRefused::NulByte { key: key.clone() });
            }
            Some(value) => {
                if self.0.insert(key.clone(), value.clone()).as_ref() != Some(value) {
                    change.set.push(key.clone());
                }
            }
        }
        Ok(())
    }
}

impl FromIterator<(ConfigKey, Secret<String>)> for ConfigVars {
    fn from_iter<I: IntoIterator<Item = (ConfigKey, Secret<String>)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl ConfigPatch {
    /// The patch's names.
    pub fn names(&self) -> impl Iterator<Item = &ConfigKey> {
        self.0.keys()
    }
}

impl FromIterator<(ConfigKey, Option<Secret<String>>)> for ConfigPatch {
    fn from_iter<I: IntoIterator<Item = (ConfigKey, Option<Secret<String>>)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl ConfigChange {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

impl fmt::Display for ConfigChange {
    /// As Heroku describes such a release: `Set A, B config vars`, `Remove C config vars`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.set.is_empty(), self.removed.is_empty()) {
            (_, true) => write!(f, "Set {} config vars", joined(&self.set)),
            (true, false) => write!(f, "Remove {} config vars", joined(&self.removed)),
            (false, false) => {
                write!(f, "Set {} and remove {} config vars", joined(&self.set), joined(&self.removed))
            }
        }
    }
}

fn joined(keys: &[ConfigKey]) -> String {
    keys.iter().map(ConfigKey::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(name: &str) -> ConfigKey {
        name.parse().unwrap()
    }

    fn vars(pairs: &[(&str, &str)]) -> ConfigVars {
        pairs.iter().map(|(name, value)| (key(name), Secret::from(*value))).collect()
    }

    fn patch(pairs: &[(&str, Option<&str>)]) -> ConfigPatch {
        pairs.iter().map(|(name, value)| (key(name), value.map(Secret::from))).collect()
    }

    #[test]
    fn patches_and_their_descriptions() {
        const BEFORE: &[(&str, &str)] = &[("A", "1"), ("B", "2")];
        type Changes = &'static [(&'static str, Option<&'static str>)];
        type Case = (Changes, &'static [(&'static str, &'static str)], Option<&'static str>);
        let table: [Case; 6] = [
            (&[("C", Some("3"))], &[("A", "1"), ("B", "2"), ("C", "3")], Some("Set C config vars")),
            (
                &[("A", Some("9")), ("C", Some(""))],
                &[("A", "9"), ("B", "2"), ("C", "")],
                Some("Set A, C config vars"),
            ),
            (&[("A", None)], &[("B", "2")], Some("Remove A config vars")),
            (&[("A", None), ("B", Some("x"))], &[("B", "x")], Some("Set B and remove A config vars")),
            (&[("A", Some("1"))], BEFORE, None),
            (&[("Z", None)], BEFORE, None),
        ];
        for (changes, after, description) in table {
            let patched = vars(BEFORE).patched(&patch(changes)).unwrap();
            assert_eq!(patched.vars, vars(after), "{changes:?}");
            let told = (!patched.change.is_empty()).then(|| patched.change.to_string());
            assert_eq!(told.as_deref(), description, "{changes:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let full = "x".repeat(CONFIG_LIMIT_BYTES - 1);
        let at_limit = ConfigVars::default().patched(&patch(&[("A", Some(&full))])).unwrap().vars;
        assert_eq!(at_limit.size_bytes(), CONFIG_LIMIT_BYTES);
        let over = at_limit.patched(&patch(&[("B", Some(""))]));
        assert_eq!(over, Err(ConfigRefused::TooLarge { bytes: CONFIG_LIMIT_BYTES + 1 }));
        assert!(at_limit.patched(&patch(&[("A", None)])).is_ok());
        let nul = ConfigVars::default().patched(&patch(&[("A", Some("a\0b"))]));
        assert_eq!(nul, Err(ConfigRefused::NulByte { key: key("A") }));
    }

    proptest! {
        #[test]
        fn applying_a_patch_twice_changes_nothing_more(
            start in proptest::collection::btree_map("[A-E]", "[a-c]{0,2}", 0..5),
            change in proptest::collection::btree_map("[A-E]", proptest::option::of("[a-c]{0,2}"), 0..5),
        ) {
            let start: ConfigVars = start.iter().map(|(k, v)| (key(k), Secret::from(v.as_str()))).collect();
            let change: ConfigPatch =
                change.iter().map(|(k, v)| (key(k), v.as_deref().map(Secret::from))).collect();
            let once = start.patched(&change).unwrap();
            prop_assert_eq!(once.change.is_empty(), once.vars == start);
            let twice = once.vars.patched(&change).unwrap();
            prop_assert!(twice.change.is_empty());
            prop_assert_eq!(twice.vars, once.vars);
        }
    }
}
