//! What an app's code needs below it to run: a language and the series of its interpreter. Packages that were installed for one
//! series do not run on another; within a series any release will do.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A language whose interpreter is bound into a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Python,
    Node,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Python, Self::Node];

    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// As told to people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node.js",
        }
    }

    /// How many numbers of a version tell the series: 3.11 for Python, 20 for Node.
    const fn numbers(self) -> usize {
        match self {
            Self::Python => 2,
            Self::Node => 1,
        }
    }
}

/// A language's series: `python-3.11`, `node-20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Runtime {
    language: Language,
    major: u16,
    /// 0 where the series has one number.
    minor: u16,
}

/// Why a text names no runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no runtime: expected one such as python-3.11 or node-20")]
pub struct InvalidRuntime(String);

impl Runtime {
    /// The series that a full version such as `3.11.7` or `v20.1.0` belongs to.
    pub fn of_version(language: Language, version: &str) -> Option<Self> {
        let mut numbers = version.trim().trim_start_matches('v').split('.').map(|part| part.parse().ok());
        let major = numbers.next()??;
        let minor = if language.numbers() == 2 { numbers.next()?? } else { 0 };
        Some(Self { language, major, minor })
    }

    pub const fn language(self) -> Language {
        self.language
    }

    /// `3.11`, `20`.
    pub fn series(self) -> String {
        match self.language.numbers() {
            2 => format!("{}.{}", self.major, self.minor),
            _ => self.major.to_string(),
        }
    }

    /// `Python 3.11`, as told to people.
    pub fn title(self) -> String {
        format!("{} {}", self.language.title(), self.series())
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.language.as_word(), self.series())
    }
}

impl FromStr for Runtime {
    type Err = InvalidRuntime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (word, series) = text.split_once('-')?;
            let language = Language::ALL.into_iter().find(|language| language.as_word() == word)?;
            Self::of_version(language, series).filter(|runtime| runtime.to_string() == text)
        };
        parse().ok_or_else(|| InvalidRuntime(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Runtime {
    type Error = InvalidRuntime;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Runtime> for String {
    fn from(runtime: Runtime) -> Self {
        runtime.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_belong_to_series() {
        for (language, version, expected) in [
            (Language::Python, "3.11.7", Some("python-3.11")),
            (Language::Python, "3.13.0rc1", Some("python-3.13")),
            (Language::Python, "3", None),
            (Language::Node, "v20.20.2", Some("node-20")),
            (Language::Node, "22", Some("node-22")),
            (Language::Node, "lts", None),
        ] {
            let series = Runtime::of_version(language, version).map(|runtime| runtime.to_string());
            assert_eq!(series.as_deref(), expected, "{version}");
        }
    }

    #[test]
    fn a_runtime_survives_its_text_and_nothing_else_is_one() {
        for text in ["python-3.11", "node-20"] {
            assert_eq!(text.parse::<Runtime>().map(|runtime| runtime.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["", "python", "python-3", "node-20.1", "ruby-3.3", "python-3.11.7", "node-+20", "python-03.1"]
        {
            assert!(text.parse::<Runtime>().is_err(), "{text}");
        }
    }
}
