//! Finding out where each controller is, and making the folders that groups lie in.

use super::files::{self, Removal};
use super::mounts::{self, Access, Choice, Known, Mount, Mounts};
use super::seats::{Seat, Seats};
use super::{CgroupError, CgroupSettings, Controller, Placement};
use domain::cause::chain;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The group that processes of a delegated folder are moved to, for a v2 group with controllers may hold no process itself.
pub(super) const LEAF: &str = "leaf";
/// The group of a delegated folder that shims live in, so that the service which starts them ends without them.
pub(super) const SHIMS: &str = "shims";
/// How often the delegated folder is emptied before controllers can be turned on: processes may fork meanwhile.
const MAX_EMPTYING_ROUNDS: u32 = 16;

/// What was found: seats of all groups together, and the same for people.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub seats: Seats,
    /// The v2 folder that [`Seats::unified`] lies in.
    pub unified_base: Option<PathBuf>,
    /// Where shims live; only below a delegated folder.
    pub shims: Option<PathBuf>,
    pub memory: Placement,
    pub cpu: Placement,
    pub pids: Placement,
    pub unified: Placement,
}

/// Reads what the process folder says of mounts and controllers.
pub(super) fn detect(process_folder: &Path, settings: &CgroupSettings) -> Result<Found, CgroupError> {
    let mounts = mounts::parse_mountinfo(&files::read(&process_folder.join("self/mountinfo"))?);
    let known_text = files::read_if_present(&process_folder.join("cgroups"))?.unwrap_or_default();
    let known = mounts::parse_known(&known_text);
    let unified = unified_base(&mounts, settings);
    let offered = match &unified {
        Ok(base) => files::read_if_present(&base.join("cgroup.controllers"))?.unwrap_or_default(),
        Err(_) => String::new(),
    };
    Ok(place(&mounts, &known, &mounts::parse_names(&offered), unified, settings))
}

/// The v2 folder to use, or why there is none.
fn unified_base(mounts: &Mounts, settings: &CgroupSettings) -> Result<PathBuf, String> {
    if settings.hidden.contains(&Controller::Unified) {
        return Err(HIDDEN.to_owned());
    }
    let mount = mounts.v2.as_ref().ok_or("no control groups of version 2 are mounted")?;
    let base = settings.delegated.as_ref().unwrap_or(&mount.folder);
    if mount.access == Access::ReadOnly {
        return Err(format!("{} is mounted read-only", mount.folder.display()));
    }
    writable(base).map(Path::to_owned)
}

const HIDDEN: &str = "hidden by the settings";

fn writable(folder: &Path) -> Result<&Path, String> {
    match access(folder, AccessFlags::W_OK) {
        Ok(()) => Ok(folder),
        Err(errno) => Err(format!("{} cannot be written to ({})", folder.display(), errno.desc())),
    }
}

fn place(
    mounts: &Mounts,
    known: &Known,
    offered: &BTreeSet<String>,
    unified: Result<PathBuf, String>,
    settings: &CgroupSettings,
) -> Found {
    let own = |base: &Path| base.join(settings.name.as_str());
    let place_one = |controller: Controller| {
        if settings.hidden.contains(&controller) {
            return Placement::None { why: HIDDEN.to_owned() };
        }
        match (mounts::choose(controller, mounts, offered, known), &unified) {
            (Choice::V2, Ok(base)) => Placement::V2 { path: own(base) },
            (Choice::V2, Err(why)) => Placement::None { why: why.clone() },
            (Choice::V1(folder), _) => match writable(&folder) {
                Ok(folder) => Placement::V1 { path: own(folder) },
                Err(why) => Placement::None { why },
            },
            (Choice::None { why }, _) => Placement::None { why },
        }
    };
    let [memory, cpu, pids] = [Controller::Memory, Controller::Cpu, Controller::Pids].map(place_one);
    let helper = |name: &str| match (mounts::v1_mount(mounts, name), &unified) {
        (Some(Mount { folder, access: Access::ReadWrite }), Err(_)) => writable(folder).ok().map(own),
        (Some(_) | None, _) => None,
    };
    let seats = Seats {
        memory: seat(&memory),
        cpu: seat(&cpu),
        pids: seat(&pids),
        unified: unified.as_deref().ok().map(own),
        freezer: helper("freezer"),
        accounting: helper("cpuacct"),
    };
    let delegated = unified.as_ref().ok().filter(|_| settings.delegated.is_some());
    let shims = delegated.map(|base| base.join(SHIMS));
    let unified_placement = match &unified {
        Ok(base) => Placement::V2 { path: own(base) },
        Err(why) => Placement::None { why: why.clone() },
    };
    Found { seats, unified_base: unified.ok(), shims, memory, cpu, pids, unified: unified_placement }
}

