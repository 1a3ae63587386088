//! What a vector is, and what comes of it.

use crate::app::App;
use crate::platform::{Lack, Platform};
use crate::source::Source;
use anyhow::Result;

/// An app, and the vectors that use it one after the other.
pub struct Scene {
    pub name: &'static str,
    /// What is deployed before the first vector; `None`: the app has no release.
    pub source: fn(&Platform) -> Option<Source>,
    pub vectors: &'static [Vector],
}

/// One statement, tried. Named after its number.
#[derive(Clone, Copy)]
pub struct Vector {
    pub number: u16,
    pub run: fn(&Stage<'_>) -> Result<Outcome>,
}

pub const fn vector(number: u16, run: fn(&Stage<'_>) -> Result<Outcome>) -> Vector {
    Vector { number, run }
}

/// What a vector has to work with.
pub struct Stage<'a> {
    pub platform: &'a Platform,
    pub app: &'a App<'a>,
}

/// What came of a vector that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Held,
    /// The platform says of itself that it cannot be asked this.
    NotApplicable(String),
}

impl Stage<'_> {
    /// The outcome where the platform lacks something.
    pub fn without(&self, what: Lack) -> Option<Outcome> {
        let reason = || format!("this platform has no {}", what.word().replace('-', " "));
        self.platform.lacks(what).then(|| Outcome::NotApplicable(reason()))
    }
}

/// The outcome of a vector whose every expectation was met.
pub const fn held() -> Result<Outcome> {
    Ok(Outcome::Held)
}
