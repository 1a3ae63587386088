//! The host that all cases share: a data folder, a network of its own, a launcher, and two apps.

use crate::waiting::until;
use domain::endpoint::Endpoint;
use domain::ids::{AppId, Ids, ProcessId, ReleaseId, WriterId};
use domain::names::SlugId;
use domain::observed::ProcessState;
use domain::process::{Exit, Limits, Purpose, StopPolicy};
use domain::time::BootId;
use journal::{Event, SegmentReader, Stream};
use sandbox::cgroup::{CgroupSettings, Cgroups};
use sandbox::client::Launcher;
use sandbox::control;
use sandbox::environment::SealedEnvironment;
use sandbox::format::Format;
use sandbox::launcher::LauncherSettings;
use sandbox::layout::DataFolder;
use sandbox::network::lab::Lab;
use sandbox::network::{self, AppRange, NetworkSettings, RulesState};
use sandbox::run_folder;
use sandbox::spec::{Command, Helper, Kind, Network, ProcessSpec, Readiness, Samples, Stdio};
use sandbox::system::{boot_id, boot_now};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitCode};
use std::time::Duration;

/// The environment that every process gets, unless a case says otherwise.
pub const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/app"), ("SECRET_TOKEN", "correct-horse-battery")];
/// An app of the cases, by its number on the host.
pub const APP: u32 = 3;
pub const OTHER_APP: u32 = 4;
/// Users from this number on have no password entry on any machine that we know, and are no apps' either.
const FIRST_ORDINARY_UID: u32 = 3_000_000;
/// Addresses of apps of a second installation.
const BESIDE_RANGE: &str = "10.220.0.0/16";

const OWN_PROGRAM: &str = "/proc/self/exe";

/// A name and what must hold.
pub type Case = (&'static str, fn(&World));

pub struct World {
    /// Removed with everything in it when the world ends.
    folder: tempfile::TempDir,
    pub data: DataFolder,
    pub boot: BootId,
    pub slug: SlugId,
    /// What the launcher is told beside its data folder.
    variables: Vec<(&'static str, String)>,
    /// Who runs the launcher, if not root.
    user: Option<u32>,
    launcher: RefCell<Child>,
    ids: RefCell<Ids>,
    incarnation: Cell<u64>,
}

/// How a process ended, and what it wrote.
pub struct Ended {
    pub exit: Exit,
    pub lines: Lines,
}

/// A process's journal.
pub struct Lines(Vec<(Stream, String)>);

pub fn app_id(index: u32) -> AppId {
    AppId::from_u128(0xa000 + u128::from(index))
}

/// The launcher's part of this binary. Its settings follow from the data folder alone, so that a second one has the same.
pub fn be_launcher(data: &str) -> ExitCode {
    let settings = settings(DataFolder::new(data));
    match sandbox::launcher::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(75)
        }
    }
}

/// The settings of every launcher here. A second one beside the first has other names, addresses and layers, told by variables.
pub fn settings(data: DataFolder) -> LauncherSettings {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let mut settings = LauncherSettings::new(data);
    settings.sample_millis = 300;
    settings.cgroup.name = variable("GROUP").parse().unwrap();
    settings.rust_prefix = Some("/usr/share".into());
    settings.mask = variable("MASK").parse().unwrap();
    settings.allow_weaker = variable("ALLOW").parse().unwrap();
    if variable("BESIDE").is_empty() {
        settings.listeners = crate::daemons::listeners();
        settings.daemons = crate::daemons::daemons();
    } else {
        settings.network.prefix = "dzb".parse().unwrap();
        settings.network.table = "dozenb".parse().unwrap();
        settings.network.range = BESIDE_RANGE.parse().unwrap();
    }
    settings
}

impl World {
    /// The host of most cases.
    pub fn new() -> Self {
        // The calling thread, and all that it starts, live there until this program ends.
        Lab::enter().unwrap();
        let folder = tempfile::Builder::new().prefix("dozen-sandbox-").tempdir().unwrap();
        let world = Self::open(folder, &[], None);
        for index in [APP, OTHER_APP] {
            world.connect().create_network(app_id(index), index).unwrap();
        }
        world
    }

    /// A second installation on the same host, with a launcher that is told `variables` and with no networks yet.
    pub fn beside(&self, variables: &[(&'static str, &'static str)]) -> Self {
        self.beside_at(self.path(), variables)
    }

    /// The same, with its data folder below `place`.
    pub fn beside_at(&self, place: &Path, variables: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("beside-").tempdir_in(place).unwrap();
        Self::open(folder, &[&[("BESIDE", "1")], variables].concat(), None)
    }

    /// A second installation in the form of an ordinary user: one that nobody knows.
    pub fn ordinary(&self) -> Self {
        let user = FIRST_ORDINARY_UID + std::process::id();
        let folder = tempfile::Builder::new().prefix("ordinary-").tempdir_in(self.path()).unwrap();
        std::os::unix::fs::chown(folder.path(), Some(user), Some(user)).unwrap();
        let world = Self::open(folder, &[("BESIDE", "1")], Some(user));
        for index in [APP, OTHER_APP] {
            world.connect().create_network(app_id(index), index).unwrap();
        }
        world
    }

