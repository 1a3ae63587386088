//! The front door.
pub mod ca;
pub mod paging;
pub mod secrets;
pub mod front;
pub mod git;
pub mod rendezvous;
mod short_path;
