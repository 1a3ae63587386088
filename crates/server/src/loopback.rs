//! URLs of backing services that name the loopback. Pure.
//!
//! A config var may hold anything, and an app may well reach another process of its own there, so nothing is refused: whoever sets it
//! is told. It is the commonest slip of those who bring a `.env` file to a server.

use domain::names::ConfigKey;
use std::net::IpAddr;

/// What to say about a config var, if it is such a URL. The value itself is not shown: it holds passwords.
pub fn notice(key: &ConfigKey, value: &str) -> Option<String> {
    let host = host_of(value).filter(|host| is_loopback(host))?;
    Some(format!(
        "{key} names {host}: an app with a network of its own finds only itself there, none of the machine's services. Fix: run the \
         service on another machine, or in a container or network namespace with an address of its own, and name that."
    ))
}

/// The host of `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/...]`, without the brackets of an address of IPv6.
fn host_of(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim().split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    let authority = rest.split(['/', '?', '#']).next().filter(|_| is_scheme)?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => host.split(':').next(),
    }
}

/// `*.localhost` is by RFC 6761 section 6.3.
fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let by_address = |address: IpAddr| address.to_canonical().is_loopback();
    name == "localhost" || name.ends_with(".localhost") || host.parse().is_ok_and(by_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_loopback_are_told_and_nothing_else() {
        for (value, expected) in [
            ("redis://localhost:6379/0", Some("localhost")),
            ("redis://:secret@127.0.0.1", Some("127.0.0.1")),
            ("postgresql://shop:a@b@[::1]:5432/shop?x=y", Some("::1")),
            ("http://[::ffff:127.0.0.1]/", Some("::ffff:127.0.0.1")),
            ("postgres://u:p@LOCALHOST/db", Some("LOCALHOST")),
            ("http://db.localhost:80", Some("db.localhost")),
            ("amqp://127.9.9.9", Some("127.9.9.9")),
            ("http://0.0.0.0:8080", None),
            ("redis://10.0.0.5:6379", None),
            ("redis://localhost.example.com", None),
            ("redis://127.example.com", None),
            ("https://example.com/?next=http://localhost", None),
            ("the words ://localhost", None),
            ("localhost", None),
            ("postgresql:///shop", None),
        ] {
            let told = notice(&"SOME_URL".parse().unwrap(), value);
            let names = expected.map(|host| format!("SOME_URL names {host}: "));
            assert_eq!(told.is_some(), names.is_some(), "{value}");
            assert!(told.zip(names).is_none_or(|(told, names)| told.starts_with(&names)), "{value}");
        }
        let told = notice(&"SOME_URL".parse().unwrap(), "redis://:secret@localhost").unwrap();
        assert!(told.contains("Fix: ") && !told.contains("secret"), "{told}");
    }
}
