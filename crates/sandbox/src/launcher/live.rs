//! Which shims live, by what they hold: the launcher refuses a second process for the same slot or job even if the server should
//! ask for one. Read from the run folders at the start; afterwards the launcher itself is the only one who adds. Whether an
//! entry still lives is asked of its lock every time.

use crate::layout::DataFolder;
use crate::run_folder::{self, LOCK_FILE};
use crate::spec::{Kind, ProcessSpec};
use domain::ids::{AppId, BuildId, JobId, ProcessId, ReleaseId};
use domain::process::Purpose;
use std::collections::BTreeMap;

/// What at most one living process may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot {
        app: AppId,
        release: ReleaseId,
        process_type: String,
        index: u32,
    },
    Job(JobId),
    /// Steps of one build may overlap.
    BuildStep(BuildId),
}

#[derive(Debug)]
struct Entry {
    app: AppId,
    place: Place,
}

/// Every process that was alive when last looked at.
#[derive(Debug)]
pub struct LiveShims {
    data: DataFolder,
    entries: BTreeMap<ProcessId, Entry>,
}

impl LiveShims {
    pub const fn new(data: DataFolder) -> Self {
        Self { data, entries: BTreeMap::new() }
    }

    pub fn add(&mut self, spec: &ProcessSpec) {
        self.entries.insert(spec.process, Entry { app: spec.app, place: place(spec) });
    }

    /// Its run folder is gone.
    pub fn forget(&mut self, process: ProcessId) {
        self.entries.remove(&process);
    }

    /// The living process that is already what `spec` would be.
    pub fn rival(&mut self, spec: &ProcessSpec) -> Option<ProcessId> {
        let wanted = place(spec);
        match wanted {
            Place::BuildStep(_) => None,
            Place::Slot { .. } | Place::Job(_) => self.find(|entry| entry.place == wanted),
        }
    }

    pub fn step_of_build(&mut self, build: BuildId) -> Option<ProcessId> {
        self.find(|entry| entry.place == Place::BuildStep(build))
    }

    /// A step of any build of the app.
    pub fn step_of_app(&mut self, app: AppId) -> Option<ProcessId> {
        self.find(|entry| entry.app == app && matches!(entry.place, Place::BuildStep(_)))
    }

    pub fn process_of_app(&mut self, app: AppId) -> Option<ProcessId> {
        self.find(|entry| entry.app == app)
    }

    /// Whether its lock is held. An unreadable lock counts as held: the answer guards against doubles.
    pub fn is_alive(&self, process: ProcessId) -> bool {
        run_folder::is_lock_held(&self.data.process(process).join(LOCK_FILE)).unwrap_or(true)
    }

    pub fn count(&mut self) -> u32 {
        self.forget_ended(|_| true);
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    fn find(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<ProcessId> {
        self.forget_ended(&wanted);
        self.entries.iter().find(|(_, entry)| wanted(entry)).map(|(process, _)| *process)
    }

    /// Looks only at the entries that matter: each look is two system calls.
    fn forget_ended(&mut self, matters: impl Fn(&Entry) -> bool) {
        let looked_at = self.entries.iter().filter(|(_, entry)| matters(entry)).map(|(process, _)| *process);
        let ended: Vec<_> = looked_at.filter(|process| !self.is_alive(*process)).collect();
        for process in ended {
            self.entries.remove(&process);
        }
    }
}

fn place(spec: &ProcessSpec) -> Place {
    match &spec.kind {
        Kind::Build { build } => Place::BuildStep(*build),
        Kind::Process { purpose: Purpose::Job { job, .. }, .. } => Place::Job(*job),
        Kind::Process { purpose: Purpose::Slot { release, process_type, index }, .. } => Place::Slot {
            app: spec.app,
            release: *release,
            process_type: process_type.to_string(),
            index: *index,
        },
    }
}
