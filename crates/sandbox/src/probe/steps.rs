//! What is tried in a child, as root or, for an ordinary user, inside a user namespace of the child's own. System calls only: see
//! [`super::attempt`].

use super::attempt::in_a_child;
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getpid, getuid, setgroups, sethostname, setresgid, setresuid};

/// Highest capability number that is looked for; the kernel has fewer.
const MAX_CAPABILITY: libc::c_ulong = 63;

/// Steps as an ordinary user begin with a user namespace, in which the user has the rights that root has outside. Some systems
/// let an ordinary user make one and withhold those rights, so one of them is used.
pub(super) fn user_namespace(_: u32) -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWUTS)?;
    sethostname("probe")
}

fn become_able() -> Result<(), Errno> {
    if getuid().is_root() { Ok(()) } else { unshare(CloneFlags::CLONE_NEWUSER) }
}

/// Becomes the user for good.
pub(super) fn switch_user(uid: u32) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    if setresuid(Uid::from_raw(0), user, user).is_ok() || getuid() != user {
        return Err(Errno::EPROTO);
    }
    Ok(())
}

/// An own mount namespace, with a file system of one's own in it.
pub(super) fn mount_namespace(_: u32) -> Result<(), Errno> {
    become_able()?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    mount(Some("tmpfs"), "/", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None::<&str>)
}

/// An own pid namespace, with a `/proc` that shows it.
pub(super) fn pid_namespace(_: u32) -> Result<(), Errno> {
    become_able()?;
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)?;
    in_a_child(0, |_| {
        if getpid().as_raw() != 1 {
            return Err(Errno::EPROTO);
        }
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::MS_NOSUID, None::<&str>)
    })
}

pub(super) fn ipc_namespace(_: u32) -> Result<(), Errno> {
    become_able()?;
    unshare(CloneFlags::CLONE_NEWIPC)
}

pub(super) fn uts_namespace(_: u32) -> Result<(), Errno> {
    become_able()?;
    unshare(CloneFlags::CLONE_NEWUTS)?;
    sethostname("probe")
}

pub(super) fn cgroup_namespace(_: u32) -> Result<(), Errno> {
    become_able()?;
    unshare(CloneFlags::CLONE_NEWCGROUP)
}

pub(super) fn network_namespace(_: u32) -> Result<(), Errno> {
    become_able()?;
    unshare(CloneFlags::CLONE_NEWNET)
}

/// Header and data of `capset`, from `linux/capability.h`: version 3, this process, two words of each set.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Gives up every capability, the bounding set first, and looks whether they are gone.
pub(super) fn no_capabilities(_: u32) -> Result<(), Errno> {
    become_able()?;
    drop_bounding_set()?;
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: header and data are of the form that version 3 of the interface reads and live through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) })?;
    // SAFETY: as above; the kernel writes two elements of data.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let none = data.iter().all(|word| (word.effective, word.permitted, word.inheritable) == (0, 0, 0));
    if none { Ok(()) } else { Err(Errno::EPROTO) }
}

fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..=MAX_CAPABILITY {
        // SAFETY: prctl with these arguments touches no memory.
        match Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            Ok(_) => {}
            // Past the kernel's last capability.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub(super) fn no_new_privs(_: u32) -> Result<(), Errno> {
    // SAFETY: prctl with these arguments touches no memory.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: as above.
    match unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } {
        1 => Ok(()),
        _ => Err(Errno::EPROTO),
    }
}

/// Puts a filter in force that refuses one harmless call, and looks whether it does.
pub(super) fn seccomp(_: u32) -> Result<(), Errno> {
    no_new_privs(0)?;
    let refused = libc::SYS_getppid as u32;
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        step(load, 0, 0, 0),
        step(jump, 0, 1, refused),
        step(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOTNAM as u32),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let length = program.len() as u16;
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: filter points to `length` steps that live through the call; the kernel copies them.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter)
    })?;
    // SAFETY: getppid takes no arguments and touches no memory.
    match Errno::result(unsafe { libc::syscall(libc::SYS_getppid) }) {
        Err(Errno::ENOTNAM) => Ok(()),
        Ok(_) | Err(_) => Err(Errno::EPROTO),
    }
}

/// The version of Landlock that the kernel has. Changes nothing: needs no child.
pub(super) fn landlock_version() -> Result<i64, Errno> {
    const ASK_VERSION: u32 = 1;
    // SAFETY: asking for the version takes no attributes, so the pointer is null and the size 0.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, ASK_VERSION)
    })
}

/// Whether the kernel knows how to map ids on a mount. Asked about no mount at all: a kernel that knows says so of the descriptor.
pub(super) fn idmapped_mounts() -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::MAX >> 33,
    };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: path is an empty C string and attributes are of the size given; both live through the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            -1,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size,
        )
    };
    match Errno::result(answer) {
        Ok(_) | Err(Errno::EBADF) => Ok(()),
        Err(errno) => Err(errno),
    }
}
