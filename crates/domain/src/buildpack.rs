//! What people call a builder: `heroku/python`, `dozen/rust`, or the address of a buildpack. Which of them is one of ours is
//! decided here; that nobody else's is run is the builder's affair.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest name or address.
const LIMIT_BYTES: usize = 2048;
/// Buildpacks of one app at most.
pub const BUILDPACK_LIMIT: usize = 20;

/// A builder's name or a buildpack's address, as somebody gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Buildpack(String);

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{given}\" is not a buildpack: expected a name such as heroku/python or dozen/rust, or an https address"
)]
pub struct InvalidBuildpack {
    given: String,
}

/// The builders by the names that others know them by. The first of each is ours.
const BUILDERS: &[(&str, &[&str])] = &[
    ("node", &["nodejs", "node"]),
    ("procfile", &["procfile", "inline"]),
    ("python", &["python"]),
    ("rust", &["rust"]),
    ("static", &["static"]),
];

/// Owners under which a builder's name means ours.
const OWNERS: [&str; 2] = ["dozen", "heroku"];

impl Buildpack {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `OWNER/NAME`, however it was written: `urn:buildpack:heroku/python`, the address of Heroku's repository or archive.
    pub fn short_name(&self) -> &str {
        let text = self.0.strip_prefix("urn:buildpack:").unwrap_or(&self.0);
        let text = text.strip_prefix("https://github.com/").unwrap_or(text);
        let text =
            text.strip_prefix("https://buildpack-registry.s3.amazonaws.com/buildpacks/").unwrap_or(text);
        let text = text.split(['#', '?']).next().unwrap_or(text);
        text.trim_end_matches('/').trim_end_matches(".git").trim_end_matches(".tgz")
    }

    /// Our builder of this name, such as `python`; `None`: not one of ours.
    pub fn builder(&self) -> Option<&'static str> {
        let (owner, name) = match self.short_name().split_once('/') {
            Some((owner, name)) => (owner, name),
            None => (OWNERS[0], self.short_name()),
        };
        let name = name.strip_prefix("heroku-buildpack-").unwrap_or(name);
        let named = |(_, names): &&(&str, &[&str])| names.contains(&name);
        OWNERS.contains(&owner).then(|| BUILDERS.iter().find(named).map(|(builder, _)| *builder)).flatten()
    }
}

/// The names to offer to somebody who gave another.
pub fn known_buildpacks() -> String {
    let names: Vec<_> = BUILDERS.iter().map(|(_, names)| format!("dozen/{}", names[0])).collect();
    names.join(", ")
}

impl FromStr for Buildpack {
    type Err = InvalidBuildpack;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let printable = !s.is_empty() && s.len() <= LIMIT_BYTES && s.bytes().all(|b| b.is_ascii_graphic());
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
        let name = s.strip_prefix("urn:buildpack:").unwrap_or(s);
        let formed = s.starts_with("https://") || name.bytes().all(plain);
        if printable && formed {
            return Ok(Self(s.to_owned()));
        }
        Err(InvalidBuildpack { given: s.chars().take(80).collect() })
    }
}

impl TryFrom<String> for Buildpack {
    type Error = InvalidBuildpack;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Buildpack> for String {
    fn from(buildpack: Buildpack) -> Self {
        buildpack.0
    }
}

impl fmt::Display for Buildpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ours_by_every_name() {
        for (text, builder) in [
            ("heroku/python", Some("python")),
            ("dozen/rust", Some("rust")),
            ("python", Some("python")),
            ("urn:buildpack:heroku/nodejs", Some("node")),
            ("https://github.com/heroku/heroku-buildpack-python", Some("python")),
            ("https://github.com/heroku/heroku-buildpack-nodejs.git#v1", Some("node")),
            ("https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz", Some("python")),
            ("heroku/ruby", None),
            ("emk/rust", None),
            ("https://example.com/heroku/python", None),
        ] {
            let buildpack: Buildpack = text.parse().unwrap();
            assert_eq!(buildpack.builder(), builder, "{text}");
        }
        for bad in ["", "a b", "git@github.com:x/y", "http://x/y", "é", "x;y"] {
            assert!(bad.parse::<Buildpack>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            if let Ok(buildpack) = text.parse::<Buildpack>() {
                let _ = (buildpack.short_name(), buildpack.builder());
                prop_assert_eq!(buildpack.as_str(), text);
            }
        }
    }
}
