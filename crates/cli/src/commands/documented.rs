//! What people are told to type, in the documentation, by hints and after an installation, is understood.

use super::Arguments;
use clap::Parser;
use clap::error::ErrorKind;
use std::fs;
use std::path::{Path, PathBuf};

/// Words of daemons and their helpers, which the client's parser never sees.
const DAEMONS: [&str; 10] = [
    "server",
    "serve",
    "router",
    "launcher",
    "shim",
    "shim-resume",
    "static-server",
    "hold-apps",
    "stop-apps",
    "prepare-router",
];

/// Texts with commands in them.
fn texts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found: Vec<_> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root.join(name)).into();
    for folder in ["docs", "examples", "crates/cli/src"] {
        collect(&root.join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            _ if path.is_dir() => collect(&path, found),
            Some("md" | "rs" | "snap") if !path.ends_with("documented.rs") => found.push(path),
            Some(_) | None => {}
        }
    }
}

/// What a text gives as a command: between backticks, or as a line of its own or of a string.
fn commands_in(text: &str) -> Vec<String> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let parts = text.lines().flat_map(|line| line.split("\\n"));
    let lines = parts.map(|part| part.rsplit_once(": ").map_or(part, |(_, after)| after));
    let lines = lines.map(|line| line.trim().trim_start_matches('"'));
    quoted.chain(lines).flat_map(|text| text.split(" && ")).filter_map(command).collect()
}

fn command(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches("sudo ").trim_start_matches("./");
    let (before, rest) = text.split_once("dozen ")?;
    let only_variables = before.split_whitespace().all(|word| word.contains('='));
    let code = ["#", "|", ";", ", ", " (", "\")"]
        .iter()
        .fold(rest, |code, end| code.split(end).next().unwrap_or(code));
    let code = code.trim().trim_end_matches(" ...");
    let verb = code.split(' ').next().unwrap_or_default();
    let is_command = verb.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '-')
        && !DAEMONS.contains(&verb);
    (only_variables && is_command).then(|| code.to_owned())
}

/// Words as a shell makes them of plain text and quotes.
fn words(code: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in code.chars() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, _) => words.last_mut().expect("one at least").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Nothing if it is understood, or would be with what the text leaves out.
fn refusal(code: &str) -> Option<String> {
    let words = std::iter::once("dozen".to_owned()).chain(words(code));
    let error = Arguments::try_parse_from(words).err()?;
    let left_out = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    let placeholder = error.kind() == ErrorKind::ValueValidation
        && code.contains(|letter: char| letter.is_uppercase() || letter == '{');
    (!placeholder && !left_out.contains(&error.kind())).then(|| error.to_string())
}

#[test]
fn every_command_that_people_are_told_is_understood() {
    let (mut seen, mut refused) = (0, String::new());
    for path in texts() {
        for code in commands_in(&fs::read_to_string(&path).expect("a text")) {
            seen += 1;
            if let Some(error) = refusal(&code) {
                refused += &format!("{}: dozen {code}\n{error}\n", path.display());
            }
        }
    }
    assert!(refused.is_empty(), "{refused}");
    assert!(seen > 300, "the texts hold more than {seen}");
}

#[test]
fn commands_are_found_in_every_form() {
    let text = "Run `dozen ps -a hello`, or:\n  $X dozen no\n  A=b dozen deploy --json # now\n\
        format!(\"Elsewhere: dozen login --url {}\\n  dozen ps\\n\")\n`dozen server stop`\n`the dozen apps`\n";
    let expected = ["ps -a hello", "deploy --json", "login --url {}", "ps"];
    assert_eq!(commands_in(text), expected);
    assert!(refusal("login --server x").is_some() && refusal("logn").is_some());
    assert!(refusal("config:set").is_none() && refusal("releases -n COUNT").is_none());
}