fn seat(placement: &Placement) -> Option<Seat> {
    match placement {
        Placement::V1 { path } => Some(Seat::V1(path.clone())),
        Placement::V2 { path } => Some(Seat::V2(path.clone())),
        Placement::None { .. } => None,
    }
}

/// Makes the folders of all groups and hands the v2 tree's controllers down to them. What cannot be had is withdrawn.
pub(super) fn prepare(found: &mut Found) -> Vec<Controller> {
    let mut lost = Vec::new();
    if found.shims.as_deref().is_some_and(|folder| files::make_open_folder(folder).is_err()) {
        found.shims = None;
    }
    let folders: Vec<PathBuf> = found.seats.folders().into_iter().map(Path::to_owned).collect();
    for folder in folders {
        if let Err(error) = files::make_open_folder(&folder) {
            lost.extend(found.withdraw_folder(&folder, &chain(&error)));
        }
    }
    if let Err(error) = hand_down_all(found) {
        lost.extend(found.withdraw_unified_controllers(&chain(&error)));
    }
    lost
}

fn hand_down_all(found: &Found) -> Result<(), CgroupError> {
    let controllers = found.seats.unified_controllers();
    match (&found.unified_base, &found.seats.unified, controllers.is_empty()) {
        (Some(base), Some(own), false) => {
            hand_down_emptied(base, &controllers)?;
            hand_down(own, &controllers).map_err(|source| not_handed_down(own, source))
        }
        (Some(_) | None, Some(_) | None, true | false) => Ok(()),
    }
}

impl Found {
    /// Does without everything that lies in a folder.
    fn withdraw_folder(&mut self, folder: &Path, why: &str) -> Vec<Controller> {
        let mut lost = self.withdraw(|seat| seat.folder() == folder, why);
        if self.seats.unified.as_deref() == Some(folder) {
            self.seats.unified = None;
            self.unified = Placement::None { why: why.to_owned() };
            lost.push(Controller::Unified);
        }
        for helper in [&mut self.seats.freezer, &mut self.seats.accounting] {
            helper.take_if(|path| path == folder);
        }
        lost
    }

    /// Does without the v2 tree's controllers; the tree itself still kills and counts.
    fn withdraw_unified_controllers(&mut self, why: &str) -> Vec<Controller> {
        self.withdraw(|seat| matches!(seat, Seat::V2(_)), why)
    }

    fn withdraw(&mut self, wanted: impl Fn(&Seat) -> bool, why: &str) -> Vec<Controller> {
        let seats = &mut self.seats;
        let all = [
            (Controller::Memory, &mut seats.memory, &mut self.memory),
            (Controller::Cpu, &mut seats.cpu, &mut self.cpu),
            (Controller::Pids, &mut seats.pids, &mut self.pids),
        ];
        let mut lost = Vec::new();
        for (controller, seat, placement) in all {
            if seat.take_if(|seat| wanted(seat)).is_some() {
                *placement = Placement::None { why: why.to_owned() };
                lost.push(controller);
            }
        }
        lost
    }
}

fn not_handed_down(folder: &Path, source: io::Error) -> CgroupError {
    CgroupError::File { operation: "hand controllers down from", path: folder.to_owned(), source }
}

fn hand_down(folder: &Path, controllers: &[&str]) -> io::Result<()> {
    let enable: Vec<_> = controllers.iter().map(|name| format!("+{name}")).collect();
    files::try_write(&folder.join("cgroup.subtree_control"), &enable.join(" "))
}

/// Hands controllers down from a folder that may hold processes, ours among them: they move to a leaf first. The very top of the
/// tree may hold processes all the same and never refuses.
fn hand_down_emptied(folder: &Path, controllers: &[&str]) -> Result<(), CgroupError> {
    let mut rounds = 0;
    loop {
        match hand_down(folder, controllers) {
            Ok(()) => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(Errno::EBUSY as i32) && rounds < MAX_EMPTYING_ROUNDS =>
            {
                rounds += 1;
                move_to_leaf(folder)?;
            }
            Err(error) => return Err(not_handed_down(folder, error)),
        }
    }
}

