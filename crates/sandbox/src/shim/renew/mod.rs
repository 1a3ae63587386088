//! Going on as another build of this program: the same process of the operating system, with the same sandbox for its child and the
//! same descriptors open, executes the program that the launcher hands it (`docs/adr/0021-shims-are-renewed.md`).
//!
//! ```text
//! old: state into a sealed memfd -> a child tries it with the new program -> journal closed -> exec
//! new: takes the state over on copies of the descriptors -> answers -> goes on
//!      cannot: executes the old program again, which takes the same state over and says so
//! ```
//!
//! * [`state`]: what is handed on, with its version
//! * [`exec`]: descriptors and rights across an execution
//! * [`trial`]: whether the other program could take over
//! * [`resume`]: the other side of the execution
//!
//! Until the execution nothing is given up; after it nothing is given up until everything has been taken over.

mod exec;
mod resume;
pub mod state;
mod trial;

pub use resume::{RESUME_WORD, ResumeError, copy, run as resume};

use super::control::Reply;
use crate::probe::Privilege;
use crate::protocol::ControlAnswer;
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, SealFlags};
use state::ShimState;
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A renewal that was ordered, and comes after what the loop is doing.
pub struct Order {
    program: OwnedFd,
    old_program: OwnedFd,
    reply: Reply,
}

/// Why there is no renewal. The shim goes on as it is.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error("a renewal comes with the program and with where to answer")]
    Descriptors,
    #[error("only the launcher may say what a shim executes")]
    Stranger,
    #[error("not now: {0}")]
    Busy(&'static str),
    #[error("could not {step}")]
    Step { step: &'static str, source: std::io::Error },
    #[error("could not put the state into words")]
    Words(#[from] serde_json::Error),
    #[error("the other program would not take over: {0}")]
    Trial(String),
}

impl RenewError {
    fn at<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Step { step, source: source.into() }
    }
}

impl Order {
    /// `asked` is the connection over which it was ordered: the launcher's, which is root's or the ordinary user's own.
    pub fn new(privilege: Privilege, asked: &Reply, descriptors: Vec<OwnedFd>) -> Result<Self, RenewError> {
        let [program, answer] = <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| RenewError::Descriptors)?;
        match privilege {
            Privilege::Root if asked.peer_uid() != Some(0) => return Err(RenewError::Stranger),
            Privilege::Root | Privilege::OrdinaryUser => {}
        }
        let stat = rustix::fs::fstat(&program).map_err(RenewError::at("look at the program"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(RenewError::Descriptors);
        }
        let old_program = rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(RenewError::at("find this program"))?;
        Ok(Self { program, old_program, reply: Reply::to(answer) })
    }

    pub fn old_program(&self) -> RawFd {
        self.old_program.as_raw_fd()
    }

    /// Where the outcome is told.
    pub fn answer(&self) -> RawFd {
        self.reply.connection().as_raw_fd()
    }

    /// Who ordered it hears why it did not happen.
    pub fn refuse(&self, error: &RenewError) {
        match error {
            RenewError::Busy(why) => self.reply.answer(ControlAnswer::NotNow { why: (*why).to_owned() }, &[]),
            other => self.reply.refuse(&domain::cause::chain(other)),
        }
    }
}

/// Becomes the ordered program, which finds `state`. Returns only if this program goes on; `let_go` has been called then if it came
/// as far as the execution itself.
pub fn become_program(
    order: &Order,
    state: &ShimState,
    let_go: impl FnOnce(),
) -> Result<Infallible, RenewError> {
    let sealed = seal(state)?;
    let numbers: Vec<RawFd> = state.descriptors.all().chain([sealed.as_raw_fd()]).collect();
    exec::keep_open(&numbers).map_err(RenewError::at("keep the descriptors open"))?;
    let error = execute(order, &sealed, let_go);
    exec::close_on_exec(&numbers);
    Err(error)
}

fn execute(order: &Order, sealed: &OwnedFd, let_go: impl FnOnce()) -> RenewError {
    let call = |manner: &str| resume::render_words(sealed.as_raw_fd(), order.old_program(), manner, "");
    if let Err(reason) = trial::make(order.program.as_fd(), &call(resume::TRY)) {
        return RenewError::Trial(reason);
    }
    let_go();
    let source = exec::execute_with_rights(order.program.as_fd(), &call(resume::GO_ON));
    RenewError::Step { step: "execute the other program", source }
}

/// What can be read by who inherits it, and changed by nobody.
fn seal(state: &ShimState) -> Result<OwnedFd, RenewError> {
    let memfd = rustix::fs::memfd_create("shim", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(RenewError::at("make room for the state"))?;
    let mut file = File::from(memfd);
    file.write_all(&serde_json::to_vec(state)?).map_err(RenewError::at("write the state"))?;
    let memfd = OwnedFd::from(file);
    rustix::fs::fcntl_add_seals(&memfd, seals()).map_err(RenewError::at("seal the state"))?;
    Ok(memfd)
}

fn seals() -> SealFlags {
    SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL
}
