//! Diagnoses as rows of a table.

use coroner_proto::v1::{Diagnosis, Subject};
use jiff::Timestamp;

use crate::{
    args::Format,
    episodes::Episode,
    explain, labels,
    messages::{command, page, text},
    out::Out,
    page::{Look, Span, span},
    table::{Name, Table},
};

/// Columns that are hidden where the terminal is too narrow, the first ones first. The cause and its subject stay.
const OPTIONAL: &[Name] = &[
    command::column_revision,
    command::column_first,
    command::column_confidence,
    command::column_summary,
    command::column_container,
    command::column_namespace,
];
/// Widths that most cells of a growing table fit into.
const GROWING: &[(Name, usize)] = &[
    (command::column_time, 13),
    (command::column_namespace, 12),
    (command::column_name, 24),
    (command::column_container, 12),
    (command::column_cause, 22),
    (command::column_confidence, 10),
];

/// What a row of a table stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A row for each diagnosis, with its age.
    Each,
    /// A row for each episode, with its age, its count and since when.
    Episodes,
    /// A row for each revision, with the time of its event: the table stays on the screen while it grows.
    Growing,
}

/// A table of diagnoses.
#[derive(Debug)]
pub(crate) struct Rows {
    kind: Kind,
    wide: bool,
    table: Table,
}

impl Rows {
    pub(crate) fn new(kind: Kind, out: &Out) -> Self {
        let wide = out.format == Some(Format::Wide);
        let mut names = match kind {
            Kind::Each => vec![command::column_age()],
            Kind::Episodes => vec![command::column_last(), command::column_first(), command::column_count()],
            Kind::Growing => vec![command::column_time()],
        };
        names.extend([
            command::column_namespace(),
            command::column_name(),
            command::column_container(),
            command::column_cause(),
            command::column_confidence(),
        ]);
        if kind == Kind::Growing {
            names.push(command::column_revision());
        }
        if wide {
            names.extend([
                command::column_severity(),
                command::column_fatal(),
                command::column_exit(),
                command::column_signal(),
            ]);
            if kind != Kind::Episodes {
                names.push(command::column_count());
            }
            names.extend([command::column_node(), command::column_uid()]);
        }
        names.push(command::column_summary());
        let mut table = Table::new(names);
        if kind == Kind::Growing {
            table = table.at_least(GROWING);
        }
        if !wide {
            table = table.hiding(OPTIONAL);
        }
        Self { kind, wide, table }
    }

    pub(crate) fn push(&mut self, diagnosis: &Diagnosis, out: &Out, now: Timestamp) {
        let event = labels::time(diagnosis.event_time.as_ref());
        let time = event.map_or_else(String::new, |event| match self.kind {
            Kind::Growing => out.reader.clock(event, Some(now)),
            Kind::Each | Kind::Episodes => labels::age(event, now),
        });
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let name = labels::subject_name(&Subject { namespace: String::new(), ..subject });
        self.push_with(vec![time], &name, diagnosis, out);
    }

    pub(crate) fn push_episode(&mut self, episode: &Episode, out: &Out, now: Timestamp) {
        let diagnosis = &episode.newest;
        let age = |time: Option<Timestamp>| time.map_or_else(String::new, |time| labels::age(time, now));
        let last = labels::time(diagnosis.event_time.as_ref());
        let times = vec![age(last), age(episode.first), episode.count().to_string()];
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let name = || labels::subject_name(&Subject { namespace: String::new(), ..subject });
        self.push_with(times, &episode.workload().unwrap_or_else(name), diagnosis, out);
    }

