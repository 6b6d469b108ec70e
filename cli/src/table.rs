//! Tables: columns as wide as their cells, or, while a table grows, as wide as their widest cell so far.

use coroner_diagnosis::messages::Message;

use crate::{
    messages::notes,
    out::Out,
    page::{Look, Span, span},
};

/// What is left of the last column before others are hidden for it.
const LEAST_TEXT: usize = 24;

/// The name of a column.
pub(crate) type Name = fn() -> Message;

/// A table: its columns' names, and rows of as many cells.
#[derive(Debug)]
pub(crate) struct Table {
    names: Vec<Message>,
    /// Columns that may be hidden where the terminal is too narrow, the first ones first.
    optional: &'static [Name],
    rows: Vec<Vec<Span>>,
    widths: Vec<usize>,
    /// Which columns are hidden.
    hidden: Vec<bool>,
    /// Whether it was noted that the last column is cut.
    cut_noted: bool,
}

impl Table {
    pub(crate) fn new(names: Vec<Message>) -> Self {
        let (widths, hidden) = (vec![0; names.len()], vec![false; names.len()]);
        Self { names, optional: &[], rows: Vec::new(), widths, hidden, cut_noted: false }
    }

    /// Lets these columns be hidden where they do not fit.
    pub(crate) fn hiding(self, optional: &'static [Name]) -> Self {
        Self { optional, ..self }
    }

    /// Makes a column at least so wide from the beginning: for a table that grows.
    pub(crate) fn at_least(mut self, widths: &[(Name, usize)]) -> Self {
        for (name, width) in self.names.iter().zip(&mut self.widths) {
            *width = widths.iter().find(|(known, _)| known() == *name).map_or(0, |(_, width)| *width);
        }
        self
    }

    /// Adds a row of as many cells as there are columns. An empty cell is shown as `-`.
    pub(crate) fn push(&mut self, row: Vec<Span>) {
        for (cell, width) in row.iter().zip(&mut self.widths) {
            *width = cell.columns().max(*width);
        }
        self.rows.push(row);
    }

    /// All of it, with the line of names if the output has one. Which columns do not fit is noted on stderr.
    pub(crate) fn render(mut self, out: &Out) -> String {
        self.take(out, out.headers)
    }

    /// The rows that were added since the last time. Columns get wider, never narrower, and stay hidden.
    pub(crate) fn take(&mut self, out: &Out, headers: bool) -> String {
        for (name, width) in self.names.iter().zip(&mut self.widths) {
            *width = (*width).max(if out.headers { heading(name, out).columns() } else { 1 });
        }
        if out.cut
            && let Some(note) = self.fit(out)
        {
            out.note(&note);
        }
        let mut page = out.page();
        let header = headers.then(|| self.names.iter().map(|name| heading(name, out)).collect());
        for row in header.iter().chain(&self.rows) {
            let shown = self.hidden.iter().zip(row.iter().map(Span::or_dash).zip(self.widths.iter().copied()));
            let cells = shown.filter(|(hidden, _)| !**hidden).map(|(_, cell)| cell);
            page.columns(&cells.collect::<Vec<_>>(), out.cut);
        }
        self.rows.clear();
        page.into_text()
    }

    /// Hides what does not fit. The note if that hides a column that was shown, or first cuts the last one.
    fn fit(&mut self, out: &Out) -> Option<Message> {
        let hides = self.hide(out.width);
        let last = self.widths.last().copied().unwrap_or_default();
        let cuts = self.hidden.last() == Some(&false) && self.needed_beside(last) > out.width;
        let is_news = hides || cuts && !std::mem::replace(&mut self.cut_noted, cuts);
        let names = self.names.iter().zip(&self.hidden).filter(|(_, hidden)| **hidden);
        let hidden: Vec<String> = names.map(|(name, _)| out.text(name)).collect();
        let last = || self.names.last().map_or_else(String::new, |name| out.text(name));
        is_news.then(|| match (hidden.is_empty(), cuts) {
            (true, _) => notes::column_cut(last()),
            (false, false) => notes::columns_hidden(hidden),
            (false, true) => notes::columns_hidden_and_cut(hidden, last()),
        })
    }

