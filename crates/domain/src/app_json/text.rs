//! Words of a stranger's file, fit to be printed.

/// Longest piece of the file that an error repeats, in characters.
const LONGEST: usize = 200;

/// Short and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(LONGEST).flat_map(printable).collect()
}

/// Where something stands in the file; the whole of it has no path.
pub(super) fn place(path: &str) -> String {
    match path {
        "." => "at its top".to_owned(),
        path => shown(path),
    }
}

fn printable(character: char) -> Vec<char> {
    if character.is_control() { character.escape_debug().collect() } else { vec![character] }
}
