//! The one form of all results: rows of ours, a peer, theirs and the ratio. The unit is part of a case's name.

use serde::Serialize;

/// The peer of a row that is held against a figure we have set ourselves.
const GOAL: &str = "goal";

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub case: String,
    pub ours: f64,
    /// What it is compared with, if with anything.
    pub peer: Option<String>,
    pub theirs: Option<f64>,
    /// Ours divided by theirs.
    pub ratio: Option<f64>,
}

impl Row {
    /// A figure by itself.
    pub fn alone(case: &str, ours: f64) -> Self {
        Self { case: case.to_owned(), ours: round(ours), peer: None, theirs: None, ratio: None }
    }

    pub fn against(case: &str, ours: f64, peer: &str, theirs: f64) -> Self {
        let ratio = (theirs != 0.0).then(|| round(ours / theirs));
        Self { peer: Some(peer.to_owned()), theirs: Some(round(theirs)), ratio, ..Self::alone(case, ours) }
    }

    /// Reached if the ratio is at most 1.
    pub fn goal(case: &str, ours: f64, goal: f64) -> Self {
        Self::against(case, ours, GOAL, goal)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    bench: &'a str,
    rows: &'a [Row],
}

/// `{"bench","rows":[{"case","ours","peer","theirs","ratio"}]}`
pub fn render_json(bench: &str, rows: &[Row]) -> String {
    serde_json::to_string(&Report { bench, rows }).unwrap_or_default()
}

pub fn render_table(bench: &str, rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or(0).max(bench.len());
    let mut table = format!("{bench:<width$}  {:>10}  {:>10}  {:>6}  peer\n", "ours", "theirs", "ratio");
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
        let (theirs, ratio) = (number(row.theirs), number(row.ratio));
        let peer = row.peer.as_deref().unwrap_or_default();
        let line = format!("{:<width$}  {:>10.2}  {theirs:>10}  {ratio:>6}  {peer}", row.case, row.ours);
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// The middle value; of an even number the mean of the two. 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// The least value. 0 of none.
pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0)
}

/// The largest value. 0 of none.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0)
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_even_and_no_values() {
        for (values, expected) in
            [(&[][..], 0.0), (&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0, 2.0, 3.0][..], 2.5)]
        {
            assert!((median(values) - expected).abs() < f64::EPSILON, "{values:?}");
        }
    }

    #[test]
    fn rows_have_the_form_that_programs_read() {
        let rows = [Row::goal("overhead", 250.0, 500.0), Row::alone("by itself, ms", 1.23456)];
        let expected = concat!(
            r#"{"bench":"deploy","rows":[{"case":"overhead","ours":250.0,"peer":"goal","theirs":500.0,"ratio":0.5},"#,
            r#"{"case":"by itself, ms","ours":1.235,"peer":null,"theirs":null,"ratio":null}]}"#,
        );
        assert_eq!(render_json("deploy", &rows), expected);
    }

    #[test]
    fn tables_line_up() {
        let table = render_table("start", &[Row::goal("a case, ms", 3.0, 6.0), Row::alone("b, ms", 1.0)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "a case, ms        3.00        6.00    0.50  goal");
        assert_eq!(lines[2], "b, ms             1.00");
    }
}
