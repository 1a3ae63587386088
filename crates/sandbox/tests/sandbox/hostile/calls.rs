//! Attempts on the kernel: calls that would change the machine, lead out of the namespaces, or give rights.

use super::attempt::{Attempt, KILLED_BY_THE_FILTER, Ordinary};
use std::io::Result;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// No file system is mounted there: unmounting it, or mounting it anew, is an error of whoever may.
const NO_MOUNT: &str = "/usr/bin";
/// Nothing is written to it: having opened it is the success.
const KERNEL_FILES: [&str; 6] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/dev/kmsg",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/proc/sysrq-trigger",
    "/proc/kcore",
];

pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new("mount", "a file system of its own over /tmp", |_| mount()),
    Attempt::new("remount", "its code writable", remount)
        .at(|_| ("/app".to_owned(), NO_MOUNT.to_owned()))
        .beyond(&["EINVAL"]),
    Attempt::new("unmount", "what lies under /proc", unmount)
        .at(|_| ("/proc".to_owned(), NO_MOUNT.to_owned()))
        .beyond(&["EINVAL"]),
    Attempt::new("copy-mounts", "the whole tree a second time", |_| {
        descriptor(call(libc::SYS_open_tree, [at_cwd(), c"/".as_ptr() as i64, 1, 0, 0]))
    }),
    Attempt::new("new-file-system", "a file system by the newer calls", |_| {
        descriptor(call(libc::SYS_fsopen, [c"tmpfs".as_ptr() as i64, 0, 0, 0, 0]))
    }),
    Attempt::new("move-mount", "a mount elsewhere", |_| {
        check(call(libc::SYS_move_mount, [-1, c"".as_ptr() as i64, -1, c"".as_ptr() as i64, -1]))
    })
    .beyond(&["EINVAL"]),
    Attempt::new("pivot-root", "another root", |_| {
        check(call(libc::SYS_pivot_root, [c"/".as_ptr() as i64, c"/".as_ptr() as i64, 0, 0, 0]))
    })
    .beyond(&["EBUSY", "EINVAL"]),
    Attempt::new("chroot", "another root", |_| Ok(rustix::process::chroot("/")?)),
    Attempt::new("unshare-user", "to be root of a namespace", |_| unshare(libc::CLONE_NEWUSER)),
    Attempt::new("unshare-mounts", "mounts of its own", |_| unshare(libc::CLONE_NEWNS)),
    Attempt::new("unshare-network", "packet rules of its own", |_| unshare(libc::CLONE_NEWNET)),
    Attempt::new("unshare-groups", "another view of control groups", |_| unshare(libc::CLONE_NEWCGROUP)),
    Attempt::new("clone-user", "a child that is root of a namespace", |_| {
        end_if_child(call(libc::SYS_clone, [i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD), 0, 0, 0, 0]))
    }),
    Attempt::new("clone3", "the same where no filter sees the flags", |_| clone3()).refused(&["ENOSYS"]),
    Attempt::new("enter-namespace", "another network, by a descriptor", |_| enter("/proc/self/ns/net")),
    Attempt::new("enter-first-namespace", "the network of who started it", enter)
        .at(|scene| scene.of_who_started_it("ns/net"))
        .refused(&["ENOENT"]),
    Attempt::new("file-handle", "a file by its number instead of its path", |_| file_handle()),
    Attempt::new("watch-files", "to hear of every file that is opened", |_| {
        descriptor(call(libc::SYS_fanotify_init, [0, 0, 0, 0, 0]))
    }),
    Attempt::new("quota", "other users' quotas", |_| {
        check(call(libc::SYS_quotactl, [0x80_0001 << 8, 0, 0, 0, 0]))
    }),
    Attempt::new("swap-on", "a file as swap space", |_| {
        check(call(libc::SYS_swapon, [c"/dev/null".as_ptr() as i64, 0, 0, 0, 0]))
    })
    .beyond(&["EINVAL"]),
    Attempt::new("restart", "the machine to restart", |_| check(call(libc::SYS_reboot, [0; 5])))
        .beyond(&["EINVAL"]),
    Attempt::new("load-module", "code in the kernel", |_| {
        check(call(libc::SYS_init_module, [0, 0, c"".as_ptr() as i64, 0, 0]))
    })
    .beyond(&["ENOEXEC"])
    .may_lack(&["ENOSYS"]),
    Attempt::new("other-kernel", "another kernel", |_| {
        check(call(libc::SYS_kexec_load, [0, 0, 0, 0xffff, 0]))
    })
    .beyond(&["EINVAL"])
    .may_lack(&["ENOSYS"]),
    Attempt::new("set-clock", "the clock for all", |_| check(call(libc::SYS_settimeofday, [0; 5]))),
    Attempt::new("turn-clock", "the clock slower", |_| turn_clock()).beyond(&["EINVAL"]),
    Attempt::new("host-name", "another host name", |_| {
        Ok(rustix::system::sethostname(rustix::system::uname().nodename().to_bytes())?)
    }),
    Attempt::new("domain-name", "another domain name", |_| {
        Ok(rustix::system::setdomainname(rustix::system::uname().domainname().to_bytes())?)
    }),
    Attempt::new("accounting", "a file of all processes that end", |_| {
        check(call(libc::SYS_acct, [c"/nowhere/at/all".as_ptr() as i64, 0, 0, 0, 0]))
    })
    .beyond(&["ENOENT"]),
    Attempt::new("hang-up", "terminals hung up", |_| {
        // In a session without a terminal there is none to hang up.
        let _ = rustix::process::setsid();
        check(call(libc::SYS_vhangup, [0; 5]))
    }),
    Attempt::new("kernel-log", "the kernel's log", |_| check(call(libc::SYS_syslog, [10, 0, 0, 0, 0]))),
    Attempt::new("bpf", "a program in the kernel", |_| bpf()),
    Attempt::new("perf", "to measure others", |_| perf()),
    Attempt::new("userfaultfd", "faults of memory in its own hands", |_| {
        descriptor(call(libc::SYS_userfaultfd, [0; 5]))
    }),
    Attempt::new("io-uring", "calls that no filter sees", |_| {
        let parameters = [0_u64; 64];
        descriptor(call(libc::SYS_io_uring_setup, [1, (&raw const parameters) as i64, 0, 0, 0]))
    }),
    Attempt::new("asynchronous-io", "all of the machine's requests in flight", |_| {
        let context = 0_u64;
        check(call(libc::SYS_io_setup, [1, (&raw const context) as i64, 0, 0, 0]))
    })
    .refused(&["ENOSYS"]),
    Attempt::new("key-ring", "the key ring of its user", |_| check(call(libc::SYS_keyctl, [0, -3, 1, 0, 0]))),
    Attempt::new("add-key", "a key in the kernel", |_| add_key()),
    Attempt::new("request-key", "a program run by the kernel to find a key", |_| {
        let (kind, name) = (c"user", c"dozen-test-absent");
        check(call(libc::SYS_request_key, [kind.as_ptr() as i64, name.as_ptr() as i64, 0, 0, 0]))
    })
    .beyond(&["ENOKEY"]),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("segments", "segments of memory of its own making", |_| {
        check(call(libc::SYS_modify_ldt, [0, 0, 0, 0, 0]))
    })
    .may_lack(&["ENOSYS"]),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("32-bit-call", "calls with other numbers", |_| call_of_32_bits())
        .refused(&[KILLED_BY_THE_FILTER])
        .may_lack(&["status 139"]),
    Attempt::new("personality", "addresses that are not random", |_| {
        check(call(libc::SYS_personality, [i64::from(libc::ADDR_NO_RANDOMIZE), 0, 0, 0, 0]))
    }),
    Attempt::new("push-input", "input into a terminal, as if typed", |_| on_terminal(libc::TIOCSTI)),
    Attempt::new("read-screen", "what a console shows", |_| on_terminal(libc::TIOCLINUX)).beyond(&["ENOTTY"]),
    Attempt::new("line-discipline", "a driver behind a terminal", |_| on_terminal(libc::TIOCSETD)),
    Attempt::new("packet-socket", "other machines' packets", |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    Attempt::new("raw-socket", "packets of any kind", |_| {
        socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
    }),
    Attempt::new("machine-socket", "the host of a virtual machine", |_| {
        socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)
    })
    .may_lack(&["EAFNOSUPPORT"]),
    Attempt::new("packet-rules", "the packet rules", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER)
    })
    .may_lack(&["EPROTONOSUPPORT"]),
    Attempt::new("change-network", "its own address and routes", |_| change_link()),
    Attempt::new("become-root", "user 0", |_| check(call(libc::SYS_setuid, [0; 5])))
        .ordinary(Ordinary::Refused(&["EINVAL"])),
    Attempt::new("join-groups", "group 0", |_| {
        let group = 0_u32;
        check(call(libc::SYS_setgroups, [1, (&raw const group) as i64, 0, 0, 0]))
    }),
    Attempt::new("capability", "the right to administer", |_| capability()),
    Attempt::new("secure-bits", "root's rights to be kept", |_| {
        check(call(libc::SYS_prctl, [i64::from(libc::PR_SET_SECUREBITS), 1, 0, 0, 0]))
    }),
    Attempt::new("forge-sender", "to be taken for root by who asks who sent", |_| forge_sender())
        .ordinary(Ordinary::Refused(&["EINVAL"])),
    Attempt::new("give-away", "a file of root's", |_| give_away()).ordinary(Ordinary::Refused(&["EINVAL"])),
    Attempt::new("make-device", "a device", |_| make_device()),
    Attempt::new("raise-priority", "to go before others", |_| {
        Ok(rustix::process::setpriority_process(None, -5)?)
    })
    .refused(&["EACCES"]),
    Attempt::new("real-time", "to go before everything", |_| {
        let priority = 1_i32;
        check(call(
            libc::SYS_sched_setscheduler,
            [0, i64::from(libc::SCHED_FIFO), (&raw const priority) as i64, 0, 0],
        ))
    }),
    Attempt::new("disk-priority", "the disk before others", |_| {
        check(call(libc::SYS_ioprio_set, [1, 0, 1 << 13, 0, 0]))
    }),
    Attempt::new("core-pattern", "a program run by the kernel at each crash", open_to_write)
        .at(|_| same(KERNEL_FILES[0]))
        .refused(&["EACCES"]),
    Attempt::new("kernel-setting", "a setting of the kernel", open_to_write)
        .at(|_| same(KERNEL_FILES[1]))
        .refused(&["EACCES"]),
    Attempt::new("kernel-messages", "messages of the kernel", open_to_write)
        .at(|_| same(KERNEL_FILES[2]))
        .refused(&["ENOENT"]),
    Attempt::new("sys", "a setting below /sys", open_to_write)
        .at(|_| same(KERNEL_FILES[3]))
        .refused(&["ENOENT"])
        .may_lack(&["ENOENT"]),
    Attempt::new("sysrq", "the kernel's emergency keys", open_to_write)
        .at(|_| same(KERNEL_FILES[4]))
        .refused(&["EACCES", "ENOENT"])
        .may_lack(&["ENOENT"]),
    Attempt::new("kernel-memory", "the kernel's memory", |path| std::fs::File::open(path).map(drop))
        .at(|_| same(KERNEL_FILES[5]))
        .refused(&["EACCES", "ENOENT"])
        .may_lack(&["ENOENT"]),
];

