pub mod body;
pub mod command;
pub mod hook;
mod hook_output;
pub mod pkt;
pub mod repository;
pub mod updates;
pub mod wire;
