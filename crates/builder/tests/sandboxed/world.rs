//! The host that all cases share: a data folder, a network of its own, a launcher; and how a build is asked for there.

use crate::building::{Building, Order, Outcome};
use crate::files::write_source;
use builder::BuildLimits;
use builder::native::static_site::{MissingPath, StaticServer, serve};
use domain::endpoint::Endpoint;
use domain::ids::{AppId, BuildId, Ids, ProcessId, ReleaseId};
use domain::names::SlugId;
use domain::observed::ProcessState;
use domain::process::{Limits, Purpose, StopPolicy};
use sandbox::client::Launcher;
use sandbox::control;
use sandbox::environment::SealedEnvironment;
use sandbox::format::Format;
use sandbox::launcher::{DEFAULT_SERVER_UID, LauncherSettings};
use sandbox::layout::DataFolder;
use sandbox::network::lab::Lab;
use sandbox::run_folder;
use sandbox::spec::{Command, Helper, Kind, Network, Passed, ProcessSpec, Readiness, Stdio};
use sandbox::system::{boot_id, boot_now};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

pub const APP: u32 = 5;
/// The folder of our control groups, in every hierarchy.
const GROUP: &str = "dozen-builder-test";
const PATIENCE: Duration = Duration::from_secs(120);
pub const INCARNATION: u64 = 1;

pub struct World {
    _folder: tempfile::TempDir,
    pub data: DataFolder,
    /// A cargo home with what the sample app needs.
    pub fetched: Option<PathBuf>,
    _lab: Lab,
    launcher: RefCell<Child>,
    ids: RefCell<Ids>,
}

/// What a case asks to be built. A file's content may be followed by its kind in the name: `run*` is executable.
#[derive(Debug, Clone, Default)]
pub struct Wish<'a> {
    pub files: Vec<(&'a str, String)>,
    pub config: Vec<(&'a str, &'a str)>,
    pub time_seconds: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub output_bytes: Option<u64>,
}

pub fn app_id() -> AppId {
    AppId::from_u128(0xb1d)
}

/// `examples/hello`.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello")
}

/// Downloads what the sample's lock file names, through the ordinary client; `None` when the registry cannot be reached.
fn fetch_sample(folder: &Path) -> Option<PathBuf> {
    let home = folder.join("cargo-home");
    let fetched = std::process::Command::new(sysroot().join("bin/cargo"))
        .args(["fetch", "--locked", "--manifest-path"])
        .arg(sample().join("Cargo.toml"))
        .env("CARGO_HOME", &home)
        .output()
        .unwrap();
    if !fetched.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&fetched.stderr));
    }
    fetched.status.success().then_some(home)
}

pub fn sysroot() -> PathBuf {
    let output = std::process::Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

pub fn be_launcher(data: &str) -> ExitCode {
    match sandbox::launcher::run(settings(DataFolder::new(data))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(75)
        }
    }
}

fn settings(data: DataFolder) -> LauncherSettings {
    let mut settings = LauncherSettings::new(data);
    settings.cgroup.name = GROUP.parse().unwrap();
    settings.rust_prefix = Some(sysroot());
    settings
}

pub fn be_static_server(words: &[&str]) -> ExitCode {
    let root = match words {
        ["--root", root] => PathBuf::from("/app").join(root),
        _ => PathBuf::from("/app"),
    };
    let port = std::env::var("PORT").unwrap().parse().unwrap();
    let address = SocketAddr::from(([0, 0, 0, 0], port));
    serve(&StaticServer { address, root, missing_path: MissingPath::NotFound }, &mut |_| {}).unwrap();
    ExitCode::SUCCESS
}

