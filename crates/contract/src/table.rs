//! The table at the end. Pure.

use crate::elsewhere::ELSEWHERE;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Most characters of a statement in its row.
const SHOWN_CHARACTERS: usize = 84;

/// One vector, when it is over.
#[derive(Debug)]
pub struct Row {
    pub number: u16,
    pub verdict: Verdict,
    pub took: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Held,
    NotApplicable(String),
    Failed(String),
}

/// A row for each statement that was tried, and, if `whole`, one for each that a test elsewhere shows.
pub fn render(rows: &[Row], statements: &BTreeMap<u16, String>, whole: bool) -> String {
    let mut lines: BTreeMap<u16, String> = BTreeMap::new();
    if whole {
        for (number, test) in ELSEWHERE {
            lines.insert(*number, format!("elsewhere        -  {}  [{test}]", short(statements, *number)));
        }
    }
    for row in rows {
        lines.insert(row.number, render_row(row, statements));
    }
    let mut table = "\nThe runtime contract\n".to_owned();
    for (number, line) in lines {
        // A String takes everything.
        let _ = writeln!(table, "C-{number:02}  {line}");
    }
    table + &summary(rows)
}

fn render_row(row: &Row, statements: &BTreeMap<u16, String>) -> String {
    let (word, rest) = match &row.verdict {
        Verdict::Held => ("held", String::new()),
        Verdict::NotApplicable(reason) => ("not applicable", format!(" ({reason})")),
        Verdict::Failed(_) => ("FAILED", String::new()),
    };
    format!("{word:<9} {:>6.1} s  {}{rest}", row.took.as_secs_f64(), short(statements, row.number))
}

fn summary(rows: &[Row]) -> String {
    let count = |is: fn(&Verdict) -> bool| rows.iter().filter(|row| is(&row.verdict)).count();
    let held = count(|verdict| *verdict == Verdict::Held);
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let not_applicable = count(|verdict| matches!(verdict, Verdict::NotApplicable(_)));
    format!("{held} held, {failed} failed, {not_applicable} not applicable\n")
}

/// The beginning of a statement, cut between words.
fn short(statements: &BTreeMap<u16, String>, number: u16) -> String {
    let text = statements.get(&number).map_or("(not stated)", String::as_str);
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{} ...", &cut[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_what_came_of_statements() {
        let statements = [(1, "One.".to_owned()), (20, "word ".repeat(40)), (54, "Three.".to_owned())].into();
        let row = |number, verdict| Row { number, verdict, took: Duration::from_millis(1230) };
        let rows = [
            row(1, Verdict::Held),
            row(20, Verdict::Failed("why".to_owned())),
            row(54, Verdict::NotApplicable("the operator has set no budget".to_owned())),
        ];
        let long = format!("C-20  FAILED       1.2 s  {}...", "word ".repeat(16));
        assert_eq!(
            render(&rows, &statements, false).lines().collect::<Vec<_>>(),
            [
                "",
                "The runtime contract",
                "C-01  held         1.2 s  One.",
                &long,
                "C-54  not applicable    1.2 s  Three. (the operator has set no budget)",
                "1 held, 1 failed, 1 not applicable",
            ]
        );
        assert!(render(&[], &statements, true).contains("elsewhere"));
    }
}
