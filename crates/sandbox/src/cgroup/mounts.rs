//! Where controllers are, read from what the kernel says of its mounts. Pure.

use super::Controller;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The control group file systems that are mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mounts {
    pub v1: Vec<V1Mount>,
    pub v2: Option<Mount>,
}

/// A mount and whether it may be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub folder: PathBuf,
    pub access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// A hierarchy of version 1 and what it carries: controllers, several if they are mounted together, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct V1Mount {
    pub carries: Vec<String>,
    pub mount: Mount,
}

/// Where one controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    V1(PathBuf),
    V2,
    None { why: String },
}

/// Reads the text of `/proc/self/mountinfo`. Of several mounts of one hierarchy the first counts, unless it is read-only and a
/// later one is not. Lines that are not of the documented form are passed over.
pub(super) fn parse_mountinfo(text: &str) -> Mounts {
    let mut mounts = Mounts::default();
    for line in text.lines() {
        let Some((mount, kind, options)) = parse_line(line) else { continue };
        match kind {
            "cgroup2" => mounts.v2 = Some(better(mounts.v2.take(), mount)),
            "cgroup" => mounts.add_v1(options, mount),
            _ => {}
        }
    }
    mounts
}

impl Mounts {
    fn add_v1(&mut self, options: &str, mount: Mount) {
        let carries: Vec<String> =
            options.split(',').filter(|option| !matches!(*option, "rw" | "ro")).map(str::to_owned).collect();
        match self.v1.iter_mut().find(|known| known.carries == carries) {
            Some(known) => known.mount = better(Some(known.mount.clone()), mount),
            None => self.v1.push(V1Mount { carries, mount }),
        }
    }
}

fn better(known: Option<Mount>, other: Mount) -> Mount {
    match known {
        Some(known) if known.access == Access::ReadWrite || other.access == Access::ReadOnly => known,
        Some(_) | None => other,
    }
}

/// `ID PARENT DEVICE ROOT FOLDER OPTIONS [TAG ...] - KIND SOURCE SUPER-OPTIONS`.
fn parse_line(line: &str) -> Option<(Mount, &str, &str)> {
    let (ours, theirs) = line.split_once(" - ")?;
    let mut ours = ours.split(' ').skip(4);
    let folder = unescape(ours.next()?);
    let read_only = ours.next()?.split(',').any(|option| option == "ro");
    let mut theirs = theirs.split(' ');
    let (kind, _source, options) = (theirs.next()?, theirs.next()?, theirs.next()?);
    let read_only = read_only || options.split(',').any(|option| option == "ro");
    let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
    Some((Mount { folder, access }, kind, options))
}

/// The kernel writes space, tab, line feed and backslash in a path as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'\\').then(|| tail.get(..3).and_then(octal)).flatten();
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

/// What the kernel was built with, from the text of `/proc/cgroups`, and what of it was switched off at boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    enabled: BTreeSet<String>,
    disabled: BTreeSet<String>,
}

/// Reads `/proc/cgroups`: name, hierarchy, number of groups, enabled.
pub(super) fn parse_known(text: &str) -> Known {
    let mut known = Known::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        if let [name, _, _, enabled] = fields.as_slice() {
            let set = if *enabled == "0" { &mut known.disabled } else { &mut known.enabled };
            set.insert((*name).to_owned());
        }
    }
    known
}

/// Names in a file such as `cgroup.controllers`.
pub(super) fn parse_names(text: &str) -> BTreeSet<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Decides for one controller; `unified` is what the v2 folder offers.
pub(super) fn choose(
    controller: Controller,
    mounts: &Mounts,
    unified: &BTreeSet<String>,
    known: &Known,
) -> Choice {
    let name = controller.kernel_name();
    if unified.contains(name) {
        return Choice::V2;
    }
    match v1_mount(mounts, name) {
        Some(Mount { folder, access: Access::ReadWrite }) => Choice::V1(folder.clone()),
        Some(Mount { folder, access: Access::ReadOnly }) => {
            Choice::None { why: format!("{} is mounted read-only", folder.display()) }
        }
        None => Choice::None { why: why_absent(name, mounts, known) },
    }
}

/// The mount of a v1 controller.
pub(super) fn v1_mount<'a>(mounts: &'a Mounts, name: &str) -> Option<&'a Mount> {
    mounts.v1.iter().find(|v1| v1.carries.iter().any(|carried| carried == name)).map(|v1| &v1.mount)
}

