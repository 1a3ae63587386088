//! Attempts to break out, each as one small program: `attempt NAME [OBJECT]` prints `succeeded`, or `refused` with the error.

use rustix::io::Errno;
use std::process::ExitCode;

/// Attempts that need no object. Refused inside; outside, as root, each must succeed.
pub const PLAIN: [&str; 24] = [
    "mount",
    "unshare-user",
    "unshare-network",
    "clone-user",
    "clone3",
    "setns",
    "chroot",
    "ptrace",
    "read-memory",
    "packet-socket",
    "raw-socket",
    "keyctl",
    "add-key",
    "bpf",
    "io-uring",
    "perf",
    "userfaultfd",
    "kernel-log",
    "host-name",
    "push-input",
    "make-device",
    "become-root",
    "kernel-setting",
    "raise-priority",
];

pub fn make(words: &[&str]) -> ExitCode {
    let outcome = match words {
        [name] => plain(name),
        ["write", path] => std::fs::write(path, "x").and_then(|()| std::fs::remove_file(path)),
        ["read", path] => std::fs::read(path).map(drop),
        ["signal", pid] => check(unsafe_kill(pid.parse().unwrap())),
        _ => return ExitCode::from(64),
    };
    match outcome {
        Ok(()) => println!("succeeded"),
        Err(error) => println!("refused: {error}"),
    }
    ExitCode::SUCCESS
}

fn plain(name: &str) -> std::io::Result<()> {
    match name {
        "mount" => mount(),
        "unshare-user" => unshare(rustix::thread::UnshareFlags::NEWUSER),
        "unshare-network" => unshare(rustix::thread::UnshareFlags::NEWNET),
        "clone-user" => clone_user(),
        "clone3" => clone3(),
        "setns" => setns(),
        "chroot" => Ok(rustix::process::chroot("/")?),
        "ptrace" => with_child(|pid| check(call(libc::SYS_ptrace, [16, pid, 0, 0, 0]))),
        "read-memory" => with_child(read_memory),
        "packet-socket" => socket(libc::AF_PACKET, libc::SOCK_RAW),
        "raw-socket" => socket(libc::AF_INET, libc::SOCK_RAW),
        "keyctl" => check(call(libc::SYS_keyctl, [0, -3, 1, 0, 0])),
        "add-key" => add_key(),
        "bpf" => bpf(),
        "io-uring" => zeroed_structure(libc::SYS_io_uring_setup, |address| [1, address, 0, 0, 0]),
        "perf" => perf(),
        "userfaultfd" => check(call(libc::SYS_userfaultfd, [0; 5])),
        "kernel-log" => check(call(libc::SYS_syslog, [10, 0, 0, 0, 0])),
        "host-name" => Ok(rustix::system::sethostname(rustix::system::uname().nodename().to_bytes())?),
        "push-input" => push_input(),
        "make-device" => make_device(),
        "become-root" => check(call(libc::SYS_setuid, [0; 5])),
        "kernel-setting" => {
            std::fs::OpenOptions::new().write(true).open("/proc/sys/kernel/hostname").map(drop)
        }
        "raise-priority" => raise_priority(),
        other => Err(std::io::Error::other(format!("there is no attempt {other}"))),
    }
}

fn call(number: i64, arguments: [i64; 5]) -> i64 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: every use below passes numbers, or addresses of buffers that live across the call.
    unsafe { libc::syscall(number, a, b, c, d, e) }
}

fn check(result: i64) -> std::io::Result<()> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn unsafe_kill(pid: i32) -> i64 {
    // SAFETY: signal 0 only asks.
    i64::from(unsafe { libc::kill(pid, 0) })
}

fn mount() -> std::io::Result<()> {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), None)?;
    Ok(unmount("/tmp", UnmountFlags::DETACH)?)
}

fn unshare(flags: rustix::thread::UnshareFlags) -> std::io::Result<()> {
    // SAFETY: this program ends right after.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

fn clone_user() -> std::io::Result<()> {
    let pid = call(libc::SYS_clone, [i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD), 0, 0, 0, 0]);
    end_if_child(pid)
}

fn clone3() -> std::io::Result<()> {
    let arguments: [u64; 8] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    let pid =
        call(libc::SYS_clone3, [(&raw const arguments) as i64, size_of_val(&arguments) as i64, 0, 0, 0]);
    end_if_child(pid)
}

