//! Where symbolic links lead, worked out on names alone: no link is ever followed on disk.
//!
//! A link may point anywhere inside the tree, to what is not there (yet) as well. It may not leave the tree, neither by its own
//! text nor through other links of the tree: `up -> ..` is fine in `a/b/`, and then `a/b/x -> up/../..` is not.

use super::limits::Limits;
use super::name::{EntryName, components};
use super::refusal::Refusal;
use std::collections::BTreeMap;

/// All symbolic links of a tree: path to target.
#[derive(Debug, Default)]
pub(crate) struct Links {
    targets: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

enum Walk {
    /// It stays inside, or goes round in circles, which the kernel ends as well.
    Stays,
    Leaves,
    OutOfBudget,
}

impl Links {
    /// Takes note of a link whose own text is acceptable.
    pub(crate) fn add(&mut self, path: &[u8], target: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let name = || EntryName::new(path);
        if target.is_empty() || target.contains(&0) || target.len() > limits.path_bytes {
            return Err(Refusal::LinkTarget { name: name() });
        }
        if target[0] == b'/' {
            return Err(Refusal::LinkAbsolute { name: name(), target: EntryName::new(target) });
        }
        self.bytes += path.len() + target.len();
        if self.bytes > Limits::LINK_BYTES {
            return Err(Refusal::LinksTooMany { name: name() });
        }
        self.targets.insert(path.to_vec(), target.to_vec());
        Ok(())
    }

    /// Refuses the first link that leads out of the tree.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let mut work = Limits::LINK_WORK;
        for (path, target) in &self.targets {
            match self.walk(path, target, &mut work) {
                Walk::Stays => {}
                Walk::Leaves => {
                    return Err(Refusal::LinkLeaves {
                        name: EntryName::new(path),
                        target: EntryName::new(target),
                    });
                }
                Walk::OutOfBudget => return Err(Refusal::LinksTooMany { name: EntryName::new(path) }),
            }
        }
        Ok(())
    }

    fn walk(&self, path: &[u8], target: &[u8], work: &mut usize) -> Walk {
        let mut here = path.to_vec();
        pop(&mut here);
        let mut ahead: Vec<&[u8]> = reversed(target);
        let mut hops = 0;
        while let Some(component) = ahead.pop() {
            let Some(left) = work.checked_sub(here.len() + component.len() + 1) else {
                return Walk::OutOfBudget;
            };
            *work = left;
            if component == b".." {
                if here.is_empty() {
                    return Walk::Leaves;
                }
                pop(&mut here);
                continue;
            }
            push(&mut here, component);
            let Some(next) = self.targets.get(&here) else { continue };
            hops += 1;
            if hops > Limits::LINK_HOPS {
                return Walk::Stays;
            }
            pop(&mut here);
            let Some(left) = work.checked_sub(next.len()) else { return Walk::OutOfBudget };
            *work = left;
            ahead.extend(reversed(next));
        }
        Walk::Stays
    }
}

fn reversed(path: &[u8]) -> Vec<&[u8]> {
    let mut parts: Vec<&[u8]> = components(path).collect();
    parts.reverse();
    parts
}

fn push(path: &mut Vec<u8>, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

fn pop(path: &mut Vec<u8>) {
    let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.truncate(parent);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(links: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut all = Links::default();
        for (path, target) in links {
            all.add(path.as_bytes(), target.as_bytes(), &Limits::SOURCE)?;
        }
        all.check()
    }

    #[test]
    fn links_inside_are_kept() {
        let cases: &[&[(&str, &str)]] = &[
            &[("a", "b")],
            &[("a/b/c", "../../d")],
            &[("a/b/up", "..")],
            &[("dangling", "no/such/file")],
            &[("a", "."), ("b", "./c/../d")],
            &[("loop", "loop")],
            &[("x", "y"), ("y", "x")],
            &[("node_modules/.bin/tool", "../tool/bin.js")],
            &[("a/link", "../b/"), ("b/c", "../a/link/x")],
            &[("p", "q/../.."), ("q", "r/s/t")],
        ];
        for links in cases {
            assert_eq!(verdict(links), Ok(()), "{links:?}");
        }
    }

    #[test]
    fn links_that_leave_are_refused_by_name() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("a", "..")], "a"),
            (&[("a", "../x")], "a"),
            (&[("a/b", "../../x")], "a/b"),
            (&[("a/b", "c/../../..")], "a/b"),
            (&[("a", "/etc/passwd")], "a"),
            (&[("a", "")], "a"),
            (&[("deep/er/up", "../.."), ("deep/er/x", "up/..")], "deep/er/x"),
            (&[("d/one", "two"), ("d/two", ".."), ("z", "d/one/../s")], "z"),
            (&[("p", "q/../s"), ("q", ".")], "p"),
        ];
        for (links, name) in cases {
            let message = verdict(links).expect_err("should be refused").to_string();
            assert!(message.contains(&format!("\"{name}\"")), "{message} should name {name}");
        }
    }

    #[test]
    fn entangled_links_end() {
        let target = "a/".repeat(1000);
        let links: Vec<(String, String)> = (0..40).map(|n| (format!("{n}"), target.clone())).collect();
        let mut borrowed: Vec<(&str, &str)> =
            links.iter().map(|(path, target)| (path.as_str(), target.as_str())).collect();
        borrowed.push(("a", "."));
        assert_eq!(verdict(&borrowed), Ok(()));
    }

    proptest! {
        /// The same question asked of the kernel: RESOLVE_BENEATH answers EXDEV for a link that leaves.
        #[test]
        fn agrees_with_the_kernel(
            links in proptest::collection::btree_map(
                "(a|b|c)(/(a|b|c)){0,2}",
                proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c"), Just(".."), Just("..")], 1..6),
                1..6,
            )
        ) {
            use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
            let folder = tempfile::tempdir().expect("a folder");
            let mut all = Links::default();
            let mut made = Vec::new();
            for (path, target) in &links {
                let at = folder.path().join(path);
                let parent = at.parent().expect("has one");
                if std::fs::create_dir_all(parent).is_err() || parent.canonicalize().ok().as_deref() != Some(parent) {
                    continue;
                }
                let target = target.join("/");
                if std::os::unix::fs::symlink(&target, &at).is_ok() {
                    all.add(path.as_bytes(), target.as_bytes(), &Limits::SOURCE).expect("a plain target");
                    made.push(path.clone());
                }
            }
            let root = openat2(CWD, folder.path(), OFlags::PATH, Mode::empty(), ResolveFlags::empty()).expect("opens");
            let escapes = made.iter().any(|path| {
                let opened = openat2(&root, path.as_str(), OFlags::PATH, Mode::empty(), ResolveFlags::BENEATH);
                opened.err() == Some(rustix::io::Errno::XDEV)
            });
            // What the kernel lets out, we refuse. We refuse more: a link that would leave if what it names were there.
            prop_assert!(!escapes || all.check().is_err());
        }
    }
}
