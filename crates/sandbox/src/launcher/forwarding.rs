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

/// Takes note of what was done now; tells whether a launcher of this boot turned forwarding on. It only makes one sentence of
/// `dozen doctor` better: a note that cannot be written or read is told, and keeps nothing from starting.
pub fn note(run: &Path, boot_id: &BootId, done: Forwarding) -> bool {
    match done {
        Forwarding::TurnedOn => {
            let note = Note { format: Format, boot_id: boot_id.clone() };
            told(run_folder::write_json(run, FILE, &note));
            true
        }
        Forwarding::AlreadyOn => {
            let found: Option<Note> = told(run_folder::read_json(&run.join(FILE))).flatten();
            found.is_some_and(|note| note.boot_id == *boot_id)
        }
        Forwarding::NotNeeded => false,
    }
}

fn told<T>(result: Result<T, RunFolderError>) -> Option<T> {
    result.inspect_err(|error| super::say(&domain::cause::chain(error))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_the_first_format() {
        let golden = include_str!("../../fixtures/forwarding-1.json");
        let note: Note = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_string(&note).unwrap(), golden.trim());
    }

    #[test]
    fn who_turned_it_on_is_known_until_the_next_boot() {
        let run = tempfile::tempdir().unwrap();
        let boot = |name: &str| BootId(name.to_owned());
        let note = |boot_id: &str, done| note(run.path(), &boot(boot_id), done);
        assert!(!note("one", Forwarding::AlreadyOn), "somebody else");
        assert!(note("one", Forwarding::TurnedOn));
        assert!(note("one", Forwarding::AlreadyOn), "an earlier launcher");
        assert!(!note("two", Forwarding::AlreadyOn), "in an earlier boot");
        assert!(!note("one", Forwarding::NotNeeded));
    }

    /// A power cut empties files.
    #[test]
    fn a_note_that_cannot_be_used_is_none() {
        let run = tempfile::tempdir().unwrap();
        let boot = BootId("one".to_owned());
        std::fs::write(run.path().join(FILE), "").unwrap();
        assert!(!note(run.path(), &boot, Forwarding::AlreadyOn));
        assert!(note(run.path(), &boot, Forwarding::TurnedOn));
        assert!(note(run.path(), &boot, Forwarding::AlreadyOn), "written anew");
        assert!(note(&run.path().join("absent"), &boot, Forwarding::TurnedOn), "done all the same");
    }
}
