//! The ports from memory, for tests of this crate and of those that build on it.

mod backend;
mod builder;
mod world;

pub use backend::{MemoryBackend, Passes};
pub use builder::ScriptedBuilder;
pub use world::{MemoryLog, MemoryRepositories, SeededRandom, TestClock};
