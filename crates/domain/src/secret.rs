//! Values that must not be shown: config values, tokens, keys.
//!
//! A [`Secret`] has no `Display` and no serde, its `Debug` is blank, and its memory is overwritten when it is dropped. Whoever
//! needs the value calls [`Secret::expose`], which is easy to search for.

use std::fmt;
use zeroize::Zeroize;

/// A value that only [`Secret::expose`] shows.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Never pass it to a log, an error or an argument list.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Zeroize + PartialEq> PartialEq for Secret<T> {
    /// Not in constant time: fit to tell whether a config value changed, never to check a token.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Zeroize + Eq> Eq for Secret<T> {}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_blank_everywhere() {
        let secret = Secret::from("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{:?} {:#?}", secret, Some(vec![secret.clone()])).contains("hunter2"));
    }
}
