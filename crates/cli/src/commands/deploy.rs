//! `deploy`: packs a folder, uploads it, and follows build and release to their end.

mod follow;
mod stage;
mod upload;

use crate::exit::Code;
use crate::failure::Failure;
use crate::pack::{self, Listed, PackError};
use crate::session::{AppClient, AppFlags, Session};
use api::build::{Build, BuildStatus, CreateBuild, CreateSourceBlob};
use api::client::Client;
use api::dozen::release::{Progress, ReleaseReport};
use clap::Args;
pub use follow::build as follow_build;
use serde::Serialize;
use stage::{Stage, Watch};
use std::path::PathBuf;
use std::process::ExitCode;

/// `dozen deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// The folder to deploy: what git would commit of it, or all of it outside a repository
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// What to call this deploy. Default: the commit, if the folder holds one unchanged
    #[arg(long, value_name = "TEXT")]
    version: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Deployed {
    app: String,
    build: Build,
    release: Option<ReleaseReport>,
    url: Option<String>,
}

impl Deploy {
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        let at = session.app_client(&self.flags)?;
        let watch = Watch::start(&at.app)?;
        let listed = pack::list_files(&self.folder)?;
        for path in &listed.left_out {
            session.output.warn(&format!("{} is left out: it is no file of this folder", path.display()));
        }
        let version = self.version.clone().or_else(|| listed.commit.clone());
        let address = self.upload(session, &at, &listed)?;
        watch.enter(Stage::Asking);
        let build = create_build(&at, address, version)?;
        watch.enter(Stage::Building { build: build.id.to_string() });
        let build = follow::build(&at, build)?;
        let release = match (&build.status, &build.release) {
            (BuildStatus::Succeeded, Some(release)) => {
                watch.enter(Stage::Releasing);
                Some(follow::release(session, &at, &release.id.to_string())?)
            }
            (BuildStatus::Succeeded | BuildStatus::Failed | BuildStatus::Pending, _) => None,
        };
        let url = release.as_ref().and_then(|_| at.client.app(&at.app).ok()?.web_url);
        watch.end();
        tell(session, Deployed { app: at.app, build, release, url })
    }

    fn upload(&self, session: &Session, at: &AppClient, listed: &Listed) -> Result<String, Failure> {
        let progress = session.output.begin(&format!("Packing {}", self.folder.display()));
        let packed = pack::pack(&self.folder, &listed.files)?;
        progress.done(&format!("{} files, {}", packed.files, upload::render_bytes(packed.bytes)));
        let source = at.ask(Client::create_source)?.source_blob;
        upload::send(session, &at.client, &source.put_url, packed)?;
        Ok(source.get_url)
    }
}

/// Without an answer nobody knows whether there is a build.
pub fn create_build(at: &AppClient, url: String, version: Option<String>) -> Result<Build, Failure> {
    let source_blob = CreateSourceBlob { checksum: None, url, version };
    let request = CreateBuild { buildpacks: None, source_blob };
    at.client.create_build(&at.app, &request).map_err(|error| match error.api() {
        Some(_) => at.failure(error),
        None => at.failure(error).hint(stage::render_asked(&at.app)),
    })
}

/// The result, and what a script goes by: whether it serves.
fn tell(session: &Session, deployed: Deployed) -> Result<ExitCode, Failure> {
    let served = matches!(&deployed.release, Some(release) if release.progress == Progress::Succeeded);
    session.output.data(&deployed, |_| render(&deployed))?;
    if served {
        return Ok(Code::Done.into());
    }
    let failure = match deployed.release.map(|release| release.progress) {
        Some(Progress::Failed { reason }) => Failure::new(format!("the release failed: {reason}"))
            .hint("The release before it goes on serving."),
        Some(_) => Failure::new("a newer release took its place before it served"),
        None => Failure::new(format!("the build failed; nothing of {} has changed", deployed.app)),
    };
    Err(failure)
}

fn render(deployed: &Deployed) -> String {
    match (&deployed.release, &deployed.url) {
        (Some(release), Some(url)) if release.progress == Progress::Succeeded => {
            format!("{} {} {url}\n", deployed.app, release.version)
        }
        (_, _) => String::new(),
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        let failure = Self::of(&error);
        match error {
            PackError::Empty { .. } => failure.hint("Files that .gitignore names are not deployed."),
            PackError::Changed { .. } => failure.hint("Run it again when nothing writes into the folder."),
            PackError::Sparse { .. } => failure.hint("Get the rest: `git sparse-checkout disable`."),
            PackError::NotAFolder { .. }
            | PackError::Read { .. }
            | PackError::Write { .. }
            | PackError::Git { .. } => failure,
        }
    }
}
