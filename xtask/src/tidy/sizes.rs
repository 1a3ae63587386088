//! Files stay small enough to be read at one sitting.

use super::{Finding, Source};

const MOST_LINES: usize = 600;
/// Files that are allowed to be longer. This list may only shrink.
const EXCEPTIONS: &[&str] = &[];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let long = rust.filter(|source| source.text.lines().count() > MOST_LINES);
    long.filter(|source| !EXCEPTIONS.contains(&source.path.as_str()))
        .map(|source| Finding {
            place: source.path.clone(),
            what: format!("{} lines; split it below {MOST_LINES}", source.text.lines().count()),
        })
        .collect()
}
