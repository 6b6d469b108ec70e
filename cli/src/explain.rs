//! The explanation page of a diagnosis: what happened and how sure that is, what speaks for it and against the obvious
//! alternatives, and what to do next.

use coroner_proto::v1::{Diagnosis, Evidence, Severity};
use jiff::Timestamp;

use crate::{
    page::{Look, Page, Span, span},
    words,
};

/// Where the texts behind the labels begin.
const INDENT: usize = 13;

/// Writes the whole explanation. Ages are counted to `now`.
pub(crate) fn explain(page: &mut Page, diagnosis: &Diagnosis, now: Timestamp) {
    headline(page, diagnosis);
    if !diagnosis.explanation.is_empty() {
        page.paragraph(None, 2, &[span(Look::Plain, &diagnosis.explanation)]);
    }
    let event = words::time(diagnosis.event_time.as_ref());
    rows(page, "When", [vec![span(Look::Plain, &when(diagnosis, event, now))]]);
    rows(page, "Ended", exit(diagnosis).map(|text| vec![span(Look::Plain, &text)]));
    rows(page, "Evidence", diagnosis.evidence.iter().map(|evidence| witnessed(evidence, event)));
    rows(page, "Ruled out", diagnosis.against.iter().map(|evidence| witnessed(evidence, event)));
    let candidates = diagnosis.candidates.iter().map(|candidate| {
        vec![span(Look::Strong, &words::cause(candidate.cause)), span(Look::Plain, &format!("  {}", candidate.reason))]
    });
    rows(page, "Candidates", candidates);
    let missing = &diagnosis.missing_sources;
    rows(page, "Missing", (!missing.is_empty()).then(|| vec![span(Look::Notice, &missing.join(", "))]));
    let withheld = diagnosis.redactions.iter().map(|redaction| format!("{} ({})", redaction.field, redaction.rule));
    rows(page, "Withheld", withheld.map(|text| vec![span(Look::Plain, &text)]));
    rows(page, "Next", diagnosis.suggestions.iter().map(|text| vec![span(Look::Plain, text)]));
    rows(page, "Cause", [vec![span(Look::Plain, &causes(diagnosis))]]);
    let id = format!("{}, revision {}", diagnosis.uid, diagnosis.revision);
    rows(page, "Id", [vec![span(Look::Faint, &id)]]);
}

/// Subject, summary and how sure, as the first line of a page or as all there is to say.
pub(crate) fn headline(page: &mut Page, diagnosis: &Diagnosis) {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let mut spans = vec![span(Look::Strong, &words::subject_name(&subject))];
    let container = words::container(&subject);
    if !container.is_empty() {
        spans.push(span(Look::Plain, &format!("  {container}")));
    }
    spans.push(span(words::look(diagnosis.severity()), &format!("  {}", summary(diagnosis))));
    spans.push(span(Look::Strong, &format!("  {}", words::confidence(diagnosis))));
    if diagnosis.severity() == Severity::Info {
        spans.push(span(Look::Faint, " · info"));
    }
    page.paragraph(None, 0, &spans);
}

/// One line: how long ago, what, how sure.
pub(crate) fn brief(page: &mut Page, diagnosis: &Diagnosis, now: Timestamp) {
    let event = words::time(diagnosis.event_time.as_ref());
    let age = event.map_or_else(|| "?".to_owned(), |event| words::age(event, now));
    let mut spans = Vec::new();
    let container = diagnosis.subject.as_ref().map_or("", |subject| &subject.container);
    if !container.is_empty() {
        spans.push(span(Look::Plain, &format!("{container}: ")));
    }
    spans.push(span(words::look(diagnosis.severity()), &summary(diagnosis)));
    spans.push(span(Look::Strong, &format!("  {}", words::confidence(diagnosis))));
    if diagnosis.occurrence_count > 1 {
        spans.push(span(Look::Plain, &format!("  {} time", words::ordinal(diagnosis.occurrence_count))));
    }
    spans.push(span(Look::Faint, &format!("  {}", diagnosis.uid)));
    page.paragraph(Some((2, span(Look::Plain, &format!("{age} ago")))), INDENT, &spans);
}

/// The summary, or the cause's code where an agent gave none.
pub(crate) fn summary(diagnosis: &Diagnosis) -> String {
    match diagnosis.summary.as_str() {
        "" => words::cause(diagnosis.cause),
        summary => summary.to_owned(),
    }
}

