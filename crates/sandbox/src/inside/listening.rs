//! What the processes of this sandbox listen on, for a web process that does not accept where it was told to.
//!
//! The network namespace is shared by all processes of the app, so sockets are matched with the descriptors of the processes
//! of this pid namespace. The kernel's tables are parsed here, inside, by a process that has nothing to lose.

use crate::network::tcp_table::{self, Listener};
use domain::process::BootDiagnosis;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Most processes that are looked at, and most descriptors of each.
const MAX_LOOKED_AT: usize = 4096;

/// What is wrong; `None` if something of this sandbox listens where it should.
pub fn diagnose(wanted: SocketAddr) -> Option<BootDiagnosis> {
    let own = own_sockets();
    let all: Vec<Listener> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|path| tcp_table::parse_listeners(&std::fs::read_to_string(path).unwrap_or_default()))
        .collect();
    judge(wanted, &own.chosen(&all))
}

/// The sockets that processes of this pid namespace hold open.
struct OwnSockets {
    inodes: BTreeSet<u64>,
    /// A process that has closed itself to others: what it holds cannot be told from what others hold.
    some_hidden: bool,
}

impl OwnSockets {
    /// Addresses of our own listeners. While some process is hidden, any may be ours.
    fn chosen(&self, all: &[Listener]) -> Vec<SocketAddr> {
        let ours = |listener: &&Listener| self.some_hidden || self.inodes.contains(&listener.inode);
        all.iter().filter(ours).map(|listener| listener.address).collect()
    }
}

fn judge(wanted: SocketAddr, listeners: &[SocketAddr]) -> Option<BootDiagnosis> {
    let reaches = |address: &&SocketAddr| address.ip().is_unspecified() || address.ip() == wanted.ip();
    let on_port: Vec<_> = listeners.iter().filter(|address| address.port() == wanted.port()).collect();
    if on_port.iter().any(reaches) {
        return None;
    }
    if on_port.iter().any(|address| address.ip().is_loopback()) {
        return Some(BootDiagnosis::LoopbackOnly);
    }
    let ports: BTreeSet<u16> = listeners.iter().map(SocketAddr::port).collect();
    if ports.is_empty() {
        return Some(BootDiagnosis::NothingBound);
    }
    Some(BootDiagnosis::OtherPorts(ports.into_iter().collect()))
}

fn own_sockets() -> OwnSockets {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let mut own = OwnSockets { inodes: BTreeSet::new(), some_hidden: false };
    for process in processes.take(MAX_LOOKED_AT).filter(|process| process.file_name() != *"1") {
        match std::fs::read_dir(process.path().join("fd")) {
            Ok(descriptors) => own.inodes.extend(inodes_of(descriptors)),
            Err(error) => own.some_hidden |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    own
}

fn inodes_of(descriptors: std::fs::ReadDir) -> Vec<u64> {
    let entries = descriptors.flatten();
    let targets = entries.take(MAX_LOOKED_AT).filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter_map(|target| parse_socket_link(target.to_str()?)).collect()
}

/// `socket:[12345]`.
fn parse_socket_link(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_diagnoses() {
        let check = |listeners: &[&str], expected: Option<BootDiagnosis>| {
            let listeners: Vec<SocketAddr> = listeners.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(judge("10.0.0.2:5000".parse().unwrap(), &listeners), expected, "{listeners:?}");
        };
        check(&[], Some(BootDiagnosis::NothingBound));
        check(&["0.0.0.0:8080", "127.0.0.1:9000"], Some(BootDiagnosis::OtherPorts(vec![8080, 9000])));
        check(&["127.0.0.1:5000", "0.0.0.0:8080"], Some(BootDiagnosis::LoopbackOnly));
        check(&["[::1]:5000"], Some(BootDiagnosis::LoopbackOnly));
        check(&["0.0.0.0:5000"], None);
        check(&["[::]:5000"], None);
        check(&["10.0.0.2:5000", "127.0.0.1:5000"], None);
    }

    #[test]
    fn a_process_that_hides_what_it_holds_has_the_benefit_of_the_doubt() {
        let listener = |address: &str, inode| Listener { address: address.parse().unwrap(), inode };
        let all = [listener("0.0.0.0:5000", 1), listener("0.0.0.0:22", 2)];
        let own = |inodes: &[u64], some_hidden| OwnSockets {
            inodes: inodes.iter().copied().collect(),
            some_hidden,
        };
        let judge = |own: OwnSockets| judge("127.77.1.0:5000".parse().unwrap(), &own.chosen(&all));
        assert_eq!(judge(own(&[1], false)), None);
        assert_eq!(judge(own(&[2], false)), Some(BootDiagnosis::OtherPorts(vec![22])));
        assert_eq!(judge(own(&[], false)), Some(BootDiagnosis::NothingBound));
        assert_eq!(judge(own(&[], true)), None);
    }

    proptest! {
        #[test]
        fn no_link_makes_it_panic(link in ".*") {
            parse_socket_link(&link);
        }
    }
}
