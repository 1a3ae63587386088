//! What the table says. Pure: from settings to chains of rules, and on to messages.
//!
//! ```text
//! chain guard        prerouting, before addresses are translated: whatever comes from an app, wherever it goes
//!   not from an app                       accept
//!   not IPv4                              drop
//!   source is not the app's own           drop
//!   established, related                  accept
//!   TCP that opens no connection          accept    the rest of a connection begun before the rules were
//!   to an address of this host            refuse
//! chain input        what is for this host after all: broadcasts, multicasts
//!   not from an app                       accept
//!   established, related                  accept
//!   TCP that opens no connection          accept
//!   (else)                                refuse
//! chain forward
//!   to an app                             -> to_app
//!   from an app                           -> from_app
//! chain to_app
//!   from an app                           refuse
//!   established, related                  accept
//!   (else)                                refuse
//! chain from_app
//!   to link-local addresses               refuse
//!   to each denied range                  refuse
//!   invalid                               drop      it would leave with its inner address
//! chain postrouting
//!   from the gateway's own address        accept
//!   from apps' range, not to an app       masquerade
//! chain refuse
//!   TCP                                   reset
//!   (else)                                ICMP port unreachable
//! ```

use super::conditions::*;
use super::expression::{Action, Expression};
use super::messages::{
    Chain, Hook, batch_end, chain_message, removing_messages, rule_message, table_message, write_all,
};
use super::numbers::*;
use crate::network::netlink::Message;
use crate::network::range::Ipv4Range;
use crate::network::settings::NetworkSettings;

const GUARD: &str = "guard";
const INPUT: &str = "input";
const FORWARD: &str = "forward";
const TO_APP: &str = "to_app";
const FROM_APP: &str = "from_app";
const POSTROUTING: &str = "postrouting";
const REFUSE: &str = "refuse";

/// Before destination addresses are translated (-100), after connections are known (-200).
const PRIORITY_BEFORE_TRANSLATION: i32 = -150;
const PRIORITY_FILTER: i32 = 0;
const PRIORITY_SOURCE_TRANSLATION: i32 = 100;

/// The whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Ruleset {
    table: String,
    chains: Vec<Chain>,
}

impl Ruleset {
    pub fn new(settings: &NetworkSettings) -> Self {
        let prefix = settings.prefix.as_str();
        let chains = vec![
            refuse_chain(),
            guard_chain(prefix),
            input_chain(prefix),
            to_app_chain(prefix),
            from_app_chain(&settings.deny_outbound),
            forward_chain(prefix),
            postrouting_chain(settings),
        ];
        Self { table: settings.table.as_str().to_owned(), chains }
    }

    pub fn table(&self) -> &str {
        &self.table
    }

    pub fn rule_count(&self) -> usize {
        self.chains.iter().map(|chain| chain.rules.len()).sum()
    }

    /// A short text that differs between rulesets that differ; it is left on the table as its comment.
    pub fn label(&self) -> String {
        let body = self.body_messages();
        let bytes = body.into_iter().flat_map(|message| message.finish(0));
        format!("dozen rules {:016x}", fnv1a(bytes))
    }

    /// The transaction that puts the table in the place of any other of its name.
    pub fn replacing_batch(&self) -> Vec<Message> {
        let mut batch = vec![batch_end(BATCH_BEGIN)];
        batch.extend(removing_messages(&self.table));
        batch.push(table_message(NEW_TABLE, &self.table, Some(&self.label())));
        batch.extend(self.body_messages());
        batch.push(batch_end(BATCH_END));
        batch
    }

    fn body_messages(&self) -> Vec<Message> {
        let chains = self.chains.iter().map(|chain| chain_message(&self.table, chain));
        let rules = self.chains.iter().flat_map(|chain| {
            chain
                .rules
                .iter()
                .map(|steps| rule_message(&self.table, chain.name, |list| write_all(steps, list)))
        });
        chains.chain(rules).collect()
    }
}

fn rule(conditions: impl IntoIterator<Item = Vec<Expression>>, action: Action) -> Vec<Expression> {
    conditions.into_iter().flatten().chain([Expression::Act(action)]).collect()
}

const fn filter(number: u32, priority: i32) -> Option<Hook> {
    Some(Hook { kind: "filter", number, priority, policy: VERDICT_ACCEPT })
}

fn refuse_chain() -> Chain {
    let rules = vec![rule([is_tcp()], Action::RejectWithReset), rule([], Action::RejectWithError)];
    Chain { name: REFUSE, hook: None, rules }
}

/// Answers, and the rest of connections that were begun while no rules were in force: such a segment opens nothing, and without
/// this a firewall's reload would reset the router's connections to apps.
fn accept_what_is_under_way() -> [Vec<Expression>; 2] {
    [
        rule([state_is_any_of(STATE_ESTABLISHED | STATE_RELATED)], Action::Accept),
        rule([is_tcp(), does_not_open_a_connection()], Action::Accept),
    ]
}

fn guard_chain(prefix: &str) -> Chain {
    let mut rules = vec![
        rule([not_in_by(prefix)], Action::Accept),
        rule([is_not_ipv4()], Action::Drop),
        rule([source_is_spoofed()], Action::Drop),
    ];
    rules.extend(accept_what_is_under_way());
    rules.push(rule([destination_is_this_host()], Action::Goto(REFUSE)));
    Chain { name: GUARD, hook: filter(0, PRIORITY_BEFORE_TRANSLATION), rules }
}

