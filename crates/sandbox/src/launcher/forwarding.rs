//! The note that we turned the kernel's forwarding on: it was off before, and stays on. A launcher that is started anew finds it on
//! already, and knows by this note whose doing that is.

use crate::format::Format;
use crate::network::Forwarding;
use crate::run_folder::{self, RunFolderError};
use domain::time::BootId;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "forwarding.json";

#[derive(Serialize, Deserialize)]
struct Note {
    format: Format,
    /// A reboot turns forwarding off again.
    boot_id: BootId,
}

/// Takes note of what was done now; tells whether a launcher of this boot turned forwarding on.
pub fn note(run: &Path, boot_id: &BootId, done: Forwarding) -> Result<bool, RunFolderError> {
    match done {
        Forwarding::TurnedOn => {
            let note = Note { format: Format, boot_id: boot_id.clone() };
            run_folder::write_json(run, FILE, &note).map(|()| true)
        }
        Forwarding::AlreadyOn => {
            let found: Option<Note> = run_folder::read_json(&run.join(FILE))?;
            Ok(found.is_some_and(|note| note.boot_id == *boot_id))
        }
        Forwarding::NotNeeded => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_turned_it_on_is_known_until_the_next_boot() {
        let run = tempfile::tempdir().unwrap();
        let boot = |name: &str| BootId(name.to_owned());
        let note = |boot_id: &str, done| note(run.path(), &boot(boot_id), done).unwrap();
        assert!(!note("one", Forwarding::AlreadyOn), "somebody else");
        assert!(note("one", Forwarding::TurnedOn));
        assert!(note("one", Forwarding::AlreadyOn), "an earlier launcher");
        assert!(!note("two", Forwarding::AlreadyOn), "in an earlier boot");
        assert!(!note("one", Forwarding::NotNeeded));
    }
}