fn move_to_leaf(folder: &Path) -> Result<(), CgroupError> {
    let leaf = folder.join(LEAF);
    files::make_folder(&leaf)?;
    let target = leaf.join("cgroup.procs");
    for pid in files::read(&folder.join("cgroup.procs"))?.lines() {
        match files::try_write(&target, pid) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
            Err(source) => {
                return Err(CgroupError::File { operation: "move a process to", path: target, source });
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Removes the folders of all groups, once they are empty. For tests and for taking Dozen off a machine.
pub(super) fn remove_all(found: &Found) -> Result<Vec<PathBuf>, CgroupError> {
    let mut busy = Vec::new();
    for folder in found.seats.folders().into_iter().chain(found.shims.as_deref()) {
        match files::remove_folder(folder)? {
            Removal::Gone => {}
            Removal::Busy => busy.push(folder.to_owned()),
        }
    }
    Ok(busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    /// A controller of the v2 tree that no mixture of versions takes away from it and that nothing here uses.
    const SPARE: &str = "hugetlb";
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A folder at the top of the real v2 tree with a process in it, as a delegated unit has.
    struct Delegated {
        folder: PathBuf,
        child: Child,
    }

    impl Delegated {
        fn make(top: &Path) -> Self {
            let folder = top.join(format!("dozen-test-{}", std::process::id()));
            std::fs::create_dir(&folder).unwrap();
            let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
            files::write(&folder.join("cgroup.procs"), &child.id().to_string()).unwrap();
            Self { folder, child }
        }
    }

    impl Drop for Delegated {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let deadline = Instant::now() + PATIENCE;
            for folder in [self.folder.join(LEAF), self.folder.clone()] {
                while !matches!(files::remove_folder(&folder), Ok(Removal::Gone)) && Instant::now() < deadline
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    #[test]
    fn processes_leave_a_delegated_folder_for_its_leaf() {
        if !nix::unistd::Uid::effective().is_root() {
            eprintln!("skipped: needs root to make a control group and put a process into it");
            return;
        }
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let top =
            mounts::parse_mountinfo(&mountinfo).v2.expect("control groups of version 2 are mounted").folder;
        let control = top.join("cgroup.subtree_control");
        let before = mounts::parse_names(&std::fs::read_to_string(&control).unwrap());
        hand_down(&top, &[SPARE]).unwrap();
        move_a_process_out_of_the_way(&top);
        if !before.contains(SPARE) {
            files::write(&control, &format!("-{SPARE}")).unwrap();
        }
    }

    /// A delegation that looks whole and is not: its folder cannot be made, or its controllers cannot be handed down.
    #[test]
    fn what_cannot_be_had_is_withdrawn_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_owned();
        let found = || {
            let own = base.join("dozen");
            let placed = || Placement::V2 { path: own.clone() };
            let seat = || Some(Seat::V2(own.clone()));
            let v1 = base.join("v1/dozen");
            Found {
                seats: Seats {
                    memory: seat(),
                    cpu: Some(Seat::V1(v1.clone())),
                    pids: seat(),
                    unified: Some(own.clone()),
                    freezer: None,
                    accounting: Some(v1.clone()),
                },
                unified_base: Some(base.clone()),
                shims: None,
                memory: placed(),
                cpu: Placement::V1 { path: v1 },
                pids: placed(),
                unified: placed(),
            }
        };
        std::fs::create_dir(base.join("v1")).unwrap();
        let mut no_control = found();
        assert_eq!(prepare(&mut no_control), [Controller::Memory, Controller::Pids]);
        let why = |placement: &Placement| match placement {
            Placement::None { why } => why.clone(),
            Placement::V1 { .. } | Placement::V2 { .. } => String::new(),
        };
        assert!(why(&no_control.memory).contains("hand controllers down"), "{:?}", no_control.memory);
        assert_eq!(no_control.seats.folders(), [base.join("dozen"), base.join("v1/dozen")]);

        std::fs::remove_dir_all(base.join("dozen")).unwrap();
        std::fs::write(base.join("dozen"), "in the way").unwrap();
        let mut no_folder = found();
        assert_eq!(prepare(&mut no_folder), [Controller::Memory, Controller::Pids, Controller::Unified]);
        assert!(why(&no_folder.unified).contains("dozen"), "{:?}", no_folder.unified);
        assert_eq!(no_folder.seats.folders(), [base.join("v1/dozen")]);
    }

    fn move_a_process_out_of_the_way(top: &Path) {
        let delegated = Delegated::make(top);
        let pid = delegated.child.id().to_string();
        let refused = hand_down(&delegated.folder, &[SPARE]).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::EBUSY as i32));

        hand_down_emptied(&delegated.folder, &[SPARE]).unwrap();
        hand_down_emptied(&delegated.folder, &[SPARE]).unwrap();
        let read = |file: &str| std::fs::read_to_string(delegated.folder.join(file)).unwrap();
        assert_eq!(read("cgroup.subtree_control").trim(), SPARE);
        assert_eq!(read("cgroup.procs"), "");
        assert_eq!(read("leaf/cgroup.procs").trim(), pid);
    }
}
