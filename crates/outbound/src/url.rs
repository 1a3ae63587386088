//! An https address, taken apart no further than needed: host, port, the rest. Pure.

use std::fmt;
use std::str::FromStr;

/// Longer ones are refused.
const LIMIT_BYTES: usize = 8 * 1024;

/// `https://HOST[:PORT]/PATH[?QUERY]`. Shown without what may be secret: path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port as written.
    authority: String,
    /// Begins with `/`.
    path: String,
}

/// What is wrong with an address. It is not repeated: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("the address does not begin with https://")]
    NotHttps,
    #[error(
        "the address holds a user name or password; put the secret into the path or query, or use a plain address"
    )]
    UserInfo,
    #[error("the address names no host, or holds characters that addresses do not have")]
    Malformed,
    #[error("the address is longer than {LIMIT_BYTES} bytes")]
    TooLong,
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if text.len() > LIMIT_BYTES {
            return Err(BadUrl::TooLong);
        }
        let scheme = text.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let rest = &text[scheme.ok_or(BadUrl::NotHttps)?.len()..];
        if !rest
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`'))
        {
            return Err(BadUrl::Malformed);
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(BadUrl::UserInfo);
        }
        check_authority(authority)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { authority: authority.to_owned(), path })
    }
}

fn check_authority(authority: &str) -> Result<(), BadUrl> {
    let (host, port) = split_port(authority);
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sound = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    let ported = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if sound && ported { Ok(()) } else { Err(BadUrl::Malformed) }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

impl Url {
    /// Without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = split_port(&self.authority).0;
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// `HOST[:PORT]` as written.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Without the query.
    pub fn path(&self) -> &str {
        self.path.split_once('?').map_or(&self.path, |(path, _)| path)
    }

    /// The whole, for the request itself.
    pub fn expose(&self) -> String {
        format!("https://{}{}", self.authority, self.path)
    }

    /// Where a redirect leads: an address, or a path on the same host.
    pub fn redirected(&self, location: &str) -> Result<Self, BadUrl> {
        if location.contains("://") {
            return location.parse();
        }
        if let Some(rest) = location.strip_prefix("//") {
            return format!("https://{rest}").parse();
        }
        let path = match location.strip_prefix('/') {
            Some(_) => location.to_owned(),
            None => {
                let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{folder}/{location}")
            }
        };
        format!("https://{}{path}", self.authority).parse()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn parts() {
        for (text, host, path) in [
            ("https://a.example", "a.example", "/"),
            ("HTTPS://a.example:8443/x/y?z=1#f", "a.example", "/x/y"),
            ("https://[::1]:1/x", "::1", "/x"),
            ("https://a.example?q", "a.example", "/"),
        ] {
            assert_eq!((url(text).host(), url(text).path()), (host, path), "{text}");
        }
        assert_eq!(url("https://a.example/x?token=s").to_string(), "https://a.example");
        assert_eq!(format!("{:?}", url("https://a.example/x?token=s")), "https://a.example");
    }

    #[test]
    fn what_is_no_plain_https_address_is_refused() {
        for (text, expected) in [
            ("http://a.example/x", BadUrl::NotHttps),
            ("file:///etc/passwd", BadUrl::NotHttps),
            ("ftp", BadUrl::NotHttps),
            ("", BadUrl::NotHttps),
            ("https://user:pw@a.example/", BadUrl::UserInfo),
            ("https://a.example@127.0.0.1/", BadUrl::UserInfo),
            ("https:///x", BadUrl::Malformed),
            ("https://a.example:99999/", BadUrl::Malformed),
            ("https://a.example:/", BadUrl::Malformed),
            ("https://a.example/ x", BadUrl::Malformed),
            ("https://a.example/\r\nX: y", BadUrl::Malformed),
            ("https://a.example\\@b/", BadUrl::Malformed),
            ("https://[::1/", BadUrl::Malformed),
            (&format!("https://a.example/{}", "x".repeat(9000)), BadUrl::TooLong),
        ] {
            assert_eq!(text.parse::<Url>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn redirects() {
        let from = url("https://a.example:8443/x/y?z");
        for (location, expected) in [
            ("https://b.example/q", "https://b.example/q"),
            ("//b.example/q", "https://b.example/q"),
            ("/q?r", "https://a.example:8443/q?r"),
            ("q", "https://a.example:8443/x/q"),
        ] {
            assert_eq!(from.redirected(location).unwrap().expose(), expected);
        }
        for bad in ["http://b.example/", "file:///etc/passwd", "//u@b/"] {
            assert!(from.redirected(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(https://)?[ -~]{0,60}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(url.expose().parse::<Url>(), Ok(url));
            }
        }
    }
}
