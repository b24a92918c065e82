//! Tables whose columns line up, whatever the text is, and fit the width there is.

use super::text::{cut, escape, width};
use super::{Look, Paint};

/// Columns are kept at least this wide when a table is made to fit.
const NARROWEST: usize = 8;
/// What stands between two columns.
const GAP: usize = 2;

/// One cell: text of any origin, and its colour.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    paint: Option<Paint>,
    right: bool,
}

impl Cell {
    /// A cell; the text is escaped.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: escape(text.as_ref()).into_owned(), paint: None, right: false }
    }

    /// The cell of a value that may be absent.
    #[must_use]
    pub fn maybe<T: ToString>(value: Option<T>) -> Self {
        value.map_or_else(|| Self::new("-"), |value| Self::new(value.to_string()))
    }

    /// The same cell in a colour.
    #[must_use]
    pub fn paint(self, paint: Paint) -> Self {
        Self { paint: Some(paint), ..self }
    }

    /// The same cell aligned to the right, for numbers.
    #[must_use]
    pub fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// A header and rows.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with a header.
    #[must_use]
    pub fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as the header.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.header.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    /// The table as text, one line for each row.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let widths = self.widths(look);
        let mut text = String::new();
        let header: Vec<Cell> = self.header.iter().map(|title| Cell::new(title).paint(Paint::Bold)).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut pending = 0;
            for (cell, &room) in row.iter().zip(&widths) {
                let shown = cut(&cell.text, room, look);
                let spare = room - width(&shown);
                let (before, after) = if cell.right { (spare, 0) } else { (0, spare) };
                // Spaces are held back until more text follows, so that no line ends with them.
                text.extend(std::iter::repeat_n(' ', pending + before));
                match cell.paint {
                    Some(paint) => text.push_str(&look.paint(paint, shown).to_string()),
                    None => text.push_str(&shown),
                }
                pending = after + GAP;
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self, look: Look) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|title| width(title)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        let Some(limit) = look.width else { return widths };
        let mut total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        // The widest column gives first: it is the one with sentences in it.
        while total > limit {
            let Some(widest) = widths.iter_mut().max() else { break };
            if *widest <= NARROWEST {
                break;
            }
            let next = (*widest - (total - limit).min(*widest - NARROWEST)).max(NARROWEST);
            total -= *widest - next;
            *widest = next;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "N", "NOTE"]);
        table.row(vec![Cell::new("web"), Cell::new("12").right(), Cell::new("a long note that has to give way")]);
        table.row(vec![Cell::new("日本"), Cell::maybe(None::<u32>).right(), Cell::new("evil\x1b[2J\nweb  fake")]);
        table
    }

    #[test]
    fn columns_line_up() {
        insta::assert_snapshot!(table().render(Look::plain()), @r"
        NAME  N   NOTE
        web   12  a long note that has to give way
        日本   -  evil\u{1b}[2J\nweb  fake
        ");
    }

    #[test]
    fn a_narrow_table_fits() {
        let text = table().render(Look { width: Some(24), ..Look::plain() });
        assert!(text.lines().all(|line| width(line) <= 24), "{text}");
        insta::assert_snapshot!(text, @r"
        NAME  N   NOTE
        web   12  a long note t…
        日本   -  evil\u{1b}[2J…
        ");
    }
}
