//! The table of system calls: what an app may call, what it may call with some arguments only, and what it is refused. This file
//! is the whole policy; [`super::seccomp`] only translates it.
//!
//! * *Allowed*: what ordinary programs, language runtimes and databases call without privilege.
//! * *Refused* with EPERM: known calls that change the machine, reach other processes, or widen the kernel's surface.
//! * Anything else, calls that do not exist yet included, is answered with ENOSYS.
//!
//! Arguments are compared as 32-bit values: every argument judged here is an `int` or a flag word, of which the kernel itself
//! reads no more. Pointers cannot be judged, which is why `clone3` (flags behind a pointer) does not exist for an app: the C
//! library falls back to `clone`.

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// EPERM.
    Refuse,
    /// ENOSYS.
    Unknown,
    /// Allowed if the test of one argument holds, else refused.
    Judge {
        argument: u8,
        test: Test,
    },
}

/// A test of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    OneOf(&'static [u32]),
    NoneOf(&'static [u32]),
    HasNoBit(u32),
}

/// The policy: what becomes of each call, by its number. What lies beyond the end is unknown.
pub fn table() -> Vec<Verdict> {
    let mut table = Vec::new();
    let mut set = |call: i64, verdict| {
        let index = usize::try_from(call).expect("calls have small positive numbers");
        if table.len() <= index {
            table.resize(index + 1, Verdict::Unknown);
        }
        table[index] = verdict;
    };
    [ALLOWED, ALLOWED_X86].into_iter().flatten().for_each(|call| set(*call, Verdict::Allow));
    [REFUSED, REFUSED_X86].into_iter().flatten().for_each(|call| set(*call, Verdict::Refuse));
    JUDGED.iter().for_each(|(call, argument, test)| {
        set(*call, Verdict::Judge { argument: *argument, test: *test });
    });
    table
}

/// Flags of `clone` that make namespaces. (CLONE_NEWTIME lies in the byte of the exit signal and means nothing to `clone`.)
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Socket families that apps need. `AF_NETLINK` without privilege lists addresses and routes of the app's own network.
const FAMILIES: &[u32] =
    &[libc::AF_UNIX as u32, libc::AF_INET as u32, libc::AF_INET6 as u32, libc::AF_NETLINK as u32];

/// Terminal controls that put input into a terminal, or read another's screen, as if its user had typed.
const REFUSED_IOCTLS: &[u32] = &[libc::TIOCSTI as u32, libc::TIOCLINUX as u32];

/// `personality`: ask, Linux, and 32-bit address limits, as other container runtimes allow.
const PERSONALITIES: &[u32] = &[0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Call, number of the argument from 0, and what must hold of it.
const JUDGED: &[(i64, u8, Test)] = &[
    (libc::SYS_clone, 0, Test::HasNoBit(NAMESPACE_FLAGS)),
    (libc::SYS_socket, 0, Test::OneOf(FAMILIES)),
    (libc::SYS_socketpair, 0, Test::OneOf(&[libc::AF_UNIX as u32])),
    (libc::SYS_ioctl, 1, Test::NoneOf(REFUSED_IOCTLS)),
    (libc::SYS_personality, 0, Test::OneOf(PERSONALITIES)),
];

#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    // Files and folders.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_preadv,
    libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_openat, libc::SYS_openat2, libc::SYS_close,
    libc::SYS_close_range, libc::SYS_lseek, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs,
    libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchmodat2,
    libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_unlinkat, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_linkat, libc::SYS_symlinkat, libc::SYS_readlinkat, libc::SYS_truncate, libc::SYS_ftruncate,
    libc::SYS_fallocate, libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir,
    libc::SYS_fchdir, libc::SYS_umask, libc::SYS_utimensat, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync,
    libc::SYS_syncfs, libc::SYS_sync_file_range, libc::SYS_flock, libc::SYS_fcntl, libc::SYS_dup, libc::SYS_dup3,
    libc::SYS_pipe2, libc::SYS_splice, libc::SYS_tee, libc::SYS_vmsplice, libc::SYS_sendfile, libc::SYS_copy_file_range,
    libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr,
    libc::SYS_flistxattr, libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr,
    libc::SYS_lremovexattr, libc::SYS_fremovexattr, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch, libc::SYS_memfd_create, libc::SYS_memfd_secret, libc::SYS_name_to_handle_at,
    // Waiting.
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_eventfd2, libc::SYS_signalfd4, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime, libc::SYS_io_setup, libc::SYS_io_submit, libc::SYS_io_cancel, libc::SYS_io_destroy,
    libc::SYS_io_getevents,
    // Sockets; which families may be made is judged below.
    libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_connect, libc::SYS_getsockname,
    libc::SYS_getpeername, libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg,
    libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_shutdown,
    // Memory.
    libc::SYS_brk, libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect, libc::SYS_madvise, libc::SYS_mincore,
    libc::SYS_msync, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock, libc::SYS_mlockall, libc::SYS_munlockall,
    libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_pkey_mprotect, libc::SYS_membarrier, libc::SYS_remap_file_pages,
    libc::SYS_get_mempolicy,
    // Processes and threads.
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getpgid,
    libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid, libc::SYS_set_tid_address, libc::SYS_set_robust_list,
    libc::SYS_get_robust_list, libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_rseq, libc::SYS_prctl, libc::SYS_seccomp,
    libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_process_madvise, libc::SYS_process_mrelease,
    libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_setaffinity, libc::SYS_sched_getparam,
    libc::SYS_sched_setparam, libc::SYS_sched_getscheduler, libc::SYS_sched_setscheduler, libc::SYS_sched_getattr,
    libc::SYS_sched_setattr, libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval, libc::SYS_getpriority, libc::SYS_setpriority, libc::SYS_ioprio_get, libc::SYS_ioprio_set,
    libc::SYS_getcpu, libc::SYS_getrusage, libc::SYS_times, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_prlimit64,
    libc::SYS_restart_syscall,
    // Signals.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigsuspend, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack,
    // Time.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep, libc::SYS_gettimeofday,
    libc::SYS_getitimer, libc::SYS_setitimer, libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun, libc::SYS_timer_delete,
    // Who and where.
    libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid, libc::SYS_getresgid,
    libc::SYS_getgroups, libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setgroups, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_capget, libc::SYS_capset,
    libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom,
    // System V and POSIX inter-process communication, within the sandbox's own namespace.
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmdt, libc::SYS_shmctl, libc::SYS_semget, libc::SYS_semop, libc::SYS_semctl,
    libc::SYS_semtimedop, libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl, libc::SYS_mq_open,
    libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive, libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
];

