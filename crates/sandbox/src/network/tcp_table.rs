//! The kernel's tables of TCP sockets, as text. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` as `/proc/net/tcp` shows it.
const LISTEN: &str = "0A";

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener {
    pub address: SocketAddr,
    pub inode: u64,
}

/// The listening sockets of `/proc/net/tcp` or `tcp6`; other lines are passed over.
pub(crate) fn parse_listeners(table: &str) -> Vec<Listener> {
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

    proptest! {
        #[test]
        fn no_table_makes_it_panic(table in ".*", line in "[ 0-9A-F:]{0,200}") {
            parse_listeners(&table);
            parse_line(&line);
        }
    }
}
