//! Control groups for real, as this machine mounts them (root, version 1 beside version 2), and version 2 against a folder of the
//! test's own that looks like one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use domain::ids::ProcessId;
use domain::process::Limits;
use domain::usage::MemoryUse;
use sandbox::cgroup::{
    CgroupError, CgroupSettings, Cgroups, Controller, Kill, Owner, Placement, ProcessGroup,
};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SHIM: Owner = Owner { uid: 31_001, gid: 31_001 };
const LIMITS: Limits =
    Limits { memory_bytes: 64 * 1024 * 1024, cpu_weight: 200, processes: 8, ..Limits::DEFAULT };
/// Longest wait for what must happen; it is far sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// Groups of one test under a name of its own, gone when it ends.
struct World {
    groups: Cgroups,
}

impl World {
    /// `None`, and told so, for who may not make groups.
    fn new(hidden: &[Controller]) -> Option<Self> {
        if needs_root() {
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dozen-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let settings =
            CgroupSettings { name: name.parse().unwrap(), hidden: hidden.to_vec(), delegated: None };
        let mut groups = Cgroups::detect(&settings).unwrap();
        assert_eq!(groups.prepare(), []);
        Some(Self { groups })
    }

    fn group(&self, number: u128) -> ProcessGroup {
        self.groups.create(ProcessId::from_u128(number), &LIMITS, SHIM).unwrap()
    }

    fn folder(&self, controller: Controller) -> PathBuf {
        match self.groups.placement(controller) {
            Placement::V1 { path } | Placement::V2 { path } => path.clone(),
            Placement::None { why } => panic!("this machine should have {controller:?}: {why}"),
        }
    }

    fn file(&self, controller: Controller, number: u128, name: &str) -> PathBuf {
        self.folder(controller).join(ProcessId::from_u128(number).to_string()).join(name)
    }

    fn read(&self, controller: Controller, number: u128, name: &str) -> String {
        fs::read_to_string(self.file(controller, number, name)).unwrap().trim().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for process in self.groups.list().into_iter().flatten() {
            let group = self.groups.group(process);
            let _ = group.thaw();
            for pid in group.processes().into_iter().flatten() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid.cast_signed()),
                    nix::sys::signal::SIGKILL,
                );
            }
            let _ = group.remove();
        }
        let left = self.groups.remove_all();
        if !std::thread::panicking() {
            assert_eq!(left.unwrap(), Vec::<PathBuf>::new());
        }
    }
}

/// Tells so, and is counted: a group is made, and its files are given to the shim's user.
fn needs_root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        eprintln!("skipped: needs root to make control groups and give them away");
    }
    !root
}

