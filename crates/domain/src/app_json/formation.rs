//! How the processes of a type are replaced: `{"formation": {"worker": {"strategy": "rolling", "max_in_flight": 2}}}`.
//!
//! Quantities and sizes are not taken from the file: a formation is not part of a release, and a push never scales an app.

use super::{AppJsonError, invalid};
use crate::desired::Strategy;
use crate::formation::QUANTITY_LIMIT;
use crate::names::ProcessType;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One type as the file has it. Fields that are not ours are Heroku's and Dokku's.
#[derive(Deserialize)]
pub(super) struct Written {
    strategy: Option<Named>,
    /// Dokku calls it `max_parallel`.
    #[serde(alias = "max_parallel")]
    max_in_flight: Option<u32>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Named {
    Overlap,
    StopFirst,
    Rolling,
}

pub(super) fn check_all(
    written: BTreeMap<ProcessType, Written>,
) -> Result<BTreeMap<ProcessType, Strategy>, AppJsonError> {
    let mut all = BTreeMap::new();
    for (process_type, wanted) in written {
        let strategy = wanted.strategy().map_err(|e| invalid(format!("formation.{process_type}"), e))?;
        if let Some(strategy) = strategy.filter(|strategy| *strategy != Strategy::default_for(&process_type))
        {
            all.insert(process_type, strategy);
        }
    }
    Ok(all)
}

impl Written {
    /// Quantities and sizes of types that are not there mean nothing here, as those of types that are.
    pub(super) const fn says_something(&self) -> bool {
        self.strategy.is_some() || self.max_in_flight.is_some()
    }

    fn strategy(&self) -> Result<Option<Strategy>, String> {
        let in_flight = self.max_in_flight;
        if let Some(given) = in_flight.filter(|given| !(1..=QUANTITY_LIMIT).contains(given)) {
            return Err(format!("\"max_in_flight\" is {given}, and must be from 1 to {QUANTITY_LIMIT}"));
        }
        match (self.strategy, in_flight) {
            (None, None) => Ok(None),
            (Some(Named::Overlap), None) => Ok(Some(Strategy::Overlap)),
            (Some(Named::StopFirst), None) => Ok(Some(Strategy::StopFirst)),
            (Some(Named::Rolling), in_flight) => {
                Ok(Some(Strategy::Rolling { max_in_flight: in_flight.unwrap_or(1) }))
            }
            (None, Some(max_in_flight)) => Ok(Some(Strategy::Rolling { max_in_flight })),
            (Some(Named::Overlap | Named::StopFirst), Some(_)) => {
                Err("\"max_in_flight\" belongs to the strategy \"rolling\"".to_owned())
            }
        }
    }
}
