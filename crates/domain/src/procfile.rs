//! The Procfile: which process types an app has, and the command of each.
//!
//! One `type: command` a line (Heroku's rules). Blank lines and lines whose first character is `#` are skipped; CRLF line ends and a
//! UTF-8 byte order mark are accepted. Anything else that is not understood is refused with its line and what to write instead:
//! a process type silently missing from a release is found out much later, by somebody else.
//!
//! Pure: takes the file's bytes, says nothing about whether a command can run.

use crate::names::ProcessType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Larger files are no Procfiles.
pub const MAX_BYTES: usize = 64 * 1024;
/// Longest command: with the shell around it, what a sandbox accepts as a command line.
pub const MAX_COMMAND_BYTES: usize = 16_000;
/// More process types than anybody runs, and few enough to print.
pub const MAX_TYPES: usize = 100;

/// Process types and their commands, in order of name. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Procfile {
    processes: BTreeMap<ProcessType, String>,
}

/// Why a Procfile was refused. Every message names the line and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcfileError {
    #[error(
        "the Procfile has {bytes} bytes, {MAX_BYTES} are allowed. Fix: move long commands into a script and call that"
    )]
    TooLarge { bytes: usize },
    #[error("Procfile line {line} is not UTF-8 text. Fix: save the file as UTF-8")]
    NotText { line: usize },
    #[error(
        "Procfile line {line}: \"{text}\" is not of the form \"type: command\". Fix: write for example \"web: ./server\", \
         or begin the line with # to make it a comment"
    )]
    NoColon { line: usize, text: String },
    #[error(
        "Procfile line {line}: \"{given}\" is not a process type. Fix: begin the line with 1 to 63 letters, digits, hyphens or \
         underscores, beginning with a letter or digit, and let the colon follow at once"
    )]
    InvalidType { line: usize, given: String },
    #[error(
        "Procfile line {line}: the process type \"{process_type}\" has no command. Fix: write \"{process_type}: command\""
    )]
    EmptyCommand { line: usize, process_type: ProcessType },
    #[error(
        "Procfile line {line}: the command of \"{process_type}\" holds a control character. Fix: type the line anew, without \
         pasted invisible characters"
    )]
    ControlCharacter { line: usize, process_type: ProcessType },
    #[error(
        "Procfile line {line}: the command of \"{process_type}\" is longer than {MAX_COMMAND_BYTES} bytes. Fix: move it into a \
         script and call that"
    )]
    CommandTooLong { line: usize, process_type: ProcessType },
    #[error(
        "Procfile lines {first} and {second} both declare \"{process_type}\". Fix: remove one, or rename it to a process type of \
         its own"
    )]
    Duplicate { first: usize, second: usize, process_type: ProcessType },
    #[error("Procfile line {line} declares process type number {}, {MAX_TYPES} are allowed. Fix: merge some", MAX_TYPES + 1)]
    TooManyTypes { line: usize },
    #[error("the Procfile declares no process type. Fix: add a line such as \"web: ./server\"")]
    Empty,
}

impl Procfile {
    pub fn parse(bytes: &[u8]) -> Result<Self, ProcfileError> {
        if bytes.len() > MAX_BYTES {
            return Err(ProcfileError::TooLarge { bytes: bytes.len() });
        }
        let mut declared: BTreeMap<ProcessType, (usize, String)> = BTreeMap::new();
        for (line, text) in text_of(bytes)?.lines().enumerate().map(|(index, text)| (index + 1, text)) {
            let Some((process_type, command)) = parse_line(line, text)? else { continue };
            if let Some((first, _)) = declared.get(&process_type) {
                return Err(ProcfileError::Duplicate { first: *first, second: line, process_type });
            }
            if declared.len() == MAX_TYPES {
                return Err(ProcfileError::TooManyTypes { line });
            }
            declared.insert(process_type, (line, command));
        }
        Self::of(declared.into_iter().map(|(process_type, (_, command))| (process_type, command)).collect())
            .ok_or(ProcfileError::Empty)
    }

    /// Process types that a builder found without a file. `None` when there are none.
    pub fn of(processes: BTreeMap<ProcessType, String>) -> Option<Self> {
        (!processes.is_empty()).then_some(Self { processes })
    }

    pub const fn processes(&self) -> &BTreeMap<ProcessType, String> {
        &self.processes
    }

    pub fn into_processes(self) -> BTreeMap<ProcessType, String> {
        self.processes
    }

    pub fn has_web(&self) -> bool {
        self.processes.keys().any(ProcessType::is_web)
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, ProcfileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        ProcfileError::NotText { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    })
}

