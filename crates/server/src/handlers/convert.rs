//! From the engine's nouns to the wire's. Pure.

use api::Timestamp;
use api::reference::{NamedReference, UserReference};
use domain::account::AccountRef;
use domain::formation::Size;
use domain::ids::AccountId;
use domain::time::WallMillis;
use uuid::Uuid;

/// What an app's base root file system is called: the machine's own.
pub const STACK: &str = "host";
/// A Dozen server is one region.
pub const REGION: &str = "local";
/// Clients treat anything but `fir` as this.
pub const GENERATION: &str = "cedar";

/// The last digits tell these fixed ids apart.
pub const STACK_ID: Uuid = fixed(1);
pub const REGION_ID: Uuid = fixed(2);
const GENERATION_ID: Uuid = fixed(3);

/// A version 8 UUID of our own: things that Heroku gives ids and Dozen has one of.
pub const fn fixed(number: u128) -> Uuid {
    Uuid::from_u128(0xd02e_0000_0000_8000_8000_0000_0000_0000 | number)
}

pub fn time(at: WallMillis) -> Timestamp {
    Timestamp::from_unix_seconds(i64::try_from(at.0 / 1000).unwrap_or(i64::MAX))
}

/// What the system did, it did under this name.
pub fn user(account: Option<&AccountRef>) -> UserReference {
    match account {
        Some(account) => UserReference { id: account.id, email: account.email.to_string() },
        None => UserReference { id: AccountId::from_u128(0), email: "system@localhost".to_owned() },
    }
}

pub fn stack() -> NamedReference {
    NamedReference { id: STACK_ID, name: STACK.to_owned() }
}

pub fn region() -> NamedReference {
    NamedReference { id: REGION_ID, name: REGION.to_owned() }
}

pub fn generation() -> NamedReference {
    NamedReference { id: GENERATION_ID, name: GENERATION.to_owned() }
}

pub fn size(size: Size) -> NamedReference {
    let number = Size::ALL.iter().position(|known| *known == size).unwrap_or_default();
    NamedReference { id: fixed(0x100 + number as u128), name: size.name().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_ids_are_well_formed_and_distinct() {
        let ids = [STACK_ID, REGION_ID, GENERATION_ID, size(Size::Eco).id, size(Size::PerformanceL).id];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.get_version_num() == 8));
        assert_eq!(time(WallMillis(1_999)).to_string(), "1970-01-01T00:00:01Z");
    }
}
