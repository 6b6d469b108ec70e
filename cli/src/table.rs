//! Diagnoses as rows of a table.

use coroner_diagnosis::catalogue::Language;
use coroner_proto::v1::Diagnosis;
use jiff::Timestamp;

use crate::{
    explain,
    out::Out,
    page::{Look, Span, span},
    words,
};

/// Blanks between columns are two; a table that grows as it is shown keeps these widths, and a longer cell shifts its line.
const GROWING_WIDTHS: [(&str, usize); 11] = [
    ("TIME", 13),
    ("AGE", 6),
    ("NAMESPACE", 12),
    ("NAME", 24),
    ("CONTAINER", 12),
    ("CAUSE", 22),
    ("CONFIDENCE", 12),
    ("SEVERITY", 8),
    ("EXIT", 4),
    ("NODE", 16),
    ("UID", 36),
];

/// A table: its columns' names, and rows of as many cells.
#[derive(Debug)]
pub(crate) struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<Span>>,
}

impl Table {
    pub(crate) fn new(names: Vec<&'static str>) -> Self {
        Self { names, rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are columns. An empty cell is shown as `-`.
    pub(crate) fn push(&mut self, row: Vec<Span>) {
        self.rows.push(row);
    }

    /// All of it, each column as wide as its widest cell.
    pub(crate) fn render(&self, out: &Out) -> String {
        let widths = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(Span::columns);
            let name = if out.headers { self.names.get(index).map_or(0, |name| name.len()) } else { 0 };
            cells.max().unwrap_or(0).max(name).max(1)
        };
        self.render_with(out, out.headers, (0..self.names.len()).map(widths).collect())
    }

    /// All of it, in the widths of a table that grows.
    pub(crate) fn render_growing(&self, out: &Out, headers: bool) -> String {
        let width =
            |name: &&str| GROWING_WIDTHS.iter().find(|(known, _)| known == name).map_or(name.len(), |(_, w)| *w);
        self.render_with(out, headers, self.names.iter().map(width).collect())
    }

    fn render_with(&self, out: &Out, headers: bool, widths: Vec<usize>) -> String {
        let mut page = out.page();
        let header = headers.then(|| self.names.iter().map(|name| span(Look::Faint, name)).collect());
        for row in header.iter().chain(&self.rows) {
            let cells = row.iter().map(Span::or_dash).zip(widths.iter().copied());
            page.columns(&cells.collect::<Vec<_>>(), out.cut);
        }
        page.into_text()
    }
}

/// What a table of diagnoses shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// All columns.
    pub(crate) wide: bool,
    /// The time of the event in place of its age, and the revision: for tables that stay on the screen while they grow.
    pub(crate) growing: bool,
}

/// An empty table for diagnoses.
pub(crate) fn diagnoses(shape: Shape) -> Table {
    let mut names = vec![if shape.growing { "TIME" } else { "AGE" }];
    names.extend(["NAMESPACE", "NAME", "CONTAINER", "CAUSE", "CONFIDENCE"]);
    if shape.growing {
        names.push("REV");
    }
    if shape.wide {
        names.extend(["SEVERITY", "FATAL", "EXIT", "SIGNAL", "COUNT", "NODE", "UID"]);
    }
    names.push("SUMMARY");
    Table::new(names)
}

/// The row of a diagnosis.
pub(crate) fn row(diagnosis: &Diagnosis, shape: Shape, now: Timestamp) -> Vec<Span> {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let look = words::look(diagnosis.severity());
    let time = words::time(diagnosis.event_time.as_ref()).map_or_else(String::new, |time| {
        if shape.growing { words::clock(time, Some(now)) } else { words::age(time, now) }
    });
    let plain = |text: &str| span(Look::Plain, text);
    let name = words::subject_name(&coroner_proto::v1::Subject { namespace: String::new(), ..subject.clone() });
    let mut row = vec![
        plain(&time),
        plain(&subject.namespace),
        span(Look::Strong, &name),
        plain(&subject.container),
        span(look, &words::cause(diagnosis.cause)),
        plain(words::confidence(diagnosis).to(Language::English)),
    ];
    if shape.growing {
        row.push(plain(&diagnosis.revision.to_string()));
    }
    if shape.wide {
        let exit = diagnosis.exit.as_ref();
        row.extend([
            plain(words::severity(diagnosis.severity()).to(Language::English)),
            plain(if diagnosis.fatal { "yes" } else { "no" }),
            plain(&exit.map_or_else(String::new, |exit| exit.code.to_string())),
            plain(&exit.filter(|exit| exit.signal != 0).map_or_else(String::new, |exit| words::signal(exit.signal))),
            plain(&diagnosis.occurrence_count.max(1).to_string()),
            plain(&subject.node),
            plain(&diagnosis.uid),
        ]);
    }
    row.push(plain(&explain::summary(diagnosis, Language::English)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, golden};

    fn rendered(wide: bool, out: &Out) -> String {
        let shape = Shape { wide, growing: false };
        let mut table = diagnoses(shape);
        for diagnosis in [testing::oom_child(), testing::undetermined(), testing::node_pressure()] {
            table.push(row(&diagnosis, shape, testing::now()));
        }
        table.render(out)
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        golden("table.txt", &rendered(false, &testing::out(120)));
    }

    #[test]
    fn a_wide_table_shows_exits_and_uids() {
        golden("table-wide.txt", &rendered(true, &testing::out(120)));
    }

    #[test]
    fn on_a_terminal_lines_are_cut_to_its_width() {
        let text = rendered(true, &Out { cut: true, ..testing::out(100) });
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains('…'), "{text}");
    }

    #[test]
    fn a_growing_table_shows_times_and_revisions() {
        let shape = Shape { wide: false, growing: true };
        let mut table = diagnoses(shape);
        table.push(row(&testing::oom_child(), shape, testing::now()));
        golden("table-growing.txt", &table.render_growing(&testing::out(120), true));
    }

    #[test]
    fn without_headers_there_are_only_rows() {
        let out = Out { headers: false, ..testing::out(120) };
        assert_eq!(rendered(false, &out).lines().count(), 3);
    }

    #[test]
    fn hostile_text_in_any_field_stays_in_its_row() {
        for text in testing::HOSTILE {
            for shape in [Shape { wide: true, growing: false }, Shape { wide: true, growing: true }] {
                let mut table = diagnoses(shape);
                table.push(row(&testing::with_text_everywhere(text), shape, testing::now()));
                let text = table.render(&testing::out(120));
                testing::assert_harmless(&text);
                assert_eq!(text.lines().count(), 2, "{text}");
            }
        }
    }
}
