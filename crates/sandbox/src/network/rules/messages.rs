//! Messages about tables, chains and rules. Pure.

use super::expression::Expression;
use super::numbers::*;
use crate::network::netlink::{Flags, Message};

/// Where the kernel calls a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hook {
    pub kind: &'static str,
    pub number: u32,
    pub priority: i32,
    /// What becomes of a packet that no rule decides on.
    pub policy: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub name: &'static str,
    pub hook: Option<Hook>,
    pub rules: Vec<Vec<Expression>>,
}

/// The transaction that removes a table, whether or not it exists.
pub(super) fn removing_batch(table: &str) -> Vec<Message> {
    let mut batch = vec![batch_end(BATCH_BEGIN)];
    batch.extend(removing_messages(table));
    batch.push(batch_end(BATCH_END));
    batch
}

/// To delete what does not exist is an error, so it is made first.
pub(super) fn removing_messages(table: &str) -> [Message; 2] {
    [table_message(NEW_TABLE, table, None), table_message(DELETE_TABLE, table, None)]
}

/// The fixed part of every message about rules: family, version 0, and a number in network order.
const fn fixed_part(family: u8, number: u16) -> [u8; FIXED_BYTES] {
    let [high, low] = number.to_be_bytes();
    [family, 0, high, low]
}

pub(super) fn batch_end(kind: u16) -> Message {
    Message::new(kind, Flags::UNANSWERED, &fixed_part(FAMILY_ANY, SUBSYSTEM))
}

pub(super) fn table_message(kind: u16, table: &str, comment: Option<&str>) -> Message {
    let flags = if kind == NEW_TABLE { Flags::CREATE } else { Flags::CHANGE };
    let mut message = Message::new(kind, flags, &fixed_part(FAMILY_INET, 0));
    message.text(TABLE_NAME, table);
    if let Some(comment) = comment {
        message.attribute(TABLE_USER_DATA, &comment_data(comment));
    }
    message
}

/// A comment in the form that `nft list` shows: kind, length, text with its zero byte.
pub(super) fn comment_data(comment: &str) -> Vec<u8> {
    let length = u8::try_from(comment.len() + 1).expect("comments here are short");
    let mut data = vec![USER_DATA_COMMENT, length];
    data.extend_from_slice(comment.as_bytes());
    data.push(0);
    data
}

pub(super) fn chain_message(table: &str, chain: &Chain) -> Message {
    let mut message = Message::new(NEW_CHAIN, Flags::CREATE, &fixed_part(FAMILY_INET, 0));
    message.text(CHAIN_TABLE, table).text(CHAIN_NAME, chain.name);
    if let Some(hook) = chain.hook {
        message
            .nested(CHAIN_HOOK, |nested| {
                nested.network_u32(HOOK_NUMBER, hook.number);
                nested.network_u32(HOOK_PRIORITY, hook.priority.cast_unsigned());
            })
            .network_u32(CHAIN_POLICY, hook.policy.cast_unsigned())
            .text(CHAIN_TYPE, hook.kind);
    }
    message
}

pub(super) fn rule_message(table: &str, chain: &str, write_steps: impl FnOnce(&mut Message)) -> Message {
    let mut message = Message::new(NEW_RULE, Flags::CREATE_LAST, &fixed_part(FAMILY_INET, 0));
    message.text(RULE_TABLE, table).text(RULE_CHAIN, chain).nested(RULE_EXPRESSIONS, write_steps);
    message
}

/// Writes the steps of a rule in their order.
pub(super) fn write_all(steps: &[Expression], list: &mut Message) {
    steps.iter().for_each(|step| step.write(list));
}
