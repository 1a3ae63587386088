//! The policy, call by call. A call stands here once, in the group that gives the reason; whoever moves one says why in the change.

use super::{Condition, Group, Judged, Named, Test};
use libc::*;

/// Names with their numbers.
macro_rules! calls {
    ($($($path:ident)::+),* $(,)?) => { &[$((stringify!($($path)::+), $($path)::+)),*] };
}

/// The same of calls that only this architecture has.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_calls {
    ($($tokens:tt)*) => { calls![$($tokens)*] };
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! x86_calls {
    ($($tokens:tt)*) => {
        &[]
    };
}

/// Names with their values.
macro_rules! values {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as u32)),*] };
}

/// Calls that the C library's headers do not name yet (Linux, `scripts/syscall.tbl`; the same on every architecture).
#[allow(non_upper_case_globals, reason = "as the kernel names them")]
mod numbers {
    pub const SYS_cachestat: i64 = 451;
    pub const SYS_map_shadow_stack: i64 = 453;
    pub const SYS_futex_wake: i64 = 454;
    pub const SYS_futex_wait: i64 = 455;
    pub const SYS_futex_requeue: i64 = 456;
    pub const SYS_statmount: i64 = 457;
    pub const SYS_listmount: i64 = 458;
    pub const SYS_lsm_get_self_attr: i64 = 459;
    pub const SYS_lsm_set_self_attr: i64 = 460;
    pub const SYS_lsm_list_modules: i64 = 461;
    pub const SYS_mseal: i64 = 462;
    pub const SYS_setxattrat: i64 = 463;
    pub const SYS_getxattrat: i64 = 464;
    pub const SYS_listxattrat: i64 = 465;
    pub const SYS_removexattrat: i64 = 466;
    pub const SYS_open_tree_attr: i64 = 467;
    pub const SYS_file_getattr: i64 = 468;
    pub const SYS_file_setattr: i64 = 469;
    pub const SYS_listns: i64 = 470;

    #[cfg(target_arch = "x86_64")]
    pub const SYS_io_pgetevents: i64 = 333;
    #[cfg(not(target_arch = "x86_64"))]
    pub const SYS_io_pgetevents: i64 = 292;
}

/// Numbers that only this architecture has.
#[cfg(target_arch = "x86_64")]
#[allow(non_upper_case_globals, reason = "as the kernel names them")]
mod x86_numbers {
    pub const SYS_create_module: i64 = 174;
    pub const SYS_get_kernel_syms: i64 = 177;
    pub const SYS_query_module: i64 = 178;
    pub const SYS_uretprobe: i64 = 335;
    pub const SYS_uprobe: i64 = 336;
}