fn same(object: &str) -> (String, String) {
    (object.to_owned(), object.to_owned())
}

pub fn call(number: i64, arguments: [i64; 5]) -> i64 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: every use passes numbers, or addresses of buffers that live across the call.
    unsafe { libc::syscall(number, a, b, c, d, e) }
}

pub fn check(result: i64) -> Result<()> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// The same of a call that returns a descriptor, which is closed.
pub fn descriptor(result: i64) -> Result<()> {
    check(result)?;
    // SAFETY: the call has just returned it, and nobody else knows the number.
    drop(unsafe { OwnedFd::from_raw_fd(result as i32) });
    Ok(())
}

fn at_cwd() -> i64 {
    i64::from(libc::AT_FDCWD)
}

fn open_to_write(path: &str) -> Result<()> {
    std::fs::OpenOptions::new().write(true).open(path).map(drop)
}

fn mount() -> Result<()> {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), None)?;
    Ok(unmount("/tmp", UnmountFlags::DETACH)?)
}

fn remount(path: &str) -> Result<()> {
    use rustix::mount::MountFlags;
    Ok(rustix::mount::mount_remount(path, MountFlags::BIND, c"")?)
}

fn unmount(path: &str) -> Result<()> {
    Ok(rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH)?)
}

fn unshare(flags: i32) -> Result<()> {
    check(call(libc::SYS_unshare, [i64::from(flags), 0, 0, 0, 0]))
}

