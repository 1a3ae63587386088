//! Starting this same program anew. Uses `posix_spawn`, which neither copies the launcher's memory nor runs any of its code in
//! the child.

use super::tree;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Our own program, whatever has become of its file.
const OUR_BINARY: &CStr = c"/proc/self/exe";
/// Copies of descriptors are made from this number on, clear of every number in a child.
const FIRST_COPY: RawFd = 256;

/// Starts a session of its own with one argument, an empty environment, null input and output, our standard error, and
/// `descriptors` as 3, 4, 5, ... Returns its pid once the program runs.
pub fn spawn_self(word: &str, descriptors: &[BorrowedFd<'_>]) -> std::io::Result<u32> {
    let copies = copy_high(descriptors)?;
    let name = c"dozen";
    let word = CString::new(word)?;
    let argv = [name.as_ptr().cast_mut(), word.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment = [std::ptr::null_mut()];
    let actions = Actions::new(&copies)?;
    let attributes = Attributes::new()?;
    let mut pid: libc::pid_t = 0;
    // SAFETY: both arrays end with a null pointer and their strings, the actions and the attributes live across the call.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            OUR_BINARY.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    check(result)?;
    u32::try_from(pid).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// So that putting one descriptor in place cannot overwrite the source of another.
fn copy_high(descriptors: &[BorrowedFd<'_>]) -> std::io::Result<Vec<OwnedFd>> {
    descriptors
        .iter()
        .map(|descriptor| Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, FIRST_COPY)?))
        .collect()
}

fn check(result: libc::c_int) -> std::io::Result<()> {
    if result == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(result)) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new(copies: &[OwnedFd]) -> std::io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: initialises the structure, which is assumed to be initialised only on success.
        let mut actions = unsafe {
            check(libc::posix_spawn_file_actions_init(raw.as_mut_ptr()))?;
            Self(raw.assume_init())
        };
        for (target, flags) in [(0, libc::O_RDONLY), (1, libc::O_WRONLY)] {
            // SAFETY: the structure is initialised, the path is a C string that is copied.
            check(unsafe {
                libc::posix_spawn_file_actions_addopen(
                    &raw mut actions.0,
                    target,
                    c"/dev/null".as_ptr(),
                    flags,
                    0,
                )
            })?;
        }
        for (target, copy) in (3..).zip(copies) {
            // SAFETY: the structure is initialised; the numbers are looked at in the child only.
            check(unsafe {
                libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, copy.as_raw_fd(), target)
            })?;
        }
        Ok(actions)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used afterwards.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// A session of its own, nothing blocked, every signal at its default.
    fn new() -> std::io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: initialises the structure, which is assumed to be initialised only on success.
        let mut attributes = unsafe {
            check(libc::posix_spawnattr_init(raw.as_mut_ptr()))?;
            Self(raw.assume_init())
        };
        let flags = libc::c_int::from(libc::POSIX_SPAWN_SETSID)
            | libc::POSIX_SPAWN_SETSIGMASK
            | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = libc::c_short::try_from(flags).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        // SAFETY: the structure is initialised; the sets are locals that are filled in before they are copied.
        unsafe {
            let (mut none, mut all) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigemptyset(&raw mut none);
            libc::sigfillset(&raw mut all);
            check(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, &raw const none))?;
            check(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, &raw const all))?;
            check(libc::posix_spawnattr_setflags(&raw mut attributes.0, flags))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used afterwards.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// Removes a tree in a child that ends right after: a large one would keep the launcher from everything else.
pub fn remove_tree_aside(path: &Path) -> std::io::Result<()> {
    // SAFETY: this process has one thread; the child only closes descriptors, removes files and exits.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            // SAFETY: closes copies; above all that of the launcher's lock, which must not outlive the launcher.
            unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
            if let Err(error) = tree::remove(path) {
                super::say(&format!(
                    "cannot remove all of {}: {error}; it is tried again at the next start",
                    path.display()
                ));
            }
            crate::inside::exit(0)
        }
        _ => Ok(()),
    }
}
