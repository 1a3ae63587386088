//! "Did you mean ...?"

/// The candidate nearest to what was typed, if one is near: at most a third of its letters differ.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    let scored = candidates.into_iter().map(|candidate| (distance(typed, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut least = replaced.min(last[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut last, line);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_the_smallest_number_of_changes() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("hello", "hello", 0),
            ("hallo", "hello", 1),
            ("ehllo", "hello", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let apps = ["hello", "shop", "static-site"];
        for (typed, expected) in [
            ("hallo", Some("hello")),
            ("helo", Some("hello")),
            ("statik-site", Some("static-site")),
            ("blog", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, apps), expected, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_bounded(from in "[a-d]{0,8}", to in "[a-d]{0,8}") {
            let changes = distance(&from, &to);
            prop_assert_eq!(changes, distance(&to, &from));
            prop_assert!(changes <= from.len().max(to.len()));
            prop_assert_eq!(changes == 0, from == to);
        }
    }
}
