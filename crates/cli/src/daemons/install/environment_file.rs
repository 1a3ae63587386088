//! The file of settings that the units read: ours are put into it, what else stands there stays as it is. Pure.

use super::wanted::FINGERPRINT_KEY;
use crate::daemons::settings::MIRRORS;
use std::collections::BTreeMap;

const HEAD: &str = "\
# Settings of Dozen, read by its units at their start (all of them: docs/reference/environment.md). `dozen install` keeps what stands
# here, and restarts what reads it. Only root may read this file: the URL of a mirror may hold a secret. No
# other belongs here, but for DOZEN_FINGERPRINT_KEY: random, made by `dozen install`, and to be kept.
";

/// The lines of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentFile {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Value {
        name: String,
        value: String,
    },
    /// A comment, an empty line, what systemd would pass over.
    Other(String),
}

impl Default for EnvironmentFile {
    /// What a first installation begins with.
    fn default() -> Self {
        Self::parse(HEAD)
    }
}

impl EnvironmentFile {
    pub fn parse(text: &str) -> Self {
        Self { lines: text.lines().map(parse_line).collect() }
    }

    /// As systemd understands it: the last of several lines counts.
    pub fn get(&self, wanted: &str) -> Option<&str> {
        self.lines.iter().rev().find_map(|line| match line {
            Line::Value { name, value } if name == wanted => Some(value.as_str()),
            Line::Value { .. } | Line::Other(_) => None,
        })
    }

    /// Puts a value where the variable stands, or at the end.
    pub fn set(&mut self, wanted: &str, new: &str) {
        let last = self.lines.iter_mut().rev().find_map(|line| match line {
            Line::Value { name, value } if name == wanted => Some(value),
            Line::Value { .. } | Line::Other(_) => None,
        });
        match last {
            Some(value) => new.clone_into(value),
            None => self.lines.push(Line::Value { name: wanted.to_owned(), value: new.to_owned() }),
        }
    }

    pub fn values(&self) -> BTreeMap<&str, &str> {
        let values = self.lines.iter().filter_map(|line| match line {
            Line::Value { name, value } => Some((name.as_str(), value.as_str())),
            Line::Other(_) => None,
        });
        values.collect()
    }

    pub fn render(&self) -> String {
        self.lines.iter().map(render_line).collect()
    }

    /// The same for people's eyes: without secrets.
    pub fn render_masked(&self) -> String {
        self.lines.iter().map(|line| render_line(&mask_line(line))).collect()
    }
}

/// In place of names and passwords.
const MASK: &str = "***";

fn mask_line(line: &Line) -> Line {
    match line {
        Line::Value { name, value } if MIRRORS.contains(&name.as_str()) => {
            Line::Value { name: name.clone(), value: mask_url(value) }
        }
        Line::Value { name, .. } if name == FINGERPRINT_KEY => {
            Line::Value { name: name.clone(), value: MASK.to_owned() }
        }
        // Commented out, or written as only systemd understands it.
        Line::Other(text) if MIRRORS.iter().any(|name| text.contains(name)) && text.contains('@') => {
            let name = text.split_once('=').map_or("", |(name, _)| name);
            Line::Other(format!("{name}={MASK}"))
        }
        other @ (Line::Value { .. } | Line::Other(_)) => other.clone(),
    }
}

/// A URL without what stands before its host; of a text that is none, nothing.
fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return MASK.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://{MASK}@{place}"),
        None => text.to_owned(),
    }
}

fn parse_line(line: &str) -> Line {
    let other = || Line::Other(line.to_owned());
    let trimmed = line.trim();
    match trimmed.split_once('=') {
        Some((name, value)) if is_name(name) => match unquote(value.trim()) {
            Some(value) => Line::Value { name: name.to_owned(), value },
            None => other(),
        },
        Some(_) | None => other(),
    }
}

fn is_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    letters && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Plain text, or one quoted piece. Anything else (several pieces, a quotation without end) is left alone.
fn unquote(text: &str) -> Option<String> {
    let mut letters = text.chars();
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            letters.next();
            let inner: String = letters.collect();
            let inner = inner.strip_suffix(quote)?;
            if quote == '\'' {
                return (!inner.contains('\'')).then(|| inner.to_owned());
            }
            unescape(inner)
        }
        Some(_) | None => (!text.contains(['"', '\'', '\\'])).then(|| text.to_owned()),
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push(letters.next()?),
            '"' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

