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

/// Options that name an index or a page of links: a URL, or a folder of the source tree.
const SOURCES: [&str; 5] = ["-f", "--find-links", "-i", "--index-url", "--extra-index-url"];
/// Ends of the names of files that are installed.
const ARCHIVES: [&str; 7] = [".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz"];
/// Digests that a URL may end with, as pip knows them.
const DIGESTS: [&str; 3] = ["sha256=", "sha384=", "sha512="];
const COMMIT_DIGITS: usize = 40;

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
    } else if let Some(place) = option(line, &SOURCES) {
        found.is_local |= !place.contains("://") || place.starts_with("file:");
    } else if !line.starts_with('-') {
        note_requirement(found, line);
    }
}

fn note_requirement(found: &mut Requirements, line: &str) {
    let (name, rest) = split_name(line);
    if name.is_empty() {
        return;
    }
    if rest.starts_with('/') || ARCHIVES.iter().any(|end| name.ends_with(end)) {
        found.is_local = true;
        return;
    }
    let wanted = rest.split(" --hash").next().unwrap_or_default().split(';').next().unwrap_or_default();
    let is_url = wanted.contains("://") || wanted.contains('@');
    found.is_local |= rest.contains("file:") || (is_url && !wanted.contains("://"));
    // A URL by itself begins with its scheme, and may tell the name at its end.
    let is_bare = rest.starts_with("://") || rest.starts_with('+');
    let name = if is_bare { line.split_once("egg=").map_or("", |(_, egg)| split_name(egg).0) } else { name };
    if !name.is_empty() {
        found.names.insert(normalised(name));
    }
    let is_exact = if is_url { is_fixed(line) } else { wanted.contains("==") && !wanted.contains('*') };
    if !is_exact {
        // A URL may hold a password.
        found.loose.push(match (is_url, name) {
            (true, "") => "a URL".to_owned(),
            (true, name) => name.to_owned(),
            (false, name) => format!("{name}{}", wanted.trim_end()),
        });
    }
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    text.split_at(end)
}

/// Whether a requirement by URL says which content it means: a digest, or a commit in full.
fn is_fixed(line: &str) -> bool {
    let is_commit = |part: &str| {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        digits == COMMIT_DIGITS && !part[digits..].starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let has_digest = line.contains("--hash=") || DIGESTS.iter().any(|digest| line.contains(digest));
    has_digest || line.split('@').skip(1).any(is_commit)
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
        assert_eq!(found.loose, ["Django>=5", "x.y_z==1.*", "redis", "thing"]);
        assert_eq!(found.includes, ["requirements/base.txt", "limits.txt"]);
        assert!(!found.is_local);
    }

    #[test]
    fn what_lies_in_the_source_tree_is_known_as_such() {
        for local in [
            "-e .",
            "./lib",
            "--editable=lib",
            "mine @ file:///app/lib",
            "mine @ git+file:///app/lib@main",
            "mine @ ./lib",
            "--find-links ./wheels",
            "--find-links=wheels",
            "-f wheels",
            "-f./wheels",
            "--find-links file:///app/wheels",
            "--index-url ./simple",
            "vendor/foo-1.0-py3-none-any.whl",
            "vendor/foo",
            "vendor/foo[extra]",
            "foo-1.0-py3-none-any.whl",
            "foo-1.0.tar.gz --hash=sha256:aa",
        ] {
            let found = parse(local);
            assert!(found.is_local, "{local}");
            assert!(found.loose.is_empty() || local.contains('@'), "{local}: {found:?}");
        }
        for elsewhere in [
            "Flask==3.1.3",
            "--find-links https://example.com/wheels",
            "-f https://example.com/wheels",
            "-i https://example.com/simple",
            "--extra-index-url https://example.com/simple",
            "https://example.com/vendor/foo-1.0-py3-none-any.whl",
            "git+https://example.com/x.git@main#egg=x",
            "x @ git+https://example.com/x.git@main",
        ] {
            assert!(!parse(elsewhere).is_local, "{elsewhere}");
        }
    }

    #[test]
    fn a_url_is_exact_if_it_says_which_content_it_means() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (line, loose) in [
            ("x @ git+https://u:secret@example.com/x.git@main", Some("x")),
            (&format!("x @ git+https://example.com/x.git@{commit}"), None),
            (&format!("x @ git+https://example.com/x.git@{commit}#subdirectory=y"), None),
            (&format!("x @ git+https://example.com/x.git@{commit}0"), Some("x")),
            ("x @ git+https://example.com/x.git@0123456", Some("x")),
            ("x @ https://example.com/x.whl", Some("x")),
            ("x @ https://example.com/x.whl#sha256=aa", None),
            ("x @ https://example.com/x.whl --hash=sha256:aa", None),
            ("https://u:secret@example.com/x.whl", Some("a URL")),
            ("git+https://u:secret@example.com/x.git#egg=x&subdirectory=y", Some("x")),
        ] {
            let found = parse(line);
            assert_eq!(found.loose.first().map(String::as_str), loose, "{line}");
            assert!(found.names.iter().all(|name| name == "x"), "{line}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[a-z=<>#\\\\\n ;@.\\-\\[\\]]{0,80}") {
            let _ = parse(&text);
        }
    }
}