/// Asks until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dozen-builder-").tempdir().unwrap();
        let fetched = fetch_sample(folder.path());
        let lab = Lab::enter().unwrap();
        // The server's uid passes through.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let data = DataFolder::new(folder.path().join("data"));
        let root = data.root().to_str().unwrap().to_owned();
        let launcher =
            std::process::Command::new("/proc/self/exe").args(["launcher", &root]).spawn().unwrap();
        let seed = u128::from(std::process::id()) << 64 | 11;
        let ids = RefCell::new(Ids::seeded(seed));
        let world = Self { _folder: folder, data, fetched, _lab: lab, launcher: RefCell::new(launcher), ids };
        until("the launcher listens", || Launcher::connect(&world.data.launcher_socket()).ok());
        world
    }

    pub fn connect(&self) -> Launcher {
        let mut launcher = Launcher::connect(&self.data.launcher_socket()).unwrap();
        launcher.hello(INCARNATION).unwrap();
        launcher
    }

    pub fn build(&self, wish: &Wish<'_>) -> Outcome {
        self.start(wish).end()
    }

    pub fn start(&self, wish: &Wish<'_>) -> Building {
        let build = BuildId::from_uuid(self.ids.borrow_mut().next_uuid());
        let process = self.ids.borrow_mut().next_process();
        write_source(&self.data.build_source(build), &wish.files);
        let config = wish.config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let order = Order {
            app: app_id(),
            build,
            process,
            config: config.collect(),
            time_seconds: wish.time_seconds.unwrap_or(BuildLimits::DEFAULT.time_seconds),
            memory_bytes: wish.memory_bytes.unwrap_or(BuildLimits::DEFAULT.process.memory_bytes),
            output_bytes: wish.output_bytes.unwrap_or(BuildLimits::DEFAULT.output_bytes),
        };
        Building::start(&self.data, &order)
    }

    /// Runs a command line of a slug in its sandbox; its exit code and what it printed.
    pub fn run(&self, slug: &SlugId, line: &str) -> (u8, String) {
        let spec = ProcessSpec { stdio: Stdio::Passed(Passed::Three), ..self.spec(slug, line) };
        let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let null = File::open("/dev/null").unwrap();
        self.spawn(&spec, &[null.as_fd(), writing.as_fd(), writing.as_fd()]);
        drop(writing);
        let mut text = String::new();
        File::from(reading).read_to_string(&mut text).unwrap();
        let code = until("it ends", || match self.state(spec.process) {
            ProcessState::Exited(exit) => Some(exit.status.shell_code()),
            _ => None,
        });
        self.remove(spec.process);
        (code, text)
    }

    /// Starts a slug's web process and asks it once.
    pub fn ask(&self, slug: &SlugId, line: &str, path: &str) -> String {
        let port = 5000;
        let address = sandbox::network::address_of(APP).unwrap();
        let spec = ProcessSpec {
            endpoint: Some(Endpoint::new(IpAddr::V4(address), port)),
            readiness: Readiness::AcceptOnEndpoint,
            health_checks: Vec::new(),
            ..self.spec(slug, line)
        };
        self.spawn(&spec, &[]);
        until("it is up", || matches!(self.state(spec.process), ProcessState::Up { .. }).then_some(()));
        let mut stream = TcpStream::connect((address, port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        control::stop(&self.data, spec.process).unwrap();
        until("it ends when told to", || {
            matches!(self.state(spec.process), ProcessState::Exited(_)).then_some(())
        });
        self.remove(spec.process);
        answer
    }

    fn spec(&self, slug: &SlugId, line: &str) -> ProcessSpec {
        let release = ReleaseId::from_uuid(self.ids.borrow_mut().next_uuid());
        let purpose = Purpose::Slot { release, process_type: "web".parse().unwrap(), index: 1 };
        ProcessSpec {
            format: Format,
            process: self.ids.borrow_mut().next_process(),
            app: app_id(),
            app_index: APP,
            kind: Kind::Process { purpose, slug: slug.clone() },
            display_name: "web.1".to_owned(),
            command: Command::shell(line),
            limits: Limits::DEFAULT,
            stop: StopPolicy::APP,
            endpoint: None,
            readiness: Readiness::Immediately,
            health_checks: Vec::new(),
            stdio: Stdio::Journal,
            network: Network::App,
            toolchain: None,
            samples: sandbox::spec::Samples::Untold,
            helper: Helper::Bound,
            time_limit_seconds: None,
            boot_id: boot_id().unwrap(),
            started_at: boot_now(),
            request_id: None,
        }
    }

    fn spawn(&self, spec: &ProcessSpec, passed: &[std::os::fd::BorrowedFd<'_>]) {
        let variables = [("PATH", "/usr/bin:/bin"), ("HOME", "/app"), ("PORT", "5000"), ("DYNO", "web.1")];
        let environment = SealedEnvironment::seal(variables).unwrap();
        let mut launcher = self.connect();
        launcher.create_network(app_id(), APP).unwrap();
        launcher.spawn(spec, &environment, passed).unwrap();
    }

    pub fn state(&self, process: ProcessId) -> ProcessState {
        let boot = boot_id().unwrap();
        run_folder::observe(&self.data, process, &boot).unwrap().unwrap().state
    }

    fn remove(&self, process: ProcessId) {
        let _ = control::kill(&self.data, process);
        until("the process can be removed", || self.connect().remove_process(process).ok());
    }

    /// What the server does at its start, under its uid.
    pub fn clean_abandoned(&self) -> String {
        let output = std::process::Command::new("/proc/self/exe")
            .args(["clean", self.data.root().to_str().unwrap()])
            .uid(DEFAULT_SERVER_UID)
            .gid(DEFAULT_SERVER_UID)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// No folder and no process of a build is there. What the launcher is still deleting has a name with a dot in front.
    pub fn assert_no_traces(&self) {
        for folder in [self.data.root().join("builds"), self.data.build_works(), self.data.processes()] {
            let names =
                fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let left: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
            assert!(left.is_empty(), "{}: {left:?}", folder.display());
        }
    }

    /// Ends everything. Returns what should have gone and has not.
    pub fn end(self) -> Vec<String> {
        let scan = run_folder::observe_all(&self.data, &boot_id().unwrap()).unwrap();
        for observation in &scan.processes {
            self.remove(observation.spec.process);
        }
        self.connect().remove_network(app_id()).unwrap();
        self.connect().shutdown().unwrap();
        until("the launcher has ended", || self.launcher.borrow_mut().try_wait().unwrap());
        let groups = sandbox::cgroup::Cgroups::detect(&settings(self.data.clone()).cgroup).unwrap();
        let left = groups.list().unwrap();
        let left = left.into_iter().map(|process| format!("the control group of {process}"));
        remove_group_folders();
        left.chain(scan.problems.iter().map(ToString::to_string)).collect()
    }
}

/// An installation keeps its own folder of control groups; a test leaves none.
fn remove_group_folders() {
    let hierarchies =
        fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain(["/sys/fs/cgroup".into()]) {
        // Most have none.
        let _ = fs::remove_dir(hierarchy.join(GROUP));
    }
}