/// A shell that runs a script once it is told to, in the group from the start.
fn start(group: &ProcessGroup, script: &str) -> Child {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("read go; {script}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    group.add(child.id()).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn limits_are_written_where_each_controller_is() {
    let Some(world) = World::new(&[]) else { return };
    world.group(1);
    match world.groups.placement(Controller::Memory) {
        Placement::V1 { .. } => {
            assert_eq!(world.read(Controller::Memory, 1, "memory.limit_in_bytes"), "67108864");
            let both = world.file(Controller::Memory, 1, "memory.memsw.limit_in_bytes");
            assert!(!both.exists() || fs::read_to_string(both).unwrap().trim() == "67108864");
        }
        Placement::V2 { .. } => assert_eq!(world.read(Controller::Memory, 1, "memory.max"), "67108864"),
        Placement::None { why } => panic!("{why}"),
    }
    match world.groups.placement(Controller::Cpu) {
        Placement::V1 { .. } => assert_eq!(world.read(Controller::Cpu, 1, "cpu.shares"), "2048"),
        Placement::V2 { .. } => assert_eq!(world.read(Controller::Cpu, 1, "cpu.weight"), "200"),
        Placement::None { why } => panic!("{why}"),
    }
    assert_eq!(world.read(Controller::Pids, 1, "pids.max"), "8");
}

/// The hard limit is what the kernel is told; the quota is not its business.
#[test]
fn the_kernel_is_told_the_hard_limit() {
    let Some(world) = World::new(&[]) else { return };
    let limits = Limits { memory_hard_bytes: Some(128 << 20), ..LIMITS };
    world.groups.create(ProcessId::from_u128(1), &limits, SHIM).unwrap();
    let file = match world.groups.placement(Controller::Memory) {
        Placement::V1 { .. } => "memory.limit_in_bytes",
        Placement::V2 { .. } | Placement::None { .. } => "memory.max",
    };
    assert_eq!(world.read(Controller::Memory, 1, file), "134217728");
}

/// How often it was held back for having used its quota.
fn throttled(world: &World) -> u64 {
    let stat = world.read(Controller::Cpu, 1, "cpu.stat");
    let count = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    count.expect("the kernel counts").parse().unwrap()
}

#[test]
fn c_69_a_quota_of_cpu_time_is_kept_and_taken_away_again() {
    let Some(world) = World::new(&[]) else { return };
    let create = |cpu_millicores| {
        let limits = Limits { cpu_millicores, ..LIMITS };
        world.groups.create(ProcessId::from_u128(1), &limits, SHIM).unwrap()
    };
    let busy = |group: &ProcessGroup, enough: &dyn Fn() -> bool| {
        let mut child = start(group, "while :; do :; done");
        until("it has run", enough);
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let free = create(None);
    busy(&free, &|| free.cpu_time().unwrap().unwrap() > Duration::from_millis(300));
    assert_eq!(throttled(&world), 0, "without a quota");
    busy(&create(Some(100)), &|| throttled(&world) >= 3);
    create(None);
    let (file, none) = match world.groups.placement(Controller::Cpu) {
        Placement::V1 { .. } => ("cpu.cfs_quota_us", "-1"),
        Placement::V2 { .. } | Placement::None { .. } => ("cpu.max", "max 100000"),
    };
    assert_eq!(world.read(Controller::Cpu, 1, file), none);
}

#[test]
fn what_a_group_uses_is_counted() {
    let Some(world) = World::new(&[]) else { return };
    let group = world.group(1);
    // A variable of 16 MB, which is held while it sleeps.
    let line = "v=$(head -c 16000000 /dev/zero | tr '\\0' x); sleep 600 & wait";
    let mut child = start(&group, line);
    until("it holds its memory", || {
        group.memory_use().unwrap().is_some_and(|memory| memory.rss_bytes > 15_000_000)
    });
    let usage = group.usage(LIMITS);
    let memory = usage.memory.unwrap();
    assert!(
        memory.total_bytes() >= memory.rss_bytes && memory.total_bytes() < LIMITS.memory_bytes,
        "{usage:?}"
    );
    assert!(usage.memory_peak_bytes.unwrap() >= memory.rss_bytes, "{usage:?}");
    assert!(usage.cpu_micros.unwrap() > 0 && usage.oom_kills == Some(0), "{usage:?}");
    until("head and tr have gone", || group.process_count().unwrap() == Some(2));
    let kept_in_v1 = matches!(world.groups.placement(Controller::Memory), Placement::V1 { .. });
    assert_eq!(memory.pages_in.is_some(), kept_in_v1);
    group.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn limits_are_set_anew_up_and_down() {
    let Some(world) = World::new(&[]) else { return };
    for memory_bytes in [64 << 20, 256 << 20, 32 << 20] {
        let limits = Limits { memory_bytes, ..LIMITS };
        world.groups.create(ProcessId::from_u128(1), &limits, SHIM).unwrap();
        let file = match world.groups.placement(Controller::Memory) {
            Placement::V1 { .. } => "memory.limit_in_bytes",
            Placement::V2 { .. } => "memory.max",
            Placement::None { why } => panic!("{why}"),
        };
        assert_eq!(world.read(Controller::Memory, 1, file), memory_bytes.to_string());
    }
}

#[test]
fn an_app_that_outgrows_its_memory_is_killed_and_counted() {
    let Some(world) = World::new(&[]) else { return };
    let group = world.group(1);
    assert_eq!(group.oom_kills().unwrap(), Some(0));
    // One line without an end: tail keeps all of it.
    let status = start(&group, "exec tail /dev/zero").wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert_eq!(group.oom_kills().unwrap(), Some(1));
    let peak = group.memory_peak().unwrap().unwrap();
    assert!((LIMITS.memory_bytes / 2..=LIMITS.memory_bytes).contains(&peak), "{peak}");
    assert!(group.memory_current().unwrap().unwrap() < peak);
}

#[test]
fn processes_are_limited_in_number_and_killed_together() {
    let Some(world) = World::new(&[]) else { return };
    let group = world.group(1);
    let mut child = start(&group, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; wait");
    until("the limit is reached", || {
        group.processes().unwrap().len() == 8 || child.try_wait().unwrap().is_some()
    });
    let members = group.processes().unwrap();
    assert!((7..=8).contains(&members.len()), "{members:?}");
    assert_eq!(group.kill_all().unwrap(), Kill::Done);
    child.wait().unwrap();
    until("all are gone", || group.processes().unwrap().is_empty());
    group.remove().unwrap();
    assert!(!world.groups.list().unwrap().contains(&ProcessId::from_u128(1)));
}

fn frozen_processes_use_no_cpu_time(hidden: &[Controller]) {
    let Some(world) = World::new(hidden) else { return };
    let group = world.group(1);
    let mut child = start(&group, "while :; do :; done");
    let used = || group.cpu_time().unwrap().unwrap();
    until("it runs", || used() > Duration::from_millis(20));
    group.freeze().unwrap();
    let frozen_at = used();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(used(), frozen_at);
    group.thaw().unwrap();
    until("it runs on", || used() > frozen_at + Duration::from_millis(20));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_group_is_frozen_and_thawed() {
    frozen_processes_use_no_cpu_time(&[]);
}

#[test]
fn a_group_is_frozen_and_thawed_without_version_2() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    if mounts.lines().any(|line| line.ends_with(",freezer")) {
        frozen_processes_use_no_cpu_time(&[Controller::Unified]);
    } else {
        let Some(world) = World::new(&[Controller::Unified]) else { return };
        assert!(matches!(world.group(1).freeze(), Err(CgroupError::NoFreezer)));
    }
}

#[test]
fn without_version_2_the_init_has_to_be_killed() {
    let Some(world) = World::new(&[Controller::Unified]) else { return };
    let group = world.group(1);
    assert_eq!(group.unified_folder(), None);
    assert_eq!(group.kill_all().unwrap(), Kill::KillInit);
    assert!(matches!(world.groups.placement(Controller::Unified), Placement::None { .. }));
}

#[test]
fn the_shim_may_kill_freeze_and_count_but_change_no_limit() {
    let Some(world) = World::new(&[]) else { return };
    let group = world.group(1);
    let mut child = start(&group, "exec sleep 600");
    let kill = group.unified_folder().unwrap().join("cgroup.kill");
    let limit = world.file(Controller::Pids, 1, "pids.max");
    assert_eq!(fs::metadata(&kill).unwrap().uid(), SHIM.uid);
    let as_shim = |script: &str, file: &Path| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg("sh").arg(file).uid(SHIM.uid).gid(SHIM.gid).stderr(Stdio::null());
        shell.stdout(Stdio::null()).status().unwrap().success()
    };
    let oom = match world.groups.placement(Controller::Memory) {
        Placement::V1 { .. } => "memory.oom_control",
        Placement::V2 { .. } | Placement::None { .. } => "memory.events",
    };
    assert!(as_shim("cat \"$1\"", &world.file(Controller::Memory, 1, oom)));
    assert!(!as_shim("echo 100 > \"$1\"", &limit));
    assert!(!as_shim("echo $$ > \"$1\"", &world.file(Controller::Pids, 1, "cgroup.procs")));
    assert!(as_shim("echo 0 > \"$1\"", &group.unified_folder().unwrap().join("cgroup.freeze")));
    assert!(as_shim("echo 1 > \"$1\"", &kill));
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn removing_is_repeatable_and_never_kills() {
    let Some(world) = World::new(&[]) else { return };
    let group = world.group(1);
    let other = world.group(2);
    let mut child = start(&group, "exec sleep 600");
    assert!(matches!(group.remove(), Err(CgroupError::Busy { .. })));
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    group.remove().unwrap();
    group.remove().unwrap();
    assert_eq!(group.kill_all().unwrap(), Kill::Done);
    assert_eq!(group.oom_kills().unwrap(), None);
    assert!(group.processes().unwrap().is_empty());
    assert_eq!(world.groups.list().unwrap().into_iter().collect::<Vec<_>>(), [ProcessId::from_u128(2)]);
    other.remove().unwrap();
}

/// A folder that looks like a machine with version 2 only. The kernel fills a group's folder by itself; here the test does.
struct Fake {
    folder: tempfile::TempDir,
}

const OFFERED: &str = "cpuset cpu io memory hugetlb pids\n";

impl Fake {
    fn new(offered: &str) -> Self {
        let fake = Self { folder: tempfile::tempdir().unwrap() };
        let top = fake.path("cgroup");
        fake.write(
            "proc/self/mountinfo",
            &format!("29 22 0:26 / {} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", top.display()),
        );
        for level in ["cgroup", "cgroup/dozen"] {
            fake.write(&format!("{level}/cgroup.controllers"), offered);
            fake.write(&format!("{level}/cgroup.subtree_control"), "");
            fake.write(&format!("{level}/cgroup.procs"), "");
        }
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn detect(&self, settings: &CgroupSettings) -> Cgroups {
        Cgroups::detect_at(&self.path("proc"), settings).unwrap()
    }

    /// The files of the group of process 1 as a kernel makes them.
    fn fill(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            self.write(&format!("cgroup/dozen/{}/{name}", ProcessId::from_u128(1)), text);
        }
    }

    fn of_group(&self, name: &str) -> String {
        self.read(&format!("cgroup/dozen/{}/{name}", ProcessId::from_u128(1)))
    }
}

const KERNEL_FILES: [(&str, &str); 16] = [
    ("cgroup.procs", ""),
    ("cgroup.kill", ""),
    ("cgroup.freeze", "0\n"),
    ("cgroup.events", "populated 1\nfrozen 1\n"),
    ("cpu.stat", "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"),
    ("cpu.weight", "100\n"),
    ("cpu.max", "max 100000\n"),
    ("memory.stat", "anon 2048\nfile 9000\nshmem 1024\n"),
    ("memory.swap.current", "0\n"),
    ("memory.max", "max\n"),
    ("memory.swap.max", "max\n"),
    ("memory.current", "4096\n"),
    ("memory.peak", "8192\n"),
    ("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n"),
    ("pids.max", "max\n"),
    ("pids.current", "1\n"),
];

#[test]
fn version_2_is_driven_by_its_own_files() {
    if needs_root() {
        return;
    }
    let fake = Fake::new(OFFERED);
    let mut groups = fake.detect(&CgroupSettings::default());
    for controller in [Controller::Memory, Controller::Cpu, Controller::Pids, Controller::Unified] {
        assert_eq!(groups.placement(controller), &Placement::V2 { path: fake.path("cgroup/dozen") });
    }
    assert_eq!(groups.prepare(), []);
    assert_eq!(fake.read("cgroup/cgroup.subtree_control"), "+memory +cpu +pids");
    assert_eq!(fake.read("cgroup/dozen/cgroup.subtree_control"), "+memory +cpu +pids");

    fake.fill(&KERNEL_FILES);
    let group = groups.create(ProcessId::from_u128(1), &LIMITS, SHIM).unwrap();
    assert_eq!(fake.of_group("memory.max").trim(), "67108864");
    assert_eq!(fake.of_group("memory.swap.max"), "0");
    assert_eq!(fake.of_group("cpu.weight").trim(), "200");
    assert_eq!(fake.of_group("pids.max").trim(), "8");
    assert_eq!(fake.of_group("cpu.max"), "max 100000");
    let limits = Limits { cpu_millicores: Some(250), memory_hard_bytes: Some(128 << 20), ..LIMITS };
    groups.create(ProcessId::from_u128(1), &limits, SHIM).unwrap();
    assert_eq!(
        (fake.of_group("cpu.max").trim(), fake.of_group("memory.max").trim()),
        ("25000 100000", "134217728")
    );
    let usage = group.usage(limits);
    let memory = MemoryUse { rss_bytes: 2048, cache_bytes: 1024, ..MemoryUse::default() };
    assert_eq!((usage.memory, usage.processes, usage.oom_kills), (Some(memory), Some(1), Some(2)));
    for file in ["cgroup.kill", "cgroup.freeze"] {
        let owner =
            fs::metadata(fake.path("cgroup/dozen").join(ProcessId::from_u128(1).to_string()).join(file))
                .unwrap();
        assert_eq!(owner.uid(), SHIM.uid, "{file}");
    }
    group.add(4711).unwrap();
    assert_eq!(fake.of_group("cgroup.procs"), "4711");
    assert_eq!(group.processes().unwrap().into_iter().collect::<Vec<_>>(), [4711]);
    assert_eq!(group.oom_kills().unwrap(), Some(2));
    assert_eq!(group.cpu_time().unwrap(), Some(Duration::from_millis(1500)));
    assert_eq!((group.memory_current().unwrap(), group.memory_peak().unwrap()), (Some(4096), Some(8192)));
    group.freeze().unwrap();
    assert_eq!(fake.of_group("cgroup.freeze"), "1");
    assert_eq!(group.kill_all().unwrap(), Kill::Done);
    assert_eq!(fake.of_group("cgroup.kill"), "1");
}

#[test]
fn old_kernels_of_version_2_lack_files() {
    if needs_root() {
        return;
    }
    let fake = Fake::new(OFFERED);
    let groups = fake.detect(&CgroupSettings::default());
    let present: Vec<_> = KERNEL_FILES
        .into_iter()
        .filter(|(name, _)| !["cgroup.kill", "memory.peak", "memory.swap.max"].contains(name))
        .collect();
    fake.fill(&present);
    let group = groups.create(ProcessId::from_u128(1), &LIMITS, SHIM).unwrap();
    assert_eq!(group.kill_all().unwrap(), Kill::KillInit);
    assert_eq!(group.memory_peak().unwrap(), None);
}

#[test]
fn a_delegated_folder_stands_for_the_top() {
    let fake = Fake::new("");
    fake.write("cgroup/apps.service/cgroup.controllers", "memory pids\n");
    fake.write("cgroup/apps.service/cgroup.subtree_control", "");
    fake.write("cgroup/apps.service/dozen/cgroup.subtree_control", "");
    let delegated = fake.path("cgroup/apps.service");
    let mut groups =
        fake.detect(&CgroupSettings { delegated: Some(delegated.clone()), ..CgroupSettings::default() });
    assert_eq!(groups.prepare(), []);
    let own = Placement::V2 { path: delegated.join("dozen") };
    assert_eq!((groups.placement(Controller::Memory), groups.placement(Controller::Pids)), (&own, &own));
    assert!(matches!(groups.placement(Controller::Cpu), Placement::None { .. }));
    assert_eq!(fake.read("cgroup/apps.service/cgroup.subtree_control"), "+memory +pids");
    assert_eq!(fake.read("cgroup/cgroup.subtree_control"), "");
}

#[test]
fn a_machine_without_control_groups_is_told_and_nothing_fails() {
    let fake = Fake::new("");
    fake.write("proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n");
    let mut groups = fake.detect(&CgroupSettings::default());
    assert_eq!(
        groups.placement(Controller::Memory),
        &Placement::None { why: "no control groups are mounted".to_owned() }
    );
    assert_eq!(groups.prepare(), []);
    let group = groups.create(ProcessId::from_u128(1), &LIMITS, SHIM).unwrap();
    group.add(std::process::id()).unwrap();
    assert_eq!(group.kill_all().unwrap(), Kill::KillInit);
    assert_eq!(group.oom_kills().unwrap(), None);
    assert_eq!(group.cpu_time().unwrap(), None);
    assert!(matches!(group.freeze(), Err(CgroupError::NoFreezer)));
    group.remove().unwrap();
}

#[test]
fn hidden_controllers_are_as_if_absent() {
    let Some(world) = World::new(&[Controller::Memory]) else { return };
    let group = world.group(1);
    assert!(matches!(world.groups.placement(Controller::Memory), Placement::None { .. }));
    assert_eq!(group.oom_kills().unwrap(), None);
    assert_eq!(group.memory_current().unwrap(), None);
    assert_eq!(world.read(Controller::Pids, 1, "pids.max"), "8");
}
