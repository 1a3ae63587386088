//! Paging by the `Range` and `Next-Range` headers: `version ]12..; max=200, order=desc`. Clients write it in many ways, so it
//! is read leniently: what is not understood falls back to the default and is never an error.

use std::fmt;

/// Items in an answer when the request does not say.
pub const DEFAULT_MAX: usize = 200;
/// Most items in an answer, whatever the request says.
pub const LARGEST_MAX: usize = 1000;

/// What a `Range` request header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRequest {
    /// The field to order by; empty for the noun's default. A field that the noun does not know is treated as empty.
    pub field: String,
    pub start: Start,
    /// The last value wanted, inclusive.
    pub end: Option<String>,
    pub max: usize,
    pub order: Order,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    First,
    /// At this value.
    At(String),
    /// Behind this value: `]value..`.
    After(String),
}

/// In which order a page goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl Default for RangeRequest {
    fn default() -> Self {
        Self {
            field: String::new(),
            start: Start::First,
            end: None,
            max: DEFAULT_MAX,
            order: Order::Ascending,
        }
    }
}

impl RangeRequest {
    /// The newest `max` by `field`.
    pub fn newest(field: &str, max: usize) -> Self {
        Self { field: field.to_owned(), max, order: Order::Descending, ..Self::default() }
    }

    /// Reads a header's value. Never fails.
    pub fn parse(header: &str) -> Self {
        let mut parts = header.split(';');
        let range = Self::parse_range(parts.next().unwrap_or_default().trim());
        parts.flat_map(|part| part.split(',')).fold(range, Self::with_option)
    }

    fn parse_range(text: &str) -> Self {
        let (field, bounds) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (start, end) = bounds.split_once("..").unwrap_or(("", ""));
        Self {
            field: field.trim_matches('.').to_owned(),
            start: parse_start(start.trim()),
            end: filled(end),
            ..Self::default()
        }
    }

    fn with_option(mut self, option: &str) -> Self {
        match option.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("max", value)) => {
                self.max = value.parse().map_or(DEFAULT_MAX, |max: usize| max.clamp(1, LARGEST_MAX));
            }
            Some(("order", "desc")) => self.order = Order::Descending,
            Some(("order", "asc")) => self.order = Order::Ascending,
            Some(_) | None => {}
        }
        self
    }

    /// The `Next-Range` of a page that ends with an item whose field has this value. To be sent (with status 206) only if
    /// more items follow: clients go on for as long as it is there.
    #[must_use]
    pub fn next_after(&self, last: &str) -> Self {
        Self { start: Start::After(last.to_owned()), ..self.clone() }
    }
}

fn parse_start(text: &str) -> Start {
    match text.strip_prefix(']') {
        Some(value) if !value.is_empty() => Start::After(value.to_owned()),
        Some(_) => Start::First,
        None => filled(text).map_or(Start::First, Start::At),
    }
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl fmt::Display for RangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bracket, start) = match &self.start {
            Start::First => ("", ""),
            Start::At(value) => ("", value.as_str()),
            Start::After(value) => ("]", value.as_str()),
        };
        let field = if self.field.is_empty() { "id" } else { &self.field };
        let end = self.end.as_deref().unwrap_or_default();
        write!(f, "{field} {bracket}{start}..{end}; max={}", self.max)?;
        match self.order {
            Order::Ascending => Ok(()),
            Order::Descending => f.write_str(", order=desc"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_forms_clients_write() {
        let default = RangeRequest::default;
        let field = |field: &str| RangeRequest { field: field.to_owned(), ..default() };
        for (header, expected) in [
            ("", default()),
            ("id ..; max=1000", RangeRequest { max: 1000, ..field("id") }),
            ("version ..; order=desc,max=1", RangeRequest::newest("version", 1)),
            ("version ..; max=15, order=desc", RangeRequest::newest("version", 15)),
            ("id ..; ;", field("id")),
            ("domain ..; ;", field("domain")),
            ("name ..; order=desc,max=2;", RangeRequest::newest("name", 2)),
            (
                "id ]abc..; max=5",
                RangeRequest { start: Start::After("abc".to_owned()), max: 5, ..field("id") },
            ),
            (
                "id a..z",
                RangeRequest { start: Start::At("a".to_owned()), end: Some("z".to_owned()), ..field("id") },
            ),
            ("version ..; max=0", RangeRequest { max: 1, ..field("version") }),
            ("version ..; max=99999", RangeRequest { max: LARGEST_MAX, ..field("version") }),
            ("version ..; max=x", field("version")),
            ("garbage", field("garbage")),
        ] {
            assert_eq!(RangeRequest::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn a_next_range_is_what_clients_send_back() {
        let next = RangeRequest::newest("version", 2).next_after("7");
        assert_eq!(next.to_string(), "version ]7..; max=2, order=desc");
        assert_eq!(RangeRequest::parse(&next.to_string()), next);
    }

    proptest! {
        #[test]
        fn any_header_is_read(header in ".*") {
            let range = RangeRequest::parse(&header);
            prop_assert!((1..=LARGEST_MAX).contains(&range.max));
        }

        #[test]
        fn what_is_written_is_read_back(
            field in "[a-z_]{1,12}", after in "[A-Za-z0-9@._-]{1,20}[a-z0-9]", max in 1..=LARGEST_MAX, descending: bool
        ) {
            prop_assume!(!after.contains(".."));
            let order = if descending { Order::Descending } else { Order::Ascending };
            let range = RangeRequest { field, start: Start::After(after), end: None, max, order };
            prop_assert_eq!(RangeRequest::parse(&range.to_string()), range);
        }
    }
}
