//! The `Range` header of the Heroku Platform API: `<field> [']'value]..[value]; max=N, order=asc|desc`.
//!
//! Clients write it in a dozen ways, some with empty options, so the parser never refuses: what it cannot read falls back to the
//! default page. Paging itself is [`page`], which knows nothing of HTTP.

/// Rows of a page when the client does not say.
pub const DEFAULT_PAGE: usize = 200;
/// Rows of a page at most.
pub const MAX_PAGE: usize = 1000;

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Where a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    First,
    /// From the row with this value on.
    At(String),
    /// From the row after the one with this value on.
    After(String),
}

/// A parsed `Range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    pub field: Option<String>,
    pub start: Start,
    pub end: Option<String>,
    pub max: usize,
    /// `None`: the list's own order.
    pub order: Option<Order>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { field: None, start: Start::First, end: None, max: DEFAULT_PAGE, order: None }
    }
}

/// Reads a header's value. Total: every string gives a request.
pub fn parse_range(header: &str) -> PageRequest {
    let mut parts = header.split([';', ',']);
    let mut request = parse_bounds(parts.next().unwrap_or_default().trim());
    for option in parts {
        apply_option(&mut request, option.trim());
    }
    request
}

fn parse_bounds(text: &str) -> PageRequest {
    let mut request = PageRequest::default();
    let (field, bounds) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !field.is_empty() && field.chars().all(plain) {
        request.field = Some(field.to_owned());
    }
    let Some((from, to)) = bounds.trim().split_once("..") else { return request };
    request.start = parse_start(from.trim());
    request.end = Some(to.trim().to_owned()).filter(|end| !end.is_empty());
    request
}

fn parse_start(text: &str) -> Start {
    match text.strip_prefix(']') {
        Some("") => Start::First,
        Some(value) => Start::After(value.to_owned()),
        None if text.is_empty() => Start::First,
        None => Start::At(text.to_owned()),
    }
}

fn apply_option(request: &mut PageRequest, option: &str) {
    let Some((key, value)) = option.split_once('=') else { return };
    match (key.trim(), value.trim()) {
        ("max", value) => {
            if let Ok(max) = value.parse::<usize>() {
                request.max = max.clamp(1, MAX_PAGE);
            }
        }
        ("order", "asc") => request.order = Some(Order::Ascending),
        ("order", "desc") => request.order = Some(Order::Descending),
        _ => {}
    }
}

/// One page of a list and, if more follows, the header that asks for the rest.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<String>,
}

/// A field by which a list may be ordered: its name and its text in a row. Texts that are whole numbers compare as numbers.
pub struct Field<T> {
    pub name: &'static str,
    pub text: fn(&T) -> String,
}

/// Cuts a page out of a whole list. The first field is the default one; an unknown field means the default.
pub fn page<T>(rows: Vec<T>, fields: &[Field<T>], default_order: Order, request: &PageRequest) -> Page<T> {
    let wanted = request.field.as_deref();
    let Some(field) = fields.iter().find(|f| Some(f.name) == wanted).or_else(|| fields.first()) else {
        return Page { rows, next: None };
    };
    let order = request.order.unwrap_or(default_order);
    let mut keyed: Vec<(Key, T)> = rows.into_iter().map(|row| (Key::of(&(field.text)(&row)), row)).collect();
    keyed.sort_by(|a, b| ordered(order, &a.0, &b.0));
    keyed.retain(|(key, _)| within(order, key, request));
    let truncated = keyed.len() > request.max;
    keyed.truncate(request.max);
    let next = match keyed.last() {
        Some((last, _)) if truncated => Some(next_header(field.name, last, order, request)),
        Some(_) | None => None,
    };
    Page { rows: keyed.into_iter().map(|(_, row)| row).collect(), next }
}

fn next_header(field: &str, last: &Key, order: Order, request: &PageRequest) -> String {
    let direction = match order {
        Order::Ascending => "asc",
        Order::Descending => "desc",
    };
    let end = request.end.as_deref().unwrap_or_default();
    format!("{field} ]{}..{end}; max={}, order={direction}", last.text(), request.max)
}