/// Allowed with any arguments.
#[rustfmt::skip]
pub const ALLOWED: &[Group] = &[
    Group {
        title: "Files and folders",
        why: "Paths lead only to what the sandbox shows; its file systems are read-only or hold this process's own \
              files in memory. Node files beyond pipes and sockets are refused by the kernel.",
        calls: calls![
            SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
            SYS_preadv2, SYS_pwritev2, SYS_openat, SYS_openat2, SYS_close, SYS_close_range, SYS_lseek,
            SYS_fstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_faccessat2,
            SYS_fchmod, SYS_fchmodat, SYS_fchmodat2, SYS_fchown, SYS_fchownat, SYS_mkdirat, SYS_mknodat,
            SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_readlinkat, SYS_truncate,
            SYS_ftruncate, SYS_fallocate, SYS_fadvise64, SYS_readahead, SYS_getdents64, SYS_getcwd, SYS_chdir,
            SYS_fchdir, SYS_umask, SYS_utimensat, SYS_fsync, SYS_fdatasync, SYS_sync, SYS_syncfs,
            SYS_sync_file_range, SYS_flock, SYS_fcntl, SYS_dup, SYS_dup3, SYS_pipe2, SYS_splice, SYS_tee,
            SYS_vmsplice, SYS_sendfile, SYS_copy_file_range, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr,
            SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr,
            SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SYS_inotify_init1, SYS_inotify_add_watch,
            SYS_inotify_rm_watch, SYS_memfd_create, SYS_memfd_secret, SYS_name_to_handle_at,
        ],
        x86: x86_calls![
            SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_chmod, SYS_chown, SYS_lchown, SYS_mkdir,
            SYS_rmdir, SYS_mknod, SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_readlink, SYS_getdents,
            SYS_utime, SYS_utimes, SYS_futimesat, SYS_dup2, SYS_pipe, SYS_inotify_init,
        ],
    },
    Group {
        title: "Waiting",
        why: "Descriptors of this process.",
        calls: calls![
            SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2,
            SYS_eventfd2, SYS_signalfd4, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
        ],
        x86: x86_calls![
            SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd,
        ],
    },
    Group {
        title: "Sockets",
        why: "What may be made is judged below; what is made lives in the app's own network.",
        calls: calls![
            SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_getsockname, SYS_getpeername,
            SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg,
            SYS_recvmmsg, SYS_shutdown,
        ],
        x86: &[],
    },
    Group {
        title: "Memory",
        why: "This process's own, counted by its control group. Locked memory is limited by the kernel.",
        calls: calls![
            SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_mincore, SYS_msync,
            SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_pkey_alloc, SYS_pkey_free,
            SYS_pkey_mprotect, SYS_membarrier, SYS_get_mempolicy,
        ],
        x86: &[],
    },
    Group {
        title: "Processes and threads",
        why: "The pid namespace holds nobody else's. `prctl` is allowed with every option: each acts on the caller \
              alone, and those that need a capability fail for want of it. `seccomp` and `landlock` only ever take \
              away. Priorities can only be lowered.",
        calls: calls![
            SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill,
            SYS_tgkill, SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgid, SYS_setpgid, SYS_getsid, SYS_setsid,
            SYS_set_tid_address, SYS_set_robust_list, SYS_get_robust_list, SYS_futex, SYS_futex_waitv, SYS_rseq,
            SYS_prctl, SYS_seccomp, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_process_madvise,
            SYS_process_mrelease, SYS_landlock_create_ruleset, SYS_landlock_add_rule,
            SYS_landlock_restrict_self, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity,
            SYS_sched_getparam, SYS_sched_setparam, SYS_sched_getscheduler, SYS_sched_setscheduler,
            SYS_sched_getattr, SYS_sched_setattr, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
            SYS_sched_rr_get_interval, SYS_getpriority, SYS_setpriority, SYS_ioprio_get, SYS_ioprio_set,
            SYS_getcpu, SYS_getrusage, SYS_times, SYS_getrlimit, SYS_setrlimit, SYS_prlimit64,
            SYS_restart_syscall,
        ],
        x86: x86_calls![
            SYS_fork, SYS_vfork, SYS_getpgrp, SYS_arch_prctl,
        ],
    },
    Group {
        title: "Signals",
        why: "Within the pid namespace.",
        calls: calls![
            SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
            SYS_rt_sigsuspend, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_sigaltstack,
        ],
        x86: x86_calls![
            SYS_pause,
        ],
    },
    Group {
        title: "Time",
        why: "Reading clocks, and timers of this process.",
        calls: calls![
            SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
            SYS_getitimer, SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime,
            SYS_timer_getoverrun, SYS_timer_delete,
        ],
        x86: x86_calls![
            SYS_alarm, SYS_time,
        ],
    },
    Group {
        title: "Who and where",
        why: "Users other than the app's own are refused by the kernel: there is no capability, and none can be \
              gained.",
        calls: calls![
            SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups,
            SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups,
            SYS_setfsuid, SYS_setfsgid, SYS_capget, SYS_capset, SYS_uname, SYS_sysinfo, SYS_getrandom,
        ],
        x86: &[],
    },
    Group {
        title: "System V and POSIX inter-process communication",
        why: "Within the sandbox's own namespace, which ends with it.",
        calls: calls![
            SYS_shmget, SYS_shmat, SYS_shmdt, SYS_shmctl, SYS_semget, SYS_semop, SYS_semctl, SYS_semtimedop,
            SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend,
            SYS_mq_timedreceive, SYS_mq_notify, SYS_mq_getsetattr,
        ],
        x86: &[],
    },
];

