//! Attempts on what is not an app's own: files, other processes, sockets and ports.

use super::attempt::{Attempt, Ordinary};
use super::calls::{call, check, descriptor};
use super::scene::Scene;
use std::io::{Error, Read, Result};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest that a connection is waited for: rules that answer nothing count as refusal.
const PATIENCE: Duration = Duration::from_secs(3);
/// Somebody who is nobody.
const NOBODY: u32 = 65_534;

pub const ATTEMPTS: &[Attempt] = &[
    // Files that are there, and are to stay as they are.
    Attempt::new("write-code", "its own code changed", write).at(Scene::code).refused(&["EROFS"]),
    Attempt::new("write-programs", "a program below /usr", write).at(Scene::programs).refused(&["EROFS"]),
    Attempt::new("write-etc", "a file in /etc", write).at(Scene::etc).refused(&["EROFS"]),
    Attempt::new("write-root", "a file in /", write).at(Scene::root).refused(&["EROFS"]),
    Attempt::new("change-helper", "Dozen's own program", |path| {
        let mode = std::fs::metadata(path)?.permissions().mode();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7777))
    })
    .at(Scene::helper)
    .refused(&["EROFS"]),
    // Files that are not there.
    Attempt::new("host-file", "a file of the host", read).at(Scene::host_file).refused(&["ENOENT"]),
    Attempt::new("shadow", "the host's passwords", read).at(|_| both("/etc/shadow")).refused(&["ENOENT"]),
    Attempt::new("other-code", "another app's code", read).at(Scene::other_code).refused(&["ENOENT"]),
    Attempt::new("ledger", "Dozen's data folder", read).at(Scene::data_file).refused(&["ENOENT"]),
    Attempt::new("climb", "the host's files by way of ..", read).at(Scene::climbing).refused(&["ENOENT"]),
    Attempt::new("root-of-first", "the host's files by way of process 1", read)
        .at(Scene::by_way_of_the_first)
        .refused(&["ENOENT"]),
    Attempt::new("link-in-tmp", "the host's files by a link in /tmp", read_by_link)
        .at(Scene::host_file)
        .refused(&["ENOENT"]),
    Attempt::new("link-in-code", "the host's files by a link in the code", read)
        .at(Scene::link_in_code)
        .refused(&["ENOENT"]),
    Attempt::new("link-race", "the host's files by a link that changes meanwhile", read_by_race)
        .at(Scene::host_file)
        .refused(&["never"]),
    Attempt::new("control-group", "to leave its limits", |path| {
        std::fs::OpenOptions::new().write(true).open(path).map(drop)
    })
    .at(Scene::control_group)
    .refused(&["ENOENT"]),
    Attempt::new("set-user-id", "root by a program of root's", set_user_id)
        .at(Scene::set_user_id)
        .refused(&["still itself"]),
    Attempt::new("leaked-descriptors", "what was left open by who started it", |_| leaked())
        .refused(&["none"])
        .at(|_| (String::new(), "leaking".to_owned())),
    // Other processes.
    Attempt::new("trace", "another process in its hands", |_| {
        with_child(|pid| check(call(libc::SYS_ptrace, [16, pid, 0, 0, 0])))
    }),
    Attempt::new("read-memory", "another process's memory", |_| with_child(read_memory)),
    Attempt::new("write-memory", "another process's memory changed", |_| with_child(write_memory)),
    Attempt::new("compare", "whether two processes share", |_| {
        with_child(|pid| check(call(libc::SYS_kcmp, [pid, pid, 0, 0, 0])))
    }),
    Attempt::new("take-descriptor", "another process's open file", |_| with_child(take_descriptor)),
    Attempt::new("memory-of-first", "the memory of who started it", |path| {
        std::fs::File::open(path).map(drop)
    })
    .at(|scene| scene.of_who_started_it("mem"))
    .refused(&["ENOENT"]),
    Attempt::new("descriptors-of-first", "what who started it has open", |path| {
        std::fs::read_dir(path).map(drop)
    })
    .at(|scene| scene.of_who_started_it("fd"))
    .refused(&["ENOENT"]),
    Attempt::new("other-environment", "another app's config vars", |path| {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.read_to_end(&mut bytes).map(drop)
    })
    .at(Scene::other_environment)
    .refused(&["ENOENT"]),
    Attempt::new("other-memory", "another app's memory", |path| std::fs::File::open(path).map(drop))
        .at(Scene::other_memory)
        .refused(&["ENOENT"]),
    Attempt::new("signal-other", "another app's process ended", signal)
        .at(Scene::other_pid)
        .refused(&["ESRCH"]),
    Attempt::new("signal-launcher", "the launcher ended", signal).at(Scene::launcher_pid).refused(&["ESRCH"]),
    Attempt::new("signal-shim", "its own shim ended", signal).at(Scene::shim_pid).refused(&["ESRCH"]),
    // Sockets and ports.
    Attempt::new("launcher-socket", "to command the launcher", connect_for_packets)
        .at(Scene::launcher_socket)
        .refused(&["ENOENT"]),
    Attempt::new("shim-socket", "to command another app's shim", connect_for_packets)
        .at(Scene::shim_socket)
        .refused(&["ENOENT"]),
    Attempt::new("abstract-socket", "a service of the host without a path", |name| {
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        std::os::unix::net::UnixStream::connect_addr(&address).map(drop)
    })
    .at(Scene::abstract_socket)
    .refused(&["ECONNREFUSED"])
    .ordinary(Ordinary::ByLandlock(&["EPERM"])),
    Attempt::new("other-port", "another app's port", connect)
        .at(Scene::other_port)
        .refused(&["ECONNREFUSED", "EHOSTUNREACH", "ETIMEDOUT", "connection timed out"])
        .ordinary(Ordinary::Open),
    Attempt::new("host-loopback", "a service of the host's loopback", connect)
        .at(Scene::host_loopback)
        .refused(&["ECONNREFUSED"])
        .ordinary(Ordinary::Open),
    Attempt::new("host-address", "a service of the host, by its address", connect)
        .at(Scene::host_address)
        .refused(&["ECONNREFUSED", "EHOSTUNREACH", "ETIMEDOUT", "connection timed out"])
        .ordinary(Ordinary::Open),
];

