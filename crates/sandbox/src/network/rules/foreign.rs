//! Tables as other firewalls make them, for tests only.

use super::apply::transact;
use super::conditions::destination_is_this_host;
use super::messages::{Chain, Hook, batch_end, chain_message, rule_message, table_message, write_all};
use super::numbers::*;
use crate::network::error::NetworkError;
use crate::network::netlink::Message;
use std::net::Ipv4Addr;

/// Drops all that is forwarded.
pub(in crate::network) fn drop_forwarded(table: &str) -> Result<(), NetworkError> {
    let hook = Hook { kind: "filter", number: 2, priority: 0, policy: VERDICT_DROP };
    put_in_force(table, &Chain { name: "forward", hook: Some(hook), rules: Vec::new() }, None)
}

/// Leads what is for this host to another address.
pub(in crate::network) fn lead_own_addresses_to(table: &str, address: Ipv4Addr) -> Result<(), NetworkError> {
    let hook = Hook { kind: "nat", number: 0, priority: -100, policy: VERDICT_ACCEPT };
    let chain = Chain { name: "published", hook: Some(hook), rules: Vec::new() };
    let rule = rule_message(table, chain.name, |list| {
        write_all(&destination_is_this_host(), list);
        write_translation(list, address);
    });
    put_in_force(table, &chain, Some(rule))
}

/// The address into the register, and from there into the packet.
fn write_translation(list: &mut Message, address: Ipv4Addr) {
    const TARGET: u16 = 1;
    const DATA: u16 = 2;
    const KIND: u16 = 1;
    const FAMILY: u16 = 2;
    const LOWEST_ADDRESS: u16 = 3;
    const OF_DESTINATION: u32 = 1;
    list.nested(LIST_ELEMENT, |element| {
        element.text(EXPRESSION_NAME, "immediate").nested(EXPRESSION_DATA, |data| {
            data.network_u32(TARGET, REGISTER_1).nested(DATA, |value| {
                value.attribute(DATA_VALUE, &address.octets());
            });
        });
    });
    list.nested(LIST_ELEMENT, |element| {
        element.text(EXPRESSION_NAME, "nat").nested(EXPRESSION_DATA, |data| {
            data.network_u32(KIND, OF_DESTINATION)
                .network_u32(FAMILY, u32::from(FAMILY_IPV4))
                .network_u32(LOWEST_ADDRESS, REGISTER_1);
        });
    });
}

fn put_in_force(table: &str, chain: &Chain, rule: Option<Message>) -> Result<(), NetworkError> {
    let mut batch =
        vec![batch_end(BATCH_BEGIN), table_message(NEW_TABLE, table, None), chain_message(table, chain)];
    batch.extend(rule);
    batch.push(batch_end(BATCH_END));
    transact("put in force", table, batch)
}
