//! A supervisor as something that is handed on to another program: what it knows, in words, and back.

use super::{Hearing, Life, Supervisor};
use crate::cgroup::{Cgroups, ProcessGroup};
use crate::inside::link::ShimLink;
use crate::layout::DataFolder;
use crate::shim::clone::Init;
use crate::shim::control::{Control, Reply};
use crate::shim::facts::Facts;
use crate::shim::health::Health;
use crate::shim::journal::ProcessJournal;
use crate::shim::meter::Meter;
use crate::shim::orders::Orders;
use crate::shim::readiness::Probe;
use crate::shim::renew::state::{Descriptors, LifeState, OutputName, OutputState, ShimState, Version};
use crate::shim::renew::{self, Order, RenewError, ResumeError};
use crate::shim::start::Started;
use crate::shim::stdio::Outside;
use crate::shim::streams::OutputStream;
use crate::spec::Stdio;
use crate::system::boot_now;
use journal::Stream;
use rustix::process::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Copies of all descriptors that a state names.
pub struct Taken {
    lock: OwnedFd,
    control: OwnedFd,
    connections: Vec<OwnedFd>,
    init: OwnedFd,
    link: OwnedFd,
    outputs: Vec<OwnedFd>,
    reserved: Option<OwnedFd>,
}

impl Taken {
    pub fn copy(state: &ShimState) -> Result<Self, ResumeError> {
        let Descriptors { lock, control, connections, init, link, outputs, reserved, .. } =
            &state.descriptors;
        let copy = |number: &i32| renew::copy(*number).map_err(ResumeError::Descriptor);
        let copies = |numbers: &[i32]| numbers.iter().map(copy).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            lock: copy(lock)?,
            control: copy(control)?,
            connections: copies(connections)?,
            init: copy(init)?,
            link: copy(link)?,
            outputs: copies(outputs)?,
            reserved: reserved.as_ref().map(copy).transpose()?,
        })
    }
}

impl Supervisor<'_> {
    /// Carried out at the end of this turn of the loop.
    pub(super) fn order_renewal(&mut self, reply: &Reply, descriptors: Vec<OwnedFd>) {
        match Order::new(self.orders.privilege, reply, descriptors) {
            Ok(order) => {
                if let Some(earlier) = self.renewal.replace(order) {
                    earlier.refuse(&RenewError::Busy("another renewal was ordered"));
                }
            }
            Err(error) => reply.refuse(&domain::cause::chain(&error)),
        }
    }

    /// Returns only if this program goes on.
    pub(super) fn renew_if_ordered(&mut self) {
        let Some(order) = self.renewal.take() else { return };
        let Err(error) = self.try_to_renew(&order);
        // What was appended since lies in the new segment, if there is one.
        self.journal.reopen(self.orders);
        order.refuse(&error);
    }

    fn try_to_renew(&mut self, order: &Order) -> Result<std::convert::Infallible, RenewError> {
        if let Some(why) = self.is_busy() {
            return Err(RenewError::Busy(why));
        }
        let state = self.to_state(order)?;
        let journal = &mut self.journal;
        renew::become_program(order, &state, || journal.close_for_now())
    }

    /// What is between two states, or belongs to a conversation, is not handed on.
    fn is_busy(&self) -> Option<&'static str> {
        let waits = !self.awaiting_diagnosis.is_empty() || !self.awaiting_terminal.is_empty();
        match (&self.life, self.orders.spec.stdio) {
            (_, Stdio::Held(_) | Stdio::Passed(_)) => Some("somebody may be attached to this process"),
            (Life::Preparing | Life::Confirming(_), Stdio::Journal) => Some("the process is being started"),
            _ if waits => Some("its sandbox was asked something"),
            _ if self.leader.is_some() || self.hearing == Hearing::Over => Some("the process is ending"),
            _ if !self.journal.is_at_rest() => Some("its log cannot be written at present"),
            (Life::Starting(_) | Life::Checking | Life::Up, Stdio::Journal) => None,
        }
    }

    fn to_state(&self, order: &Order) -> Result<ShimState, RenewError> {
        let life = match self.life {
            Life::Starting(_) => LifeState::Starting,
            Life::Checking => LifeState::Checking,
            Life::Up => LifeState::Up,
            Life::Preparing | Life::Confirming(_) => {
                return Err(RenewError::Busy("the process is being started"));
            }
        };
        let open = || self.outputs.iter().filter_map(|output| Some((output, output.pipe()?)));
        Ok(ShimState {
            version: Version,
            orders: self.orders.clone(),
            descriptors: Descriptors {
                lock: self.lock.as_raw_fd(),
                control: self.control.listener().as_raw_fd(),
                connections: self.control.connections().iter().map(AsRawFd::as_raw_fd).collect(),
                init: self.init.pidfd.as_raw_fd(),
                link: self.link.as_fd().as_raw_fd(),
                outputs: open().map(|(_, pipe)| pipe.as_raw_fd()).collect(),
                reserved: self.facts.reserved().map(|file| file.as_raw_fd()),
                old_program: order.old_program(),
                answer: order.answer(),
            },
            init: self.init.pid.as_raw_nonzero().get().unsigned_abs(),
            init_speaks: self.link.vocabulary(),
            outputs: open().map(|(output, _)| output_state(output)).collect(),
            life,
            executed_at: self.executed_at,
            time_limit_at: self.time_limit_at,
            stop: self.stop,
            cause: self.cause,
            failed_check: self.failed_check.clone(),
            health: self.health.to_state(boot_now()),
            meter: self.meter.to_state(),
            facts: self.facts.to_state(),
        })
    }
}

