//! The host that all cases share: a data folder, a network of its own, a launcher; and how a build is asked for there.

use blobs::SlugStore;
use builder::native::static_site::{MissingPath, StaticServer, serve};
use builder::{BuildEnvironment, BuildLimits, BuildRequest, Builder, CancelToken, Fault};
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
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio as Pipe};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const APP: u32 = 5;
/// The folder of our control groups, in every hierarchy.
const GROUP: &str = "dozen-builder-test";
const PATIENCE: Duration = Duration::from_secs(120);
const INCARNATION: u64 = 1;
/// What the builder's part prints before its one line of JSON.
const OUTCOME: &str = "OUTCOME ";

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

/// The same on its way to the process that builds.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    app: AppId,
    build: BuildId,
    process: ProcessId,
    config: BTreeMap<String, String>,
    time_seconds: u64,
    memory_bytes: u64,
    output_bytes: u64,
}

/// How a build ended, as the process that built told it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub slug: Option<SlugId>,
    pub processes: BTreeMap<String, String>,
    pub error: String,
    pub fault: String,
    #[serde(skip)]
    pub lines: Vec<String>,
}

impl Outcome {
    pub fn says(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    pub fn slug(&self) -> &SlugId {
        self.slug.as_ref().unwrap_or_else(|| panic!("no slug: {self:#?}"))
    }
}

/// A build under way.
pub struct Building {
    pub build: BuildId,
    pub process: ProcessId,
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    lines: Vec<String>,
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

/// The server's part: builds one order and prints how it went. A line on its input cancels.
pub fn be_server(data: &str, order: &str) -> ExitCode {
    let data = DataFolder::new(data);
    let order: Order = serde_json::from_str(order).unwrap();
    let slugs = Arc::new(SlugStore::open(&data.root().join("slugs")).unwrap());
    let process = Limits { memory_bytes: order.memory_bytes, ..BuildLimits::DEFAULT.process };
    let limits = BuildLimits { process, time_seconds: order.time_seconds, output_bytes: order.output_bytes };
    let builder = Builder { data, slugs, incarnation: INCARNATION, limits, stack: "host".to_owned() };
    let request = BuildRequest {
        app: order.app,
        app_index: APP,
        build: order.build,
        process: order.process,
        commit: Some("c".repeat(40).parse().unwrap()),
        previous: None,
        environment: BuildEnvironment::new(order.config),
        request_id: None,
    };
    let cancel = CancelToken::new();
    let on_input = cancel.clone();
    std::thread::spawn(move || {
        if std::io::stdin().lines().next().is_some() {
            on_input.cancel();
        }
    });
    let outcome = match builder.build(&request, &mut |line: &str| println!("{line}"), &cancel) {
        Ok(built) => Outcome {
            slug: Some(built.slug),
            processes: built
                .processes
                .into_iter()
                .map(|(name, command)| (name.to_string(), command))
                .collect(),
            error: String::new(),
            fault: String::new(),
            lines: Vec::new(),
        },
        Err(error) => Outcome {
            slug: None,
            processes: BTreeMap::new(),
            error: chain(&error),
            fault: match error.fault() {
                Fault::App => "app",
                Fault::Platform => "platform",
                Fault::Cancelled => "cancelled",
            }
            .to_owned(),
            lines: Vec::new(),
        },
    };
    println!("{OUTCOME}{}", serde_json::to_string(&outcome).unwrap());
    ExitCode::SUCCESS
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

pub fn be_cleaner(data: &str) -> ExitCode {
    let data = DataFolder::new(data);
    let mut launcher = Launcher::connect(&data.launcher_socket()).unwrap();
    launcher.hello(INCARNATION).unwrap();
    println!("{:?}", builder::clean_abandoned(&data, Some(&mut launcher)).unwrap());
    ExitCode::SUCCESS
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
        let mut child = std::process::Command::new("/proc/self/exe")
            .args(["build", self.data.root().to_str().unwrap(), &serde_json::to_string(&order).unwrap()])
            .uid(DEFAULT_SERVER_UID)
            .gid(DEFAULT_SERVER_UID)
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Building { build, process, child, output, lines: Vec::new() }
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
            stdio: Stdio::Journal,
            network: Network::App,
            toolchain: None,
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

impl Building {
    /// Reads lines until one holds `text`.
    pub fn until_says(&mut self, text: &str) {
        while !self.lines.last().is_some_and(|line| line.contains(text)) {
            assert!(self.next_line(), "it ended without {text:?}: {:#?}", self.lines);
        }
    }

    pub fn cancel(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "cancel").unwrap();
    }

    /// As a crash of the server would.
    pub fn kill_server(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn end(mut self) -> Outcome {
        while self.next_line() {}
        assert!(self.child.wait().unwrap().success(), "{:#?}", self.lines);
        let outcome = self.lines.pop().unwrap_or_default();
        let outcome = outcome.strip_prefix(OUTCOME).unwrap_or_else(|| panic!("no outcome: {outcome}"));
        Outcome { lines: self.lines, ..serde_json::from_str(outcome).unwrap() }
    }

    fn next_line(&mut self) -> bool {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        self.lines.push(line.trim_end_matches('\n').to_owned());
        if read == 0 {
            self.lines.pop();
        }
        read > 0
    }
}

/// As the extractor leaves it: the server's own, readable by all.
fn write_source(source: &Path, files: &[(&str, String)]) {
    fs::create_dir_all(source).unwrap();
    for (name, content) in files {
        let path = source.join(name.trim_end_matches(['*', '@']));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('@') {
            symlink(content, &path).unwrap();
            continue;
        }
        fs::write(&path, content).unwrap();
        if name.ends_with('*') {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    give_to_server(source.parent().unwrap());
}

fn give_to_server(path: &Path) {
    std::os::unix::fs::lchown(path, Some(DEFAULT_SERVER_UID), Some(DEFAULT_SERVER_UID)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give_to_server(&entry.unwrap().path());
        }
    }
}

/// Copies a tree and gives it to somebody.
pub fn copy_for(from: &Path, to: &Path, uid: u32) {
    fs::create_dir_all(to).unwrap();
    chown(to, Some(uid), Some(uid)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_for(&entry.path(), &target, uid);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            chown(&target, Some(uid), Some(uid)).unwrap();
        }
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
