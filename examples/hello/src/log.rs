//! The log is a stream of events on standard output, one a line; where it goes is not the app's business.

use std::io::Write;

/// Writes `event=NAME key=value ...`, at once and whole.
pub fn event(name: &str, fields: &[(&str, &str)]) {
    let mut line = format!("event={name}");
    for (key, value) in fields {
        line.push_str(&format!(" {key}={}", quoted(value)));
    }
    line.push('\n');
    let mut output = std::io::stdout().lock();
    // A log without a reader must not stop the app.
    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}

/// Quotes only what would break the form.
fn quoted(value: &str) -> String {
    let is_plain =
        !value.is_empty() && !value.chars().any(|c| c.is_whitespace() || c.is_control() || "\"=".contains(c));
    if is_plain { value.to_owned() } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_their_line() {
        assert_eq!(quoted("200"), "200");
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert_eq!(quoted(""), "\"\"");
    }
}
