//! Expressions: the steps of a rule. Each loads something into a register, tests it, or acts. Pure.

use super::numbers::*;
use crate::network::netlink::Message;

/// One step. Steps that load use the one register; steps that test read it and end the rule if the test fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Load(Load),
    /// Keeps the bits of the register that are set in the mask.
    Mask(Vec<u8>),
    Compare(Comparison, Vec<u8>),
    Act(Action),
}

/// What is put into the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Name of the interface that the packet came in by, 16 bytes.
    InterfaceIn,
    /// Name of the interface that it goes out by, 16 bytes.
    InterfaceOut,
    /// IPv4 or IPv6, one byte.
    Family,
    /// TCP, UDP ..., one byte.
    Transport,
    /// Bits of the connection's state.
    ConnectionState,
    /// Source address in the IPv4 header.
    Source,
    /// Destination address in the IPv4 header.
    Destination,
    /// Flags of the TCP header, one byte.
    TcpFlags,
    /// The interface by which an answer to the packet would leave, if that is the one it came in by; else 0.
    WayBack,
    /// What kind of address the destination is to this host.
    DestinationKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
}

/// What becomes of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Accept,
    Drop,
    /// On to another chain, and back if that has no opinion.
    Jump(&'static str),
    /// On to another chain, for good.
    Goto(&'static str),
    /// Refused with a TCP reset.
    RejectWithReset,
    /// Refused with ICMP "port unreachable".
    RejectWithError,
    /// Its source becomes the address of the interface that it leaves by.
    Masquerade,
}

impl Expression {
    /// Writes it as one element of a rule's list.
    pub fn write(&self, list: &mut Message) {
        match self {
            Self::Load(load) => load.write(list),
            Self::Mask(mask) => write_mask(list, mask),
            Self::Compare(comparison, value) => write_comparison(list, *comparison, value),
            Self::Act(action) => action.write(list),
        }
    }
}

fn element(list: &mut Message, name: &str, write: impl FnOnce(&mut Message)) {
    list.nested(LIST_ELEMENT, |element| {
        element.text(EXPRESSION_NAME, name).nested(EXPRESSION_DATA, write);
    });
}

fn write_mask(list: &mut Message, mask: &[u8]) {
    const SOURCE: u16 = 1;
    const TARGET: u16 = 2;
    const LENGTH: u16 = 3;
    const MASK: u16 = 4;
    const TOGGLED: u16 = 5;
    let length = u32::try_from(mask.len()).expect("a register has 16 bytes");
    element(list, "bitwise", |data| {
        data.network_u32(SOURCE, REGISTER_1).network_u32(TARGET, REGISTER_1).network_u32(LENGTH, length);
        data.nested(MASK, |value| {
            value.attribute(DATA_VALUE, mask);
        });
        data.nested(TOGGLED, |value| {
            value.attribute(DATA_VALUE, &vec![0; mask.len()]);
        });
    });
}

fn write_comparison(list: &mut Message, comparison: Comparison, value: &[u8]) {
    const SOURCE: u16 = 1;
    const OPERATION: u16 = 2;
    const DATA: u16 = 3;
    let operation = match comparison {
        Comparison::Equal => 0,
        Comparison::NotEqual => 1,
    };
    element(list, "cmp", |data| {
        data.network_u32(SOURCE, REGISTER_1).network_u32(OPERATION, operation).nested(DATA, |nested| {
            nested.attribute(DATA_VALUE, value);
        });
    });
}

impl Load {
    fn write(self, list: &mut Message) {
        const LINK_IN_NAME: u32 = 6;
        const LINK_OUT_NAME: u32 = 7;
        const FAMILY: u32 = 15;
        const TRANSPORT: u32 = 16;
        const NETWORK_HEADER: u32 = 1;
        const TRANSPORT_HEADER: u32 = 2;
        match self {
            Self::InterfaceIn => write_meta(list, LINK_IN_NAME),
            Self::InterfaceOut => write_meta(list, LINK_OUT_NAME),
            Self::Family => write_meta(list, FAMILY),
            Self::Transport => write_meta(list, TRANSPORT),
            Self::ConnectionState => element(list, "ct", |data| {
                const TARGET: u16 = 1;
                const KEY: u16 = 2;
                const STATE: u32 = 0;
                data.network_u32(TARGET, REGISTER_1).network_u32(KEY, STATE);
            }),
            Self::Source => write_payload(list, NETWORK_HEADER, 12, 4),
            Self::Destination => write_payload(list, NETWORK_HEADER, 16, 4),
            Self::TcpFlags => write_payload(list, TRANSPORT_HEADER, 13, 1),
            Self::WayBack => write_route_lookup(list, RouteLookup::WayBack),
            Self::DestinationKind => write_route_lookup(list, RouteLookup::DestinationKind),
        }
    }
}

fn write_meta(list: &mut Message, key: u32) {
    const TARGET: u16 = 1;
    const KEY: u16 = 2;
    element(list, "meta", |data| {
        data.network_u32(TARGET, REGISTER_1).network_u32(KEY, key);
    });
}

fn write_payload(list: &mut Message, header: u32, offset: u32, length: u32) {
    const TARGET: u16 = 1;
    const BASE: u16 = 2;
    const OFFSET: u16 = 3;
    const LENGTH: u16 = 4;
    element(list, "payload", |data| {
        data.network_u32(TARGET, REGISTER_1)
            .network_u32(BASE, header)
            .network_u32(OFFSET, offset)
            .network_u32(LENGTH, length);
    });
}

enum RouteLookup {
    WayBack,
    DestinationKind,
}

fn write_route_lookup(list: &mut Message, lookup: RouteLookup) {
    const TARGET: u16 = 1;
    const RESULT: u16 = 2;
    const FLAGS: u16 = 3;
    const RESULT_INTERFACE: u32 = 1;
    const RESULT_KIND: u32 = 3;
    const OF_SOURCE: u32 = 1;
    const OF_DESTINATION: u32 = 2;
    const BY_INTERFACE_IN: u32 = 8;
    let (result, flags) = match lookup {
        RouteLookup::WayBack => (RESULT_INTERFACE, OF_SOURCE | BY_INTERFACE_IN),
        RouteLookup::DestinationKind => (RESULT_KIND, OF_DESTINATION),
    };
    element(list, "fib", |data| {
        data.network_u32(TARGET, REGISTER_1).network_u32(RESULT, result).network_u32(FLAGS, flags);
    });
}

impl Action {
    fn write(self, list: &mut Message) {
        const ICMP_ERROR: u32 = 2;
        const TCP_RESET: u32 = 1;
        match self {
            Self::Accept => write_verdict(list, VERDICT_ACCEPT, None),
            Self::Drop => write_verdict(list, VERDICT_DROP, None),
            Self::Jump(chain) => write_verdict(list, VERDICT_JUMP, Some(chain)),
            Self::Goto(chain) => write_verdict(list, VERDICT_GOTO, Some(chain)),
            Self::RejectWithReset => write_reject(list, TCP_RESET, None),
            Self::RejectWithError => write_reject(list, ICMP_ERROR, Some(1)),
            Self::Masquerade => element(list, "masq", |_| {}),
        }
    }
}

fn write_verdict(list: &mut Message, code: i32, chain: Option<&str>) {
    const TARGET: u16 = 1;
    const DATA: u16 = 2;
    element(list, "immediate", |data| {
        data.network_u32(TARGET, REGISTER_VERDICT).nested(DATA, |nested| {
            nested.nested(DATA_VERDICT, |verdict| {
                verdict.network_u32(VERDICT_CODE, code.cast_unsigned());
                if let Some(chain) = chain {
                    verdict.text(VERDICT_CHAIN, chain);
                }
            });
        });
    });
}

fn write_reject(list: &mut Message, kind: u32, icmp_code: Option<u8>) {
    const KIND: u16 = 1;
    const ICMP_CODE: u16 = 2;
    element(list, "reject", |data| {
        data.network_u32(KIND, kind);
        if let Some(code) = icmp_code {
            data.attribute(ICMP_CODE, &[code]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::netlink::Flags;

    fn bytes_of(expression: &Expression) -> Vec<u8> {
        let mut message = Message::new(0, Flags::GET, &[]);
        expression.write(&mut message);
        message.finish(0)[16..].to_vec()
    }

    /// By hand from `nf_tables.h`, for a little-endian machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn steps_are_laid_out_as_the_kernel_reads_them() {
        #[rustfmt::skip]
        let cases: [(Expression, Vec<u8>); 5] = [
            (Expression::Load(Load::InterfaceIn), vec![
                36, 0, 1, 0x80,  9, 0, 1, 0, b'm', b'e', b't', b'a', 0, 0, 0, 0,
                20, 0, 2, 0x80,  8, 0, 1, 0, 0, 0, 0, 1,  8, 0, 2, 0, 0, 0, 0, 6,
            ]),
            (Expression::Compare(Comparison::Equal, b"dz".to_vec()), vec![
                44, 0, 1, 0x80,  8, 0, 1, 0, b'c', b'm', b'p', 0,
                32, 0, 2, 0x80,  8, 0, 1, 0, 0, 0, 0, 1,  8, 0, 2, 0, 0, 0, 0, 0,
                12, 0, 3, 0x80,  6, 0, 1, 0, b'd', b'z', 0, 0,
            ]),
            (Expression::Act(Action::Drop), vec![
                48, 0, 1, 0x80,  14, 0, 1, 0, b'i', b'm', b'm', b'e', b'd', b'i', b'a', b't', b'e', 0, 0, 0,
                28, 0, 2, 0x80,  8, 0, 1, 0, 0, 0, 0, 0,
                16, 0, 2, 0x80,  12, 0, 2, 0x80,  8, 0, 1, 0, 0, 0, 0, 0,
            ]),
            (Expression::Act(Action::RejectWithError), vec![
                36, 0, 1, 0x80,  11, 0, 1, 0, b'r', b'e', b'j', b'e', b'c', b't', 0, 0,
                20, 0, 2, 0x80,  8, 0, 1, 0, 0, 0, 0, 2,  5, 0, 2, 0, 1, 0, 0, 0,
            ]),
            (Expression::Act(Action::Masquerade), vec![
                20, 0, 1, 0x80,  9, 0, 1, 0, b'm', b'a', b's', b'q', 0, 0, 0, 0,
                4, 0, 2, 0x80,
            ]),
        ];
        for (expression, expected) in cases {
            assert_eq!(bytes_of(&expression), expected, "{expression:?}");
        }
    }

    #[test]
    fn every_step_is_a_whole_number_of_words() {
        let loads = [
            Load::Source,
            Load::Destination,
            Load::WayBack,
            Load::DestinationKind,
            Load::ConnectionState,
            Load::TcpFlags,
        ];
        let actions =
            [Action::Accept, Action::Jump("guard"), Action::Goto("refuse"), Action::RejectWithReset];
        let all = loads.map(Expression::Load).into_iter().chain(actions.map(Expression::Act));
        for expression in all.chain([Expression::Mask(vec![1])]) {
            let bytes = bytes_of(&expression);
            assert_eq!(usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])), bytes.len(), "{expression:?}");
            assert_eq!(bytes.len() % 4, 0, "{expression:?}");
        }
    }
}