fn render_line(line: &Line) -> String {
    match line {
        Line::Other(text) => format!("{text}\n"),
        Line::Value { name, value } => format!("{name}={}\n", quote(value)),
    }
}

fn quote(value: &str) -> String {
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\`$#;".contains(&byte));
    if plain {
        return value.to_owned();
    }
    let escaped: String = value
        .chars()
        .flat_map(|letter| {
            let escape = matches!(letter, '"' | '\\' | '`' | '$').then_some('\\');
            escape.into_iter().chain([letter])
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Settings that an installation has written are settings of every later build: a name that goes must still be understood.
    #[test]
    fn a_file_of_the_first_installations() {
        let golden = include_str!("../../../fixtures/settings-1.env");
        let file = EnvironmentFile::parse(golden);
        assert_eq!(file.render(), golden, "nothing of it is lost");
        let settings = crate::daemons::install::wanted::read(&file).expect("every value is understood");
        assert_eq!(settings.data.root(), std::path::Path::new("/srv/dozen"));
        assert_eq!((settings.uid, settings.router_uid), (991, 990));
        assert_eq!(settings.supervisor, crate::daemons::settings::Supervisor::Systemd);
        for name in file.values().into_keys().filter(|name| *name != FINGERPRINT_KEY) {
            let known = crate::daemons::settings::ALL.iter().any(|setting| setting.name == name);
            assert!(known, "{name} is a setting no more");
        }
    }

    #[test]
    fn what_somebody_wrote_stays() {
        let text = "# mine\nDOZEN_DRAIN_SECONDS=60\n\nDOZEN_LOG=\"info, router=debug\"\nnot a setting\nA='x y'\nB=\"a\" \"b\"\n";
        let mut file = EnvironmentFile::parse(text);
        assert_eq!(file.get("DOZEN_DRAIN_SECONDS"), Some("60"));
        assert_eq!(
            (file.get("DOZEN_LOG"), file.get("A"), file.get("B")),
            (Some("info, router=debug"), Some("x y"), None)
        );
        file.set("DOZEN_DRAIN_SECONDS", "5");
        file.set("DOZEN_UID", "64990");
        let expected = "# mine\nDOZEN_DRAIN_SECONDS=5\n\nDOZEN_LOG=\"info, router=debug\"\nnot a setting\nA=\"x y\"\nB=\"a\" \"b\"\nDOZEN_UID=64990\n";
        assert_eq!(file.render(), expected);
        assert_eq!(EnvironmentFile::parse("A=1\nA=2\n").get("A"), Some("2"));
    }

    #[test]
    fn passwords_of_mirrors_are_masked_for_people() {
        let text = "# DOZEN_NPM_MIRROR=https://u:secret@old/\nDOZEN_PYPI_MIRROR=https://u:sec@ret@mirror:8080/simple\n\
                    DOZEN_NPM_MIRROR=https://mirror/npm/\nDOZEN_CRATES_MIRROR=u:secret\nDOZEN_CRATES_MIRROR=\"a@secret\" \"b\"\nDOZEN_ADMIN_EMAIL=a@b\n";
        let file = EnvironmentFile::parse(text);
        assert_eq!(
            file.render_masked(),
            "# DOZEN_NPM_MIRROR=***\nDOZEN_PYPI_MIRROR=https://***@mirror:8080/simple\nDOZEN_NPM_MIRROR=https://mirror/npm/\n\
             DOZEN_CRATES_MIRROR=***\nDOZEN_CRATES_MIRROR=***\nDOZEN_ADMIN_EMAIL=a@b\n"
        );
        assert_eq!(file.render(), text);
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in "[ -~äß]{0,60}") {
            let mut file = EnvironmentFile::default();
            file.set("DOZEN_X", &value);
            let read = EnvironmentFile::parse(&file.render());
            prop_assert_eq!(read.get("DOZEN_X"), Some(value.as_str()));
        }

        #[test]
        fn any_text_is_kept_line_by_line(text in "[ -~\\n]{0,300}") {
            let file = EnvironmentFile::parse(&text);
            prop_assert_eq!(file.render().lines().count(), text.lines().count());
            prop_assert_eq!(&EnvironmentFile::parse(&file.render()), &file);
        }
    }
}