    fn open(
        folder: tempfile::TempDir,
        variables: &[(&'static str, &'static str)],
        user: Option<u32>,
    ) -> Self {
        let data = DataFolder::new(folder.path().join("data"));
        let seed = u128::from(std::process::id()) << 64;
        let kind = if variables.is_empty() { "main" } else { "beside" };
        let group = format!("dozen-test-{}-{kind}", std::process::id());
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables: Vec<_> = variables.chain([("GROUP", group)]).collect();
        let world = Self {
            launcher: RefCell::new(start_launcher(OWN_PROGRAM, &data, &variables, user)),
            user,
            boot: boot_id().unwrap(),
            slug: format!("sha256:{}", "5a".repeat(32)).parse().unwrap(),
            ids: RefCell::new(Ids::seeded(seed | u128::from(boot_now().0))),
            incarnation: Cell::new(1),
            folder,
            variables,
            data,
        };
        until("the launcher listens", || Launcher::connect(&world.data.launcher_socket()).ok());
        let tree = world.data.slug_tree(&world.slug);
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("greeting"), "hello from the slug\n").unwrap();
        world
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn connect(&self) -> Launcher {
        self.connect_as(self.incarnation.get())
    }

    pub fn connect_as(&self, incarnation: u64) -> Launcher {
        let mut launcher = Launcher::connect(&self.data.launcher_socket()).unwrap();
        launcher.hello(incarnation).unwrap();
        self.incarnation.set(incarnation);
        launcher
    }

    pub fn next_process(&self) -> ProcessId {
        self.ids.borrow_mut().next_process()
    }

    /// A worker of a release of its own, which runs a shell command.
    pub fn spec(&self, line: &str) -> ProcessSpec {
        let release = ReleaseId::from_uuid(self.ids.borrow_mut().next_uuid());
        ProcessSpec {
            format: Format,
            process: self.next_process(),
            app: app_id(APP),
            app_index: APP,
            kind: Kind::Process {
                purpose: Purpose::Slot { release, process_type: "worker".parse().unwrap(), index: 1 },
                slug: self.slug.clone(),
            },
            display_name: "worker.1".to_owned(),
            command: Command::shell(line),
            limits: Limits::DEFAULT,
            stop: StopPolicy::APP,
            endpoint: None,
            readiness: Readiness::Immediately,
            health_checks: Vec::new(),
            stdio: Stdio::Journal,
            network: Network::App,
            toolchain: None,
            samples: Samples::Untold,
            helper: Helper::Bound,
            time_limit_seconds: None,
            boot_id: self.boot.clone(),
            started_at: boot_now(),
            request_id: None,
        }
    }

    /// A web process on a port of the app's address.
    pub fn web(&self, line: &str, port: u16) -> ProcessSpec {
        let beside = self.variable("BESIDE").is_some();
        let range = if beside { BESIDE_RANGE.parse().unwrap() } else { AppRange::DEFAULT };
        let address = range.address_of(APP).unwrap();
        ProcessSpec {
            endpoint: Some(Endpoint::new(IpAddr::V4(address), port)),
            readiness: Readiness::AcceptOnEndpoint,
            display_name: "web.1".to_owned(),
            ..self.spec(line)
        }
    }

    pub fn start(&self, spec: &ProcessSpec) {
        self.start_with(spec, &[]);
    }

