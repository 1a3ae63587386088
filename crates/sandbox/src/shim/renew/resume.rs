//! The other side of an execution: this program takes over from the one that this process ran before.
//!
//! Everything is taken over on copies of the descriptors. What was found stays open until all of it has worked, so that whatever
//! fails, a panic included, the old program can be executed again and finds what it left. Should that fail as well, nothing is done
//! but wait: the app lives as long as this process does.

use super::state::ShimState;
use super::{exec, seals};
use crate::shim::control::Reply;
use crate::shim::journal::ProcessJournal;
use crate::shim::orders::Orders;
use crate::shim::supervise::{Supervisor, Taken};
use rustix::process::{DumpableBehavior, WaitOptions};
use std::ffi::CString;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// The word that makes this binary take a shim over: its first argument. No build that cannot knows it as anything.
pub const RESUME_WORD: &str = "shim-resume";
/// The words that say what for.
pub const TRY: &str = "try";
pub const GO_ON: &str = "go-on";
const BACK: &str = "back";

/// What a trial exits with that could. Nothing else does.
pub const EXIT_COULD: i32 = 87;
const EXIT_COULD_NOT: u8 = 70;
const EXIT_USAGE: u8 = 64;
/// Largest state that is read: the orders, and two lines that have not ended.
const MAX_STATE_BYTES: u64 = 1024 * 1024;
/// The name in lists of processes: else it would be a number.
const NAME: &std::ffi::CStr = c"dozen";