/// `None` for a line that declares nothing.
fn parse_line(line: usize, text: &str) -> Result<Option<(ProcessType, String)>, ProcfileError> {
    if text.trim().is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let Some((name, command)) = text.split_once(':') else {
        return Err(ProcfileError::NoColon { line, text: shown(text) });
    };
    let process_type: ProcessType =
        name.parse().map_err(|_| ProcfileError::InvalidType { line, given: shown(name) })?;
    let command = command.trim();
    if command.is_empty() {
        return Err(ProcfileError::EmptyCommand { line, process_type });
    }
    if command.chars().any(|c| c.is_control() && c != '\t') {
        return Err(ProcfileError::ControlCharacter { line, process_type });
    }
    if command.len() > MAX_COMMAND_BYTES {
        return Err(ProcfileError::CommandTooLong { line, process_type });
    }
    Ok(Some((process_type, command.to_owned())))
}

/// A stranger's text, short and without control characters, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let procfile = Procfile::parse(text.as_bytes()).expect("a good Procfile");
        procfile.into_processes().into_iter().map(|(name, command)| (name.to_string(), command)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, command)| ((*name).to_owned(), (*command).to_owned())).collect()
    }

    #[test]
    fn accepts() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("web: ./server", &[("web", "./server")]),
            ("web: ./server\n", &[("web", "./server")]),
            ("web:./server --flag  \n\n", &[("web", "./server --flag")]),
            ("\u{feff}web: a\r\nworker: b\r\n", &[("web", "a"), ("worker", "b")]),
            (
                "# comment: not a type\nweb: a # kept, the shell reads it\n",
                &[("web", "a # kept, the shell reads it")],
            ),
            ("web: curl http://x:80/?a=b: c", &[("web", "curl http://x:80/?a=b: c")]),
            ("Web-2_x: a\nweb: b", &[("Web-2_x", "a"), ("web", "b")]),
            ("web:\ta\tb", &[("web", "a\tb")]),
            ("web: serve --name Grüße", &[("web", "serve --name Grüße")]),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text), pairs(expected), "{text:?}");
        }
    }

    #[test]
    fn refuses_with_line_and_remedy() {
        let many: String = (0..=MAX_TYPES).map(|n| format!("t{n}: x\n")).collect();
        let long = format!("web: {}", "x".repeat(MAX_COMMAND_BYTES + 1));
        let cases: &[(&[u8], &[&str])] = &[
            (long.as_bytes(), &["line 1", "\"web\" is longer than 16000 bytes"]),
            (b"", &["declares no process type", "Fix: add a line"]),
            (b"\n  \n# only a comment\n", &["declares no process type"]),
            (b"web ./server", &["line 1", "\"web ./server\"", "type: command"]),
            (b"web: a\n  worker: b", &["line 2", "\"  worker\" is not a process type"]),
            (b"web : a", &["line 1", "\"web \"", "colon follow at once"]),
            (b"we.b: a", &["line 1", "\"we.b\""]),
            (b": a", &["line 1", "\"\" is not a process type"]),
            (b"web:", &["line 1", "\"web\" has no command", "Fix: write \"web: command\""]),
            (b"web: \t \r\n", &["line 1", "no command"]),
            (b"web: a\nworker: b\nweb: c", &["lines 1 and 3", "\"web\"", "remove one"]),
            (b"web: a\0b", &["line 1", "control character"]),
            (b"web: a\rworker: b", &["line 1", "control character"]),
            (b"web: a\nworker: \xff", &["line 2", "UTF-8"]),
            (b"\xff\xfew\0e\0b\0", &["line 1", "UTF-8"]),
            (many.as_bytes(), &["line 101", "process type number 101"]),
            (&[b'#'; MAX_BYTES + 1], &["65537 bytes"]),
        ];
        for (bytes, expected) in cases {
            let message = Procfile::parse(bytes).expect_err("should be refused").to_string();
            for part in *expected {
                assert!(message.contains(part), "{message:?} should contain {part:?}");
            }
            assert!(message.contains("Fix: "), "{message:?} should name the remedy");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_never_invents(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(procfile) = Procfile::parse(&bytes) {
                let text = String::from_utf8(bytes).expect("only text is accepted");
                for (process_type, command) in procfile.processes() {
                    prop_assert!(!command.is_empty() && command.trim() == command);
                    let declares = |line: &str| {
                        line.split_once(':').is_some_and(|(name, rest)| {
                            name.trim_start_matches('\u{feff}') == process_type.as_str() && rest.trim() == command
                        })
                    };
                    prop_assert!(text.lines().any(declares));
                }
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            entries in proptest::collection::btree_map("[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}", "[!-~]([ -~]{0,40}[!-~])?", 1..20),
            line_end in prop_oneof![Just("\n"), Just("\r\n")],
        ) {
            let text: String = entries.iter().map(|(name, command)| format!("{name}: {command}{line_end}")).collect();
            let expected: Vec<_> = entries.into_iter().collect();
            prop_assert_eq!(parsed(&text), expected);
        }
    }
}
