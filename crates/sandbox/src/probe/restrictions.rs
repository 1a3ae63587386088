//! What keeps an ordinary user from making user namespaces, by the settings of the kernel that distributions use for it. Pure, but
//! for the reading.

/// A restriction in force, and how the machine's administrator lifts it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restriction {
    pub why: String,
    pub fix: String,
}

/// A setting of the kernel, the value that forbids, who has it and what lifts it.
struct Known {
    name: &'static str,
    forbids: &'static str,
    told: &'static str,
    fix: &'static str,
}

/// In the order in which they are looked at: the most specific first.
const KNOWN: [Known; 3] = [
    Known {
        name: "kernel.apparmor_restrict_unprivileged_userns",
        forbids: "1",
        told: "AppArmor withholds the rights of user namespaces from programs without a profile (Ubuntu 23.10 and later)",
        fix: "as root, either give this program a profile with the rule \"userns,\" in /etc/apparmor.d, or set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0 (and keep it in /etc/sysctl.d)",
    },
    Known {
        name: "kernel.unprivileged_userns_clone",
        forbids: "0",
        told: "the kernel lets only root make user namespaces (older Debian, hardened kernels)",
        fix: "as root, set the sysctl kernel.unprivileged_userns_clone to 1 (and keep it in /etc/sysctl.d)",
    },
    Known {
        name: "user.max_user_namespaces",
        forbids: "0",
        told: "no user namespace may be made at all",
        fix: "as root, set the sysctl user.max_user_namespaces to 10000 (and keep it in /etc/sysctl.d)",
    },
];

/// The restriction in force on this machine, if it is one that is known.
pub(super) fn find_here() -> Option<Restriction> {
    find(|name| std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok())
}

fn find(read: impl Fn(&str) -> Option<String>) -> Option<Restriction> {
    let in_force = |known: &&Known| read(known.name).is_some_and(|value| value.trim() == known.forbids);
    let known = KNOWN.iter().find(in_force)?;
    let why = format!("{}: the sysctl {} is {}", known.told, known.name, known.forbids);
    Some(Restriction { why, fix: known.fix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_restriction_in_force_is_named() {
        let with = |name: &'static str, value: &'static str| {
            find(move |asked| (asked == name).then(|| value.to_owned()))
        };
        let check = |name, value, expected: Option<&str>| {
            let found = with(name, value);
            assert_eq!(found.is_some(), expected.is_some(), "{name}={value}");
            if let (Some(found), Some(part)) = (found, expected) {
                assert!(found.why.contains(part) && found.why.contains(name), "{found:?}");
                assert!(found.fix.contains(name), "{found:?}");
            }
        };
        check("kernel.apparmor_restrict_unprivileged_userns", "1\n", Some("AppArmor"));
        check("kernel.apparmor_restrict_unprivileged_userns", "0\n", None);
        check("kernel.unprivileged_userns_clone", "0\n", Some("only root"));
        check("kernel.unprivileged_userns_clone", "1\n", None);
        check("user.max_user_namespaces", "0\n", Some("at all"));
        check("user.max_user_namespaces", "100\n", None);
        assert_eq!(find(|_| None), None, "a machine without any of them");
    }
}
