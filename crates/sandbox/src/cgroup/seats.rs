//! The folders that a group consists of: one for each thing that limits, kills or counts. Several may be the same folder.

use super::Controller;
use std::path::{Path, PathBuf};

/// A folder and the rules by which its files are read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seat {
    V1(PathBuf),
    V2(PathBuf),
}

impl Seat {
    pub fn folder(&self) -> &Path {
        match self {
            Self::V1(folder) | Self::V2(folder) => folder,
        }
    }

    fn join(&self, name: &str) -> Self {
        match self {
            Self::V1(folder) => Self::V1(folder.join(name)),
            Self::V2(folder) => Self::V2(folder.join(name)),
        }
    }
}

/// Where each thing is, for all groups together or for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seats {
    pub memory: Option<Seat>,
    pub cpu: Option<Seat>,
    pub pids: Option<Seat>,
    /// The v2 tree: kills, freezes, counts CPU time.
    pub unified: Option<PathBuf>,
    /// v1 freezer and CPU accounting, only where there is no v2 tree.
    pub freezer: Option<PathBuf>,
    pub accounting: Option<PathBuf>,
}

impl Seats {
    /// The seats one folder further down.
    pub fn join(&self, name: &str) -> Self {
        let seat = |seat: &Option<Seat>| seat.as_ref().map(|seat| seat.join(name));
        let folder = |folder: &Option<PathBuf>| folder.as_ref().map(|folder| folder.join(name));
        Self {
            memory: seat(&self.memory),
            cpu: seat(&self.cpu),
            pids: seat(&self.pids),
            unified: folder(&self.unified),
            freezer: folder(&self.freezer),
            accounting: folder(&self.accounting),
        }
    }

    /// Every folder once, the v2 tree first.
    pub fn folders(&self) -> Vec<&Path> {
        let seats = [&self.memory, &self.cpu, &self.pids].into_iter().flatten().map(Seat::folder);
        let others = [&self.freezer, &self.accounting].into_iter().flatten().map(PathBuf::as_path);
        let mut folders: Vec<&Path> = self.unified.iter().map(PathBuf::as_path).collect();
        for folder in seats.chain(others) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    /// Controllers of the v2 tree that limits are set by, as the kernel calls them.
    pub fn unified_controllers(&self) -> Vec<&'static str> {
        let seats = [
            (Controller::Memory, &self.memory),
            (Controller::Cpu, &self.cpu),
            (Controller::Pids, &self.pids),
        ];
        let in_v2 = |(controller, seat): (Controller, &Option<Seat>)| match seat {
            Some(Seat::V2(_)) => Some(controller.kernel_name()),
            Some(Seat::V1(_)) | None => None,
        };
        seats.into_iter().filter_map(in_v2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_once_and_the_unified_one_first() {
        let v1 = |path: &str| Some(Seat::V1(PathBuf::from(path)));
        let together = Seats {
            memory: v1("/m"),
            cpu: v1("/cpu,cpuacct"),
            pids: Some(Seat::V2(PathBuf::from("/u"))),
            unified: Some(PathBuf::from("/u")),
            freezer: None,
            accounting: Some(PathBuf::from("/cpu,cpuacct")),
        };
        assert_eq!(together.folders(), ["/u", "/m", "/cpu,cpuacct"].map(Path::new));
        assert_eq!(together.join("x").folders(), ["/u/x", "/m/x", "/cpu,cpuacct/x"].map(Path::new));
        assert_eq!(together.unified_controllers(), ["pids"]);
        assert!(Seats::default().folders().is_empty());
    }
}
