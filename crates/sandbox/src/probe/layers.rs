//! What is found of each layer: what is tried, and what to say when it fails.

use super::attempt::{Steps, in_a_child};
use super::layer::Layer;
use super::report::{Privilege, State};
use super::{restrictions, steps};
use crate::cgroup::{Cgroups, Controller, Placement};
use crate::network;
use crate::system::parse_kernel_version;
use domain::cause::chain;
use nix::errno::Errno;

/// The kernel whose control groups can first kill all at once.
const CGROUP_KILL_SINCE: (u32, u32) = (5, 14);
/// The words for a layer that works and has nothing more to tell.
const WORKS: &str = "works";

/// What the checks need to know of this machine.
pub(super) struct Machine {
    pub privilege: Privilege,
    pub kernel: String,
    /// A user that apps will run as.
    pub app_uid: u32,
    pub cgroups: Result<Cgroups, String>,
}

pub(super) fn check(layer: Layer, machine: &Machine) -> State {
    match layer {
        Layer::UidSwitch => match machine.privilege {
            Privilege::Root => tried(machine, layer, steps::switch_user),
            Privilege::OrdinaryUser => {
                missing(layer, machine, "only root can give each app a user id of its own".to_owned())
            }
        },
        Layer::UserNamespace => check_user_namespace(machine),
        Layer::MountNamespace => tried(machine, layer, steps::mount_namespace),
        Layer::PidNamespace => tried(machine, layer, steps::pid_namespace),
        Layer::IpcNamespace => tried(machine, layer, steps::ipc_namespace),
        Layer::UtsNamespace => tried(machine, layer, steps::uts_namespace),
        Layer::CgroupNamespace => tried(machine, layer, steps::cgroup_namespace),
        Layer::NoCapabilities => tried(machine, layer, steps::no_capabilities),
        Layer::NoNewPrivs => tried(machine, layer, steps::no_new_privs),
        Layer::Seccomp => check_seccomp(machine),
        Layer::Landlock => match steps::landlock_version() {
            Ok(version) => present(format!("version {version} of its interface")),
            Err(errno) => missing(layer, machine, failure(errno)),
        },
        Layer::NetworkNamespace => tried(machine, layer, steps::network_namespace),
        Layer::Veth => by_root(machine, layer, network::try_link),
        Layer::Nftables => by_root(machine, layer, network::try_rules),
        Layer::CgroupMemory => placed(machine, layer, Controller::Memory),
        Layer::CgroupCpu => placed(machine, layer, Controller::Cpu),
        Layer::CgroupPids => placed(machine, layer, Controller::Pids),
        Layer::CgroupKill => check_cgroup_kill(machine),
        Layer::IdmappedMounts => match steps::idmapped_mounts() {
            Ok(()) => present(WORKS.to_owned()),
            Err(Errno::EPERM) => missing(layer, machine, "only root can map ids of mounts".to_owned()),
            Err(errno) => missing(layer, machine, failure(errno)),
        },
    }
}

const fn present(detail: String) -> State {
    State::Present { detail }
}

fn missing(layer: Layer, machine: &Machine, why: String) -> State {
    State::Missing { why, fix: fix(layer, machine) }
}

fn failure(errno: Errno) -> String {
    match errno {
        Errno::ENOSYS => "the kernel does not have it".to_owned(),
        Errno::EOPNOTSUPP => "the kernel has it switched off".to_owned(),
        Errno::EPROTO => "the kernel said yes and did not do it".to_owned(),
        other => format!("trying it failed: {}", other.desc()),
    }
}

fn tried(machine: &Machine, layer: Layer, steps: Steps) -> State {
    match in_a_child(machine.app_uid, steps) {
        Ok(()) => present(WORKS.to_owned()),
        Err(errno) => missing(layer, machine, failure(errno)),
    }
}

/// Distributions forbid it to ordinary users in several ways; the one that does is named.
fn check_user_namespace(machine: &Machine) -> State {
    let state = tried(machine, Layer::UserNamespace, steps::user_namespace);
    match (state, machine.privilege) {
        (State::Missing { why, fix }, Privilege::OrdinaryUser) => match restrictions::find_here() {
            Some(found) => State::Missing { why: found.why, fix: found.fix },
            None => State::Missing { why, fix },
        },
        (state, Privilege::Root | Privilege::OrdinaryUser) => state,
    }
}

fn check_seccomp(machine: &Machine) -> State {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")) {
        return tried(machine, Layer::Seccomp, steps::seccomp);
    }
    let why = "there are filters for x86_64, aarch64 and riscv64 only";
    missing(Layer::Seccomp, machine, why.to_owned())
}

fn by_root(machine: &Machine, layer: Layer, attempt: fn() -> Result<(), network::NetworkError>) -> State {
    match machine.privilege {
        Privilege::OrdinaryUser => missing(layer, machine, "only root can connect networks".to_owned()),
        Privilege::Root => match attempt() {
            Ok(()) => present(WORKS.to_owned()),
            Err(error) => missing(layer, machine, chain(&error)),
        },
    }
}

