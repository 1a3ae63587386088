//! The shim's second part, as uid dozen: one poll loop from the word to start until the sandbox has ended.

mod asked;
mod ending;
mod healing;
mod renewing;
mod waiting;

pub use renewing::Taken;

use super::clone::Init;
use super::control::{Control, Reply};
use super::facts::Facts;
use super::health::Health;
use super::journal::ProcessJournal;
use super::lines::{self, Before, Cause};
use super::meter::Meter;
use super::orders::Orders;
use super::readiness::{Outcome, Probe};
use super::renew::Order;
use super::start::{NotStarted, Started};
use super::stdio::Outside;
use super::stop::{Effect, Stop};
use super::streams::{OutputStream, READ_BYTES};
use crate::cgroup::ProcessGroup;
use crate::inside::link::{FromInit, ShimLink, ToInit};
use crate::layout::DataFolder;
use crate::message::MessageError;
use crate::probe::NetworkForm;
use crate::spec::Readiness;
use crate::system::boot_now;
use domain::plan::StopReason;
use domain::process::{BootDiagnosis, Exit, ExitStatus, FailedCheck};
use domain::time::BootMillis;
use domain::usage::Usage;
use journal::Stream;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use std::os::fd::OwnedFd;
use waiting::watch_signals;

/// How long the reason of a failed start waits for room in the caller's pipe, and how much of it fits at once (`PIPE_BUF`).
const TELL_SECONDS: i64 = 1;
const TELL_BYTES: usize = 4096;

/// Holds the process to its end and writes down how it ended.
pub fn supervise(orders: &Orders, lock: &OwnedFd, started: Result<Started, NotStarted>, control: OwnedFd) {
    let folder = DataFolder::new(&orders.data).process(orders.spec.process);
    let mut facts = Facts::new(folder, orders.spec.boot_id.clone(), boot_now());
    let mut journal = ProcessJournal::open(orders);
    journal.platform(&lines::starting(&orders.spec.command.shown));
    journal.flush();
    match started {
        Ok(started) => {
            let control = Control::new(control, orders.shim.uid);
            Supervisor::new(orders, lock, started, facts, journal, control).run();
        }
        Err(NotStarted { problem, outside }) => {
            tell_not_started(&problem.to_string(), outside.as_ref(), &mut journal);
            if let Some(line) = lines::ended(Before::Starting, orders.spec.purpose(), Cause::Own) {
                journal.platform(&line);
            }
            facts.exit(Exit {
                at: boot_now(),
                status: ExitStatus::NotStarted,
                stop_requested: false,
                out_of_memory: false,
                failed_check: None,
            });
            journal.close();
        }
    }
}

fn tell_not_started(reason: &str, outside: Option<&Outside>, journal: &mut ProcessJournal) {
    let line = lines::not_started(reason);
    journal.platform(&line);
    if let Some(Outside::Passed { error }) = outside {
        tell_caller(error, &format!("{line}\n"));
    }
}

/// A pipe that nobody reads may be full: it is not waited for long.
fn tell_caller(error: &OwnedFd, text: &str) {
    let mut fds = [PollFd::new(error, PollFlags::OUT)];
    let timeout = Timespec { tv_sec: TELL_SECONDS, tv_nsec: 0 };
    if matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1)) {
        let bytes = text.as_bytes();
        let _ = rustix::io::write(error, &bytes[..bytes.len().min(TELL_BYTES)]);
    }
}

/// How far the app has come.
enum Life {
    /// Not executed yet.
    Preparing,
    Starting(Box<Probe>),
    /// Somebody accepts where it should; the init was asked whether that is the app.
    Confirming(Box<Probe>),
    /// It accepts, if it has to; startup checks are left to pass.
    Checking,
    Up,
}

/// Whether the sandbox's init may still say something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    On,
    /// It has hung up and is about to end. Its socket would be ready for ever.
    Over,
}

/// What may have happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Link,
    Init,
    Output(usize),
    Control,
    Probe,
    /// The attempt of the health check in this place.
    Health(usize),
    Signals,
}

