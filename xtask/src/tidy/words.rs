//! No unfinished marks, no module without its purpose, no unsafe code outside the sandbox.

use super::{Finding, Source};

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    rust.flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shipped = source.path.starts_with("crates/") && source.path.contains("/src/");
    if shipped && !source.text.trim_start().starts_with("//!") {
        findings.push(finding(
            source,
            1,
            "a module begins with `//!`: what it is for and what it must not do",
        ));
    }
    for (number, line) in source.text.lines().enumerate() {
        if marks().iter().any(|mark| line.contains(mark.as_str())) {
            findings.push(finding(source, number + 1, "an unfinished mark; finish it or file it"));
        }
        let code = line.split("//").next().unwrap_or_default();
        if code.contains(&["unsafe", "{"].join(" ")) && !source.path.starts_with("crates/sandbox/") {
            findings.push(finding(source, number + 1, "unsafe code outside the sandbox"));
        }
    }
    findings
}

/// Put together here so that this file does not trip over itself.
fn marks() -> [String; 3] {
    [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|parts| parts.concat())
}

fn finding(source: &Source, line: usize, what: &str) -> Finding {
    Finding { place: format!("{}:{line}", source.path), what: what.to_owned() }
}
