//! The seam: everything that the vectors know of the platform that they are run against.

use anyhow::{Context, Result, ensure};
use api::Token;
use api::client::{Client, Target, Trust};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where the API answers.
pub const URL: &str = "CONTRACT_URL";
/// A token for it.
pub const TOKEN: &str = "CONTRACT_TOKEN";
/// The certificates to trust; the system's if it is not set.
pub const CA_FILE: &str = "CONTRACT_CA_FILE";
/// Address and port at which apps answer, where their names do not lead there.
pub const ROUTER: &str = "CONTRACT_ROUTER";
/// The program that vectors deploy; `contract-app` beside this one if it is not set.
pub const APP: &str = "CONTRACT_APP";
/// What a web process has to begin accepting, as the operator has set it.
pub const BOOT_TIMEOUT: &str = "CONTRACT_BOOT_TIMEOUT_SECONDS";
/// More crashes than this roll a release back, if the operator has set that.
pub const ROLLBACK_CRASHES: &str = "CONTRACT_ROLLBACK_CRASHES";
/// Something beyond the platform that accepts connections: address and port.
pub const OUTBOUND: &str = "CONTRACT_OUTBOUND";
/// How many times longer than on an ordinary machine everything may take; 1 if it is not set.
pub const PATIENCE: &str = "CONTRACT_PATIENCE";
/// How many scenes are played at once; all if it is not set.
pub const AT_ONCE: &str = "CONTRACT_AT_ONCE";
/// What this platform cannot do, separated by commas: see [`Lack`].
pub const LACKS: &str = "CONTRACT_LACKS";

const POLL: Duration = Duration::from_millis(200);
const DEFAULT_BOOT_TIMEOUT: u64 = 60;

/// A platform under test.
#[derive(Debug)]
pub struct Platform {
    pub client: Client,
    pub router: Option<SocketAddr>,
    pub program: PathBuf,
    pub boot_timeout_seconds: u64,
    pub rollback_crashes: Option<u32>,
    pub outbound: Option<SocketAddr>,
    pub patience: u32,
    pub at_once: usize,
    pub lacks: Vec<Lack>,
}

/// What some machines cannot do. Vectors about it are told as not applicable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Limits and measures of memory, and of the number of processes.
    Limits,
    /// A user of its own for each app.
    OwnUser,
    /// A network of its own for each app.
    OwnNetwork,
}

impl Lack {
    pub const ALL: [Self; 3] = [Self::Limits, Self::OwnUser, Self::OwnNetwork];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::OwnUser => "own-user",
            Self::OwnNetwork => "own-network",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|lack| lack.word() == word);
        found.with_context(|| {
            format!("{LACKS} names \"{word}\", which is none of limits, own-user, own-network")
        })
    }
}

impl Platform {
    /// # Errors
    /// A variable is absent or cannot be used.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let needed = |name: &str| lookup(name).with_context(|| format!("the variable {name} is not set"));
        let trust = match lookup(CA_FILE) {
            Some(path) => Trust::from_file(path.as_ref())?,
            None => Trust::System,
        };
        let url = needed(URL)?.parse().with_context(|| format!("{URL} cannot be used"))?;
        let target = Target { url, token: Some(Token::new(needed(TOKEN)?)), trust };
        let lacks = lookup(LACKS).unwrap_or_default();
        Ok(Self {
            client: Client::new(target, "contract")?,
            router: optional(ROUTER, lookup(ROUTER))?,
            program: lookup(APP).map_or_else(beside_this_program, |path| Ok(path.into()))?,
            boot_timeout_seconds: optional(BOOT_TIMEOUT, lookup(BOOT_TIMEOUT))?
                .unwrap_or(DEFAULT_BOOT_TIMEOUT),
            rollback_crashes: optional(ROLLBACK_CRASHES, lookup(ROLLBACK_CRASHES))?,
            outbound: optional(OUTBOUND, lookup(OUTBOUND))?,
            patience: optional(PATIENCE, lookup(PATIENCE))?.unwrap_or(1),
            at_once: optional(AT_ONCE, lookup(AT_ONCE))?.unwrap_or(usize::MAX),
            lacks: lacks
                .split(',')
                .filter(|word| !word.is_empty())
                .map(Lack::parse)
                .collect::<Result<_>>()?,
        })
    }

    /// Asks until there is an answer, on a slow platform for longer and not so often.
    pub fn until<T>(
        &self,
        what: &str,
        seconds: u64,
        mut ask: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + Duration::from_secs(seconds) * self.patience;
        loop {
            if let Some(found) = ask()? {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "{what}: not within {seconds} s");
            std::thread::sleep(POLL * self.patience);
        }
    }

    pub fn lacks(&self, what: Lack) -> bool {
        self.lacks.contains(&what)
    }
}

fn optional<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    value.map(|value| value.parse().with_context(|| format!("{name}=\"{value}\" cannot be used"))).transpose()
}

fn beside_this_program() -> Result<PathBuf> {
    Ok(std::env::current_exe().context("cannot find this program")?.with_file_name("contract-app"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(variables: &[(&str, &str)]) -> Result<Platform> {
        let given = [(URL, "https://localhost:1"), (TOKEN, "t")];
        let all = given.iter().chain(variables).copied().collect::<Vec<_>>();
        Platform::from_environment(&|name| {
            all.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let platform = platform(&[(LACKS, "limits,own-user")]).expect("all that is needed is there");
        assert_eq!((platform.boot_timeout_seconds, platform.rollback_crashes), (60, None));
        assert!(platform.program.ends_with("contract-app"));
        assert!(platform.lacks(Lack::Limits) && !platform.lacks(Lack::OwnNetwork));
    }

    #[test]
    fn a_bad_value_is_told_with_its_variable() {
        for (name, value) in [(ROUTER, "here"), (LACKS, "time"), (URL, "ftp://x"), (BOOT_TIMEOUT, "soon")] {
            let told = format!("{:#}", platform(&[(name, value)]).expect_err("it is wrong"));
            assert!(told.contains(name), "{told}");
        }
    }
}