fn clone3() -> Result<()> {
    let arguments: [u64; 8] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    end_if_child(call(
        libc::SYS_clone3,
        [(&raw const arguments) as i64, size_of_val(&arguments) as i64, 0, 0, 0],
    ))
}

fn end_if_child(pid: i64) -> Result<()> {
    if pid == 0 {
        // SAFETY: the child ends at once.
        unsafe { libc::_exit(0) };
    }
    check(pid)
}

fn enter(namespace: &str) -> Result<()> {
    let namespace = std::fs::File::open(namespace)?;
    Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), None)?)
}

/// Of a file that lies on a disk on every machine.
fn file_handle() -> Result<()> {
    // `struct file_handle`: the length of what follows, its kind, and room for it.
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let (mut mount, path) = (0_i32, c"/usr/bin/env");
    let place = (&raw mut handle) as i64;
    check(call(
        libc::SYS_name_to_handle_at,
        [at_cwd(), path.as_ptr() as i64, place, (&raw mut mount) as i64, 0],
    ))?;
    let folder = std::fs::File::open("/usr/bin")?;
    let flags = i64::from(libc::O_RDONLY);
    descriptor(call(libc::SYS_open_by_handle_at, [i64::from(folder.as_raw_fd()), place, flags, 0, 0]))
}

