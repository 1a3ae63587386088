//! A server that has been taken over: it is who it says, so the launcher and the shims hear it. What it cannot get is told here.
use crate::world::Case;
pub const CASES: &[Case] = &[];