fn input_chain(prefix: &str) -> Chain {
    let mut rules = vec![rule([not_in_by(prefix)], Action::Accept)];
    rules.extend(accept_what_is_under_way());
    rules.push(rule([], Action::Goto(REFUSE)));
    Chain { name: INPUT, hook: filter(1, PRIORITY_FILTER), rules }
}

fn forward_chain(prefix: &str) -> Chain {
    let rules =
        vec![rule([out_by(prefix)], Action::Jump(TO_APP)), rule([in_by(prefix)], Action::Jump(FROM_APP))];
    Chain { name: FORWARD, hook: filter(2, PRIORITY_FILTER), rules }
}

fn to_app_chain(prefix: &str) -> Chain {
    let rules = vec![
        rule([in_by(prefix)], Action::Goto(REFUSE)),
        rule([state_is_any_of(STATE_ESTABLISHED | STATE_RELATED)], Action::Accept),
        rule([], Action::Goto(REFUSE)),
    ];
    Chain { name: TO_APP, hook: None, rules }
}

fn from_app_chain(denied: &[Ipv4Range]) -> Chain {
    let refused = [Ipv4Range::LINK_LOCAL].into_iter().chain(denied.iter().copied());
    let mut rules: Vec<_> =
        refused.map(|range| rule([is_ipv4(), destination_in(range)], Action::Goto(REFUSE))).collect();
    rules.push(rule([state_is_any_of(STATE_INVALID)], Action::Drop));
    Chain { name: FROM_APP, hook: None, rules }
}

fn postrouting_chain(settings: &NetworkSettings) -> Chain {
    let prefix = settings.prefix.as_str();
    let range = settings.range.range();
    let rules = vec![
        rule([is_ipv4(), source_is(settings.range.gateway())], Action::Accept),
        rule([not_out_by(prefix), is_ipv4(), source_in(range)], Action::Masquerade),
    ];
    let (number, priority) = (4, PRIORITY_SOURCE_TRANSLATION);
    let hook = Hook { kind: "nat", number, priority, policy: VERDICT_ACCEPT };
    Chain { name: POSTROUTING, hook: Some(hook), rules }
}

/// FNV-1a, 64 bits: to tell rulesets apart, not to protect them.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn settings(deny: &[&str]) -> NetworkSettings {
        let mut settings = NetworkSettings::new(PathBuf::from("/run/net"));
        settings.deny_outbound = deny.iter().map(|range| range.parse().unwrap()).collect();
        settings
    }

    #[test]
    fn a_label_tells_rulesets_apart() {
        let label = |deny: &[&str]| Ruleset::new(&settings(deny)).label();
        assert_eq!(label(&[]), label(&[]));
        assert_ne!(label(&[]), label(&["10.0.0.0/8"]));
        assert_ne!(label(&["10.0.0.0/8"]), label(&["10.0.0.0/9"]));
        let mut other = settings(&[]);
        other.prefix = "ez".parse().unwrap();
        assert_ne!(label(&[]), Ruleset::new(&other).label());
    }

    #[test]
    fn every_denied_range_is_one_rule_before_the_rest() {
        let chain = from_app_chain(&["10.1.0.0/16".parse().unwrap(), "1.2.3.4".parse().unwrap()]);
        let compared: Vec<_> = chain
            .rules
            .iter()
            .map(|steps| {
                steps.iter().rev().find_map(|step| match step {
                    Expression::Compare(_, value) => Some(value.clone()),
                    Expression::Load(_) | Expression::Mask(_) | Expression::Act(_) => None,
                })
            })
            .collect();
        assert_eq!(
            compared,
            [Some(vec![169, 254, 0, 0]), Some(vec![10, 1, 0, 0]), Some(vec![1, 2, 3, 4]), Some(vec![0; 4])]
        );
    }

    #[test]
    fn chains_are_made_before_rules_that_lead_to_them() {
        let ruleset = Ruleset::new(&settings(&[]));
        let kinds: Vec<_> = ruleset
            .replacing_batch()
            .into_iter()
            .map(|message| message.finish(0))
            .map(|bytes| u16::from_ne_bytes([bytes[4], bytes[5]]))
            .collect();
        let mut expected = vec![BATCH_BEGIN, NEW_TABLE, DELETE_TABLE, NEW_TABLE];
        expected.extend([NEW_CHAIN; 7]);
        expected.extend(vec![NEW_RULE; ruleset.rule_count()]);
        expected.push(BATCH_END);
        assert_eq!(kinds, expected);
    }

    #[test]
    fn addresses_are_only_read_from_ipv4_packets() {
        let ruleset = Ruleset::new(&settings(&["10.0.0.0/8"]));
        for chain in &ruleset.chains {
            for steps in &chain.rules {
                let address = steps.iter().position(|step| {
                    matches!(
                        step,
                        Expression::Load(
                            super::super::expression::Load::Source
                                | super::super::expression::Load::Destination
                        )
                    )
                });
                let family = steps.windows(2).position(|pair| pair == is_ipv4().as_slice());
                if let Some(address) = address {
                    assert!(family.is_some_and(|family| family < address), "{}: {steps:?}", chain.name);
                }
            }
        }
    }
}
