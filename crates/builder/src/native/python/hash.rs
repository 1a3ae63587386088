//! How Poetry and Pipenv tell whether a lock file still fits its manifest: a SHA-256 of the relevant part, written as Python writes
//! JSON.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use toml::{Table, Value};

/// Python's `json.dumps(..., sort_keys=True)`, with its separators.
#[derive(Debug, Clone, Copy)]
struct Separators {
    item: &'static str,
    key: &'static str,
}

const WIDE: Separators = Separators { item: ", ", key: ": " };
const NARROW: Separators = Separators { item: ",", key: ":" };

const POETRY_LEGACY: [&str; 4] = ["dependencies", "source", "extras", "dev-dependencies"];
const POETRY_GROUP: &str = "group";
const PROJECT: [&str; 3] = ["requires-python", "dependencies", "optional-dependencies"];
/// Tables of a Pipfile that are not sets of packages.
const PIPFILE_OTHER: [&str; 7] =
    ["source", "requires", "scripts", "pipfile", "pipenv", "packages", "dev-packages"];

/// The sums that a `poetry.lock` of this `pyproject.toml` may carry: one for each generation of Poetry.
pub(super) fn poetry_sums(pyproject: &Table) -> Vec<String> {
    let empty = Table::new();
    let table =
        |parent: &Table, name: &str| parent.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
    let poetry =
        pyproject.get("tool").and_then(|tool| tool.get("poetry")).and_then(Value::as_table).unwrap_or(&empty);
    let first = poetry_section(poetry, true);
    let mut contents = vec![Value::Table(first.clone())];
    let project = chosen(&table(pyproject, "project"), &PROJECT);
    let groups = table(pyproject, "dependency-groups");
    for with_groups in [false, true] {
        // Since 2.0; groups of the standard since 2.3.
        let mut content = Table::new();
        if !project.is_empty() {
            content.insert("project".to_owned(), Value::Table(project.clone()));
        }
        if with_groups && !groups.is_empty() {
            content.insert("dependency-groups".to_owned(), Value::Table(groups.clone()));
        }
        if !content.is_empty() {
            content.insert("tool".to_owned(), nested("poetry", poetry_section(poetry, false)));
            contents.push(Value::Table(content));
        }
    }
    contents.iter().map(|content| sum(content, WIDE)).collect()
}

fn poetry_section(poetry: &Table, with_absent: bool) -> Table {
    let mut section = chosen(poetry, &POETRY_LEGACY);
    if with_absent {
        for name in POETRY_LEGACY {
            // TOML has no null; a word that is written as one stands for it.
            section.entry(name.to_owned()).or_insert_with(null);
        }
    }
    if let Some(group) = poetry.get(POETRY_GROUP) {
        section.insert(POETRY_GROUP.to_owned(), group.clone());
    }
    section
}

fn chosen(table: &Table, names: &[&str]) -> Table {
    let pairs = names.iter().filter_map(|name| Some(((*name).to_owned(), table.get(*name)?.clone())));
    pairs.collect()
}

fn nested(name: &str, table: Table) -> Value {
    Value::Table(Table::from_iter([(name.to_owned(), Value::Table(table))]))
}

/// The sum that a `Pipfile.lock` of this Pipfile carries.
pub(super) fn pipfile_sum(pipfile: &Table) -> String {
    let of = |name: &str| pipfile.get(name).cloned().unwrap_or_else(|| Value::Table(Table::new()));
    let sources = pipfile.get("source").cloned().unwrap_or_else(|| Value::Array(vec![pypi()]));
    let meta = Table::from_iter([("sources".to_owned(), sources), ("requires".to_owned(), of("requires"))]);
    let mut content = Table::from_iter([
        ("_meta".to_owned(), Value::Table(meta)),
        ("default".to_owned(), of("packages")),
        ("develop".to_owned(), of("dev-packages")),
    ]);
    for (name, packages) in pipfile.iter().filter(|(name, _)| !PIPFILE_OTHER.contains(&name.as_str())) {
        content.insert(name.clone(), packages.clone());
    }
    sum(&Value::Table(content), NARROW)
}

/// What Pipenv assumes where a Pipfile names no source.
fn pypi() -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    Value::Table(Table::from_iter([
        ("url".to_owned(), text("https://pypi.org/simple")),
        ("verify_ssl".to_owned(), Value::Boolean(true)),
        ("name".to_owned(), text("pypi")),
    ]))
}

fn sum(content: &Value, separators: Separators) -> String {
    let mut text = String::new();
    write_json(&mut text, content, separators);
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// A private character: no manifest holds it.
const NULL: &str = "\u{f0000}";

fn null() -> Value {
    Value::String(NULL.to_owned())
}

fn write_json(text: &mut String, value: &Value, separators: Separators) {
    match value {
        Value::String(null) if null == NULL => text.push_str("null"),
        Value::String(string) => write_string(text, string),
        Value::Integer(number) => drop(write!(text, "{number}")),
        Value::Float(number) => drop(write!(text, "{number:?}")),
        Value::Boolean(truth) => drop(write!(text, "{truth}")),
        Value::Datetime(time) => write_string(text, &time.to_string()),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { separators.item } else { "" });
                write_json(text, item, separators);
            }
            text.push(']');
        }
        Value::Table(table) => {
            text.push('{');
            for (index, (key, item)) in table.iter().collect::<BTreeMap<_, _>>().into_iter().enumerate() {
                text.push_str(if index > 0 { separators.item } else { "" });
                write_string(text, key);
                text.push_str(separators.key);
                write_json(text, item, separators);
            }
            text.push('}');
        }
    }
}

/// ASCII alone, as Python does by default.
fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums that Poetry and Pipenv themselves wrote.
    #[test]
    fn sums_are_those_of_the_tools() {
        let poetry_1: Table = include_str!("samples/poetry-1.toml").parse().expect("parses");
        assert!(poetry_sums(&poetry_1).contains(&content_hash(include_str!("samples/poetry-1.lock"))));
        let poetry_2: Table = include_str!("samples/poetry-2.toml").parse().expect("parses");
        assert!(poetry_sums(&poetry_2).contains(&content_hash(include_str!("samples/poetry-2.lock"))));
        let pipfile: Table = include_str!("samples/Pipfile").parse().expect("parses");
        assert!(include_str!("samples/Pipfile.lock").contains(&pipfile_sum(&pipfile)));
    }

    fn content_hash(lock: &str) -> String {
        let lock: Table = lock.parse().expect("parses");
        lock["metadata"]["content-hash"].as_str().expect("text").to_owned()
    }

    #[test]
    fn text_is_written_as_python_writes_it() {
        let value: Table = "b = [1, 1.5, true]\na = \"\u{e9}\u{1f600}\\u007f\\\"\"".parse().expect("parses");
        let mut text = String::new();
        write_json(&mut text, &Value::Table(value), WIDE);
        assert_eq!(text, r#"{"a": "\u00e9\ud83d\ude00\u007f\"", "b": [1, 1.5, true]}"#);
    }
}
