//! The last steps of the app's own process: its descriptors in place, every signal as at birth, the environment mapped, and
//! `execve`. From the fork to the exec nothing of it is visible to anybody else.

use super::exit;
use crate::environment::SealedEnvironment;
use rustix::fs::OFlags;
use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Where a program without a slash is looked for when the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
/// What the app's process exits with if it could not be executed; nobody but the init sees it.
const EXEC_FAILED: i32 = 127;

/// What becomes descriptors 0, 1, 2 and perhaps 3.
#[derive(Debug)]
pub struct Descriptors {
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub error: OwnedFd,
    pub extra: Option<OwnedFd>,
}

/// Executes `argv` in `/app`. Returns never: what goes wrong is written to `report`, which the exec closes.
pub fn run(argv: &[String], stdio: &Descriptors, environment: OwnedFd, report: OwnedFd) -> ! {
    let problem = match try_run(argv, stdio, environment, &report) {
        Ok(never) => match never {},
        Err(problem) => problem,
    };
    let _ = rustix::io::write(&report, problem.as_bytes());
    exit(EXEC_FAILED)
}

fn try_run(
    argv: &[String],
    stdio: &Descriptors,
    environment: OwnedFd,
    report: &OwnedFd,
) -> Result<std::convert::Infallible, String> {
    let say = |what: &'static str| move |errno: rustix::io::Errno| format!("could not {what}: {errno}");
    reset_signals();
    let _ = rustix::process::setsid();
    rustix::process::chdir("/app").map_err(say("enter /app"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let variables = Variables::map(environment)?;
    let program = find_program(&argv[0], variables.path())?;
    let arguments: Vec<CString> = argv.iter().filter_map(|text| CString::new(text.as_bytes()).ok()).collect();
    place_descriptors(stdio, report).map_err(say("place the standard descriptors"))?;
    let errno = execute(&program, &arguments, &variables);
    Err(format!("could not execute {}: {errno}", program.to_string_lossy()))
}

/// Default dispositions, nothing blocked: an exec keeps what was ignored or blocked.
fn reset_signals() {
    // `struct sigaction` as the kernel has it, all zero: the default. The C library's own call refuses two numbers that it keeps
    // for itself and that its `posix_spawn` leaves ignored.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: reads one structure that is as large as the kernel's; SIGKILL and SIGSTOP fail, which is fine.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8)
        };
    }
    // SAFETY: the set is a local that sigemptyset fills in before it is read.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Puts the descriptors at 0, 1, 2 (and 3), and lets the exec close all others.
fn place_descriptors(stdio: &Descriptors, report: &OwnedFd) -> rustix::io::Result<()> {
    // Copies above every target first, so that placing one cannot close another.
    let sources = [Some(&stdio.input), Some(&stdio.output), Some(&stdio.error), stdio.extra.as_ref()];
    let mut high = Vec::new();
    for source in sources.into_iter().flatten() {
        high.push(rustix::io::fcntl_dupfd_cloexec(source, 10)?);
    }
    let _report = report;
    for (target, source) in (0..).zip(&high) {
        // SAFETY: dup2 onto a low number: what was there belongs to this process alone and is not used again under that number;
        // `report` and the copies lie above.
        if unsafe { libc::dup2(source.as_raw_fd(), target) } < 0 {
            return Err(rustix::io::Errno::BADF);
        }
    }
    adopt_terminal();
    let first = u32::try_from(high.len()).unwrap_or(3);
    // SAFETY: marks all other descriptors close-on-exec; closes none now.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked == 0 { Ok(()) } else { Err(rustix::io::Errno::BADF) }
}

/// A standard input that is a terminal becomes the session's controlling terminal.
fn adopt_terminal() {
    // SAFETY: 0 has just been put in place and stays open for the rest of this process.
    let input = unsafe { BorrowedFd::borrow_raw(0) };
    if rustix::termios::isatty(input) {
        let _ = rustix::process::ioctl_tiocsctty(input);
    }
}

/// The environment, mapped where `execve` reads it. The mapping ends with the exec.
struct Variables {
    strings: Vec<*const libc::c_char>,
    bytes: &'static [u8],
}

impl Variables {
    fn map(memfd: OwnedFd) -> Result<Self, String> {
        let sealed = SealedEnvironment::from_fd(memfd).map_err(|error| error.to_string())?;
        let length = sealed.byte_count().map_err(|error| error.to_string())?;
        let bytes = map_read_only(sealed.as_fd(), length)
            .map_err(|errno| format!("could not map the environment: {errno}"))?;
        if bytes.last().is_some_and(|byte| *byte != 0) {
            return Err("the environment does not end with a NUL byte".to_owned());
        }
        let mut strings: Vec<_> = bytes
            .split_inclusive(|byte| *byte == 0)
            .map(|string| string.as_ptr().cast::<libc::c_char>())
            .collect();
        strings.push(std::ptr::null());
        Ok(Self { strings, bytes })
    }

    fn path(&self) -> &[u8] {
        self.bytes
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(b"PATH="))
            .unwrap_or(DEFAULT_PATH)
    }
}

fn map_read_only(memfd: BorrowedFd<'_>, length: usize) -> rustix::io::Result<&'static [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new private mapping at an address of the kernel's choice. The memfd is sealed against shrinking and writing, so
    // its pages stay as they are; nobody unmaps it before this process executes or exits.
    unsafe {
        let start =
            rustix::mm::mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, memfd, 0)?;
        Ok(std::slice::from_raw_parts(start.cast::<u8>(), length))
    }
}

/// As a shell would: a name with a slash is a path, any other is looked for along `PATH`.
fn find_program(name: &str, path: &[u8]) -> Result<CString, String> {
    let malformed = |_| "the command holds a NUL byte".to_owned();
    if name.contains('/') {
        return CString::new(name).map_err(malformed);
    }
    for folder in path.split(|byte| *byte == b':').filter(|folder| !folder.is_empty()) {
        let candidate = [folder, b"/", name.as_bytes()].concat();
        if is_executable(&candidate) {
            return CString::new(candidate).map_err(malformed);
        }
    }
    Err(format!("could not find the program \"{name}\" along PATH"))
}

fn is_executable(path: &[u8]) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, rustix::fs::Mode::empty()) else { return false };
    let regular = rustix::fs::fstat(&file).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    });
    regular && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn execute(program: &CStr, arguments: &[CString], variables: &Variables) -> std::io::Error {
    let mut argv: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(std::ptr::null());
    // SAFETY: both arrays end with a null pointer, and every string in them ends with a NUL byte and lives until the exec.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), variables.strings.as_ptr()) };
    std::io::Error::last_os_error()
}