/// `struct timex` with a length of the tick that no kernel accepts.
fn turn_clock() -> Result<()> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut change: libc::timex = unsafe { std::mem::zeroed() };
    change.modes = 0x4000;
    check(call(libc::SYS_adjtimex, [(&raw const change) as i64, 0, 0, 0, 0]))
}

/// An array map of one element (`BPF_MAP_CREATE`).
fn bpf() -> Result<()> {
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
    descriptor(call(
        libc::SYS_bpf,
        [0, (&raw const attributes) as i64, size_of_val(&attributes) as i64, 0, 0],
    ))
}

/// The CPU clock of this process (`PERF_TYPE_SOFTWARE`).
fn perf() -> Result<()> {
    let mut attributes = [0_u32; 32];
    attributes[..2].copy_from_slice(&[1, 128]);
    descriptor(call(libc::SYS_perf_event_open, [(&raw const attributes) as i64, 0, -1, -1, 0]))
}

fn add_key() -> Result<()> {
    let (kind, name) = (c"user", c"dozen-test");
    // Into the key ring of this process alone (-2).
    check(call(libc::SYS_add_key, [kind.as_ptr() as i64, name.as_ptr() as i64, name.as_ptr() as i64, 5, -2]))
}

/// `getpid` by the table of 32-bit programs.
#[cfg(target_arch = "x86_64")]
fn call_of_32_bits() -> Result<()> {
    let mut result: i64 = 20;
    // SAFETY: asks for a number; reads and writes no memory. What the older entry does not keep is told.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if result > 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(-result as i32)) }
}

/// A control on a terminal of its own.
fn on_terminal(control: libc::Ioctl) -> Result<()> {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    unlockpt(&master)?;
    let side = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    // As a character it is NUL, as a line discipline the one that every terminal has.
    let value = [0_u32; 4];
    check(call(
        libc::SYS_ioctl,
        [i64::from(side.as_raw_fd()), control as i64, (&raw const value) as i64, 0, 0],
    ))
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<()> {
    descriptor(call(libc::SYS_socket, [i64::from(family), i64::from(kind), i64::from(protocol), 0, 0]))
}

/// Sets the loopback's flags to what they are (`SIOCSIFFLAGS`).
fn change_link() -> Result<()> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    // SAFETY: plain numbers and a name, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    check(call(
        libc::SYS_ioctl,
        [i64::from(socket.as_raw_fd()), libc::SIOCSIFFLAGS as i64, (&raw const request) as i64, 0, 0],
    ))
}

fn capability() -> Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let administer = CapabilitySet::SYS_ADMIN;
    let sets =
        CapabilitySets { effective: administer, permitted: administer, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

/// Credentials of process 1 and user 0 beside a byte (`SCM_CREDENTIALS`).
fn forge_sender() -> Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixCredentials, sendmsg};
    let (one, _other) = std::os::unix::net::UnixStream::pair()?;
    let credentials = UnixCredentials::from(libc::ucred { pid: 1, uid: 0, gid: 0 });
    let parts = [std::io::IoSlice::new(b"x")];
    let message = [ControlMessage::ScmCredentials(&credentials)];
    sendmsg::<()>(one.as_raw_fd(), &parts, &message, MsgFlags::empty(), None)?;
    Ok(())
}

/// Outside this process is root's already, so another user stands for root.
fn give_away() -> Result<()> {
    let path = format!("/tmp/dozen-test-given-{}", std::process::id());
    std::fs::write(&path, "x")?;
    let owner = if rustix::process::geteuid().is_root() { 1 } else { 0 };
    let given = std::os::unix::fs::chown(&path, Some(owner), None);
    std::fs::remove_file(&path)?;
    given
}

fn make_device() -> Result<()> {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let path = format!("/tmp/dozen-test-device-{}", std::process::id());
    mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, makedev(1, 3))?;
    std::fs::remove_file(&path)
}
