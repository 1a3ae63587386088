//! Where packages are fetched from instead of the public registries.

use std::fmt;
use std::str::FromStr;

/// The mirrors of the house, each as its tools want it written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    pub pypi: Option<MirrorUrl>,
    pub npm: Option<MirrorUrl>,
    pub crates: Option<MirrorUrl>,
}

/// A registry's URL. It may hold a password: Debug hides it, and it is passed on by environments and by files of the sandbox only.
/// It can stand between the quotes of a string in TOML.
#[derive(Clone, PartialEq, Eq)]
pub struct MirrorUrl(String);

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a URL that begins with https://, http:// or sparse+https://, without blanks, quotes and backslashes"
)]
pub struct InvalidMirrorUrl;

impl MirrorUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, if the connection is not protected: tools want to be told that they may use it.
    pub fn unprotected_host(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("sparse+").unwrap_or(&self.0).strip_prefix("http://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        Some(authority.rsplit('@').next().unwrap_or(authority))
    }
}

impl FromStr for MirrorUrl {
    type Err = InvalidMirrorUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.strip_prefix("sparse+").unwrap_or(text);
        let rest = plain.strip_prefix("https://").or_else(|| plain.strip_prefix("http://"));
        let is_clean =
            !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\'));
        match rest {
            Some(rest) if is_clean && !rest.is_empty() && !rest.starts_with('/') => Ok(Self(text.to_owned())),
            Some(_) | None => Err(InvalidMirrorUrl),
        }
    }
}

impl fmt::Debug for MirrorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MirrorUrl(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_and_plain_hosts_are_known() {
        for (text, expected) in [
            ("https://mirror.example.com/simple", Some(None)),
            ("http://u:p@10.1.2.3:8080/simple", Some(Some("10.1.2.3:8080"))),
            ("sparse+http://mirror/index/", Some(Some("mirror"))),
            ("mirror.example.com", None),
            ("http://", None),
            ("https://a b", None),
            ("file:///x", None),
            ("https://a/\"\nx=\"", None),
            ("https://a/\"", None),
            ("https://a\\b/", None),
            ("https://a/\u{7}", None),
        ] {
            let parsed = text.parse::<MirrorUrl>().ok();
            assert_eq!(parsed.as_ref().map(MirrorUrl::unprotected_host), expected, "{text}");
        }
        assert!(!format!("{:?}", "http://u:secret@h/".parse::<MirrorUrl>()).contains("secret"));
    }
}
