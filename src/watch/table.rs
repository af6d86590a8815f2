//! A table for people: columns as wide as what is in them, the last one as it comes.

use crate::cli::{Failure, print_line};

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Nothing but headings.
    pub(super) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// One row more. Control characters are left out: what callers send is none of the terminal's orders.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| plain(&cell)));
    }

    /// Prints it.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(super) fn print(&self) -> Result<(), Failure> {
        self.lines().iter().try_for_each(print_line)
    }

    fn lines(&self) -> Vec<String> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..N).map(width).collect();
        let line = |row: &[String; N]| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// A text without control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(["A", "B"]);
        table.row(["long".to_owned(), "x\u{1b}[31m".to_owned()]);
        table.row([String::new(), "y".to_owned()]);
        assert_eq!(table.lines(), ["A     B", "long  x[31m", "      y"]);
    }
}
