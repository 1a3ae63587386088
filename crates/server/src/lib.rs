//! The front door.
pub mod ca;
pub mod range;
pub mod secrets;
