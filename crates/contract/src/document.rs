//! The statements of the contract, as its document has them, and whether each is accounted for.

use crate::elsewhere::ELSEWHERE;
use crate::scenes::SCENES;
use std::collections::{BTreeMap, BTreeSet};

/// The document that this program was built with.
pub const TEXT: &str = include_str!("../../../docs/reference/runtime-contract.md");

/// The statements by number, each in one line.
pub fn statements(document: &str) -> BTreeMap<u16, String> {
    let mut found = BTreeMap::new();
    let mut open: Option<u16> = None;
    for line in document.lines() {
        if let Some((number, text)) = begins(line) {
            found.insert(number, text.to_owned());
            open = Some(number);
        } else if let (Some(number), Some(more)) = (open, line.strip_prefix("  ")) {
            let text: &mut String = found.entry(number).or_default();
            text.push(' ');
            text.push_str(more.trim());
        } else {
            open = None;
        }
    }
    found
}

/// `- **C-20** The log of ...`
fn begins(line: &str) -> Option<(u16, &str)> {
    let (number, text) = line.strip_prefix("- **C-")?.split_once("**")?;
    Some((number.parse().ok()?, text.trim()))
}

/// What does not fit together: a statement that nothing shows, something that shows no statement, or a number that is taken twice.
pub fn misfits(document: &str) -> Vec<String> {
    let stated: BTreeSet<u16> = statements(document).into_keys().collect();
    let vectors = SCENES.iter().flat_map(|scene| scene.vectors).map(|vector| vector.number);
    let shown: Vec<u16> = vectors.chain(ELSEWHERE.iter().map(|(number, _)| *number)).collect();
    let once: BTreeSet<u16> = shown.iter().copied().collect();
    let unshown = stated
        .difference(&once)
        .map(|number| format!("C-{number:02} has no vector, and no test elsewhere is named for it"));
    let unstated = once.difference(&stated).map(|number| format!("C-{number:02} is shown, but not stated"));
    let mut misfits: Vec<String> = unshown.chain(unstated).collect();
    for number in once.iter().filter(|number| shown.iter().filter(|other| other == number).count() > 1) {
        misfits.push(format!("C-{number:02} is shown twice"));
    }
    misfits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_whole() {
        let text = "# The\n\n- **C-01** One\n  and `more`.\n- **C-130** Two.\n\nRest\n  of it\n";
        let found: Vec<(u16, String)> = statements(text).into_iter().collect();
        assert_eq!(found, [(1, "One and `more`.".to_owned()), (130, "Two.".to_owned())]);
    }

    #[test]
    fn every_statement_is_shown_once() {
        assert_eq!(misfits(TEXT), [""; 0]);
        assert!(statements(TEXT).len() > 40);
    }

    #[test]
    fn a_misfit_is_told() {
        let told = misfits("- **C-999** Nobody shows this.\n");
        assert!(told.iter().any(|line| line.starts_with("C-999 has no vector")), "{told:?}");
        assert!(told.contains(&"C-20 is shown, but not stated".to_owned()), "{told:?}");
    }
}
