//! Networks of apps on a host and an uplink of the test's own: every attempt that must be refused is also made from where it must
//! succeed. Needs root.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod life;
mod walls;
mod world;
