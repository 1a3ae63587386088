//! An app as the ledger knows it.

use crate::ids::{AccountId, AppId};
use crate::names::AppName;
use crate::time::WallMillis;

/// A deployable thing with a name, an owner and a history of releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub id: AppId,
    pub name: AppName,
    /// Never used twice: uids and network addresses follow from it.
    pub index: u32,
    pub owner: AccountId,
    pub maintenance: bool,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
}

/// Names for apps whose maker chose none: `ADJECTIVE-NOUN-NUMBER`, picked by `seed`.
pub fn generated_name(seed: u64) -> AppName {
    const FIRST: [&str; 16] = [
        "amber", "brisk", "calm", "dusty", "early", "fresh", "gentle", "hidden", "light", "misty", "noble",
        "quiet", "rapid", "sunny", "tidy", "warm",
    ];
    const SECOND: [&str; 16] = [
        "anchor", "beacon", "brook", "cedar", "delta", "ember", "field", "forest", "garden", "harbour",
        "island", "meadow", "orchard", "river", "stone", "valley",
    ];
    let first = FIRST[(seed & 0xf) as usize];
    let second = SECOND[((seed >> 4) & 0xf) as usize];
    let number = 10_000 + (seed >> 8) % 90_000;
    format!("{first}-{second}-{number}")
        .parse()
        .expect("the words are lower-case letters and short enough for a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_name_is_valid() {
        let seeds = (0..4096u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).chain([0, u64::MAX]);
        let longest = seeds.map(|seed| generated_name(seed).as_str().len()).max();
        assert!(longest <= Some(30));
    }
}
