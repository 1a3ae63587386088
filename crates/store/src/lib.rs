//! The ledger in SQLite: everything that must outlive the server. Only `engine` uses it.
//!
//! One connection writes, one transaction at a time; a few others read. The journal mode is WAL with `synchronous=FULL`: a
//! transaction that has committed survives the loss of power. Rows come out as the domain's nouns; a secret goes in and comes out
//! as one and is sealed in between ([`seal`]). Rules are not here: the store keeps what it is told.

mod error;
mod schema;
pub mod seal;
mod sql;
mod store;
pub mod tables;

pub use error::{Result, StoreError};
pub use schema::FORMAT;
pub use seal::{AppKey, MasterKey, Nonce};
pub use store::{Opening, Reader, Store, Writer, restore};
