//! The engine's backend from memory, with streams that are real: who attaches gets a shell that runs the job's command.

use domain::desired::Desired;
use domain::ids::{JobId, ProcessId};
use domain::process::ExitStatus;
use domain::usage::Usage;
use engine::doubles::MemoryBackend;
use engine::ports::{
    AttachError, Attached, Backend, Bell, Clock, Facts, JobStarted, NotCommitted, ReleaseEnvironment, Status,
    UsageError,
};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

pub struct AttachableBackend {
    memory: Arc<MemoryBackend>,
    /// By process, of jobs only.
    commands: Mutex<BTreeMap<ProcessId, String>>,
    children: Mutex<Vec<u32>>,
}

impl AttachableBackend {
    pub fn new(clock: Arc<dyn Clock>, environment: Arc<dyn ReleaseEnvironment>) -> Self {
        let memory = Arc::new(MemoryBackend::new(clock, environment, 99));
        Self { memory, commands: Mutex::default(), children: Mutex::default() }
    }

    /// Whether a process's child is alive.
    pub fn living(&self) -> usize {
        self.children.lock().unwrap().len()
    }

    pub fn end_all(&self) {
        for child in self.children.lock().unwrap().drain(..) {
            let pid = rustix::process::Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
            let _gone = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Remembers what each job's process is to run.
struct Noting<'a> {
    facts: &'a dyn Facts,
    commands: &'a Mutex<BTreeMap<ProcessId, String>>,
    command_of: &'a dyn Fn(JobId) -> String,
}

impl Facts for Noting<'_> {
    fn commit(&self, started: JobStarted) -> Result<(), NotCommitted> {
        self.commands.lock().unwrap().insert(started.process, (self.command_of)(started.job));
        self.facts.commit(started)
    }
}

impl Backend for AttachableBackend {
    fn reconcile(&self, desired: &Desired, facts: &dyn Facts) -> Status {
        let jobs = || desired.apps.iter().flat_map(|app| &app.jobs);
        if jobs().any(|job| job.cancelled) {
            self.end_all();
        }
        let command_of =
            |id: JobId| jobs().find(|job| job.job == id).map(|job| job.command.clone()).unwrap_or_default();
        self.memory.reconcile(desired, &Noting { facts, commands: &self.commands, command_of: &command_of })
    }

    fn wake(&self, bell: Bell) {
        self.memory.wake(bell);
    }

    fn attach(&self, process: ProcessId) -> Result<Attached, AttachError> {
        let command = self.commands.lock().unwrap().get(&process).cloned();
        let command = command.ok_or_else(|| AttachError::Unreachable("not started yet".to_owned()))?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = std::os::unix::process::CommandExt::process_group(&mut shell, 0).spawn().unwrap();
        let attached = Attached::Pipes {
            input: child.stdin.take().unwrap().into(),
            output: child.stdout.take().unwrap().into(),
            error: child.stderr.take().unwrap().into(),
        };
        self.children.lock().unwrap().push(child.id());
        let memory = Arc::clone(&self.memory);
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            let code = status.code().map_or(ExitStatus::Signal(9), |code| ExitStatus::Code(code as u8));
            memory.end(process, code);
        });
        Ok(attached)
    }

    fn resize(&self, process: ProcessId, columns: u16, lines: u16) -> Result<(), AttachError> {
        self.memory.resize(process, columns, lines)
    }

    fn usage(&self, process: ProcessId) -> Result<Usage, UsageError> {
        self.memory.usage(process)
    }
}
