//! Which system calls an app may make. `list` is the whole policy, one file to be reviewed; `inside::seccomp` translates it into the
//! filter that the kernel runs, and [`page`] into the reference page.
//!
//! * *Allowed*: what ordinary programs, language runtimes and databases call without privilege.
//! * *Refused* with EPERM: calls that change the machine, reach other processes, or widen the kernel's surface. Programs know that
//!   these may fail.
//! * *Absent*, answered with ENOSYS: calls that nothing needs, calls for which programs have another way, and whatever the kernel
//!   will know one day. Programs take ENOSYS for an older kernel and fall back.
//! * *Judged*: allowed with some arguments, else refused.
//!
//! Arguments are compared as 32-bit values: every argument judged here is an `int` or a flag word, of which the kernel itself
//! reads no more. Pointers cannot be judged, which is why `clone3` (flags behind a pointer) does not exist for an app: the C
//! library falls back to `clone`.

mod list;
pub mod page;

pub use list::{ABSENT, ALLOWED, JUDGED, REFUSED};

/// Name and number.
pub type Call = (&'static str, i64);

/// A value and what it is called.
pub type Named = (&'static str, u32);

/// Calls that are answered alike, for one reason.
#[derive(Debug)]
pub struct Group {
    pub title: &'static str,
    pub why: &'static str,
    pub calls: &'static [Call],
    /// Those that only this architecture has.
    pub x86: &'static [Call],
}

/// A call that is allowed if all conditions of one of its rules hold.
#[derive(Debug)]
pub struct Judged {
    pub call: Call,
    pub why: &'static str,
    pub rules: &'static [Rule],
}

/// Conditions that must all hold.
pub type Rule = &'static [Condition];

/// What must hold of an argument, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    pub argument: u8,
    pub test: Test,
}

/// A test of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    OneOf(&'static [Named]),
    NoneOf(&'static [Named]),
    HasNoBit(&'static [Named]),
    /// Of the bits of the mask alone.
    MaskedOneOf(u32, &'static [Named]),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// EPERM.
    Refuse,
    /// ENOSYS.
    Absent,
    /// Allowed if one rule holds, else refused.
    Judge(&'static [Rule]),
}

impl Test {
    pub fn holds(self, argument: u64) -> bool {
        let value = argument as u32;
        let among = |values: &[Named], value| values.iter().any(|(_, known)| *known == value);
        match self {
            Self::OneOf(values) => among(values, value),
            Self::NoneOf(values) => !among(values, value),
            Self::HasNoBit(bits) => value & mask_of(bits) == 0,
            Self::MaskedOneOf(mask, values) => among(values, value & mask),
        }
    }
}

impl Verdict {
    /// What becomes of a call with these arguments: one of the first three.
    pub fn with(self, arguments: [u64; 6]) -> Self {
        match self {
            Self::Allow | Self::Refuse | Self::Absent => self,
            Self::Judge(rules) => {
                let holds = |rule: &Rule| {
                    rule.iter()
                        .all(|condition| condition.test.holds(arguments[usize::from(condition.argument)]))
                };
                if rules.iter().any(holds) { Self::Allow } else { Self::Refuse }
            }
        }
    }
}

/// All of the bits.
pub fn mask_of(bits: &[Named]) -> u32 {
    bits.iter().fold(0, |mask, (_, bit)| mask | bit)
}

/// What becomes of each call, by its number. What lies beyond the end is absent.
pub fn table() -> Vec<Verdict> {
    let mut table = Vec::new();
    let mut set = |(_, number): &Call, verdict| {
        let index = usize::try_from(*number).expect("calls have small positive numbers");
        if table.len() <= index {
            table.resize(index + 1, Verdict::Absent);
        }
        table[index] = verdict;
    };
    for (groups, verdict) in [(ALLOWED, Verdict::Allow), (REFUSED, Verdict::Refuse)] {
        groups.iter().flat_map(Group::all).for_each(|call| set(call, verdict));
    }
    JUDGED.iter().for_each(|judged| set(&judged.call, Verdict::Judge(judged.rules)));
    table
}

/// What becomes of the call with this number.
pub fn verdict(table: &[Verdict], number: u32) -> Verdict {
    table.get(number as usize).copied().unwrap_or(Verdict::Absent)
}

impl Group {
    pub fn all(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().chain(self.x86)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn everything() -> Vec<Call> {
        let groups = [ALLOWED, REFUSED, ABSENT].into_iter().flatten().flat_map(Group::all).copied();
        groups.chain(JUDGED.iter().map(|judged| judged.call)).collect()
    }

    #[test]
    fn every_call_is_listed_once_and_with_a_reason() {
        let mut seen = BTreeMap::new();
        for (name, number) in everything() {
            assert_eq!(seen.insert(number, name), None, "{name} is listed twice");
        }
        let groups = [ALLOWED, REFUSED, ABSENT].into_iter().flatten();
        assert!(groups.into_iter().all(|group| group.why.ends_with('.')));
        assert!(JUDGED.iter().all(|judged| judged.why.ends_with('.')));
    }

    /// Nothing is absent because nobody thought of it: the kernel's own table up to 6.19, without the gap that it left itself.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_call_of_the_kernel_has_been_decided() {
        let listed: BTreeSet<i64> = everything().into_iter().map(|(_, number)| number).collect();
        let known: BTreeSet<i64> = (0..=336).chain(424..=470).collect();
        assert_eq!(known.difference(&listed).collect::<Vec<_>>(), [&0_i64; 0], "not decided");
        assert_eq!(listed.difference(&known).collect::<Vec<_>>(), [&0_i64; 0], "not of the kernel");
    }

    #[test]
    fn what_must_never_be_allowed_is_not() {
        use libc as l;
        let table = table();
        let of = |call: i64| verdict(&table, call as u32);
        for call in [
            l::SYS_mount,
            l::SYS_ptrace,
            l::SYS_bpf,
            l::SYS_setns,
            l::SYS_unshare,
            l::SYS_keyctl,
            l::SYS_perf_event_open,
        ] {
            assert_eq!(of(call), Verdict::Refuse, "{call}");
        }
        assert_eq!(of(libc::SYS_clone3), Verdict::Absent, "clone3 does not exist for an app");
        assert_eq!(of(libc::SYS_io_setup), Verdict::Absent);
        assert_eq!(verdict(&table, 100_000), Verdict::Absent);
    }

    #[test]
    fn judged_calls_by_their_arguments() {
        let table = table();
        let of = |call: i64, arguments: [i32; 3]| {
            let [a, b, c] = arguments.map(|value| u64::from(value as u32));
            verdict(&table, call as u32).with([a, b, c, 0, 0, 0])
        };
        let (inet, stream, datagram) = (libc::AF_INET, libc::SOCK_STREAM, libc::SOCK_DGRAM);
        for (arguments, verdict) in [
            ([inet, stream | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0], Verdict::Allow),
            ([libc::AF_INET6, datagram, libc::IPPROTO_UDP], Verdict::Allow),
            ([inet, datagram, libc::IPPROTO_ICMP], Verdict::Allow),
            ([inet, stream, libc::IPPROTO_MPTCP], Verdict::Allow),
            ([inet, stream, libc::IPPROTO_SCTP], Verdict::Refuse),
            ([inet, libc::SOCK_RAW, libc::IPPROTO_ICMP], Verdict::Refuse),
            ([libc::AF_UNIX, libc::SOCK_SEQPACKET, 0], Verdict::Allow),
            ([libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE], Verdict::Allow),
            ([libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER], Verdict::Refuse),
            ([libc::AF_PACKET, libc::SOCK_RAW, 0], Verdict::Refuse),
            ([libc::AF_ALG, libc::SOCK_SEQPACKET, 0], Verdict::Refuse),
        ] {
            assert_eq!(of(libc::SYS_socket, arguments), verdict, "socket {arguments:?}");
        }
        assert_eq!(of(libc::SYS_clone, [libc::SIGCHLD, 0, 0]), Verdict::Allow);
        assert_eq!(of(libc::SYS_clone, [libc::CLONE_NEWUSER, 0, 0]), Verdict::Refuse);
        assert_eq!(of(libc::SYS_ioctl, [0, libc::TCGETS as i32, 0]), Verdict::Allow);
        assert_eq!(of(libc::SYS_ioctl, [0, libc::TIOCSTI as i32, 0]), Verdict::Refuse);
        assert_eq!(of(libc::SYS_personality, [-1, 0, 0]), Verdict::Allow);
        assert_eq!(of(libc::SYS_personality, [libc::ADDR_NO_RANDOMIZE, 0, 0]), Verdict::Refuse);
    }
}
