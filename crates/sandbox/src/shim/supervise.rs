//! The shim's second part, as uid dozen: one poll loop from the word to start until the sandbox has ended.

use super::clone::Init;
use super::control::{Asked, Control, Reply};
use super::facts::Facts;
use super::journal::ProcessJournal;
use super::lines::{self, Before, Cause};
use super::orders::Orders;
use super::readiness::{Outcome, Probe};
use super::start::{NotStarted, Started};
use super::stdio::Outside;
use super::stop::{Effect, Stop};
use super::streams::{OutputStream, READ_BYTES};
use crate::cgroup::ProcessGroup;
use crate::inside::link::{FromInit, ShimLink, ToInit};
use crate::layout::DataFolder;
use crate::protocol::{ControlAnswer, ControlRequest};
use crate::spec::{Readiness, WindowSize};
use crate::system::boot_now;
use domain::process::{BootDiagnosis, Exit, ExitStatus};
use domain::time::BootMillis;
use journal::Stream;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

/// How long the ends of a held process that ended before anybody attached are kept for who attaches late.
const HELD_LINGER_SECONDS: u64 = 60;
/// The loop turns at least this often.
const LONGEST_WAIT_MILLIS: u64 = 60_000;

/// Holds the process to its end and writes down how it ended.
pub fn supervise(orders: &Orders, started: Result<Started, NotStarted>, control: OwnedFd) {
    let folder = DataFolder::new(&orders.data).process(orders.spec.process);
    let mut facts = Facts::new(folder, orders.spec.boot_id.clone());
    let mut journal = ProcessJournal::open(orders);
    journal.platform(&lines::starting(&orders.spec.command.shown));
    journal.flush();
    match started {
        Ok(started) => {
            let control = Control::new(control, orders.shim.uid);
            Supervisor::new(orders, started, facts, journal, control).run();
        }
        Err(NotStarted { problem, outside }) => {
            tell_not_started(&problem.to_string(), outside.as_ref(), &mut journal);
            journal.platform(&lines::ended(Before::Starting, orders.spec.purpose(), Cause::Own));
            facts.exit(Exit {
                at: boot_now(),
                status: ExitStatus::NotStarted,
                stop_requested: false,
                out_of_memory: false,
            });
            journal.close();
        }
    }
}

fn tell_not_started(reason: &str, outside: Option<&Outside>, journal: &mut ProcessJournal) {
    let line = lines::not_started(reason);
    journal.platform(&line);
    if let Some(Outside::Passed { error }) = outside {
        let _ = rustix::io::write(error, format!("{line}\n").as_bytes());
    }
}

/// How far the app has come.
enum Life {
    /// Not executed yet.
    Preparing,
    Starting(Box<Probe>),
    Up,
}

/// What may have happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Link,
    Init,
    Output(usize),
    Control,
    Probe,
    Signals,
}

struct Supervisor<'a> {
    orders: &'a Orders,
    init: Init,
    link: ShimLink,
    group: ProcessGroup,
    outside: Outside,
    outputs: Vec<OutputStream>,
    facts: Facts,
    journal: ProcessJournal,
    control: Control,
    signals: Option<OwnedFd>,
    life: Life,
    stop: Stop,
    time_limit_at: Option<BootMillis>,
    leader: Option<ExitStatus>,
    /// Requests that wait for the sandbox: a diagnosis, a terminal.
    awaiting_diagnosis: Vec<Reply>,
    awaiting_terminal: Vec<Reply>,
    buffer: Vec<u8>,
}

impl<'a> Supervisor<'a> {
    fn new(
        orders: &'a Orders,
        started: Started,
        facts: Facts,
        journal: ProcessJournal,
        control: Control,
    ) -> Self {
        let Started { init, link, group, outside } = started;
        let (outside, outputs) = match outside {
            Outside::Journal { output, error } => {
                let outputs =
                    vec![OutputStream::new(output, Stream::Stdout), OutputStream::new(error, Stream::Stderr)];
                (Outside::HandedOut, outputs)
            }
            other => (other, Vec::new()),
        };
        Self {
            orders,
            init,
            link,
            group,
            outside,
            outputs,
            facts,
            journal,
            control,
            signals: watch_signals().ok(),
            life: Life::Preparing,
            stop: Stop::NotAsked,
            time_limit_at: None,
            leader: None,
            awaiting_diagnosis: Vec::new(),
            awaiting_terminal: Vec::new(),
            buffer: vec![0; READ_BYTES],
        }
    }

