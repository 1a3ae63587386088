//! POSIX.1-2001 extended headers: `LENGTH KEY=VALUE\n` records. Only what changes a name, a target or a size is taken; the rest
//! (times, owners, extended attributes) is skipped.

/// What extended headers say about the next entry, or about all.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) comment: Option<Vec<u8>>,
    /// Some `GNU.sparse.*` key was seen.
    pub(crate) sparse: bool,
}

pub(crate) fn parse(mut bytes: &[u8]) -> Result<Pax, &'static str> {
    let mut pax = Pax::default();
    while !bytes.is_empty() {
        let Record { key, value, rest } = record(bytes)?;
        match key {
            b"path" => pax.path = Some(value.to_vec()),
            b"linkpath" => pax.link = Some(value.to_vec()),
            b"size" => pax.size = Some(decimal(value).ok_or("an extended header's size is not a number")?),
            b"comment" => pax.comment = Some(value.to_vec()),
            key if key.starts_with(b"GNU.sparse.") => pax.sparse = true,
            _ => {}
        }
        bytes = rest;
    }
    Ok(pax)
}

struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    /// What follows this record.
    rest: &'a [u8],
}

fn record(bytes: &[u8]) -> Result<Record<'_>, &'static str> {
    const BROKEN: &str = "an extended header's record is malformed";
    let space = bytes.iter().position(|byte| *byte == b' ').ok_or(BROKEN)?;
    let length = decimal(&bytes[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(BROKEN)?;
    let text = bytes.get(space + 1..length).ok_or(BROKEN)?;
    let text = text.strip_suffix(b"\n").ok_or(BROKEN)?;
    let equals = text.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
    Ok(Record { key: &text[..equals], value: &text[equals + 1..], rest: &bytes[length..] })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records() {
        let pax = parse(b"16 path=a/b=c d\n13 size=1024\n21 mtime=1.000000000\n").expect("parses");
        assert_eq!(pax.path.as_deref(), Some(&b"a/b=c d"[..]));
        assert_eq!(pax.size, Some(1024));
        assert!(parse(b"22 GNU.sparse.major=1\n").expect("parses").sparse);
    }

    #[test]
    fn malformed_records_are_refused() {
        let bad: &[&[u8]] = &[
            b"x",
            b"5 a=b",
            b"8 a=bc\n",
            b"99 path=a\n",
            b"1 a=b\n",
            b"0 a=b\n",
            b" a=b\n",
            b"-6 a=b\n",
            b"6 abc\n",
            b"10 size=x\n",
            b"99999999999999999999 a=b\n",
        ];
        for bytes in bad {
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(prop_oneof![b'0'..=b'9', Just(b' '), Just(b'='), Just(b'\n'), any::<u8>()], 0..80)) {
            let _ = parse(&bytes);
        }
    }
}