    /// Hides optional columns until the rest fits; true if that hides any that were shown.
    fn hide(&mut self, width: usize) -> bool {
        let mut changed = false;
        for name in self.optional {
            if self.needed() <= width {
                break;
            }
            for (known, hidden) in self.names.iter().zip(&mut self.hidden) {
                changed |= *known == name() && !std::mem::replace(hidden, *known == name() || *hidden);
            }
        }
        changed
    }

    /// Columns that it takes, with two blanks between its columns, and no more of the last than it takes to be of use.
    fn needed(&self) -> usize {
        self.needed_beside(LEAST_TEXT)
    }

    /// The same with so many columns of the last one, or fewer if it is narrower.
    fn needed_beside(&self, of_last: usize) -> usize {
        let last = self.widths.len().saturating_sub(1);
        let shown = self.widths.iter().zip(&self.hidden).enumerate().filter(|(_, (_, hidden))| !**hidden);
        let widths = shown.map(|(index, (width, _))| if index == last { of_last.min(*width) } else { *width });
        widths.map(|width| width + 2).sum::<usize>().saturating_sub(2)
    }
}

/// The name of a column in the reader's language.
fn heading(name: &Message, out: &Out) -> Span {
    span(Look::Faint, &out.text(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        messages::command::{column_cause, column_name, column_node, column_summary},
        testing,
    };

    fn table() -> Table {
        let mut table =
            Table::new([column_name, column_cause, column_node, column_summary].map(|name: Name| name()).to_vec())
                .hiding(&[column_node, column_summary]);
        let cells =
            ["a-pod-with-a-long-name", "OOM_CONTAINER_LIMIT", "worker-3", "Out of memory: the container reached it"];
        table.push(cells.map(|cell| span(Look::Plain, cell)).to_vec());
        table
    }

    #[test]
    fn on_a_terminal_columns_are_hidden_and_the_last_is_cut() {
        let header = |width| {
            let text = table().render(&Out { cut: true, ..testing::out(width) });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(header(100), "NAME CAUSE NODE SUMMARY");
        assert_eq!(header(75), "NAME CAUSE SUMMARY");
        assert_eq!(header(60), "NAME CAUSE");
    }

    #[test]
    fn what_is_hidden_or_cut_is_noted_once() {
        let note = |table: &mut Table, width| table.fit(&testing::out(width)).map(|note| testing::out(80).text(&note));
        let mut wide = table();
        assert_eq!(note(&mut wide, 94), None);
        assert_eq!(note(&mut wide, 90).as_deref(), Some("Cut for lack of space: SUMMARY. -o wide shows it in full."));
        assert_eq!(note(&mut wide, 90), None);
        let hidden = note(&mut wide, 75);
        assert_eq!(hidden.as_deref(), Some("Hidden for lack of space: NODE; cut: SUMMARY. -o wide shows everything."));
        let hidden = note(&mut wide, 60);
        assert_eq!(hidden.as_deref(), Some("Hidden for lack of space: NODE and SUMMARY. -o wide shows all columns."));
    }

    #[test]
    fn in_a_pipe_nothing_is_hidden() {
        let text = table().render(&testing::out(40));
        assert!(text.contains("worker-3") && text.contains("reached it"), "{text}");
    }

    #[test]
    fn a_table_that_grows_keeps_its_columns_aligned() {
        let out = testing::out(120);
        let mut table = Table::new(vec![column_name(), column_cause()]).at_least(&[(column_name, 6)]);
        let mut lines = Vec::new();
        for (index, name) in ["web", "a-longer-name", "api"].into_iter().enumerate() {
            table.push(vec![span(Look::Plain, name), span(Look::Plain, "OOM_NODE")]);
            lines.extend(table.take(&out, index == 0).lines().map(str::to_owned).collect::<Vec<_>>());
        }
        let places: Vec<_> = lines.iter().map(|line| line.find(['O', 'C']).unwrap()).collect();
        assert_eq!(places, [8, 8, 15, 15], "{lines:#?}");
    }
}