fn why_absent(name: &str, mounts: &Mounts, known: &Known) -> String {
    let mounted = !mounts.v1.is_empty() || mounts.v2.is_some();
    if known.disabled.contains(name) {
        format!("the kernel was started with the {name} controller disabled")
    } else if !mounted {
        "no control groups are mounted".to_owned()
    } else if known.enabled.contains(name) {
        format!("the {name} controller is neither mounted as version 1 nor offered by version 2 here")
    } else {
        format!("the kernel has no {name} controller")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
";
    const V2_BESIDE_V1: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const V2: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const KNOWN: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t4\t15\t1\npids\t8\t1\t1\n";
    const MEMORY_OFF: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t1\t1\nmemory\t0\t1\t0\n";

    fn v1(folder: &str) -> Choice {
        Choice::V1(PathBuf::from(folder))
    }

    fn none(why: &str) -> Choice {
        Choice::None { why: why.to_owned() }
    }

    #[test]
    fn decides_by_controller() {
        let read_only = none("/sys/fs/cgroup/pids is mounted read-only");
        let hybrid = format!("{V1}{V2_BESIDE_V1}");
        // name, mountinfo, offered by v2, /proc/cgroups, then: memory, cpu, pids
        let cases = [
            (
                "v1",
                V1,
                "",
                KNOWN,
                [v1("/sys/fs/cgroup/memory"), v1("/sys/fs/cgroup/cpu,cpuacct"), read_only.clone()],
            ),
            (
                "hybrid, v1 has all",
                &hybrid,
                "hugetlb",
                KNOWN,
                [v1("/sys/fs/cgroup/memory"), v1("/sys/fs/cgroup/cpu,cpuacct"), read_only],
            ),
            (
                "hybrid, v2 has pids",
                &hybrid,
                "pids",
                KNOWN,
                [v1("/sys/fs/cgroup/memory"), v1("/sys/fs/cgroup/cpu,cpuacct"), Choice::V2],
            ),
            ("v2", V2, "cpuset cpu io memory hugetlb pids\n", "", [Choice::V2, Choice::V2, Choice::V2]),
            (
                "v2, memory off",
                V2,
                "cpu",
                MEMORY_OFF,
                [
                    none("the kernel was started with the memory controller disabled"),
                    Choice::V2,
                    none("the kernel has no pids controller"),
                ],
            ),
            (
                "v2, nothing delegated",
                V2,
                "",
                KNOWN,
                [
                    none(
                        "the memory controller is neither mounted as version 1 nor offered by version 2 here",
                    ),
                    none("the cpu controller is neither mounted as version 1 nor offered by version 2 here"),
                    none("the pids controller is neither mounted as version 1 nor offered by version 2 here"),
                ],
            ),
            (
                "nothing",
                "",
                "",
                KNOWN,
                [
                    none("no control groups are mounted"),
                    none("no control groups are mounted"),
                    none("no control groups are mounted"),
                ],
            ),
        ];
        for (name, mountinfo, unified, known, expected) in cases {
            let (mounts, unified, known) =
                (parse_mountinfo(mountinfo), parse_names(unified), parse_known(known));
            let got = [Controller::Memory, Controller::Cpu, Controller::Pids]
                .map(|controller| choose(controller, &mounts, &unified, &known));
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn finds_the_unified_tree() {
        for (mountinfo, folder) in [
            (V1, None),
            (V2, Some("/sys/fs/cgroup")),
            (V2_BESIDE_V1, Some("/sys/fs/cgroup/unified")),
            ("41 31 0:38 / /a\\040b\\134c rw - cgroup2 cgroup2 rw", Some("/a b\\c")),
            (
                "41 31 0:38 / /first ro - cgroup2 none rw\n42 31 0:38 / /second rw - cgroup2 none rw",
                Some("/second"),
            ),
            (
                "41 31 0:38 / /first rw - cgroup2 none rw\n42 31 0:38 / /second rw - cgroup2 none rw",
                Some("/first"),
            ),
            ("not a line at all\n- \n41 31 0:38 / /x rw - cgroup2", None),
        ] {
            assert_eq!(
                parse_mountinfo(mountinfo).v2.map(|mount| mount.folder),
                folder.map(PathBuf::from),
                "{mountinfo}"
            );
        }
    }

    #[test]
    fn a_named_hierarchy_carries_no_controller() {
        let mounts = parse_mountinfo(V1);
        assert!(v1_mount(&mounts, "systemd").is_none());
        assert!(v1_mount(&mounts, "cpuacct").is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[ -~\\n\\\\]{0,400}") {
            let mounts = parse_mountinfo(&text);
            prop_assert!(mounts.v1.len() <= text.lines().count());
            let _ = parse_known(&text);
        }
    }
}
