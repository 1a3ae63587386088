//! `requirements.txt`, read as far as a decision hangs on it: which packages it names, what it includes, whether it is exact. pip
//! itself reads it for the installation.

use super::normalised;
use std::collections::BTreeSet;

/// What one requirements file says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Requirements {
    /// Names of packages, normalised.
    pub(super) names: BTreeSet<String>,
    /// Requirements without an exact version, as written.
    pub(super) loose: Vec<String>,
    /// Files that it includes (`-r`, `-c`), as written.
    pub(super) includes: Vec<String>,
    /// It installs something of the source tree itself.
    pub(super) is_local: bool,
}

pub(super) fn parse(text: &str) -> Requirements {
    let mut found = Requirements::default();
    for line in logical_lines(text) {
        note(&mut found, &line);
    }
    found
}

/// Lines joined at a backslash, without comments.
fn logical_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let without_comment = |line: &str| {
        let line = if line.trim_start().starts_with('#') { "" } else { line };
        line.split(" #").next().unwrap_or_default().trim().to_owned()
    };
    joined.lines().map(without_comment).filter(|line| !line.is_empty()).collect()
}

fn note(found: &mut Requirements, line: &str) {
    if let Some(file) = option(line, &["-r", "--requirement", "-c", "--constraint"]) {
        found.includes.push(file.to_owned());
    } else if option(line, &["-e", "--editable"]).is_some() || is_path(line) {
        found.is_local = true;
    } else if !line.starts_with('-') {
        note_requirement(found, line);
    }
}

fn note_requirement(found: &mut Requirements, line: &str) {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return;
    }
    found.names.insert(normalised(name));
    found.is_local |= rest.contains("file:");
    let wanted = rest.split(" --hash").next().unwrap_or_default().split(';').next().unwrap_or_default();
    let is_exact = (wanted.contains("==") && !wanted.contains('*')) || wanted.contains('@');
    if !is_exact {
        found.loose.push(format!("{name}{}", wanted.trim_end()));
    }
}

/// The value of an option, written `-rX`, `-r X`, `--requirement X` or `--requirement=X`.
fn option<'a>(line: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?;
        let is_long = name.starts_with("--");
        let rest = if is_long { rest.strip_prefix(['=', ' '])? } else { rest };
        Some(rest.trim_start_matches(['=', ' ']).trim())
    })
}

fn is_path(line: &str) -> bool {
    line.starts_with('.') || line.starts_with('/') || line.starts_with("file:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_includes_and_what_is_loose() {
        let text = "# comment\nFlask==3.1.3 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nDjango>=5 # why\n\
                    uvicorn[standard]==0.30 ; python_version < '4'\nx.y_z==1.*\n-r requirements/base.txt\n\
                    --constraint=limits.txt\n--index-url https://x\nredis\nthing @ https://x/thing.whl\n";
        let found = parse(text);
        let names: Vec<&str> = found.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["django", "flask", "redis", "thing", "uvicorn", "x-y-z"]);
        assert_eq!(found.loose, ["Django>=5", "x.y_z==1.*", "redis"]);
        assert_eq!(found.includes, ["requirements/base.txt", "limits.txt"]);
        assert!(!found.is_local);
        for local in ["-e .", "./lib", "--editable=lib", "mine @ file:///app/lib"] {
            assert!(parse(local).is_local, "{local}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[a-z=<>#\\\\\n ;@.\\-\\[\\]]{0,80}") {
            let _ = parse(&text);
        }
    }
}