/// Older forms that only this architecture has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_X86: &[i64] = &[
    libc::SYS_open, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_chmod, libc::SYS_chown,
    libc::SYS_lchown, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_mknod, libc::SYS_unlink, libc::SYS_rename, libc::SYS_link,
    libc::SYS_symlink, libc::SYS_readlink, libc::SYS_getdents, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat,
    libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_create, libc::SYS_epoll_wait,
    libc::SYS_epoll_ctl_old, libc::SYS_epoll_wait_old, libc::SYS_eventfd, libc::SYS_signalfd, libc::SYS_inotify_init,
    libc::SYS_fork, libc::SYS_vfork, libc::SYS_getpgrp, libc::SYS_pause, libc::SYS_alarm, libc::SYS_time, libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_X86: &[i64] = &[];

#[rustfmt::skip]
const REFUSED: &[i64] = &[
    // Mounts, roots and namespaces.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_unshare, libc::SYS_setns,
    libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, libc::SYS_open_by_handle_at, libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
    libc::SYS_quotactl, libc::SYS_quotactl_fd, libc::SYS_swapon, libc::SYS_swapoff,
    // Other processes.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_kcmp, libc::SYS_pidfd_getfd,
    // Large or privileged parts of the kernel.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key, libc::SYS_init_module,
    libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load, libc::SYS_reboot, libc::SYS_syslog, libc::SYS_acct,
    libc::SYS_vhangup, libc::SYS_lookup_dcookie, libc::SYS_nfsservctl, libc::SYS_mbind, libc::SYS_set_mempolicy,
    libc::SYS_migrate_pages, libc::SYS_move_pages, libc::SYS_set_mempolicy_home_node,
    // The machine's clock and name.
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex, libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const REFUSED_X86: &[i64] = &[
    libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_kexec_file_load, libc::SYS_uselib, libc::SYS_ustat,
    libc::SYS_sysfs, libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_X86: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_call_is_listed_twice() {
        let judged = JUDGED.iter().map(|(call, _, _)| *call);
        let listed = [ALLOWED, ALLOWED_X86, REFUSED, REFUSED_X86].into_iter().flatten().copied();
        let all: Vec<i64> = listed.chain(judged).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn what_must_never_be_allowed_is_not() {
        use libc as l;
        let table = table();
        let verdict = |call: i64| table.get(call as usize).copied().unwrap_or(Verdict::Unknown);
        for call in [
            l::SYS_mount,
            l::SYS_ptrace,
            l::SYS_bpf,
            l::SYS_setns,
            l::SYS_unshare,
            l::SYS_keyctl,
            l::SYS_perf_event_open,
        ] {
            assert_eq!(verdict(call), Verdict::Refuse, "{call}");
        }
        assert_eq!(verdict(libc::SYS_clone3), Verdict::Unknown, "clone3 does not exist for an app");
        assert_eq!(verdict(100_000), Verdict::Unknown);
    }
}
