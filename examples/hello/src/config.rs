//! Everything that differs between deploys, from the environment and nowhere else.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub port: u16,
    pub greeting: String,
    pub backing_url: Option<String>,
    pub worker_pause: Duration,
    pub release_fails: bool,
    /// `web.1`: which process this is.
    pub process: String,
    /// `v12`: which release.
    pub release: String,
    /// The commit it was built from.
    pub commit: String,
}

impl Config {
    /// Reads all of it at once, so that a mistake shows at the start and not at the first request.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = |name: &str, default: &str| {
            lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let number = |name: &str, default: &str| {
            let value = text(name, default);
            value.parse::<u64>().map_err(|_| format!("{name} is not a number: {value:?}"))
        };
        Ok(Self {
            port: u16::try_from(number("PORT", "5000")?).map_err(|_| "PORT is above 65535".to_owned())?,
            greeting: text("GREETING", "Hello"),
            backing_url: lookup("BACKING_URL").filter(|url| !url.is_empty()),
            worker_pause: Duration::from_secs(number("WORKER_SECONDS", "10")?.max(1)),
            release_fails: lookup("RELEASE_FAIL").is_some_and(|value| !value.is_empty()),
            process: text("DYNO", "local"),
            release: text("HEROKU_RELEASE_VERSION", "unreleased"),
            commit: text("SOURCE_VERSION", "unknown"),
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A config as of an environment with only these variables.
    pub fn config(variables: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_and_values() {
        let defaults = config(&[]).expect("all have defaults");
        assert_eq!((defaults.port, defaults.greeting.as_str()), (5000, "Hello"));
        let set = config(&[("PORT", "8080"), ("GREETING", "Hej"), ("DYNO", "web.2")]).expect("good values");
        assert_eq!((set.port, set.greeting.as_str(), set.process.as_str()), (8080, "Hej", "web.2"));
    }

    #[test]
    fn a_mistake_names_its_variable() {
        for (name, value) in [("PORT", "x"), ("PORT", "70000"), ("WORKER_SECONDS", "-1")] {
            assert!(config(&[(name, value)]).expect_err("refused").contains(name), "{name}={value}");
        }
    }
}
