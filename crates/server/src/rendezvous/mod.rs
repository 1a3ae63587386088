pub mod bridge;
mod descriptor;
mod inward;
mod outward;
mod output;
mod input;
pub use input::EndRule;
