//! Text for people: colour, tables, times, sizes. All pure: values in, `String` out.

mod style;
mod table;
mod time;

pub use style::Style;
pub use table::{Fields, Table};
pub use time::render_when;

/// A heading, as Heroku writes them: `=== hello Config Vars` and an empty line.
pub fn render_heading(text: &str, style: Style) -> String {
    format!("{} {}\n\n", style.dim("==="), style.bold(text))
}

/// Bytes in the largest fitting unit: `512 B`, `1.5 MB`. Powers of 1024.
pub fn render_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

/// Names joined as one says them: `A`, `A and B`, `A, B and C`.
pub fn render_list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// An argument as a POSIX shell reads it back: in single quotes unless it needs none.
pub fn quote_for_shell(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 << 20, "5.0 MB"), (3 << 40, "3.0 TB")]
        {
            assert_eq!(render_size(bytes), text);
        }
    }

    #[test]
    fn lists() {
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (given, text) in [("", ""), ("A", "A"), ("A B", "A and B"), ("A B C", "A, B and C")] {
            assert_eq!(render_list(&names(given)), text);
        }
    }

    #[test]
    fn arguments_survive_the_shell() {
        for (given, quoted) in
            [("a-b.c", "a-b.c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$HOME", "'$HOME'")]
        {
            assert_eq!(quote_for_shell(given), quoted);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_shell_reads_back_what_was_quoted(text in "[^\0]{0,20}") {
            let line = format!("printf %s {}", quote_for_shell(&text));
            let shell = std::process::Command::new("sh").arg("-c").arg(line).output().expect("sh");
            proptest::prop_assert_eq!(String::from_utf8(shell.stdout).expect("text"), text);
        }
    }
}
