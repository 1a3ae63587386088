//! What the black-box tests share: a server of their own in a temporary folder, the real `dozen` client, the real `git`, and HTTP.
//!
//! Each test program runs in a network namespace of its own, so that addresses, links and packet rules of one server meet no other.

#![allow(dead_code, reason = "each test program uses its share")]

pub mod build;
pub mod heroku;
pub mod http;
pub mod load;
pub mod locks;
pub mod ordinary;
pub mod outside;
pub mod pushing;
pub mod reach;
pub mod registry;
pub mod repository;
pub mod rust;
pub mod server;
pub mod services;
pub mod terminal;
pub mod trace;

use std::time::{Duration, Instant};

/// Polls until `check` gives something; fails with `what` after `seconds`.
pub fn eventually<T>(what: &str, seconds: u64, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(50));
    }
}
