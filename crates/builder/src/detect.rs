//! Which builder an app wants: a pure decision over what its top folder holds.
//!
//! Order: Python (a lock file of its), Rust (`Cargo.toml`), Python without a lock, `Staticfile`, Node.js (`package.json`), static
//! site (an `index.html` at the top or in `public/` while the Procfile declares no `web`), and last the Procfile alone: programs
//! that need no building. Python comes first since such apps often carry a `package.json` or a `Cargo.toml` for a part of theirs;
//! the other way round is rare. What else would have fitted is told, and whoever sets
//! buildpacks overrides the order.

use crate::native::{node, python};
use domain::app_json::Described;
use domain::procfile::Procfile;

pub const CARGO_MANIFEST: &str = "Cargo.toml";
pub const CARGO_LOCK: &str = "Cargo.lock";
pub const PROCFILE: &str = "Procfile";
pub const APP_JSON: &str = "app.json";
pub const STATICFILE: &str = "Staticfile";
pub const INDEX: &str = "index.html";
pub const PUBLIC_INDEX: &str = "public/index.html";

/// What decides. Filled by reading; see [`crate::Builder::build`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Which of the names that decide are regular files.
    pub files: Vec<String>,
    pub procfile: Option<Procfile>,
    pub app_json: Described,
}

/// A builder that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detected {
    Python,
    Rust,
    Node,
    Static,
    /// Nothing is to be built: the Procfile says what to run.
    Procfile,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub builder: Detected,
    /// The file that decided, or whoever chose.
    pub because: &'static str,
    /// What else fits, and by which file.
    pub others: Vec<(Detected, &'static str)>,
}

/// No builder fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no builder knows what to do with this source. Looked in its top folder for: requirements.txt, uv.lock, poetry.lock, Pipfile.lock or \
     pyproject.toml (Python); Cargo.toml (Rust); package.json (Node.js); Staticfile, index.html or public/index.html (static site); \
     Procfile (programs that need no building). Fix: push the folder that holds one of these, or add a Procfile"
)]
pub struct NotDetected;

/// Every name that decides.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let ours = [CARGO_MANIFEST, CARGO_LOCK, STATICFILE, INDEX, PUBLIC_INDEX, PROCFILE, node::PACKAGE];
    python::LOCKS.into_iter().chain(python::MANIFESTS).chain(ours)
}

/// The builder, and why.
pub fn detect(listing: &Listing) -> Result<Choice, NotDetected> {
    let mut fitting = fitting(listing).into_iter();
    let (builder, because) = fitting.next().ok_or(NotDetected)?;
    // A Procfile is part of every kind of app, and no builder that anybody would choose over theirs.
    let others = fitting.filter(|(other, _)| *other != builder && *other != Detected::Procfile).collect();
    Ok(Choice { builder, because, others })
}

fn fitting(listing: &Listing) -> Vec<(Detected, &'static str)> {
    let has = |name: &&str| listing.files.iter().any(|file| file == name);
    let one = |name: &'static str| Some(name).filter(has);
    let declares_web = listing.procfile.as_ref().is_some_and(Procfile::has_web);
    let index = [INDEX, PUBLIC_INDEX].into_iter().find(has).filter(|_| !declares_web);
    let procfile = listing.procfile.as_ref().map(|_| PROCFILE);
    let order = [
        (Detected::Python, python::LOCKS.into_iter().find(has)),
        (Detected::Rust, one(CARGO_MANIFEST)),
        (Detected::Python, python::MANIFESTS.into_iter().find(has)),
        (Detected::Static, one(STATICFILE)),
        (Detected::Node, one(node::PACKAGE)),
        (Detected::Static, index),
        (Detected::Procfile, procfile),
    ];
    let mut fitting: Vec<(Detected, &'static str)> = Vec::new();
    for (builder, file) in order.into_iter().filter_map(|(builder, file)| Some((builder, file?))) {
        if fitting.iter().all(|(known, _)| *known != builder) {
            fitting.push((builder, file));
        }
    }
    fitting
}

impl Detected {
    pub const ALL: [Self; 5] = [Self::Python, Self::Rust, Self::Node, Self::Static, Self::Procfile];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builder| builder.name() == name)
    }

    /// As kept with the slug.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Node => "node",
            Self::Static => "static",
            Self::Procfile => "procfile",
        }
    }

    /// As told to people: "... app detected".
    pub const fn title(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Rust => "Rust",
            Self::Node => "Node.js",
            Self::Static => "Static site",
            Self::Procfile => "Procfile",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[&str], procfile: &str) -> Listing {
        Listing {
            files: files.iter().map(|name| (*name).to_owned()).collect(),
            procfile: Procfile::parse(procfile.as_bytes()).ok(),
            app_json: Described::default(),
        }
    }

    #[test]
    fn decides_in_order() {
        type Case<'a> = (&'a [&'a str], &'a str, Option<(Detected, &'a str)>);
        let cases: &[Case<'_>] = &[
            (&[], "", None),
            (&["Cargo.toml"], "", Some((Detected::Rust, "Cargo.toml"))),
            (&["Cargo.toml", "index.html", "Staticfile"], "web: x", Some((Detected::Rust, "Cargo.toml"))),
            (
                &["requirements.txt", "Cargo.toml", "package.json"],
                "",
                Some((Detected::Python, "requirements.txt")),
            ),
            (&["requirements.txt", "uv.lock", "pyproject.toml"], "", Some((Detected::Python, "uv.lock"))),
            (&["pyproject.toml", "Cargo.toml"], "", Some((Detected::Rust, "Cargo.toml"))),
            (&["pyproject.toml", "package.json"], "", Some((Detected::Python, "pyproject.toml"))),
            (&["package.json", "index.html"], "", Some((Detected::Node, "package.json"))),
            (&["package.json", "Staticfile"], "", Some((Detected::Static, "Staticfile"))),
            (&["index.html"], "", Some((Detected::Static, "index.html"))),
            (&["public/index.html"], "", Some((Detected::Static, "public/index.html"))),
            (&["index.html"], "worker: x", Some((Detected::Static, "index.html"))),
            (&["index.html"], "web: ./server", Some((Detected::Procfile, "Procfile"))),
            (&["Staticfile", "index.html"], "web: x", Some((Detected::Static, "Staticfile"))),
            (&[], "worker: x", Some((Detected::Procfile, "Procfile"))),
            (&["Cargo.lock"], "", None),
        ];
        for (files, procfile, expected) in cases {
            let choice = detect(&listing(files, procfile)).ok();
            assert_eq!(
                choice.map(|choice| (choice.builder, choice.because)),
                *expected,
                "{files:?} {procfile:?}"
            );
        }
    }

    #[test]
    fn what_else_fits_is_told() {
        let all = listing(&["requirements.txt", "package.json", "index.html"], "worker: x");
        let choice = detect(&all).expect("fits");
        let others: Vec<&str> = choice.others.iter().map(|(builder, _)| builder.name()).collect();
        assert_eq!(others, ["node", "static"]);
    }

    #[test]
    fn says_what_was_looked_for() {
        let message = NotDetected.to_string();
        for name in [CARGO_MANIFEST, STATICFILE, INDEX, PUBLIC_INDEX, PROCFILE, node::PACKAGE] {
            assert!(message.contains(name), "{message}");
        }
        assert!(python::LOCKS.iter().all(|name| message.contains(name)), "{message}");
    }
}