    fn run(mut self) {
        self.link.tell(ToInit::Start);
        loop {
            let happened = self.wait();
            for source in &happened {
                self.handle(*source);
            }
            self.tick(boot_now());
            self.journal.flush();
            if happened.contains(&Source::Init) {
                return self.finish();
            }
        }
    }

    /// Blocks until something happens or is due.
    fn wait(&self) -> Vec<Source> {
        let mut sources = vec![Source::Link, Source::Init];
        let mut fds = vec![watch(&self.link), watch(&self.init.pidfd)];
        for (index, output) in self.outputs.iter().enumerate() {
            if let Some(pipe) = output.pipe() {
                sources.push(Source::Output(index));
                fds.push(watch(pipe));
            }
        }
        for socket in self.control.sockets() {
            sources.push(Source::Control);
            fds.push(watch(socket));
        }
        if let Life::Starting(probe) = &self.life
            && let Some(socket) = probe.socket()
        {
            sources.push(Source::Probe);
            fds.push(PollFd::new(socket, PollFlags::OUT));
        }
        if let Some(signals) = &self.signals {
            sources.push(Source::Signals);
            fds.push(watch(signals));
        }
        let _ = rustix::event::poll(&mut fds, Some(&self.timeout()));
        let mut happened: Vec<Source> = sources
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(source, _)| source)
            .collect();
        happened.dedup();
        happened
    }

    fn timeout(&self) -> Timespec {
        let probe = match &self.life {
            Life::Starting(probe) => Some(probe.due_at()),
            Life::Preparing | Life::Up => None,
        };
        let due = [probe, self.stop.due_at(), self.time_limit_at, self.facts.due_at(), self.journal.due_at()];
        let now = boot_now();
        let wait = due.into_iter().flatten().map(|at| at.millis_since(now)).min();
        let millis = wait.unwrap_or(LONGEST_WAIT_MILLIS).min(LONGEST_WAIT_MILLIS);
        Timespec::try_from(std::time::Duration::from_millis(millis))
            .unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Link => self.hear(),
            // Its end is handled last, after everything it has left.
            Source::Init => {}
            Source::Output(index) => self.outputs[index].read(&mut self.buffer, &mut self.journal),
            Source::Control => {
                for asked in self.control.turn() {
                    self.obey(asked);
                }
            }
            Source::Probe => {
                if let Life::Starting(probe) = &mut self.life {
                    let outcome = probe.decided(boot_now());
                    self.probed(outcome);
                }
            }
            Source::Signals => {
                if let Some(signals) = &self.signals {
                    let _ = rustix::io::read(signals, &mut self.buffer);
                }
                self.ask_to_stop();
            }
        }
    }

    /// What is due by the clock.
    fn tick(&mut self, now: BootMillis) {
        if let Life::Starting(probe) = &mut self.life {
            let outcome = probe.tick(now);
            self.probed(outcome);
        }
        if self.time_limit_at.is_some_and(|at| now >= at) {
            self.time_limit_at = None;
            self.journal
                .platform(&lines::time_limit(self.orders.spec.time_limit_seconds.unwrap_or_default()));
            self.ask_to_stop();
        }
        let effect = self.stop.tick(now);
        self.carry_out(effect);
        self.facts.tick(now);
        self.journal.tick();
    }

    /// Everything that the sandbox's init has said.
    fn hear(&mut self) {
        while let Ok((what, descriptors)) = self.link.receive() {
            match what {
                FromInit::Terminal => self.take_terminal(descriptors),
                FromInit::Started => self.executed(),
                FromInit::Failed { what } => {
                    tell_not_started(&what, Some(&self.outside), &mut self.journal);
                    self.leader = Some(ExitStatus::NotStarted);
                }
                FromInit::Exited(status) => self.leader = Some(status),
                FromInit::Diagnosis(diagnosis) => self.answer_diagnosis(diagnosis.as_ref()),
            }
        }
    }

    fn executed(&mut self) {
        let now = boot_now();
        self.time_limit_at = self.orders.spec.time_limit_seconds.map(|seconds| now.plus_seconds(seconds));
        match (self.orders.spec.readiness, self.orders.spec.endpoint) {
            (Readiness::AcceptOnEndpoint, Some(endpoint)) => {
                self.life = Life::Starting(Box::new(Probe::new(endpoint.0, now)));
            }
            (Readiness::AcceptOnEndpoint, None) | (Readiness::Immediately, _) => self.up(),
        }
    }

    fn probed(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => self.up(),
            Outcome::NotYet => {}
        }
    }

    fn up(&mut self) {
        self.life = Life::Up;
        self.facts.ready(boot_now());
        self.journal.platform(lines::UP);
    }

    fn take_terminal(&mut self, descriptors: Vec<OwnedFd>) {
        if let (Outside::TerminalToCome, Some(master)) = (&self.outside, descriptors.into_iter().next()) {
            self.outside = Outside::Terminal(master);
        }
        for reply in std::mem::take(&mut self.awaiting_terminal) {
            self.hand_out(reply);
        }
    }

    fn obey(&mut self, asked: Asked) {
        let Asked { request, reply } = asked;
        match request {
            ControlRequest::Stop => {
                self.ask_to_stop();
                reply.done();
            }
            ControlRequest::Kill => {
                let effect = self.stop.kill();
                self.carry_out(effect);
                reply.done();
            }
            ControlRequest::Diagnose => self.ask_for_diagnosis(reply),
            ControlRequest::Attach => self.hand_out(reply),
            ControlRequest::Resize(size) => self.resize(size, &reply),
        }
    }

    fn ask_to_stop(&mut self) {
        let effect = match self.life {
            // There is nobody yet who could handle a signal.
            Life::Preparing => self.stop.kill(),
            Life::Starting(_) | Life::Up => self.stop.ask(self.orders.spec.stop, boot_now()),
        };
        self.carry_out(effect);
    }

    fn carry_out(&mut self, effect: Effect) {
        let policy = self.orders.spec.stop;
        match effect {
            Effect::Nothing => {}
            Effect::Signal => {
                self.facts.stopping(boot_now());
                self.journal.platform(&lines::stopping(policy.signal));
                self.link.tell(ToInit::Signal(policy.signal, policy.to));
            }
            Effect::KillAfterGrace => {
                self.journal.platform(&lines::exit_timeout(policy.grace_seconds));
                self.journal.platform(lines::KILLING);
                self.kill_all();
            }
            Effect::KillNow => {
                self.facts.stopping(boot_now());
                self.journal.platform(lines::KILLING);
                self.kill_all();
            }
        }
    }

    /// The end of the namespace's first process is the end of all of them.
    fn kill_all(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.init.pidfd, Signal::KILL);
    }

    fn ask_for_diagnosis(&mut self, reply: Reply) {
        match (&self.life, self.orders.spec.endpoint) {
            (_, None) => reply.refuse("this process was told to listen nowhere"),
            (Life::Preparing, _) => reply.answer(ControlAnswer::Diagnosis(BootDiagnosis::NothingBound), &[]),
            (Life::Starting(_) | Life::Up, Some(endpoint)) => {
                self.link.tell(ToInit::Diagnose(endpoint.0));
                self.awaiting_diagnosis.push(reply);
            }
        }
    }

    fn answer_diagnosis(&mut self, diagnosis: Option<&BootDiagnosis>) {
        for reply in std::mem::take(&mut self.awaiting_diagnosis) {
            match diagnosis {
                Some(diagnosis) => reply.answer(ControlAnswer::Diagnosis(diagnosis.clone()), &[]),
                None => reply.refuse("the process listens where it was told to"),
            }
        }
    }

    /// Gives the outer ends away and keeps none.
    fn hand_out(&mut self, reply: Reply) {
        match std::mem::replace(&mut self.outside, Outside::HandedOut) {
            Outside::Pipes { input, output, error } => {
                reply.answer(ControlAnswer::AttachedPipes, &[input.as_fd(), output.as_fd(), error.as_fd()]);
            }
            Outside::Terminal(master) => reply.answer(ControlAnswer::AttachedTerminal, &[master.as_fd()]),
            Outside::TerminalToCome => {
                self.outside = Outside::TerminalToCome;
                self.awaiting_terminal.push(reply);
            }
            Outside::HandedOut => {
                reply.refuse("there is nothing to attach to, or somebody has attached before")
            }
            other @ (Outside::Journal { .. } | Outside::Passed { .. }) => {
                self.outside = other;
                reply.refuse("this process was not started to be attached to");
            }
        }
    }

    fn resize(&self, size: WindowSize, reply: &Reply) {
        let Outside::Terminal(master) = &self.outside else {
            return reply.refuse("no terminal is held here; who has attached sets its size");
        };
        match crate::control::set_terminal_size(master.as_fd(), size) {
            Ok(()) => reply.done(),
            Err(error) => reply.refuse(&format!("could not set the terminal's size: {error}")),
        }
    }

    /// The sandbox has ended: nothing of it runs any more.
    fn finish(mut self) {
        self.hear();
        let killed_by = reap(&self.init);
        for output in &mut self.outputs {
            output.drain(&mut self.buffer, &mut self.journal);
        }
        let exit = Exit {
            at: boot_now(),
            status: self.leader.unwrap_or(killed_by),
            stop_requested: self.stop.is_asked(),
            out_of_memory: self.group.oom_kills().ok().flatten().is_some_and(|count| count > 0),
        };
        self.tell_end(&exit);
        self.journal.flush();
        self.facts.exit(exit);
        self.linger();
        self.journal.close();
    }

    fn tell_end(&mut self, exit: &Exit) {
        if exit.out_of_memory {
            self.journal.platform(lines::OUT_OF_MEMORY);
        }
        if exit.status != ExitStatus::NotStarted {
            self.journal.platform(&lines::exited(exit.status));
        }
        let before = match self.life {
            Life::Preparing | Life::Starting(_) => Before::Starting,
            Life::Up => Before::Up,
        };
        let cause = if exit.stop_requested { Cause::Asked } else { Cause::Own };
        self.journal.platform(&lines::ended(before, self.orders.spec.purpose(), cause));
    }

    /// A held process may end before anybody has attached: its output still waits in the pipes.
    fn linger(&mut self) {
        let end = boot_now().plus_seconds(HELD_LINGER_SECONDS);
        while matches!(self.outside, Outside::Pipes { .. } | Outside::Terminal(_)) {
            let left = end.millis_since(boot_now());
            if left == 0 {
                return;
            }
            let mut fds: Vec<_> = self.control.sockets().map(watch).collect();
            let timeout = Timespec::try_from(std::time::Duration::from_millis(left)).ok();
            let _ = rustix::event::poll(&mut fds, timeout.as_ref());
            drop(fds);
            for Asked { request, reply } in self.control.turn() {
                match request {
                    ControlRequest::Attach => self.hand_out(reply),
                    ControlRequest::Stop | ControlRequest::Kill => return reply.done(),
                    ControlRequest::Diagnose | ControlRequest::Resize(_) => {
                        reply.refuse("the process has ended")
                    }
                }
            }
        }
    }
}

fn watch<F: AsFd>(descriptor: &F) -> PollFd<'_> {
    PollFd::new(descriptor, PollFlags::IN)
}

/// How the init itself ended: the answer where it could not tell of the app's first process.
fn reap(init: &Init) -> ExitStatus {
    let waited = rustix::process::waitid(WaitId::PidFd(init.pidfd.as_fd()), WaitIdOptions::EXITED);
    let Ok(Some(status)) = waited else { return ExitStatus::Signal(9) };
    let number = |value: Option<i32>| value.and_then(|value| u8::try_from(value).ok());
    match (number(status.terminating_signal()), number(status.exit_status())) {
        (Some(signal), _) => ExitStatus::Signal(signal),
        // The init ends by itself only when it could not go on.
        (None, Some(_)) | (None, None) => ExitStatus::NotStarted,
    }
}

/// A shim that is told to end by the machine's shutdown stops its app as anybody would.
fn watch_signals() -> std::io::Result<OwnedFd> {
    // SAFETY: the set is a local that is filled in before it is read; the new descriptor belongs to nobody else.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            Err(std::io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(descriptor))
        }
    }
}
