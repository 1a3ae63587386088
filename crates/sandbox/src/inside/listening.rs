//! What the processes of this sandbox listen on, for a web process that does not accept where it was told to.
//!
//! The network namespace is shared by all processes of the app, so sockets are matched with the descriptors of the processes
//! of this pid namespace. The kernel's tables are parsed here, inside, by a process that has nothing to lose.

use domain::process::BootDiagnosis;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` as `/proc/net/tcp` shows it.
const LISTEN: &str = "0A";
/// Most processes that are looked at, and most descriptors of each.
const MAX_LOOKED_AT: usize = 4096;

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    inode: u64,
}

/// What is wrong; `None` if something of this sandbox listens where it should.
pub fn diagnose(wanted: SocketAddr) -> Option<BootDiagnosis> {
    let own = socket_inodes();
    let listeners: Vec<SocketAddr> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|path| parse_listeners(&std::fs::read_to_string(path).unwrap_or_default()))
        .filter(|listener| own.contains(&listener.inode))
        .map(|listener| listener.address)
        .collect();
    judge(wanted, &listeners)
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

fn parse_listeners(table: &str) -> Vec<Listener> {
    table.lines().skip(1).filter_map(parse_line).collect()
}

/// One line of `/proc/net/tcp` or `tcp6` (Linux, `Documentation/networking/proc_net_tcp.rst`), if it is a listening socket.
fn parse_line(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    Some(Listener { address: parse_address(fields.get(1)?)?, inode: fields.get(9)?.parse().ok()? })
}

/// `0100007F:1F90`: 32-bit words in the machine's byte order, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(parse_word(address)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, word) in bytes.chunks_exact_mut(4).enumerate() {
                word.copy_from_slice(&parse_word(address.get(index * 8..index * 8 + 8)?)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn parse_word(hex: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes)
}

/// Inodes of the sockets that processes of this pid namespace hold open.
fn socket_inodes() -> BTreeSet<u64> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    processes.take(MAX_LOOKED_AT).flat_map(|process| inodes_of(&process.path().join("fd"))).collect()
}

fn inodes_of(descriptors: &std::path::Path) -> Vec<u64> {
    let entries = std::fs::read_dir(descriptors).into_iter().flatten().flatten();
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

    // From a machine with a server on 127.0.0.1:8080 and one connection to it.
    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n   \
        1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1\n";
    const TABLE6: &str = "  sl  local_address                         remote_address                        st tx_queue\n   \
        0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
        00000000     0        0 4713 1 0 100 0 0 10 0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_of_the_kernel_are_read() {
        let expected = |address: &str, inode| Listener { address: address.parse().unwrap(), inode };
        assert_eq!(parse_listeners(TABLE), [expected("127.0.0.1:8080", 4711)]);
        assert_eq!(parse_listeners(TABLE6), [expected("[::]:3000", 4713)]);
    }

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

    proptest! {
        #[test]
        fn no_table_makes_it_panic(table in ".*", line in "[ 0-9A-F:]{0,200}") {
            parse_listeners(&table);
            parse_line(&line);
            parse_socket_link(&table);
        }
    }
}