fn output_state(output: &OutputStream) -> OutputState {
    let stream = match output.stream() {
        Stream::Stderr => OutputName::Stderr,
        _ => OutputName::Stdout,
    };
    OutputState { stream, held: output.held().to_vec() }
}

impl Supervisor<'static> {
    /// The supervisor of which `state` tells. Asks nobody anything and changes nothing.
    pub fn taken_over(
        orders: &'static Orders,
        taken: Taken,
        state: &ShimState,
        journal: ProcessJournal,
    ) -> Result<Self, ResumeError> {
        let Taken { lock, control, connections, init, link, outputs, reserved } = taken;
        let pid = i32::try_from(state.init).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(ResumeError::Unfit("the init's number is none"))?;
        let folder = DataFolder::new(&orders.data).process(orders.spec.process);
        let facts = Facts::of_state(folder, orders.spec.boot_id.clone(), &state.facts, reserved)
            .ok_or(ResumeError::Unfit("there is no room for the exit"))?;
        let started = Started {
            init: Init { pid, pidfd: init },
            link: ShimLink::of(link, state.init_speaks),
            group: group(orders)?,
            outside: Outside::HandedOut,
        };
        let control = Control::of(control, connections, orders.shim.uid);
        let lock = Box::leak(Box::new(lock));
        let mut supervisor = Supervisor::new(orders, lock, started, facts, journal, control);
        supervisor.outputs = outputs_of(state, outputs)?;
        supervisor.life = life(orders, state.life)?;
        supervisor.executed_at = state.executed_at;
        supervisor.time_limit_at = state.time_limit_at;
        supervisor.stop = state.stop;
        supervisor.cause = state.cause;
        supervisor.failed_check.clone_from(&state.failed_check);
        supervisor.meter = Meter::of_state(&orders.spec, orders.sample_millis, &state.meter);
        supervisor.health = Health::of_state(&orders.spec, &state.health)
            .ok_or(ResumeError::Unfit("there are other health checks than in its spec"))?;
        Ok(supervisor)
    }

    /// Until the sandbox has ended.
    pub fn go_on(self) {
        self.turn_until_the_end();
    }
}

fn group(orders: &Orders) -> Result<ProcessGroup, ResumeError> {
    let settings = orders.cgroup.to_settings().map_err(|_| ResumeError::Unfit("the groups have no name"))?;
    let groups = Cgroups::detect(&settings).map_err(ResumeError::Group)?;
    Ok(groups.group(orders.spec.process))
}

fn outputs_of(state: &ShimState, pipes: Vec<OwnedFd>) -> Result<Vec<OutputStream>, ResumeError> {
    if state.outputs.len() != pipes.len() {
        return Err(ResumeError::Unfit("there are more streams than pipes, or fewer"));
    }
    let streams = state.outputs.iter().zip(pipes).map(|(output, pipe)| {
        let stream = match output.stream {
            OutputName::Stdout => Stream::Stdout,
            OutputName::Stderr => Stream::Stderr,
        };
        OutputStream::holding(pipe, stream, output.held.clone())
    });
    Ok(streams.collect())
}

/// A probe that was under way is made again.
fn life(orders: &Orders, life: LifeState) -> Result<Life, ResumeError> {
    match (life, orders.spec.endpoint) {
        (LifeState::Starting, Some(endpoint)) => {
            Ok(Life::Starting(Box::new(Probe::new(endpoint.0, boot_now()))))
        }
        (LifeState::Starting, None) => Err(ResumeError::Unfit("it waits for a port that it has not")),
        (LifeState::Checking, _) => Ok(Life::Checking),
        (LifeState::Up, _) => Ok(Life::Up),
    }
}