    pub fn start_with(&self, spec: &ProcessSpec, passed: &[BorrowedFd<'_>]) {
        let environment = SealedEnvironment::seal(ENVIRONMENT).unwrap();
        self.connect().spawn(spec, &environment, passed).unwrap();
    }

    pub fn state(&self, process: ProcessId) -> Option<ProcessState> {
        run_folder::observe(&self.data, process, &self.boot).unwrap().map(|observation| observation.state)
    }

    pub fn until_up(&self, process: ProcessId) {
        until("the process is up", || match self.state(process) {
            Some(ProcessState::Up { .. }) => Some(()),
            Some(ProcessState::Exited(exit)) => {
                panic!("ended instead: {exit:?}: {:?}", self.lines(process).0)
            }
            Some(
                ProcessState::Starting
                | ProcessState::Unready { .. }
                | ProcessState::Stopping { .. }
                | ProcessState::Lost,
            )
            | None => None,
        });
    }

    pub fn until_ended(&self, process: ProcessId) -> Ended {
        let exit = until("the process has ended", || match self.state(process) {
            Some(ProcessState::Exited(exit)) => Some(exit),
            Some(ProcessState::Lost) => panic!("lost: {:?}", self.lines(process).0),
            _ => None,
        });
        Ended { exit, lines: self.lines(process) }
    }

    /// Starts, waits for the end, and cleans up.
    pub fn run(&self, spec: &ProcessSpec) -> Ended {
        self.start(spec);
        let ended = self.until_ended(spec.process);
        self.remove(spec.process);
        ended
    }

    pub fn run_line(&self, line: &str) -> Ended {
        self.run(&self.spec(line))
    }

    /// Ends what still runs, and removes its traces.
    pub fn remove(&self, process: ProcessId) {
        let _ = control::kill(&self.data, process);
        until("the process can be removed", || self.connect().remove_process(process).ok());
    }

    pub fn lines(&self, process: ProcessId) -> Lines {
        let writer = WriterId::of_process(process);
        let mut reader = SegmentReader::from_start(self.data.log(writer), writer);
        let mut lines = Vec::new();
        if !self.data.log(writer).exists() {
            return Lines(lines);
        }
        loop {
            match reader.next_event() {
                Ok(Event::Frame { frame, .. }) => {
                    assert_eq!(frame.process, Some(process));
                    lines.push((frame.stream, String::from_utf8_lossy(frame.payload).into_owned()));
                }
                Ok(Event::Idle) => return Lines(lines),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A line of the process's own output, once it is there.
    pub fn until_line(&self, process: ProcessId, beginning: &str) -> String {
        until(&format!("a line begins with {beginning:?}"), || {
            self.lines(process).stdout().into_iter().find(|line| line.starts_with(beginning))
        })
    }

    /// Kills the launcher as a crash would, by the pid of the child that this test started.
    pub fn kill_launcher(&self) {
        let mut launcher = self.launcher.borrow_mut();
        launcher.kill().unwrap();
        launcher.wait().unwrap();
    }

    pub fn restart_launcher(&self) {
        self.restart_launcher_as(Path::new(OWN_PROGRAM));
    }

    /// From another file.
    pub fn restart_launcher_as(&self, program: &Path) {
        let program = program.to_str().unwrap();
        *self.launcher.borrow_mut() = start_launcher(program, &self.data, &self.variables, self.user);
        until("the launcher listens again", || Launcher::connect(&self.data.launcher_socket()).ok());
    }

    /// Every app's network was removed before the end, so the rules must be gone with it.
    fn rules_left(&self) -> Option<String> {
        let mut settings = NetworkSettings::new(self.data.networks());
        if self.variable("BESIDE").is_some() {
            settings.prefix = "dzb".parse().unwrap();
            settings.table = "dozenb".parse().unwrap();
            settings.range = BESIDE_RANGE.parse().unwrap();
        }
        let found = network::Network::new(settings).rules_state().unwrap();
        (found == RulesState::InForce).then(|| "the packet rules".to_owned())
    }

    /// Ends everything. Returns what should have gone and has not.
    pub fn end(self) -> Vec<String> {
        let scan = run_folder::observe_all(&self.data, &self.boot).unwrap();
        for observation in &scan.processes {
            self.remove(observation.spec.process);
        }
        for index in [APP, OTHER_APP] {
            let removed = self.connect().remove_network(app_id(index));
            assert!(removed.is_ok() || self.variable("MASK").is_some(), "{removed:?}");
        }
        self.connect().shutdown().unwrap();
        until("the launcher has ended", || self.launcher.borrow_mut().try_wait().unwrap());
        let ended = self.groups().list().unwrap();
        let left = ended.into_iter().map(|process| format!("the control group of {process}"));
        let left =
            left.chain(scan.problems.iter().map(ToString::to_string)).chain(self.rules_left()).collect();
        self.remove_group_folders();
        left
    }

    pub fn groups(&self) -> Cgroups {
        let name = self.variable("GROUP").unwrap().parse().unwrap();
        Cgroups::detect(&CgroupSettings { name, ..CgroupSettings::default() }).unwrap()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The installation's own folders, which a launcher leaves for the next one.
    fn remove_group_folders(&self) {
        let name = self.variable("GROUP").unwrap();
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(hierarchy.path().join(name));
        }
        let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(name));
    }
}

/// As another user by a copy of this program that it can reach.
fn start_launcher(
    program: &str,
    data: &DataFolder,
    variables: &[(&str, String)],
    user: Option<u32>,
) -> Child {
    let root = data.root().to_str().unwrap();
    let mut command = match user {
        None => std::process::Command::new(program),
        Some(user) => {
            let program = data.root().with_file_name("program");
            std::fs::copy("/proc/self/exe", &program).unwrap();
            let mut command = std::process::Command::new(program);
            command.uid(user).gid(user);
            command
        }
    };
    command.args(["launcher", root]).envs(variables.iter().cloned()).spawn().unwrap()
}

impl Lines {
    pub fn all(&self) -> &[(Stream, String)] {
        &self.0
    }

    pub fn of(&self, stream: Stream) -> Vec<String> {
        self.0.iter().filter(|(from, _)| *from == stream).map(|(_, line)| line.clone()).collect()
    }

    pub fn stdout(&self) -> Vec<String> {
        self.of(Stream::Stdout)
    }

    pub fn platform(&self) -> Vec<String> {
        self.of(Stream::Platform)
    }
}

/// Gives a child of the test time that it needs no more than once: none of the cases depends on it.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