/// Refused with EPERM.
#[rustfmt::skip]
pub const REFUSED: &[Group] = &[
    Group {
        title: "Mounts, roots and namespaces",
        why: "They would change what a process sees, or lead round it. File handles (`open_by_handle_at`) name \
              files without a path.",
        calls: calls![
            SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_move_mount,
            SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr,
            SYS_open_by_handle_at, SYS_fanotify_init, SYS_fanotify_mark, SYS_quotactl, SYS_quotactl_fd,
            SYS_swapon, SYS_swapoff, numbers::SYS_open_tree_attr,
        ],
        x86: &[],
    },
    Group {
        title: "Other processes",
        why: "Reading and changing another process's memory and descriptors. Debuggers do not work inside.",
        calls: calls![
            SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_getfd,
        ],
        x86: &[],
    },
    Group {
        title: "Large parts of the kernel",
        why: "Each has had faults by which an ordinary user became root, and no web app needs it. Key rings are \
              not namespaced.",
        calls: calls![
            SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
            SYS_io_uring_register, SYS_keyctl, SYS_add_key, SYS_request_key,
        ],
        x86: x86_calls![
            SYS_modify_ldt,
        ],
    },
    Group {
        title: "The machine",
        why: "Kernel modules, another kernel, restart, accounting, the kernel's log, ports of devices, memory of \
              its nodes.",
        calls: calls![
            SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_syslog,
            SYS_acct, SYS_vhangup, SYS_mbind, SYS_set_mempolicy, SYS_migrate_pages, SYS_move_pages,
            SYS_set_mempolicy_home_node,
        ],
        x86: x86_calls![
            SYS_iopl, SYS_ioperm, SYS_kexec_file_load,
        ],
    },
    Group {
        title: "The machine's clock and name",
        why: "The clock is not namespaced; the name is the sandbox's and stays.",
        calls: calls![
            SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname,
            SYS_setdomainname,
        ],
        x86: &[],
    },
    Group {
        title: "Left over",
        why: "No program of these decades calls them.",
        calls: calls![
            SYS_lookup_dcookie, SYS_nfsservctl,
        ],
        x86: x86_calls![
            SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl,
        ],
    },
];

/// Answered with ENOSYS, as is everything that stands nowhere here.
#[rustfmt::skip]
pub const ABSENT: &[Group] = &[
    Group {
        title: "With another way",
        why: "`clone3` has its flags behind a pointer, where no filter sees them. Asynchronous input and output of \
              this form draws on one number for the whole machine (`fs.aio-max-nr`), which one app could use up \
              for all; databases and servers go without it.",
        calls: calls![
            SYS_clone3, SYS_io_setup, SYS_io_submit, SYS_io_cancel, SYS_io_destroy, SYS_io_getevents,
            SYS_remap_file_pages, numbers::SYS_io_pgetevents,
        ],
        x86: &[],
    },
    Group {
        title: "Not needed yet",
        why: "Newer than the programs that apps are made of, all of which manage without. They are allowed once \
              something common needs them and they have been looked at.",
        calls: calls![
            numbers::SYS_cachestat, numbers::SYS_map_shadow_stack, numbers::SYS_futex_wake,
            numbers::SYS_futex_wait, numbers::SYS_futex_requeue, numbers::SYS_statmount, numbers::SYS_listmount,
            numbers::SYS_lsm_get_self_attr, numbers::SYS_lsm_set_self_attr, numbers::SYS_lsm_list_modules,
            numbers::SYS_mseal, numbers::SYS_setxattrat, numbers::SYS_getxattrat, numbers::SYS_listxattrat,
            numbers::SYS_removexattrat, numbers::SYS_file_getattr, numbers::SYS_file_setattr,
            numbers::SYS_listns,
        ],
        x86: &[],
    },
    Group {
        title: "Not there anyway",
        why: "Numbers that the kernel keeps for calls that it no longer has, or never had. `uprobe` and `uretprobe` are \
              the kernel's own trampolines: newer kernels ask no filter about them and end others that call them.",
        calls: &[],
        x86: x86_calls![
            x86_numbers::SYS_create_module, x86_numbers::SYS_get_kernel_syms, x86_numbers::SYS_query_module,
            SYS_getpmsg, SYS_putpmsg, SYS_afs_syscall,
            SYS_tuxcall, SYS_security, SYS_set_thread_area, SYS_get_thread_area, SYS_epoll_ctl_old,
            SYS_epoll_wait_old, SYS_vserver, x86_numbers::SYS_uretprobe, x86_numbers::SYS_uprobe,
        ],
    },
];

