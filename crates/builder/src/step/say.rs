//! What a step prints: whole lines in the form of [`crate::Output`].

use std::error::Error;
use std::io::Write;

/// Indentation of details, seven spaces.
pub(super) const DETAIL: &str = "       ";

pub(super) fn heading(output: &mut dyn Write, text: &str) {
    line(output, "-----> ", text);
}

pub(super) fn detail(output: &mut dyn Write, text: &str) {
    line(output, DETAIL, text);
}

pub(super) fn warning(output: &mut dyn Write, text: &str) {
    line(output, " !     ", text);
}

/// The error and its causes.
pub(super) fn failure(output: &mut dyn Write, error: &dyn Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    warning(output, &text);
}

/// Output that cannot be written has no reader: the build goes on without it.
fn line(output: &mut dyn Write, mark: &str, text: &str) {
    let _ = writeln!(output, "{mark}{text}").and_then(|()| output.flush());
}
