//! Which of the machine's interpreters an app gets: the one that it asks for, else the first that it can run on.

use super::version::{Dialect, Range, parse_version};
use domain::runtime::{Language, Runtime};
use sandbox::protocol::RuntimeStatus;

/// What an app says about its interpreter, and where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `3.11` or `3.11.7`, `20`.
    Version { text: String, file: String },
    /// `>=3.9,<3.13`
    Range { text: String, file: String },
}

/// Why no interpreter fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    #[error(
        "this server has no {}. Fix: install one (on Debian with `apt-get install {}`), or set DOZEN_{}_PREFIX to where one is, and \
         start Dozen again", language.title(), packages(*language), language.as_word().to_uppercase()
    )]
    None { language: Language },
    #[error(
        "{file} asks for {} {asked}, and this server has {has}. Fix: ask for one of those, or install what is asked for, add it to \
         DOZEN_{}_PREFIX and start Dozen again", language.title(), language.as_word().to_uppercase()
    )]
    Absent { language: Language, asked: String, file: String, has: String },
    #[error("{file} asks for {} \"{asked}\", which is not understood. Fix: write a version or a range such as {}", language.title(), example(*language))]
    NotUnderstood { language: Language, asked: String, file: String },
}

const fn packages(language: Language) -> &'static str {
    match language {
        Language::Python => "python3 python3-pip",
        Language::Node => "nodejs npm",
    }
}

const fn example(language: Language) -> &'static str {
    match language {
        Language::Python => "3.13 or >=3.11,<3.14",
        Language::Node => "22.x or >=20 <23",
    }
}

/// An interpreter that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) runtime: Runtime,
    /// In full.
    pub(crate) version: String,
    /// Told to people if it is not exactly what was asked for.
    pub(crate) remark: Option<String>,
}

/// All wishes must be met; the first installed one that meets them is taken.
pub(crate) fn choose(
    language: Language,
    wishes: &[Wanted],
    installed: &[RuntimeStatus],
) -> Result<Chosen, RuntimeError> {
    let mut fitting: Vec<&RuntimeStatus> =
        installed.iter().filter(|status| status.runtime.language() == language).collect();
    if fitting.is_empty() {
        return Err(RuntimeError::None { language });
    }
    let all: Vec<&str> = fitting.iter().map(|status| status.version.as_str()).collect();
    let has = all.join(", ");
    let mut remark = None;
    for wanted in wishes {
        fitting = narrow(language, wanted, fitting)?;
        let (Wanted::Version { text, file } | Wanted::Range { text, file }) = wanted;
        let Some(first) = fitting.first() else {
            let (asked, file) = (text.clone(), file.clone());
            return Err(RuntimeError::Absent { language, asked, file, has });
        };
        if is_other_release(wanted, &first.version) {
            let title = first.runtime.title();
            remark = Some(format!("{file} asks for {text}; this server's {title} is {}", first.version));
        }
    }
    let chosen = fitting.first().expect("an empty list was an error");
    Ok(Chosen { runtime: chosen.runtime, version: chosen.version.clone(), remark })
}

fn narrow<'a>(
    language: Language,
    wanted: &Wanted,
    installed: Vec<&'a RuntimeStatus>,
) -> Result<Vec<&'a RuntimeStatus>, RuntimeError> {
    let not_understood = |text: &str, file: &str| {
        let (asked, file) = (text.chars().take(80).collect(), file.to_owned());
        RuntimeError::NotUnderstood { language, asked, file }
    };
    match wanted {
        Wanted::Version { text, file } => {
            let series = version_range(language, text).ok_or_else(|| not_understood(text, file))?;
            Ok(keep(installed, &series))
        }
        Wanted::Range { text, file } => {
            let dialect = match language {
                Language::Python => Dialect::Python,
                Language::Node => Dialect::Npm,
            };
            let range = Range::parse(text, dialect).ok_or_else(|| not_understood(text, file))?;
            Ok(keep(installed, &range))
        }
    }
}

fn keep<'a>(installed: Vec<&'a RuntimeStatus>, range: &Range) -> Vec<&'a RuntimeStatus> {
    let fits = |status: &&RuntimeStatus| {
        parse_version(&status.version).is_some_and(|version| range.contains(version))
    };
    installed.into_iter().filter(fits).collect()
}

/// A version asks for its series: releases of one series replace one another. `3` asks for any of 3.
fn version_range(language: Language, text: &str) -> Option<Range> {
    let text = text.trim().trim_start_matches('v');
    match Runtime::of_version(language, text) {
        Some(runtime) => Range::parse(&runtime.series(), Dialect::Npm),
        None => text.parse::<u16>().ok().and_then(|major| Range::parse(&major.to_string(), Dialect::Npm)),
    }
}

/// Whether a full version was asked for and another one of its series is there.
fn is_other_release(wanted: &Wanted, version: &str) -> bool {
    match wanted {
        Wanted::Version { text, .. } => {
            let text = text.trim().trim_start_matches('v');
            text.split('.').count() == 3 && text != version
        }
        Wanted::Range { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(names: &[(&str, &str)]) -> Vec<RuntimeStatus> {
        let status = |(name, version): &(&str, &str)| RuntimeStatus {
            runtime: name.parse().expect("a runtime"),
            version: (*version).to_owned(),
        };
        names.iter().map(status).collect()
    }

    fn version(text: &str) -> Wanted {
        Wanted::Version { text: text.to_owned(), file: ".python-version".to_owned() }
    }

    fn range(text: &str) -> Wanted {
        Wanted::Range { text: text.to_owned(), file: "pyproject.toml".to_owned() }
    }

    #[test]
    fn wishes_are_met_or_named() {
        let machine =
            installed(&[("python-3.11", "3.11.7"), ("python-3.13", "3.13.0"), ("node-20", "20.20.2")]);
        let chosen = |wishes: &[Wanted]| {
            choose(Language::Python, wishes, &machine).map(|chosen| (chosen.version, chosen.remark.is_some()))
        };
        assert_eq!(chosen(&[]), Ok(("3.11.7".to_owned(), false)));
        assert_eq!(chosen(&[version("3.13")]), Ok(("3.13.0".to_owned(), false)));
        assert_eq!(chosen(&[version("3.13.9")]), Ok(("3.13.0".to_owned(), true)));
        assert_eq!(chosen(&[version("3")]), Ok(("3.11.7".to_owned(), false)));
        assert_eq!(chosen(&[range(">=3.12")]), Ok(("3.13.0".to_owned(), false)));
        let errors = [
            chosen(&[version("3.12")]),
            chosen(&[version("3.11"), range(">=3.12")]),
            chosen(&[version("three")]),
            choose(Language::Node, &[], &installed(&[])).map(|_| unreachable!("there is none")),
        ];
        let texts = errors.map(|error| error.expect_err("refused").to_string()).join("\n");
        insta::assert_snapshot!(texts);
    }
}