/// One process, from the word to start to its end.
pub struct Supervisor<'a> {
    orders: &'a Orders,
    /// The run folder's, held by whoever called.
    lock: &'a OwnedFd,
    init: Init,
    link: ShimLink,
    hearing: Hearing,
    group: ProcessGroup,
    outside: Outside,
    outputs: Vec<OutputStream>,
    facts: Facts,
    journal: ProcessJournal,
    control: Control,
    signals: Option<OwnedFd>,
    life: Life,
    health: Health,
    executed_at: BootMillis,
    /// The health check that has led to the stop.
    failed_check: Option<FailedCheck>,
    stop: Stop,
    /// Why it ends, or would if it did now.
    cause: Cause,
    time_limit_at: Option<BootMillis>,
    meter: Meter,
    leader: Option<ExitStatus>,
    /// Requests that wait for the sandbox: a diagnosis, a terminal.
    awaiting_diagnosis: Vec<Reply>,
    awaiting_terminal: Vec<Reply>,
    renewal: Option<Order>,
    buffer: Vec<u8>,
}

impl<'a> Supervisor<'a> {
    fn new(
        orders: &'a Orders,
        lock: &'a OwnedFd,
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
            lock,
            init,
            link,
            hearing: Hearing::On,
            group,
            outside,
            outputs,
            facts,
            journal,
            control,
            signals: watch_signals().ok(),
            life: Life::Preparing,
            health: Health::new(&orders.spec),
            executed_at: boot_now(),
            failed_check: None,
            stop: Stop::NotAsked,
            cause: Cause::Own,
            time_limit_at: None,
            meter: Meter::new(&orders.spec, orders.sample_millis, boot_now()),
            leader: None,
            awaiting_diagnosis: Vec::new(),
            awaiting_terminal: Vec::new(),
            renewal: None,
            buffer: vec![0; READ_BYTES],
        }
    }

    fn run(self) {
        self.link.tell(ToInit::Start);
        self.turn_until_the_end();
    }

    fn turn_until_the_end(mut self) {
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
            self.renew_if_ordered();
        }
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
            Source::Health(place) => self.advance_check(place),
            Source::Signals => {
                if let Some(signals) = &self.signals {
                    let _ = rustix::io::read(signals, &mut self.buffer);
                }
                self.ask_to_stop(StopReason::NotWanted);
            }
        }
    }

    /// What is due by the clock.
    fn tick(&mut self, now: BootMillis) {
        if let Life::Starting(probe) = &mut self.life {
            let outcome = probe.tick(now);
            self.probed(outcome);
        }
        self.tick_checks(now);
        if self.time_limit_at.is_some_and(|at| now >= at) {
            self.time_limit_at = None;
            self.journal
                .platform(&lines::time_limit(self.orders.spec.time_limit_seconds.unwrap_or_default()));
            self.ask_to_stop(StopReason::TimeLimit);
        }
        let effect = self.stop.tick(now);
        self.carry_out(effect);
        self.measure(now);
        self.facts.tick(now);
        self.journal.tick();
    }

    fn measure(&mut self, now: BootMillis) {
        if self.meter.is_due(now) {
            let told = self.meter.look(now, &self.usage());
            told.iter().for_each(|line| self.journal.platform(line));
        }
    }

    fn usage(&self) -> Usage {
        self.group.usage(self.orders.spec.limits)
    }

    /// Everything that the sandbox's init has said.
    fn hear(&mut self) {
        loop {
            match self.link.receive() {
                Ok((what, descriptors)) => self.heard(what, descriptors),
                Err(MessageError::Closed) => {
                    self.hearing = Hearing::Over;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn heard(&mut self, what: FromInit, descriptors: Vec<OwnedFd>) {
        match what {
            FromInit::Terminal => self.take_terminal(descriptors),
            FromInit::Started => self.executed(),
            FromInit::Failed { what } => {
                tell_not_started(&what, Some(&self.outside), &mut self.journal);
                self.leader = Some(ExitStatus::NotStarted);
            }
            FromInit::Exited(status) => self.leader = Some(status),
            FromInit::Diagnosis(diagnosis) => self.diagnosed(diagnosis.as_ref()),
        }
    }

    fn executed(&mut self) {
        let now = boot_now();
        self.time_limit_at = self.orders.spec.time_limit_seconds.map(|seconds| now.plus_seconds(seconds));
        self.executed_at = now;
        match (self.orders.spec.readiness, self.orders.spec.endpoint) {
            (Readiness::AcceptOnEndpoint, Some(endpoint)) => {
                self.life = Life::Starting(Box::new(Probe::new(endpoint.0, now)));
            }
            (Readiness::AcceptOnEndpoint, None) | (Readiness::Immediately, _) => self.accepts(),
        }
    }

    fn probed(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => match self.orders.network {
                NetworkForm::PerApp => self.accepts(),
                NetworkForm::Shared => self.confirm(),
            },
            Outcome::NotYet => {}
        }
    }

    fn confirm(&mut self) {
        match (std::mem::replace(&mut self.life, Life::Preparing), self.orders.spec.endpoint) {
            (Life::Starting(probe), Some(endpoint)) => {
                self.life = Life::Confirming(probe);
                self.link.tell(ToInit::Diagnose(endpoint.0));
            }
            (other, _) => self.life = other,
        }
    }

    fn diagnosed(&mut self, diagnosis: Option<&BootDiagnosis>) {
        self.answer_diagnosis(diagnosis);
        match std::mem::replace(&mut self.life, Life::Preparing) {
            Life::Confirming(_) if diagnosis.is_none() => self.accepts(),
            Life::Confirming(mut probe) => {
                probe.reject(boot_now());
                self.life = Life::Starting(probe);
            }
            other @ (Life::Preparing | Life::Starting(_) | Life::Checking | Life::Up) => {
                self.life = other;
            }
        }
    }

    /// Nothing but startup checks keeps it from being up.
    fn accepts(&mut self) {
        if !self.stop.is_asked() {
            self.health.accepts(self.executed_at, boot_now());
        }
        if self.health.has_started() {
            self.up();
        } else {
            self.life = Life::Checking;
        }
    }

    fn up(&mut self) {
        let now = boot_now();
        self.life = Life::Up;
        self.facts.ready(now);
        if !self.stop.is_asked() {
            self.journal.platform(lines::UP);
            self.health.up(self.executed_at, now);
        }
    }

    fn take_terminal(&mut self, descriptors: Vec<OwnedFd>) {
        if let (Outside::TerminalToCome, Some(master)) = (&self.outside, descriptors.into_iter().next()) {
            self.outside = Outside::Terminal(master);
        }
        for reply in std::mem::take(&mut self.awaiting_terminal) {
            self.hand_out(reply);
        }
    }

    /// Also before the app has been executed: the init gets to the signal as soon as it has, and if it never does, the grace ends.
    fn ask_to_stop(&mut self, why: StopReason) {
        if !self.stop.is_asked() {
            self.cause = Cause::Asked(why);
        }
        self.begin_stop();
    }

    fn begin_stop(&mut self) {
        let effect = self.stop.ask(self.orders.spec.stop, boot_now());
        self.carry_out(effect);
    }

    const fn before(&self) -> Before {
        match self.life {
            Life::Preparing | Life::Starting(_) | Life::Confirming(_) | Life::Checking => Before::Starting,
            Life::Up => Before::Up,
        }
    }

    /// What a stop makes of the process's place, before its signal.
    fn tell_leaving(&mut self) {
        for line in lines::leaving(self.before(), self.orders.spec.purpose(), self.cause) {
            self.journal.platform(&line);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let policy = self.orders.spec.stop;
        if effect != Effect::Nothing {
            self.health.end();
        }
        match effect {
            Effect::Nothing => {}
            Effect::Signal => {
                self.facts.stopping(boot_now());
                self.tell_leaving();
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
                if self.cause == Cause::Own {
                    self.cause = Cause::Asked(StopReason::NotWanted);
                    self.tell_leaving();
                }
                self.journal.platform(lines::KILLING);
                self.kill_all();
            }
        }
    }

    /// The end of the namespace's first process is the end of all of them.
    fn kill_all(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.init.pidfd, Signal::KILL);
    }
}
