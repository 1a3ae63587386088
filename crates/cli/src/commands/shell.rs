//! `completions` and `version`.

use crate::failure::Failure;
use crate::session::{Session, user_agent};
use clap::Args;
use clap_complete::Shell;

/// `dozen completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::definition(), "dozen", &mut script);
        session.output.print(&String::from_utf8_lossy(&script))
    }
}

/// `dozen version`.
#[derive(Debug, Args)]
pub struct Version {}

#[derive(serde::Serialize)]
struct Versions {
    version: &'static str,
    os: &'static str,
    architecture: &'static str,
}

impl Version {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let versions = Versions {
            version: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
        };
        session.output.data(&versions, |_| format!("{}\n", user_agent()))
    }
}
