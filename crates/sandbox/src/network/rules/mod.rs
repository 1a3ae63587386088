//! The one table of packet rules: what it says ([`ruleset`]), how it is written ([`conditions`], [`expression`], [`messages`]) and how it is put
//! in force ([`apply`]): in one transaction that replaces the whole table, so that there is no instant without rules.

mod apply;
mod conditions;
mod expression;
#[cfg(any(test, feature = "lab"))]
mod foreign;
mod messages;
mod numbers;
mod ruleset;

pub(super) use apply::{foreign_drops, remove, replace, state};
#[cfg(any(test, feature = "lab"))]
pub(super) use foreign::{drop_forwarded, lead_own_addresses_to};
pub(super) use ruleset::Ruleset;
