//! What root does for the router before each of its starts: the folders of its journals, which it may not make itself, and a file that
//! tells it their names.

use super::UnitError;
use crate::daemons::launcher::router_threads;
use crate::daemons::settings::Settings;
use sandbox::launcher::{UserIds, WRITERS_VARIABLE, make_journal_folders};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An environment file of the router's unit, which [`prepare`] is executed with as well, by root: it lies where only root can make a
/// file, so that nobody else's is ever read.
pub fn environment_file(data: &Path) -> PathBuf {
    data.join("router.env")
}

/// To be executed by root, right before the router.
pub fn prepare(settings: &Settings) -> Result<(), UnitError> {
    let (router, server) = (UserIds::same(settings.router_uid), UserIds::same(settings.uid));
    let count = u32::try_from(router_threads(settings).get()).unwrap_or(1);
    let writers = make_journal_folders(&settings.data, router, server, count).map_err(UnitError::Journals)?;
    let path = environment_file(settings.data.root());
    replace(&path, &format!("{WRITERS_VARIABLE}={}\n", writers.join(",")))
        .map_err(|source| UnitError::Write { path, source })
}

/// A new file under the name: whatever lay there, a link perhaps, is not written to.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let new = path.with_extension("env.new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&new, path)
}