/// Why this program cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error("no sealed state of a shim is found")]
    NoState,
    #[error("the state has more than {MAX_STATE_BYTES} bytes")]
    TooLarge,
    #[error("cannot read the state")]
    Read(#[source] std::io::Error),
    #[error("the state is not what this build understands")]
    Parse(#[from] serde_json::Error),
    #[error("a descriptor of the state is not there")]
    Descriptor(#[source] std::io::Error),
    #[error("the state does not fit its own orders: {0}")]
    Unfit(&'static str),
    #[error("a control group cannot be found")]
    Group(#[source] crate::cgroup::CgroupError),
    #[error("it failed on a broken assumption of its own")]
    Panic,
}

/// What this program was called with.
struct Call {
    state: RawFd,
    old_program: RawFd,
    manner: String,
    reason: String,
}

/// The arguments that make a program take over.
pub fn render_words(state: RawFd, old_program: RawFd, manner: &str, reason: &str) -> Vec<CString> {
    let words = ["dozen", RESUME_WORD, &state.to_string(), &old_program.to_string(), manner, reason];
    words.iter().filter_map(|word| CString::new(*word).ok()).collect()
}

fn parse_call(mut words: impl Iterator<Item = String>) -> Option<Call> {
    let (state, old_program) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Call { state, old_program, manner: words.next()?, reason: words.next().unwrap_or_default() })
}

/// The whole rest of a shim's life, or a trial of it. Called by the binary's `main` for [`RESUME_WORD`], before anything else.
pub fn run() -> ExitCode {
    let words = std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned());
    match parse_call(words) {
        Some(call) if call.manner == TRY => make_trial(&call),
        Some(call) if call.manner == GO_ON => go_on(&call),
        Some(call) if call.manner == BACK => go_on_after_all(&call),
        Some(_) | None => {
            crate::shim::report("this form of the program is started by shims only");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn make_trial(call: &Call) -> ExitCode {
    match take_over(call, ProcessJournal::closed) {
        // What it holds are copies: they end with this process, which does not touch them.
        Ok(_) => crate::inside::exit(EXIT_COULD),
        Err(error) => {
            let _ = writeln!(std::io::stdout(), "{}", domain::cause::chain(&error));
            ExitCode::from(EXIT_COULD_NOT)
        }
    }
}

fn go_on(call: &Call) -> ExitCode {
    settle();
    match take_over(call, ProcessJournal::open) {
        Ok((supervisor, state)) => {
            hold(supervisor, call, &state, |reply| reply.done());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let reason = domain::cause::chain(&error);
            let words = render_words(call.state, call.old_program, BACK, &reason);
            // SAFETY: borrowed for one call, which fails if the number is not open.
            let old_program = unsafe { BorrowedFd::borrow_raw(call.old_program) };
            let _ = exec::execute_with_rights(old_program, &words);
            stand_by()
        }
    }
}

/// In the old program, which finds what it left.
fn go_on_after_all(call: &Call) -> ExitCode {
    settle();
    match take_over(call, ProcessJournal::open) {
        Ok((supervisor, state)) => {
            let refusal = format!("the other program could not take over: {}", call.reason);
            hold(supervisor, call, &state, |reply| reply.refuse(&refusal));
            ExitCode::SUCCESS
        }
        Err(_) => stand_by(),
    }
}

/// As every shim is: closed to others, and with rights that go no further.
fn settle() {
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_name(NAME);
}

type TakenOver = (Supervisor<'static>, ShimState);

/// Makes a supervisor of what was found, which stays as it is.
fn take_over(call: &Call, journal: impl FnOnce(&Orders) -> ProcessJournal) -> Result<TakenOver, ResumeError> {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let state = read(call.state)?;
        #[cfg(feature = "lab")]
        fail_as_named(call);
        let taken = Taken::copy(&state)?;
        // For the rest of this process's life.
        let orders: &'static Orders = Box::leak(Box::new(state.orders.clone()));
        let journal = journal(orders);
        Ok((Supervisor::taken_over(orders, taken, &state, journal)?, state))
    }));
    outcome.unwrap_or(Err(ResumeError::Panic))
}

/// For tests: a program of this name passes its trial and fails all the same.
#[cfg(feature = "lab")]
fn fail_as_named(call: &Call) {
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    assert!(call.manner != GO_ON || !program.ends_with("fails-to-take-over"), "as it is named");
}

fn read(number: RawFd) -> Result<ShimState, ResumeError> {
    let memfd = copy(number).map_err(|_| ResumeError::NoState)?;
    if !rustix::fs::fcntl_get_seals(&memfd).is_ok_and(|found| found.contains(seals())) {
        return Err(ResumeError::NoState);
    }
    let file = std::fs::File::from(memfd);
    let length = file.metadata().map_err(ResumeError::Read)?.len();
    if length > MAX_STATE_BYTES {
        return Err(ResumeError::TooLarge);
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| ResumeError::TooLarge)?];
    file.read_exact_at(&mut bytes, 0).map_err(ResumeError::Read)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Another descriptor of the same open file, closed on execution.
pub fn copy(number: RawFd) -> std::io::Result<OwnedFd> {
    if number < 0 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: borrowed for one call, which fails if the number is not open.
    let found = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(found, 3)?)
}

/// From here on there is no way back, and none is needed.
fn hold(supervisor: Supervisor<'static>, call: &Call, state: &ShimState, tell: impl FnOnce(&Reply)) {
    let _ = exec::keep_to_oneself();
    if let Ok(answer) = copy(state.descriptors.answer) {
        tell(&Reply::to(answer));
    }
    for number in state.descriptors.all().chain([call.state]) {
        // SAFETY: found at the start of this process; copies of them are used, and nobody owns the numbers.
        unsafe { libc::close(number) };
    }
    supervisor.go_on();
}

/// Neither program can: as long as this process waits, the app runs. Who looks sees the shim's lock held.
fn stand_by() -> ExitCode {
    while rustix::process::wait(WaitOptions::empty()).is_ok() {}
    ExitCode::from(EXIT_COULD_NOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive() {
        let words = render_words(7, 9, BACK, "it is too old");
        let text = words.iter().skip(2).map(|word| word.to_str().unwrap().to_owned());
        let call = parse_call(text).unwrap();
        assert_eq!((call.state, call.old_program), (7, 9));
        assert_eq!((call.manner.as_str(), call.reason.as_str()), (BACK, "it is too old"));
        for bad in [&["7"][..], &["x", "9", TRY], &["7", "9"]] {
            assert!(parse_call(bad.iter().map(|word| (*word).to_owned())).is_none());
        }
    }

    #[test]
    fn only_what_is_sealed_is_read() {
        use rustix::fs::MemfdFlags;
        use std::os::fd::{AsFd, AsRawFd};
        let memfd = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(matches!(read(memfd.as_raw_fd()), Err(ResumeError::NoState)));
        rustix::fs::fcntl_add_seals(memfd.as_fd(), seals()).unwrap();
        assert!(matches!(read(memfd.as_raw_fd()), Err(ResumeError::Parse(_))));
        assert!(matches!(read(-1), Err(ResumeError::NoState)));
    }
}