    fn push_with(&mut self, times: Vec<String>, name: &str, diagnosis: &Diagnosis, out: &Out) {
        let diagnosis = &*out.reader.localize(diagnosis);
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let language = out.reader.language;
        let plain = |text: &str| span(Look::Plain, text);
        let mut row: Vec<Span> = times.iter().map(|time| plain(time)).collect();
        row.extend([
            plain(&subject.namespace),
            span(Look::Strong, name),
            plain(&subject.container),
            span(labels::look(diagnosis.severity()), &labels::cause(diagnosis.cause)),
            plain(&text(&labels::confidence(diagnosis), language)),
        ]);
        if self.kind == Kind::Growing {
            row.push(plain(&diagnosis.revision.to_string()));
        }
        if self.wide {
            let exit = diagnosis.exit.as_ref();
            let signal = exit.filter(|exit| exit.signal != 0);
            row.extend([
                plain(&labels::severity(diagnosis.severity()).map_or_else(String::new, |label| text(&label, language))),
                plain(&text(&if diagnosis.fatal { page::yes() } else { page::no() }, language)),
                plain(&exit.map_or_else(String::new, |exit| exit.code.to_string())),
                plain(&signal.map_or_else(String::new, |exit| labels::signal(exit.signal))),
            ]);
            if self.kind != Kind::Episodes {
                row.push(plain(&diagnosis.occurrence_count.max(1).to_string()));
            }
            row.extend([plain(&subject.node), plain(&diagnosis.uid)]);
        }
        row.push(plain(&explain::summary(diagnosis, language)));
        self.table.push(row);
    }

    /// All of it. On a terminal, what does not fit is hidden or cut, unless all columns were asked for.
    pub(crate) fn render(mut self, out: &Out) -> String {
        self.take(out, out.headers)
    }

    /// The rows that were added since the last time.
    pub(crate) fn take(&mut self, out: &Out, headers: bool) -> String {
        self.table.take(out, headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        episodes::Episodes,
        testing::{self, golden},
    };

    fn rendered(kind: Kind, out: &Out) -> String {
        let mut rows = Rows::new(kind, out);
        for diagnosis in [testing::oom_child(), testing::undetermined(), testing::node_pressure()] {
            rows.push(&diagnosis, out, testing::now());
        }
        rows.render(out)
    }

    fn wide(width: usize) -> Out {
        Out { format: Some(Format::Wide), ..testing::out(width) }
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        golden("table.txt", &rendered(Kind::Each, &testing::out(120)));
    }

    #[test]
    fn a_wide_table_shows_exits_and_uids() {
        golden("table-wide.txt", &rendered(Kind::Each, &wide(120)));
    }

    #[test]
    fn a_table_of_episodes_shows_counts_and_first_times() {
        let mut earlier = testing::oom_child();
        earlier.event_time = testing::time("2026-11-19T10:05:23Z");
        let out = testing::out(120);
        let mut rows = Rows::new(Kind::Episodes, &out);
        let episodes: Episodes = [testing::oom_child(), testing::undetermined(), earlier].into_iter().collect();
        episodes.into_vec().iter().for_each(|episode| rows.push_episode(episode, &out, testing::now()));
        golden("table-episodes.txt", &rows.render(&out));
    }

    #[test]
    fn on_a_terminal_rows_fit_it_unless_all_columns_are_wanted() {
        for width in [60, 80, 100, 200] {
            let text = rendered(Kind::Each, &Out { cut: true, ..testing::out(width) });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.contains("OOM_CONTAINER_LIMIT"), "{text}");
        }
        let text = rendered(Kind::Each, &wide(80));
        assert!(text.contains(&testing::oom_child().uid) && text.contains(&testing::oom_child().summary), "{text}");
    }

    #[test]
    fn a_growing_table_shows_times_and_revisions() {
        let out = testing::out(120);
        let mut rows = Rows::new(Kind::Growing, &out);
        rows.push(&testing::oom_child(), &out, testing::now());
        golden("table-growing.txt", &rows.take(&out, true));
    }

    #[test]
    fn without_headers_there_are_only_rows() {
        let out = Out { headers: false, ..testing::out(120) };
        assert_eq!(rendered(Kind::Each, &out).lines().count(), 3);
    }

    #[test]
    fn hostile_text_in_any_field_stays_in_its_row() {
        for text in testing::HOSTILE {
            for kind in [Kind::Each, Kind::Growing] {
                let out = wide(120);
                let mut rows = Rows::new(kind, &out);
                rows.push(&testing::with_text_everywhere(text), &out, testing::now());
                let text = rows.render(&out);
                testing::assert_harmless(&text);
                assert_eq!(text.lines().count(), 2, "{text}");
            }
        }
    }
}