fn placed(machine: &Machine, layer: Layer, controller: Controller) -> State {
    let placement = match &machine.cgroups {
        Ok(cgroups) => cgroups.placement(controller),
        Err(why) => return missing(layer, machine, why.clone()),
    };
    match placement {
        Placement::V1 { path } => present(format!("version 1, {}", path.display())),
        Placement::V2 { path } => present(format!("version 2, {}", path.display())),
        Placement::None { why } => missing(layer, machine, why.clone()),
    }
}

fn check_cgroup_kill(machine: &Machine) -> State {
    let placed = placed(machine, Layer::CgroupKill, Controller::Unified);
    let old = parse_kernel_version(&machine.kernel).is_some_and(|version| version < CGROUP_KILL_SINCE);
    match placed {
        State::Present { .. } if old => {
            let (major, minor) = CGROUP_KILL_SINCE;
            missing(Layer::CgroupKill, machine, format!("kernels have it since {major}.{minor}"))
        }
        placed => placed,
    }
}

/// What the operator can do about it.
fn fix(layer: Layer, machine: &Machine) -> String {
    let root = machine.privilege == Privilege::Root;
    match layer {
        Layer::UidSwitch if root => format!(
            "give Dozen the capabilities CAP_SETUID and CAP_SETGID; in a container, map user ids up to those of apps (tried: {})",
            machine.app_uid
        ),
        Layer::UidSwitch => "run Dozen as root".to_owned(),
        Layer::UserNamespace => {
            "set the sysctl user.max_user_namespaces above 0 (older Debian: also kernel.unprivileged_userns_clone to 1; Ubuntu: also kernel.apparmor_restrict_unprivileged_userns to 0)".to_owned()
        }
        Layer::MountNamespace => allow_namespaces(machine, "mnt"),
        Layer::PidNamespace => allow_namespaces(machine, "pid"),
        Layer::IpcNamespace => allow_namespaces(machine, "ipc"),
        Layer::UtsNamespace => allow_namespaces(machine, "uts"),
        Layer::CgroupNamespace => allow_namespaces(machine, "cgroup"),
        Layer::NetworkNamespace => allow_namespaces(machine, "net"),
        Layer::NoCapabilities => "let Dozen keep CAP_SETPCAP, with which it gives up all capabilities".to_owned(),
        Layer::NoNewPrivs => "use Linux 3.5 or later".to_owned(),
        Layer::Seccomp => "use a kernel built with CONFIG_SECCOMP_FILTER, on x86_64, aarch64 or riscv64".to_owned(),
        Layer::Landlock => "use Linux 5.13 or later with landlock among its security modules (kernel parameter lsm=)".to_owned(),
        Layer::Veth | Layer::Nftables | Layer::IdmappedMounts if !root => "run Dozen as root".to_owned(),
        Layer::Veth => "load the kernel module veth (modprobe veth)".to_owned(),
        Layer::Nftables => {
            "load the kernel modules nf_tables, nft_ct, nft_fib_inet, nft_reject_inet and nft_masq (Linux 5.10 or later)".to_owned()
        }
        Layer::CgroupMemory => mount_or_delegate(machine, "memory (kernel parameter cgroup_enable=memory on some boards)"),
        Layer::CgroupCpu => mount_or_delegate(machine, "cpu"),
        Layer::CgroupPids => mount_or_delegate(machine, "pids"),
        Layer::CgroupKill => "mount control groups of version 2, writable to Dozen, on Linux 5.14 or later".to_owned(),
        Layer::IdmappedMounts => "use Linux 5.12 or later".to_owned(),
    }
}

fn allow_namespaces(machine: &Machine, kind: &str) -> String {
    let who = match machine.privilege {
        Privilege::Root => "in a container, give it CAP_SYS_ADMIN",
        Privilege::OrdinaryUser => "allow user namespaces (see user_namespace)",
    };
    format!("{who}; see that the sysctl user.max_{kind}_namespaces is above 0")
}

fn mount_or_delegate(machine: &Machine, controller: &str) -> String {
    let by_systemd = match machine.privilege {
        Privilege::Root => "",
        Privilege::OrdinaryUser => {
            "; where systemd is: systemd-run --user --scope -p Delegate=yes dozen server"
        }
    };
    format!(
        "let Dozen write to the control groups of this machine, or delegate a group to it with the controller {controller}{by_systemd}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_compared_by_number() {
        for (release, version) in [
            ("6.1.0-18-amd64", Some((6, 1))),
            ("5.15-rc1", Some((5, 15))),
            ("6.18.44-fc-v445", Some((6, 18))),
            ("rolling", None),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(parse_kernel_version(release), version, "{release}");
        }
        assert!((5, 4) < CGROUP_KILL_SINCE && CGROUP_KILL_SINCE < (6, 1));
    }
}
