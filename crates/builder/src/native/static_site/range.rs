//! The `Range` header (RFC 9110 section 14): one range of bytes. Several ranges, other units and malformed ones are answered with
//! the whole file, as the RFC allows.

/// What part of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// First byte and number of bytes, inside the file and not empty.
    Piece {
        first: u64,
        length: u64,
    },
    /// The range begins past the end: 416.
    Outside,
}

pub(super) fn parse(header: Option<&str>, size: u64) -> Part {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Some(first), _)
            if first >= size && (last.is_empty() || number(last).is_some_and(|last| last >= first)) =>
        {
            Part::Outside
        }
        (Some(first), None) if last.is_empty() => Part::Piece { first, length: size - first },
        (Some(first), Some(last)) if first <= last => {
            Part::Piece { first, length: last.min(size - 1) - first + 1 }
        }
        (None, Some(0)) if first.is_empty() => Part::Outside,
        (None, Some(_)) if first.is_empty() && size == 0 => Part::Outside,
        (None, Some(length)) if first.is_empty() => {
            Part::Piece { first: size.saturating_sub(length), length: length.min(size) }
        }
        (None | Some(_), None | Some(_)) => Part::Whole,
    }
}

fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Larger than any file is as good as the largest number.
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges() {
        let piece = |first, length| Part::Piece { first, length };
        let cases = [
            ("bytes=0-0", piece(0, 1)),
            ("bytes=2-5", piece(2, 4)),
            ("bytes=5-", piece(5, 5)),
            ("bytes=5-99", piece(5, 5)),
            ("bytes=-3", piece(7, 3)),
            ("bytes=-99", piece(0, 10)),
            ("bytes=10-", Part::Outside),
            ("bytes=10-12", Part::Outside),
            ("bytes=99999999999999999999-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=5-2", Part::Whole),
            ("bytes=12-11", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=1-2", Part::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(Some(header), 10), expected, "{header}");
        }
        assert_eq!(parse(None, 10), Part::Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), Part::Outside);
    }

    proptest! {
        #[test]
        fn pieces_lie_inside(header in "(bytes=)?[0-9]{0,3}-?[0-9]{0,21}", size in 0_u64..300) {
            if let Part::Piece { first, length } = parse(Some(&header), size) {
                prop_assert!(length > 0 && first < size && first + length <= size, "{} {} of {}", first, length, size);
            }
        }
    }
}
