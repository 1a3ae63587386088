//! The one table of packet rules: what it says ([`ruleset`]), how it is written ([`expression`], [`conditions`]) and how it is put
//! in force ([`apply`]): in one transaction that replaces the whole table, so that there is no instant without rules.

mod apply;
mod conditions;
mod expression;
mod numbers;
mod ruleset;

#[cfg(any(test, feature = "lab"))]
pub(super) use apply::drop_forwarded;
pub(super) use apply::{foreign_drops, remove, replace, state};
pub(super) use ruleset::Ruleset;
