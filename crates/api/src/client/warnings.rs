//! Remarks that a server makes beside an answer, in header fields as Heroku's clients know them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use ureq::http::HeaderMap;

/// Where remarks stand.
const FIELDS: [&str; 2] = ["X-Heroku-Warning", "Warning-Message"];
/// What some remarks begin with by themselves.
const PREFIX: &str = "warning";

type Listener = dyn Fn(&str) + Send + Sync;

/// Who is told of remarks, and of which already: a client asks several times, and the remark is the same.
#[derive(Clone, Default)]
pub(super) struct Warnings {
    listener: Option<Arc<Listener>>,
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Warnings {
    pub fn told_to(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)), told: Arc::default() }
    }

    pub fn observe(&self, headers: &HeaderMap) {
        let Some(listener) = &self.listener else { return };
        let values = FIELDS.iter().flat_map(|field| headers.get_all(*field));
        for text in values.map(|value| plain(&String::from_utf8_lossy(value.as_bytes()))) {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if !text.is_empty() && told.insert(text.clone()) {
                listener(&text);
            }
        }
    }
}

/// Without what would steer a terminal, and without a word that is put before it anyway.
fn plain(text: &str) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    let text = text.trim();
    match text.split_at_checked(PREFIX.len()) {
        Some((word, rest))
            if word.eq_ignore_ascii_case(PREFIX) && !rest.starts_with(char::is_alphanumeric) =>
        {
            rest.trim_start_matches(':').trim_start().to_owned()
        }
        _ => text.to_owned(),
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Warnings").field("told", &self.told).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[test]
    fn each_remark_is_told_once() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let warnings = Warnings::told_to(move |text| told.lock().expect("whole").push(text.to_owned()));
        let mut headers = HeaderMap::new();
        for (field, value) in [
            ("x-heroku-warning", "The disk is nearly full."),
            ("x-heroku-warning", "WARNING: the disk is nearly full."),
            ("warning-message", "  Warnings are rare.\u{9b}2J "),
            ("warning-message", "warning:"),
            ("x-other", "no"),
        ] {
            headers.append(field, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        warnings.observe(&headers);
        warnings.clone().observe(&headers);
        let expected = ["The disk is nearly full.", "the disk is nearly full.", "Warnings are rare.2J"];
        assert_eq!(*seen.lock().expect("whole"), expected);
    }
}
