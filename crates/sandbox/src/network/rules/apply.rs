//! Putting the table in force, looking at it, removing it.

use super::messages::{comment_data, removing_batch};
use super::numbers::*;
use super::ruleset::Ruleset;
use crate::network::error::{Doing, NetlinkError, NetworkError};
use crate::network::netlink::{Attributes, Flags, Message, Protocol, Socket};
use crate::network::report::{ForeignDrop, RulesState};
use nix::errno::Errno;

/// Hook number of forwarded packets.
const HOOK_FORWARD: u32 = 2;

fn open() -> Result<Socket, NetworkError> {
    Socket::open(Protocol::Netfilter).doing("open", "the kernel's packet rules")
}

/// Puts the ruleset in force, in the place of whatever the table was.
pub(in crate::network) fn replace(ruleset: &Ruleset) -> Result<(), NetworkError> {
    transact("put in force", ruleset.table(), ruleset.replacing_batch())
}

/// Removes a table. Absent is fine.
pub(in crate::network) fn remove(table: &str) -> Result<(), NetworkError> {
    transact("remove", table, removing_batch(table))
}

pub(super) fn transact(
    operation: &'static str,
    table: &str,
    batch: Vec<Message>,
) -> Result<(), NetworkError> {
    let count = batch.len();
    open()?.batch(batch).map_err(|error| {
        let object = format!("packet rules of table inet {table} (step {} of {count})", error.position + 1);
        NetworkError::Netlink { operation, object, source: error.source }
    })
}

/// Whether the table is there with this ruleset's label and as many rules.
pub(in crate::network) fn state(ruleset: &Ruleset) -> Result<RulesState, NetworkError> {
    let object = || format!("packet rules of table inet {}", ruleset.table());
    let mut socket = open()?;
    let comment = table_comment(&mut socket, ruleset.table()).doing("look at", object())?;
    if comment != Some(comment_data(&ruleset.label())) {
        return Ok(RulesState::Differ);
    }
    let rules = rule_count(&mut socket, ruleset.table()).doing("count", object())?;
    Ok(if rules == ruleset.rule_count() { RulesState::InForce } else { RulesState::Differ })
}

fn table_comment(socket: &mut Socket, table: &str) -> Result<Option<Vec<u8>>, NetlinkError> {
    let mut message = Message::new(GET_TABLE, Flags::GET, &[FAMILY_INET, 0, 0, 0]);
    message.text(TABLE_NAME, table);
    let comment =
        |payload: &[u8]| Attributes::after(payload, FIXED_BYTES).get(TABLE_USER_DATA).map(<[u8]>::to_vec);
    match socket.get(message, comment) {
        Ok(found) => Ok(found.flatten()),
        Err(error) if error.refusal() == Some(Errno::ENOENT as i32) => Ok(None),
        Err(error) => Err(error),
    }
}

fn rule_count(socket: &mut Socket, table: &str) -> Result<usize, NetlinkError> {
    let mut message = Message::new(GET_RULE, Flags::DUMP, &[FAMILY_INET, 0, 0, 0]);
    message.text(RULE_TABLE, table);
    let of_table =
        |payload: &[u8]| (Attributes::after(payload, FIXED_BYTES).text(RULE_TABLE)? == table).then_some(());
    socket.list(&message, of_table).map(|rules| rules.len())
}

/// Chains of other tables that drop forwarded packets unless a rule of theirs lets them pass.
pub(in crate::network) fn foreign_drops(own_table: &str) -> Result<Vec<ForeignDrop>, NetworkError> {
    let message = Message::new(GET_CHAIN, Flags::DUMP, &[FAMILY_ANY, 0, 0, 0]);
    let mut drops = open()?
        .list(&message, |payload| forward_drop(payload, own_table))
        .doing("list", "packet filter chains")?;
    drops.sort_unstable();
    Ok(drops)
}

fn forward_drop(payload: &[u8], own_table: &str) -> Option<ForeignDrop> {
    let family = match *payload.first()? {
        FAMILY_INET => "inet",
        FAMILY_IPV4 => "ip",
        _ => return None,
    };
    let attributes = Attributes::after(payload, FIXED_BYTES);
    let drops = attributes.network_u32(CHAIN_POLICY)? == VERDICT_DROP.cast_unsigned();
    let at_forward = attributes.nested(CHAIN_HOOK).network_u32(HOOK_NUMBER)? == HOOK_FORWARD;
    let (table, chain) = (attributes.text(CHAIN_TABLE)?, attributes.text(CHAIN_NAME)?);
    let foreign = !(family == "inet" && table == own_table);
    (drops && at_forward && foreign).then(|| ForeignDrop { family: family.to_owned(), table, chain })
}