/// Flags of `clone` that make namespaces. (CLONE_NEWTIME lies in the byte of the exit signal and means nothing to `clone`.)
const NAMESPACES: &[Named] = values![
    CLONE_NEWNS,
    CLONE_NEWCGROUP,
    CLONE_NEWUTS,
    CLONE_NEWIPC,
    CLONE_NEWUSER,
    CLONE_NEWPID,
    CLONE_NEWNET
];

/// The kind of a socket without its flags.
const KIND: u32 = 0xf;

/// What is judged by its arguments.
pub const JUDGED: &[Judged] = &[
    Judged {
        call: ("SYS_clone", SYS_clone),
        why: "Processes and threads are an app's own business; new namespaces would give it rights within them, and with those most \
              of the kernel's faults of the last years.",
        rules: &[&[Condition { argument: 0, test: Test::HasNoBit(NAMESPACES) }]],
    },
    Judged {
        call: ("SYS_socket", SYS_socket),
        why: "Local sockets, TCP and UDP (with ping and multipath TCP), and the list of one's own addresses and routes. Other families \
              and protocols load parts of the kernel that nothing here needs.",
        rules: &[
            &[Condition { argument: 0, test: Test::OneOf(values![AF_UNIX]) }],
            &[
                Condition { argument: 0, test: Test::OneOf(values![AF_INET, AF_INET6]) },
                Condition { argument: 1, test: Test::MaskedOneOf(KIND, values![SOCK_STREAM, SOCK_DGRAM]) },
                Condition {
                    argument: 2,
                    test: Test::OneOf(values![
                        IPPROTO_IP,
                        IPPROTO_ICMP,
                        IPPROTO_TCP,
                        IPPROTO_UDP,
                        IPPROTO_ICMPV6,
                        IPPROTO_UDPLITE,
                        IPPROTO_MPTCP
                    ]),
                },
            ],
            &[
                Condition { argument: 0, test: Test::OneOf(values![AF_NETLINK]) },
                Condition { argument: 2, test: Test::OneOf(values![NETLINK_ROUTE]) },
            ],
        ],
    },
    Judged {
        call: ("SYS_socketpair", SYS_socketpair),
        why: "Pairs exist of local sockets alone.",
        rules: &[&[Condition { argument: 0, test: Test::OneOf(values![AF_UNIX]) }]],
    },
    Judged {
        call: ("SYS_ioctl", SYS_ioctl),
        why: "Two terminal controls put input into a terminal, or read another's screen, as if its user had typed; one loads a line \
              discipline, a driver that talks to whoever holds the other end.",
        rules: &[&[Condition {
            argument: 1,
            test: Test::NoneOf(&[
                ("TIOCSTI", TIOCSTI as u32),
                ("TIOCLINUX", TIOCLINUX as u32),
                ("TIOCSETD", TIOCSETD as u32),
            ]),
        }]],
    },
    Judged {
        call: ("SYS_personality", SYS_personality),
        why: "To ask, and to be like Linux of old. Other personalities take away the randomness of addresses.",
        rules: &[&[Condition {
            argument: 0,
            test: Test::OneOf(&[
                ("PER_LINUX", 0),
                ("PER_LINUX32", 0x0008),
                ("UNAME26", 0x2_0000),
                ("UNAME26 with PER_LINUX32", 0x2_0008),
                ("0xffffffff (asks)", 0xffff_ffff),
            ]),
        }]],
    },
];
