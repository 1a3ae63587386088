//! How many processes of each type run, and how large. Not part of a release: rows of types that a release lacks are kept and
//! unused, so that a type that returns has its old quantity.

use crate::names::ProcessType;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

pub use crate::size::{InvalidSize, Size};

/// Processes of one type at most.
pub const QUANTITY_LIMIT: u32 = 100;

/// The command of each process type, as the Procfile gives it.
pub type ProcessTypes = BTreeMap<ProcessType, String>;

/// One type's share of the formation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    pub quantity: u32,
    pub size: Size,
}

/// The formation: every type that ever was.
pub type Formation = BTreeMap<ProcessType, Quantity>;

/// A quantity, or a difference to the present one: `2`, `+1`, `-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityChange {
    To(u32),
    By(i64),
}

/// A string that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a quantity: expected a number such as 2, or a difference such as +1 or -1")]
pub struct InvalidQuantity {
    given: String,
}

impl FromStr for QuantityChange {
    type Err = InvalidQuantity;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidQuantity { given: s.chars().take(20).collect() };
        let digits = s.strip_prefix(['+', '-']).unwrap_or(s);
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let number: u32 = digits.parse().map_err(|_| invalid())?;
        Ok(match s.as_bytes()[0] {
            b'+' => Self::By(i64::from(number)),
            b'-' => Self::By(-i64::from(number)),
            _ => Self::To(number),
        })
    }
}

impl QuantityChange {
    /// The quantity after this change. Less than none is none.
    fn applied_to(self, present: u32) -> u32 {
        match self {
            Self::To(quantity) => quantity,
            Self::By(difference) => {
                u32::try_from((i64::from(present) + difference).max(0)).unwrap_or(u32::MAX)
            }
        }
    }
}

/// One element of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationUpdate {
    pub process_type: ProcessType,
    pub quantity: Option<QuantityChange>,
    pub size: Option<Size>,
}

/// Why a batch is refused, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormationRefused {
    #[error("the app has no process type {process_type}; its Procfile has: {known}")]
    UnknownType { process_type: ProcessType, known: String },
    #[error("the app has no process types yet: they come with the first build")]
    NoTypes,
    #[error(
        "{process_type} cannot be scaled to {asked}; the limit is {QUANTITY_LIMIT} processes of one type"
    )]
    TooMany { process_type: ProcessType, asked: u32 },
    #[error("the release process type runs once per release and cannot be scaled")]
    ReleasePhase,
}

/// What a type gets when it first appears.
pub fn first_quantity(process_type: &ProcessType) -> Quantity {
    Quantity { quantity: u32::from(process_type.is_web()), size: Size::default() }
}

/// The rows to add so that every type of a release has one.
pub fn missing_rows(formation: &Formation, process_types: &ProcessTypes) -> Formation {
    let missing = process_types.keys().filter(|process_type| !formation.contains_key(*process_type));
    missing.map(|process_type| (process_type.clone(), first_quantity(process_type))).collect()
}

/// The changed rows of a batch; all of it or nothing. `known` are the types of the newest release.
pub fn updated_rows(
    formation: &Formation,
    known: &BTreeSet<ProcessType>,
    updates: &[FormationUpdate],
) -> Result<Formation, FormationRefused> {
    let mut after = formation.clone();
    for update in updates {
        let row = updated_row(&after, known, update)?;
        after.insert(update.process_type.clone(), row);
    }
    after.retain(|process_type, row| formation.get(process_type) != Some(row));
    Ok(after)
}

fn updated_row(
    formation: &Formation,
    known: &BTreeSet<ProcessType>,
    update: &FormationUpdate,
) -> Result<Quantity, FormationRefused> {
    let process_type = &update.process_type;
    if known.is_empty() {
        return Err(FormationRefused::NoTypes);
    }
    if !known.contains(process_type) {
        let known = known.iter().map(ProcessType::as_str).collect::<Vec<_>>().join(", ");
        return Err(FormationRefused::UnknownType { process_type: process_type.clone(), known });
    }
    let present = formation.get(process_type).cloned().unwrap_or_else(|| first_quantity(process_type));
    let quantity = update.quantity.map_or(present.quantity, |change| change.applied_to(present.quantity));
    if process_type.is_release_phase() && quantity > 0 {
        return Err(FormationRefused::ReleasePhase);
    }
    if quantity > QUANTITY_LIMIT {
        return Err(FormationRefused::TooMany { process_type: process_type.clone(), asked: quantity });
    }
    Ok(Quantity { quantity, size: update.size.unwrap_or(present.size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> ProcessType {
        name.parse().unwrap()
    }

    fn formation(rows: &[(&str, u32)]) -> Formation {
        let row = |quantity| Quantity { quantity, size: Size::default() };
        rows.iter().map(|(name, quantity)| (kind(name), row(*quantity))).collect()
    }

    fn scale(name: &str, quantity: &str) -> FormationUpdate {
        FormationUpdate { process_type: kind(name), quantity: Some(quantity.parse().unwrap()), size: None }
    }

    #[test]
    fn quantities() {
        let table = [("2", Some(QuantityChange::To(2))), ("+1", Some(QuantityChange::By(1)))];
        let more =
            [("-3", Some(QuantityChange::By(-3))), ("", None), ("+", None), ("1.5", None), ("--1", None)];
        for (text, expected) in table.into_iter().chain(more).chain([("9999999999", None), ("½", None)]) {
            assert_eq!(text.parse::<QuantityChange>().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_new_type_gets_one_web_or_none_and_old_rows_stay() {
        let types = [("web", "a"), ("worker", "b")].map(|(name, command)| (kind(name), command.to_owned()));
        let types = ProcessTypes::from(types);
        assert_eq!(missing_rows(&Formation::new(), &types), formation(&[("web", 1), ("worker", 0)]));
        assert_eq!(missing_rows(&formation(&[("web", 3), ("old", 2)]), &types), formation(&[("worker", 0)]));
    }

    #[test]
    fn batches_change_all_or_nothing() {
        let before = formation(&[("web", 1), ("worker", 2), ("old", 5), ("release", 0)]);
        let known = ["web", "worker", "release"].map(kind).into();
        let changed = |updates: &[FormationUpdate]| updated_rows(&before, &known, updates);
        assert_eq!(
            changed(&[scale("web", "+1"), scale("worker", "0")]),
            Ok(formation(&[("web", 2), ("worker", 0)]))
        );
        assert_eq!(changed(&[scale("web", "+1"), scale("web", "+1")]), Ok(formation(&[("web", 3)])));
        assert_eq!(changed(&[scale("web", "-7")]), Ok(formation(&[("web", 0)])));
        assert_eq!(changed(&[scale("web", "1")]), Ok(Formation::new()));
        assert!(matches!(
            changed(&[scale("web", "2"), scale("old", "1")]),
            Err(FormationRefused::UnknownType { .. })
        ));
        assert!(matches!(changed(&[scale("web", "101")]), Err(FormationRefused::TooMany { asked: 101, .. })));
        assert_eq!(changed(&[scale("release", "1")]), Err(FormationRefused::ReleasePhase));
        let larger =
            FormationUpdate { process_type: kind("web"), quantity: None, size: Some(Size::Standard2X) };
        assert_eq!(changed(&[larger]).unwrap()[&kind("web")].size.limits().memory_bytes, 1024 * 1024 * 1024);
    }

    #[test]
    fn sizes_parse_in_any_case() {
        for size in Size::ALL {
            assert_eq!(size.name().to_lowercase().parse(), Ok(*size));
        }
        assert!("huge".parse::<Size>().is_err());
    }
}
