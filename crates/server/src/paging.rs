//! Cuts a page out of a whole list, as `Range` asks. Knows nothing of HTTP; reading and writing the header is `api::page`'s.

use api::page::{Order, RangeRequest, Start};
use std::cmp::Ordering;

/// One page and, if more rows follow, the range that asks for them.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<RangeRequest>,
}

/// A field by which a list may be ordered: its name and its text in a row. Texts that are whole numbers compare as numbers.
pub struct Field<T> {
    pub name: &'static str,
    pub text: fn(&T) -> String,
}

/// The first field is the default; an unknown one means the default.
pub fn page<T>(rows: Vec<T>, fields: &[Field<T>], request: &RangeRequest) -> Page<T> {
    let Some(field) = fields.iter().find(|f| f.name == request.field).or_else(|| fields.first()) else {
        return Page { rows, next: None };
    };
    let mut keyed: Vec<(Key, T)> = rows.into_iter().map(|row| (Key::of(&(field.text)(&row)), row)).collect();
    keyed.sort_by(|a, b| ordered(request.order, &a.0, &b.0));
    keyed.retain(|(key, _)| within(key, request));
    let truncated = keyed.len() > request.max;
    keyed.truncate(request.max);
    let named = RangeRequest { field: field.name.to_owned(), ..request.clone() };
    let next = keyed.last().filter(|_| truncated).map(|(last, _)| named.next_after(last.text()));
    Page { rows: keyed.into_iter().map(|(_, row)| row).collect(), next }
}

fn ordered(order: Order, a: &Key, b: &Key) -> Ordering {
    match order {
        Order::Ascending => a.cmp(b),
        Order::Descending => b.cmp(a),
    }
}

fn within(key: &Key, request: &RangeRequest) -> bool {
    let against = |value: &str| ordered(request.order, key, &Key::of(value));
    let started = match &request.start {
        Start::First => true,
        Start::At(value) => against(value).is_ge(),
        Start::After(value) => against(value).is_gt(),
    };
    started && request.end.as_ref().is_none_or(|end| against(end).is_le())
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

    const FIELDS: &[Field<u64>] = &[Field { name: "version", text: |n| n.to_string() }];

    #[test]
    fn numbers_order_as_numbers() {
        let found = page(vec![2, 10, 1], FIELDS, &RangeRequest::default());
        assert_eq!(found, Page { rows: vec![1, 2, 10], next: None });
    }

    #[test]
    fn bounds_and_unknown_fields() {
        for (header, expected) in [
            ("colour ..; order=desc", vec![4, 3, 2, 1]),
            ("version 2..3", vec![2, 3]),
            ("version ]2..", vec![3, 4]),
            ("version 3..; order=desc", vec![3, 2, 1]),
            ("version ]9..", vec![]),
        ] {
            assert_eq!(
                page(vec![2, 1, 4, 3], FIELDS, &RangeRequest::parse(header)).rows,
                expected,
                "{header}"
            );
        }
    }

    proptest! {
        /// Following `Next-Range` verbatim visits every row once, in order, and then ends.
        #[test]
        fn pages_cover_the_list(count in 0u64..60, max in 1usize..20, descending: bool) {
            let order = if descending { "desc" } else { "asc" };
            let mut header = Some(format!("version ..; max={max}, order={order}"));
            let (mut seen, mut turns) = (Vec::new(), 0);
            while let Some(asked) = header {
                let found = page((1..=count).collect(), FIELDS, &RangeRequest::parse(&asked));
                seen.extend(found.rows);
                header = found.next.map(|next| next.to_string());
                turns += 1;
                prop_assert!(turns <= 61);
            }
            let mut expected: Vec<u64> = (1..=count).collect();
            if descending { expected.reverse(); }
            prop_assert_eq!(seen, expected);
        }
    }
}
