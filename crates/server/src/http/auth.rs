//! Who asks: `Bearer TOKEN`, or Basic with the token as password and any user name (git, netrc, several client libraries).
//! Pure; whether a token is known is the engine's to say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::secret::Secret;
use http::{HeaderMap, header};

/// What a request shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Of Basic; `None` for Bearer and for an empty name.
    pub user: Option<String>,
    pub token: Secret<String>,
}

/// Reads the `Authorization` header; `None` if it is absent or of no use. Heroku's CLI sends `Bearer undefined` when it has none.
pub fn parse_credentials(headers: &HeaderMap) -> Option<Credentials> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let token =
            Some(rest).filter(|token| !token.is_empty() && *token != "undefined" && *token != "null")?;
        return Some(Credentials { user: None, token: Secret::from(token) });
    }
    if scheme.eq_ignore_ascii_case("basic") { parse_basic(rest) } else { None }
}

/// With an empty password, the user name is the token: `curl -u TOKEN:`.
fn parse_basic(encoded: &str) -> Option<Credentials> {
    let decoded = Secret::new(String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?);
    let (user, password) = decoded.expose().split_once(':')?;
    let (user, token) = if password.is_empty() { ("", user) } else { (user, password) };
    let user = Some(user.to_owned()).filter(|user| !user.is_empty());
    (!token.is_empty()).then(|| Credentials { user, token: Secret::from(token) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(value: &str) -> Option<(Option<String>, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().ok()?);
        parse_credentials(&headers).map(|found| (found.user, found.token.expose().clone()))
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn all_three_ways() {
        let token = |user: Option<&str>| Some((user.map(str::to_owned), "tok".to_owned()));
        for (header, expected) in [
            ("Bearer tok".to_owned(), token(None)),
            ("bearer  tok ".to_owned(), token(None)),
            (basic(":tok"), token(None)),
            (basic("heroku:tok"), token(Some("heroku"))),
            (basic("ada@example.com:tok"), token(Some("ada@example.com"))),
            (basic("tok:"), token(None)),
            (basic("a:to:k"), Some((Some("a".to_owned()), "to:k".to_owned()))),
            ("Bearer undefined".to_owned(), None),
            ("Bearer ".to_owned(), None),
            ("Bearer".to_owned(), None),
            ("Digest x".to_owned(), None),
            (basic(":"), None),
            (basic("nocolon"), None),
            ("Basic %%%".to_owned(), None),
        ] {
            assert_eq!(parsed(&header), expected, "{header}");
        }
        assert_eq!(parse_credentials(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(value in "[ -~]{0,80}") {
            if let Some((_, token)) = parsed(&value) {
                prop_assert!(!token.is_empty());
            }
        }
    }
}
