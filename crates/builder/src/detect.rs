//! Which builder an app wants: a pure decision over what its top folder holds.
//!
//! Order: Rust (`Cargo.toml`), static site (`Staticfile`, or an `index.html` at the top or in `public/` while the Procfile
//! declares no `web`), and last the Procfile alone: programs that need no building.

use domain::procfile::Procfile;

pub const CARGO_MANIFEST: &str = "Cargo.toml";
pub const CARGO_LOCK: &str = "Cargo.lock";
pub const PROCFILE: &str = "Procfile";
pub const STATICFILE: &str = "Staticfile";
pub const INDEX: &str = "index.html";
pub const PUBLIC_INDEX: &str = "public/index.html";

/// What decides. Filled by reading; see [`crate::Builder::build`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Which of the names above are regular files.
    pub files: Vec<String>,
    pub procfile: Option<Procfile>,
}

/// A builder that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detected {
    Rust,
    Static,
    /// Nothing is to be built: the Procfile says what to run.
    Procfile,
}

/// No builder fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no builder knows what to do with this source. Looked in its top folder for: Cargo.toml (Rust); Staticfile, index.html or \
     public/index.html (static site); Procfile (programs that need no building). Fix: push the folder that holds one of these, \
     or add a Procfile"
)]
pub struct NotDetected;

/// The builder, and why: the file that decided.
pub fn detect(listing: &Listing) -> Result<(Detected, &'static str), NotDetected> {
    let has = |name: &str| listing.files.iter().any(|file| file == name);
    let declares_web = listing.procfile.as_ref().is_some_and(Procfile::has_web);
    if has(CARGO_MANIFEST) {
        return Ok((Detected::Rust, CARGO_MANIFEST));
    }
    if has(STATICFILE) {
        return Ok((Detected::Static, STATICFILE));
    }
    if !declares_web && let Some(index) = [INDEX, PUBLIC_INDEX].into_iter().find(|index| has(index)) {
        return Ok((Detected::Static, index));
    }
    if listing.procfile.is_some() { Ok((Detected::Procfile, PROCFILE)) } else { Err(NotDetected) }
}

impl Detected {
    pub const ALL: [Self; 3] = [Self::Rust, Self::Static, Self::Procfile];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builder| builder.name() == name)
    }

    /// As kept with the slug.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Static => "static",
            Self::Procfile => "procfile",
        }
    }

    /// As told to people: "... app detected".
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
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
        }
    }

    #[test]
    fn decides_in_order() {
        type Case<'a> = (&'a [&'a str], &'a str, Option<(Detected, &'a str)>);
        let cases: &[Case<'_>] = &[
            (&[], "", None),
            (&["Cargo.toml"], "", Some((Detected::Rust, "Cargo.toml"))),
            (&["Cargo.toml", "index.html", "Staticfile"], "web: x", Some((Detected::Rust, "Cargo.toml"))),
            (&["index.html"], "", Some((Detected::Static, "index.html"))),
            (&["public/index.html"], "", Some((Detected::Static, "public/index.html"))),
            (&["index.html"], "worker: x", Some((Detected::Static, "index.html"))),
            (&["index.html"], "web: ./server", Some((Detected::Procfile, "Procfile"))),
            (&["Staticfile", "index.html"], "web: x", Some((Detected::Static, "Staticfile"))),
            (&[], "worker: x", Some((Detected::Procfile, "Procfile"))),
            (&["Cargo.lock"], "", None),
        ];
        for (files, procfile, expected) in cases {
            assert_eq!(detect(&listing(files, procfile)).ok(), *expected, "{files:?} {procfile:?}");
        }
    }

    #[test]
    fn says_what_was_looked_for() {
        let message = NotDetected.to_string();
        for name in [CARGO_MANIFEST, STATICFILE, INDEX, PUBLIC_INDEX, PROCFILE] {
            assert!(message.contains(name), "{message}");
        }
    }
}