fn rows(page: &mut Page, label: &str, rows: impl IntoIterator<Item = Vec<Span>>) {
    let mut label = label;
    for row in rows {
        page.paragraph(Some((2, span(Look::Faint, label))), INDENT, &row);
        label = "";
    }
}

fn when(diagnosis: &Diagnosis, event: Option<Timestamp>, now: Timestamp) -> String {
    let mut text = match event {
        Some(event) => format!("{}, {} ago", words::moment(event), words::age(event, now)),
        None => "at an unknown time".to_owned(),
    };
    let node = diagnosis.subject.as_ref().map_or("", |subject| &subject.node);
    if !node.is_empty() {
        text.push_str(&format!(", on node {node}"));
    }
    if diagnosis.occurrence_count > 1 {
        text.push_str(&format!("; {} time for this container", words::ordinal(diagnosis.occurrence_count)));
    }
    if let Some(resolved) = words::time(diagnosis.resolve_time.as_ref()) {
        let after = event.map_or_else(String::new, |event| format!(" after {}", words::age(event, resolved)));
        text.push_str(&format!("; resolved{after}"));
    }
    text
}

fn exit(diagnosis: &Diagnosis) -> Option<String> {
    let exit = diagnosis.exit.as_ref()?;
    let by = if exit.signal == 0 { String::new() } else { format!("by {}", words::signal(exit.signal)) };
    let mut text = match (diagnosis.fatal, by.as_str()) {
        (_, "") => format!("exit code {}", exit.code),
        (true, by) => format!("exit code {}, {by}", exit.code),
        (false, by) => by.to_owned(),
    };
    if exit.fabricated {
        text.push_str("; the code was made up, nobody saw the real one");
    }
    if !exit.reported_reason.is_empty() {
        text.push_str(&format!("; reported as {}", exit.reported_reason));
    }
    if !diagnosis.fatal {
        text.push_str("; it was not the end of the container");
    }
    Some(text)
}

fn witnessed(evidence: &Evidence, beside: Option<Timestamp>) -> Vec<Span> {
    let mut spans = Vec::new();
    if let Some(time) = words::time(evidence.time.as_ref()) {
        spans.push(span(Look::Faint, &format!("{} ", words::clock(time, beside))));
    }
    if !evidence.source.is_empty() {
        spans.push(span(Look::Faint, &format!("{}  ", evidence.source)));
    }
    spans.push(span(Look::Plain, &evidence.text));
    spans
}

fn causes(diagnosis: &Diagnosis) -> String {
    let mut text = words::cause(diagnosis.cause);
    if !diagnosis.contributing.is_empty() {
        let contributing: Vec<_> = diagnosis.contributing.iter().map(|code| words::cause(*code)).collect();
        text.push_str(&format!(", with {} contributing", contributing.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::{
        page::Page,
        testing::{self, golden},
    };

    fn explained(width: usize, colour: bool, diagnosis: &coroner_proto::v1::Diagnosis) -> String {
        let mut page = Page::new(width, colour);
        super::explain(&mut page, diagnosis, testing::now());
        page.into_text()
    }

    #[test]
    fn a_childs_oom_kill_is_explained() {
        golden("explain-oom-child.txt", &explained(120, false, &testing::oom_child()));
    }

    #[test]
    fn the_page_fits_a_narrow_coloured_terminal() {
        golden("explain-oom-child-narrow.ansi", &explained(72, true, &testing::oom_child()));
    }

    #[test]
    fn an_undetermined_end_names_its_candidates_and_what_is_missing() {
        golden("explain-undetermined.txt", &explained(120, false, &testing::undetermined()));
    }

    #[test]
    fn a_node_and_a_resolved_condition_are_explained() {
        golden("explain-node.txt", &explained(120, false, &testing::node_pressure()));
    }

    #[test]
    fn a_diagnosis_of_which_nothing_is_known_is_still_a_page() {
        golden("explain-empty.txt", &explained(120, false, &coroner_proto::v1::Diagnosis::default()));
    }

    #[test]
    fn hostile_text_in_any_field_neither_drives_the_terminal_nor_forges_a_line() {
        let honest = explained(4000, false, &testing::with_text_everywhere("x"));
        for text in testing::HOSTILE {
            let page = explained(4000, false, &testing::with_text_everywhere(text));
            testing::assert_harmless(&page);
            assert_eq!(page.lines().count(), honest.lines().count(), "{page}");
        }
    }
}
