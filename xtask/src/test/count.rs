//! Reads what test programs print and counts.

use std::fmt;
use std::io::{BufRead, BufReader, Read};

/// How many tests ended how.
#[derive(Default)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Why tests were skipped.
    pub reasons: Vec<String>,
    pub failures: Vec<String>,
    not_really_passed: u64,
}

impl Count {
    pub fn one_passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    pub fn one_failed(name: String) -> Self {
        Self { failed: 1, failures: vec![name], ..Self::default() }
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
        self.failures.extend(other.failures);
    }

    /// Reads a test program's output to its end; what matters of it goes to `show` as it comes.
    pub fn read(output: impl Read, mut show: impl FnMut(&str)) -> Self {
        let mut count = Self::default();
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            count.take(&line);
            if !is_noise(&line) {
                show(&line);
            }
        }
        count
    }

    fn take(&mut self, line: &str) {
        if let Some(reason) = line.trim_start().strip_prefix("skipped: ") {
            self.skipped += 1;
            self.reasons.push(reason.to_owned());
            // The test harness will report the test that skipped as passed.
            self.not_really_passed += 1;
        }
        if let Some(rest) = line.strip_prefix("test result: ") {
            self.passed += number_before(rest, " passed").saturating_sub(self.not_really_passed);
            self.not_really_passed = 0;
            self.failed += number_before(rest, " failed");
            self.add_ignored(number_before(rest, " ignored"));
        }
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
    }

    fn add_ignored(&mut self, ignored: u64) {
        self.skipped += ignored;
        if ignored > 0 {
            self.reasons.push(format!("{ignored} marked #[ignore]"));
        }
    }
}

fn is_noise(line: &str) -> bool {
    line.is_empty() || line.starts_with("running ") || line.ends_with(" ... ok")
}

/// The number that stands directly before `word`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().filter(|before| before.len() < text.len()).unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_results_and_skips() {
        let output = "running 3 tests\ntest a ... ok\nskipped: no root\ntest b ... FAILED\n\
                      test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let count = Count::read(output.as_bytes(), |_| {});
        assert_eq!((count.passed, count.failed, count.skipped), (1, 1, 2));
        assert_eq!(count.failures, ["b"]);
    }
}