fn ordered(order: Order, a: &Key, b: &Key) -> std::cmp::Ordering {
    match order {
        Order::Ascending => a.cmp(b),
        Order::Descending => b.cmp(a),
    }
}

fn within(order: Order, key: &Key, request: &PageRequest) -> bool {
    let after_start = match &request.start {
        Start::First => true,
        Start::At(value) => ordered(order, key, &Key::of(value)).is_ge(),
        Start::After(value) => ordered(order, key, &Key::of(value)).is_gt(),
    };
    let before_end = request.end.as_ref().is_none_or(|end| ordered(order, key, &Key::of(end)).is_le());
    after_start && before_end
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64, String),
    Text(String),
}

impl Key {
    fn of(text: &str) -> Self {
        match text.parse::<u64>() {
            Ok(number) => Self::Number(number, text.to_owned()),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Number(_, text) | Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(field: &str, start: Start, max: usize, order: Option<Order>) -> PageRequest {
        PageRequest { field: Some(field.to_owned()), start, end: None, max, order }
    }

    #[test]
    fn reads_what_clients_send() {
        use Order::{Ascending, Descending};
        let cases = [
            ("id ..; max=1000", request("id", Start::First, 1000, None)),
            ("version ..; order=desc,max=1", request("version", Start::First, 1, Some(Descending))),
            ("version ..; max=15, order=desc", request("version", Start::First, 15, Some(Descending))),
            ("id ..; ;", request("id", Start::First, DEFAULT_PAGE, None)),
            ("name ..; order=desc,max=2;", request("name", Start::First, 2, Some(Descending))),
            ("version ]3..; max=2, order=asc", request("version", Start::After("3".into()), 2, Some(Ascending))),
            ("id abc..; max=5000", request("id", Start::At("abc".into()), MAX_PAGE, None)),
            ("", PageRequest::default()),
            ("   ", PageRequest::default()),
            ("bytes=0-100", PageRequest::default()),
            ("id ..; max=0", request("id", Start::First, 1, None)),
            ("id ..; max=many", request("id", Start::First, DEFAULT_PAGE, None)),
        ];
        for (header, expected) in cases {
            assert_eq!(parse_range(header), expected, "{header:?}");
        }
        assert_eq!(parse_range("id a..c").end, Some("c".to_owned()));
    }

    const FIELDS: &[Field<u64>] = &[Field { name: "version", text: |n| n.to_string() }];

    #[test]
    fn numbers_order_as_numbers() {
        let found = page(vec![2, 10, 1], FIELDS, Order::Ascending, &PageRequest::default());
        assert_eq!(found, Page { rows: vec![1, 2, 10], next: None });
    }

    #[test]
    fn an_unknown_field_means_the_default() {
        let found = page(vec![2, 1], FIELDS, Order::Ascending, &parse_range("colour ..; order=desc"));
        assert_eq!(found.rows, [2, 1]);
    }

    proptest! {
        #[test]
        fn every_header_is_read(header in ".{0,200}") {
            let request = parse_range(&header);
            prop_assert!((1..=MAX_PAGE).contains(&request.max));
        }

        /// Following `Next-Range` verbatim visits every row once, in order, and then ends.
        #[test]
        fn pages_cover_the_list(count in 0u64..60, max in 1usize..20, descending: bool) {
            let order = if descending { "desc" } else { "asc" };
            let mut header = Some(format!("version ..; max={max}, order={order}"));
            let mut seen = Vec::new();
            let mut turns = 0;
            while let Some(asked) = header {
                let found = page((1..=count).collect(), FIELDS, Order::Ascending, &parse_range(&asked));
                seen.extend(found.rows);
                header = found.next;
                turns += 1;
                prop_assert!(turns <= 61);
            }
            let mut expected: Vec<u64> = (1..=count).collect();
            if descending { expected.reverse(); }
            prop_assert_eq!(seen, expected);
        }
    }
}
