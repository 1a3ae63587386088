//! One build: the server's part, played by a process of its own under the server's uid, and how a case follows it.

use crate::world::{APP, INCARNATION};
use blobs::{LayerStore, SlugStore};
use builder::{BuildEnvironment, BuildLimits, BuildRequest, Builder, CancelToken, Fault, Mirrors};
use domain::cause::chain;
use domain::ids::{AppId, BuildId, ProcessId};
use domain::names::SlugId;
use domain::process::Limits;
use sandbox::client::Launcher;
use sandbox::launcher::DEFAULT_SERVER_UID;
use sandbox::layout::DataFolder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitCode, Stdio as Pipe};
use std::sync::Arc;

/// What the builder's part prints before its one line of JSON.
const OUTCOME: &str = "OUTCOME ";

/// What is to be built, on its way to the process that builds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub app: AppId,
    pub build: BuildId,
    pub process: ProcessId,
    pub config: BTreeMap<String, String>,
    pub time_seconds: u64,
    pub memory_bytes: u64,
    pub output_bytes: u64,
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

/// The server's part: builds one order and prints how it went. A line on its input cancels.
pub fn be_server(data: &str, order: &str) -> ExitCode {
    let data = DataFolder::new(data);
    let order: Order = serde_json::from_str(order).unwrap();
    let slugs = Arc::new(SlugStore::open(&data.root().join("slugs")).unwrap());
    let process = Limits { memory_bytes: order.memory_bytes, ..BuildLimits::DEFAULT.process };
    let limits = BuildLimits { process, time_seconds: order.time_seconds, output_bytes: order.output_bytes };
    let layers = LayerStore::new(data.root().join("layers"));
    let mirrors = Mirrors::default();
    let stack = "host".to_owned();
    let builder = Builder { data, slugs, incarnation: INCARNATION, limits, stack, layers, mirrors };
    let request = BuildRequest {
        app: order.app,
        app_index: APP,
        build: order.build,
        process: order.process,
        buildpacks: Vec::new(),
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

pub fn be_cleaner(data: &str) -> ExitCode {
    let data = DataFolder::new(data);
    let mut launcher = Launcher::connect(&data.launcher_socket()).unwrap();
    launcher.hello(INCARNATION).unwrap();
    println!("{:?}", builder::clean_abandoned(&data, Some(&mut launcher)).unwrap());
    ExitCode::SUCCESS
}

impl Building {
    /// Under the server's uid, in a process of its own.
    pub fn start(data: &DataFolder, order: &Order) -> Self {
        let mut child = std::process::Command::new("/proc/self/exe")
            .args(["build", data.root().to_str().unwrap(), &serde_json::to_string(order).unwrap()])
            .uid(DEFAULT_SERVER_UID)
            .gid(DEFAULT_SERVER_UID)
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { build: order.build, process: order.process, child, output, lines: Vec::new() }
    }

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
