//! Schedules: when a command that runs again and again is due.
//!
//! [`Schedule`] is five fields as in `crontab(5)`, [`Zone`] the place whose clocks it goes by, and [`Schedule::next_after`] the one
//! question asked of both. [`due`] says which of the instants that have come are still to be run and which were missed. Pure: the
//! zones' rules are compiled in, no clock is read.
//!
//! # Days
//!
//! As Vixie cron has it: when neither day of the month nor day of the week begins with `*`, a day fits that fits either; else one
//! that fits both.
//!
//! # When clocks are changed
//!
//! A schedule whose minute or hour begins with `*` goes by *elapsed* time: it is due at every instant at which the clock shows a time
//! that fits, so `*/15 * * * *` runs on through every change in steps of a quarter of an hour. Any other names *fixed* times of day:
//! one that does not exist that day, since clocks were put forward over it, is due once at the first instant after the gap; one that
//! comes twice, since clocks were put back, is due the first time only.

pub mod admit;
pub mod due;
pub mod entries;
mod field;
mod next;
mod schedule;
pub mod spans;
mod zone;

pub use schedule::{Schedule, ScheduleError};
pub use zone::{UnknownZone, Zone};

#[cfg(test)]
mod tests;