fn both(object: &str) -> (String, String) {
    (object.to_owned(), object.to_owned())
}

/// A new file at the path, removed again.
fn write(path: &str) -> Result<()> {
    std::fs::write(path, "x").and_then(|()| std::fs::remove_file(path))
}

fn read(path: &str) -> Result<()> {
    std::fs::read(path).map(drop)
}

fn temporary(name: &str) -> String {
    format!("/tmp/dozen-test-{name}-{}", std::process::id())
}

fn read_by_link(target: &str) -> Result<()> {
    let link = temporary("link");
    std::os::unix::fs::symlink(target, &link)?;
    let outcome = read(&link);
    std::fs::remove_file(&link)?;
    outcome
}

/// One thread changes a folder for a link and back, by an exchange that has no between; the other reads what is in it.
fn read_by_race(target: &str) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let (folder, link) = (temporary("folder"), temporary("way-out"));
    let (parent, name) = target.rsplit_once('/').unwrap();
    std::fs::create_dir(&folder)?;
    std::os::unix::fs::symlink(parent, &link)?;
    let end = std::time::Instant::now() + Duration::from_millis(300);
    let racing = std::thread::spawn({
        let (folder, link) = (folder.clone(), link.clone());
        move || {
            while std::time::Instant::now() < end {
                let _ = renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE);
            }
        }
    });
    let mut seen = false;
    while !seen && std::time::Instant::now() < end {
        seen = read(&format!("{folder}/{name}")).is_ok();
    }
    racing.join().unwrap();
    for path in [&folder, &link] {
        let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
    }
    if seen { Ok(()) } else { Err(Error::other("never")) }
}

/// Who one is in a program that belongs to root and has the set-user-id bit. Root asks as nobody.
fn set_user_id(program: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.args(["inside", "who"]);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let said = command.output()?.stdout;
    if said.starts_with(b"0\n") { Ok(()) } else { Err(Error::other("still itself")) }
}

/// Descriptors beside the standard ones and that of the listing itself.
fn leaked() -> Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // The listing's own is closed by now.
    let is_open = |number: &i32| call(libc::SYS_fcntl, [i64::from(*number), 1, 0, 0, 0]) >= 0;
    if open.iter().any(|number| *number > 2 && is_open(number)) { Ok(()) } else { Err(Error::other("none")) }
}

/// A child that waits, for what is done to other processes.
fn with_child(act: impl FnOnce(i64) -> Result<()>) -> Result<()> {
    let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn()?;
    let outcome = act(i64::from(child.id()));
    child.kill()?;
    child.wait()?;
    outcome
}

/// Where the program of a child lies. A child is there a moment before its program is: until then only its stack is mapped, and not
/// yet where it will stay. `writable`: a place that may be written to.
fn mapped(pid: i64, writable: bool) -> Result<u64> {
    for _ in 0..1_000 {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let fits = |line: &&str| line.contains("sleep") && line.contains(" rw") == writable;
        let start = maps.lines().find(fits).and_then(|line| line.split_once('-'));
        if let Some(start) = start.and_then(|(hex, _)| u64::from_str_radix(hex, 16).ok()) {
            return Ok(start);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Error::other("the child has no program"))
}

fn read_memory(pid: i64) -> Result<()> {
    move_byte(libc::SYS_process_vm_readv, pid, mapped(pid, false)?)
}

fn write_memory(pid: i64) -> Result<()> {
    move_byte(libc::SYS_process_vm_writev, pid, mapped(pid, true)?)
}

fn move_byte(number: i64, pid: i64, place: u64) -> Result<()> {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: place as *mut libc::c_void, iov_len: 1 };
    // The kernel reads whole registers, of which a narrower number leaves half as it happens to be.
    let (one, no_flags) = (1_i64, 0_i64);
    // SAFETY: one byte from or into a local; the other address is checked by the kernel.
    check(unsafe { libc::syscall(number, pid, &raw const local, one, &raw const remote, one, no_flags) })
}

fn take_descriptor(pid: i64) -> Result<()> {
    let child = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let pidfd = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty())?;
    let number = i64::from(std::os::fd::AsRawFd::as_raw_fd(&pidfd));
    descriptor(call(libc::SYS_pidfd_getfd, [number, 1, 0, 0, 0]))
}

/// Signal 0 only asks.
fn signal(pid: &str) -> Result<()> {
    check(call(libc::SYS_kill, [pid.parse().unwrap(), 0, 0, 0, 0]))
}

fn connect_for_packets(path: &str) -> Result<()> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
    // Such paths are longer than an address may be.
    let (folder, name) = path.rsplit_once('/').unwrap();
    let folder = std::fs::File::open(folder)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
    Ok(connect(&socket, &SocketAddrUnix::new(format!("/proc/self/fd/{number}/{name}"))?)?)
}

fn connect(address: &str) -> Result<()> {
    let address: SocketAddr = address.parse().unwrap();
    TcpStream::connect_timeout(&address, PATIENCE).map(drop)
}
