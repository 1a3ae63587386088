//! Columns that line up.

use super::Style;

/// Rows of cells, each column as wide as its widest cell, two blanks between.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    shown: String,
    /// Characters, escape sequences not counted.
    width: usize,
}

impl Table {
    /// Adds a row of plain cells.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.into_iter().map(|text| Cell { width: text.chars().count(), shown: text }).collect());
    }

    /// Changes how the last row's cell looks, not how wide it is.
    pub fn paint(&mut self, column: usize, paint: impl FnOnce(&str) -> String) {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            cell.shown = paint(&cell.shown);
        }
    }

    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| render_row(row, &widths)).collect()
    }
}

fn render_row(row: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line += &cell.shown;
        line.extend(std::iter::repeat_n(' ', width - cell.width + 2));
    }
    let mut line = line.trim_end().to_owned();
    line.push('\n');
    line
}

/// Names and values, the values below each other: `Owner:  ada@example.com`.
#[derive(Debug, Default)]
pub struct Fields {
    fields: Vec<(String, String)>,
}

impl Fields {
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.fields.push((name.into(), value.into()));
    }

    pub fn add_some(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Values of several lines keep their column.
    pub fn render(&self, style: Style) -> String {
        let width = self.fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 3;
        let mut text = String::new();
        for (name, value) in &self.fields {
            let filler = " ".repeat(width - name.chars().count() - 1);
            let indent = format!("\n{}", " ".repeat(width));
            text += &format!("{}{filler}{}\n", style.bold(&format!("{name}:")), value.replace('\n', &indent));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colour() {
        let mut table = Table::default();
        table.row(["v10".to_owned(), "Déploiement".to_owned(), String::new()]);
        table.row(["v9".to_owned(), "x".to_owned(), "y".to_owned()]);
        table.paint(0, |text| Style::Colour.red(text));
        assert_eq!(table.render(), "v10  Déploiement\n\u{1b}[31mv9\u{1b}[0m   x            y\n");
        assert_eq!(Table::default().render(), "");
    }

    #[test]
    fn values_line_up_over_several_lines() {
        let mut fields = Fields::default();
        fields.add("A", "1\n2");
        fields.add("Long", "3");
        fields.add_some("None", None::<String>);
        insta::assert_snapshot!(fields.render(Style::Plain), @r"
        A:     1
               2
        Long:  3
        ");
    }
}