fn end_if_child(pid: i64) -> std::io::Result<()> {
    if pid == 0 {
        // SAFETY: the child ends at once.
        unsafe { libc::_exit(0) };
    }
    check(pid)
}

fn setns() -> std::io::Result<()> {
    let own = std::fs::File::open("/proc/self/ns/net")?;
    Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&own), None)?)
}

/// A child that waits, for what is done to other processes.
fn with_child(act: impl FnOnce(i64) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut child = std::process::Command::new("sleep").arg("60").spawn()?;
    let outcome = act(i64::from(child.id()));
    child.kill()?;
    child.wait()?;
    outcome
}

/// Where the program of a child lies. A child is there a moment before its program is: until then only its stack is mapped, and not
/// yet where it will stay.
fn start_of_code(pid: i64) -> std::io::Result<u64> {
    for _ in 0..1_000 {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let of_file = maps.lines().find(|line| line.contains('/')).and_then(|line| line.split_once('-'));
        if let Some(start) = of_file.and_then(|(hex, _)| u64::from_str_radix(hex, 16).ok()) {
            return Ok(start);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Err(std::io::Error::other("the child has no program"))
}

/// One byte of where a program's own code lies, found in its map.
fn read_memory(pid: i64) -> std::io::Result<()> {
    let start = start_of_code(pid)?;
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: start as *mut libc::c_void, iov_len: 1 };
    // The kernel reads whole registers, of which a narrower number leaves half as it happens to be.
    let (one, no_flags) = (1_i64, 0_i64);
    // SAFETY: one byte into a local; the other address is checked by the kernel.
    check(unsafe {
        libc::syscall(
            libc::SYS_process_vm_readv,
            pid,
            &raw const local,
            one,
            &raw const remote,
            one,
            no_flags,
        )
    })
}

fn socket(family: i32, kind: i32) -> std::io::Result<()> {
    // SAFETY: plain numbers; the descriptor ends with this program.
    check(i64::from(unsafe { libc::socket(family, kind, 1) }))
}

fn add_key() -> std::io::Result<()> {
    let (kind, name) = (c"user", c"dozen-test");
    // Into the keyring of this process alone (-2).
    check(call(libc::SYS_add_key, [kind.as_ptr() as i64, name.as_ptr() as i64, name.as_ptr() as i64, 5, -2]))
}

/// An array map of one element (`BPF_MAP_CREATE`).
fn bpf() -> std::io::Result<()> {
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
    check(call(libc::SYS_bpf, [0, (&raw const attributes) as i64, size_of_val(&attributes) as i64, 0, 0]))
}

/// The CPU clock of this process (`PERF_TYPE_SOFTWARE`).
fn perf() -> std::io::Result<()> {
    let mut attributes = [0_u32; 32];
    attributes[..2].copy_from_slice(&[1, 128]);
    check(call(libc::SYS_perf_event_open, [(&raw const attributes) as i64, 0, -1, -1, 0]))
}

fn zeroed_structure(number: i64, arguments: impl FnOnce(i64) -> [i64; 5]) -> std::io::Result<()> {
    let structure = [0_u64; 64];
    check(call(number, arguments((&raw const structure) as i64)))
}

/// A character into a terminal of its own, as if typed.
fn push_input() -> std::io::Result<()> {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    unlockpt(&master)?;
    let side = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    let character = b'x';
    let number = i64::from(std::os::fd::AsRawFd::as_raw_fd(&side));
    check(call(libc::SYS_ioctl, [number, libc::TIOCSTI as i64, (&raw const character) as i64, 0, 0]))
}

fn make_device() -> std::io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let path = "/tmp/dozen-test-device";
    mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR, makedev(1, 3))?;
    std::fs::remove_file(path)
}

/// A lower nice value than one has needs a privilege.
fn raise_priority() -> std::io::Result<()> {
    match rustix::process::setpriority_process(None, -5) {
        Ok(()) => Ok(()),
        Err(Errno::ACCESS | Errno::PERM) => Err(std::io::ErrorKind::PermissionDenied.into()),
        Err(errno) => Err(errno.into()),
    }
}
