//! The explanation page of a diagnosis: what happened and how certain that is, the evidence for it and against the
//! obvious alternatives, and what to do next.

use coroner_diagnosis::{
    localized,
    messages::{Language, Message},
};
use coroner_proto::v1::{ContainerKind, Diagnosis, Evidence, Related, Severity, Subject, SubjectKind};
use jiff::Timestamp;

use crate::{
    episodes::Episode,
    labels,
    messages::{joined, listed, page as texts, text},
    page::{Look, Page, Span, span},
    reader::Reader,
};

/// Where the texts behind the labels begin.
const INDENT: usize = 13;

/// How often something happened, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    count: u32,
    first: Option<Timestamp>,
    /// Pods, or other subjects, that it happened to.
    subjects: usize,
}

impl From<&Diagnosis> for History {
    fn from(diagnosis: &Diagnosis) -> Self {
        Self { count: diagnosis.occurrence_count, first: None, subjects: 1 }
    }
}

impl From<&Episode> for History {
    fn from(episode: &Episode) -> Self {
        Self { count: episode.count(), first: episode.first, subjects: episode.subjects() }
    }
}

impl History {
    /// Nothing for what happened once. The first time is left out where it is the event itself.
    fn text(self, event: Option<Timestamp>, is_of_container: bool, reader: &Reader) -> Option<Message> {
        let first = self.first.filter(|first| Some(*first) != event).map(|first| reader.moment(first));
        match (self.count, self.subjects, first) {
            (..=1, ..) => None,
            (count, ..=1, None) if is_of_container => Some(texts::when_count_in_container(count)),
            (count, ..=1, Some(first)) if is_of_container => Some(texts::when_count_in_container_since(count, first)),
            (count, ..=1, None) => Some(texts::when_count(count)),
            (count, ..=1, Some(first)) => Some(texts::when_count_since(count, first)),
            (count, subjects, None) => Some(texts::when_count_in_pods(count, subjects)),
            (count, subjects, Some(first)) => Some(texts::when_count_in_pods_since(count, subjects, first)),
        }
    }
}

/// Writes the whole explanation, in the page's language. Ages are counted to `now`.
pub(crate) fn explain(page: &mut Page, diagnosis: &Diagnosis, history: History, now: Timestamp) {
    let reader = page.reader().clone();
    let diagnosis = &*reader.localize(diagnosis);
    headline(page, diagnosis);
    let language = page.language();
    let explanation = localized::explanation(diagnosis, language);
    if !explanation.is_empty() {
        page.paragraph(None, 2, &[span(Look::Plain, &explanation)]);
    }
    let event = labels::time(diagnosis.event_time.as_ref());
    rows(page, &texts::label_when(), [plain(&joined(&when(diagnosis, history, event, now, &reader), language))]);
    let ended = ended(diagnosis);
    rows(page, &texts::label_ended(), (!ended.is_empty()).then(|| plain(&joined(&ended, language))));
    let observed = |evidence| observed(evidence, event, &reader);
    rows(page, &texts::label_evidence(), diagnosis.evidence.iter().map(observed));
    rows(page, &texts::label_ruled_out(), diagnosis.against.iter().map(observed));
    rows(page, &texts::label_related(), diagnosis.related.iter().map(|of| related(of, event, &reader)));
    rows(page, &texts::label_last_lines(), diagnosis.last_lines.iter().map(|line| plain(line)));
    let candidates = diagnosis.candidates.iter().map(|candidate| {
        let reason = localized::reason(candidate, language);
        vec![span(Look::Strong, &labels::cause(candidate.cause)), span(Look::Plain, &format!("  {reason}"))]
    });
    rows(page, &texts::label_candidates(), candidates);
    let missing = &diagnosis.missing_sources;
    rows(
        page,
        &texts::label_missing(),
        (!missing.is_empty()).then(|| vec![span(Look::Notice, &listed(missing, language))]),
    );
    let withheld = diagnosis.redactions.iter().map(|redaction| format!("{} ({})", redaction.field, redaction.rule));
    rows(page, &texts::label_withheld(), withheld.map(|text| plain(&text)));
    rows(page, &texts::label_next(), localized::suggestions(diagnosis, language).iter().map(|step| plain(step)));
    rows(page, &texts::label_cause(), [plain(&causes(diagnosis, language))]);
    let id = text(&texts::id_revision(&diagnosis.uid, diagnosis.revision), language);
    rows(page, &texts::label_id(), [vec![span(Look::Faint, &id)]]);
}

/// Subject, summary and certainty: the first line of a page, or a page of one line.
pub(crate) fn headline(page: &mut Page, diagnosis: &Diagnosis) {
    let language = page.language();
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let mut spans = vec![span(Look::Strong, &labels::subject_name(&subject))];
    if !subject.container.is_empty() {
        spans.push(span(Look::Plain, &format!("  {}", text(&container(&subject), language))));
    }
    spans.push(span(labels::look(diagnosis.severity()), &format!("  {}", summary(diagnosis, language))));
    spans.push(span(Look::Strong, &format!("  {}", text(&labels::confidence(diagnosis), language))));
    if diagnosis.severity() == Severity::Info {
        spans.push(span(Look::Faint, &format!(" · {}", text(&texts::severity_info(), language))));
    }
    page.paragraph(None, 0, &spans);
}

/// One line: how long ago, what, how sure.
pub(crate) fn brief(page: &mut Page, episode: &Episode, now: Timestamp) {
    let reader = page.reader().clone();
    let diagnosis = &*reader.localize(&episode.newest);
    let language = page.language();
    let event = labels::time(diagnosis.event_time.as_ref());
    let mut spans = Vec::new();
    let container = diagnosis.subject.as_ref().map_or("", |subject| &subject.container);
    if !container.is_empty() {
        let colon = if language == Language::Chinese { "：" } else { ": " };
        spans.push(span(Look::Plain, &format!("{container}{colon}")));
    }
    spans.push(span(labels::look(diagnosis.severity()), &summary(diagnosis, language)));
    spans.push(span(Look::Strong, &format!("  {}", text(&labels::confidence(diagnosis), language))));
    if episode.count() > 1 {
        let count = text(&texts::occurrences(episode.count()), language);
        spans.push(span(Look::Plain, &format!("  {count}")));
    }
    spans.push(span(Look::Faint, &format!("  {}", diagnosis.uid)));
    let age = event.map_or_else(|| "?".to_owned(), |event| text(&texts::age(labels::elapsed(event, now)), language));
    page.paragraph(Some((2, span(Look::Plain, &age))), INDENT, &spans);
}

/// The summary, or the cause's code where an agent gave none.
pub(crate) fn summary(diagnosis: &Diagnosis, language: Language) -> String {
    let summary = localized::summary(diagnosis, language);
    if summary.is_empty() { labels::cause(diagnosis.cause) } else { summary }
}

/// `container web`, `init container setup`.
fn container(subject: &Subject) -> Message {
    match subject.container_kind() {
        ContainerKind::Unspecified | ContainerKind::Main => texts::container_main(&subject.container),
        ContainerKind::Init => texts::container_init(&subject.container),
        ContainerKind::Sidecar => texts::container_sidecar(&subject.container),
        ContainerKind::Ephemeral => texts::container_ephemeral(&subject.container),
    }
}

fn plain(text: &str) -> Vec<Span> {
    vec![span(Look::Plain, text)]
}

fn rows(page: &mut Page, label: &Message, rows: impl IntoIterator<Item = Vec<Span>>) {
    let mut label = text(label, page.language());
    for row in rows {
        page.paragraph(Some((2, span(Look::Faint, &label))), INDENT, &row);
        label.clear();
    }
}

fn when(
    diagnosis: &Diagnosis,
    history: History,
    event: Option<Timestamp>,
    now: Timestamp,
    reader: &Reader,
) -> Vec<Message> {
    let mut parts = vec![match event {
        Some(event) => texts::when_known(reader.moment(event), labels::elapsed(event, now)),
        None => texts::when_unknown(),
    }];
    let (node, container) =
        diagnosis.subject.as_ref().map_or(("", ""), |subject| (&*subject.node, &*subject.container));
    if !node.is_empty() {
        parts.push(texts::when_node(node));
    }
    parts.extend(history.text(event, !container.is_empty(), reader));
    if let Some(resolved) = labels::time(diagnosis.resolve_time.as_ref()) {
        parts.push(match event {
            Some(event) => texts::when_resolved_after(labels::elapsed(event, resolved)),
            None => texts::when_resolved(),
        });
    }
    parts
}

/// How it ended; empty where nothing did.
fn ended(diagnosis: &Diagnosis) -> Vec<Message> {
    let Some(exit) = &diagnosis.exit else { return Vec::new() };
    let mut parts = Vec::new();
    if diagnosis.fatal || exit.signal == 0 {
        parts.push(texts::exit_code(exit.code));
    }
    if exit.signal != 0 {
        // What ends nothing, and has a signal, is about one process of a container that goes on.
        let text = if diagnosis.fatal { texts::exit_signal } else { texts::exit_process };
        parts.push(text(exit.signal));
    }
    if exit.fabricated {
        parts.push(texts::exit_fabricated());
    }
    if !exit.reported_reason.is_empty() {
        parts.push(texts::exit_reason(&exit.reported_reason));
    }
    parts
}

fn observed(evidence: &Evidence, beside: Option<Timestamp>, reader: &Reader) -> Vec<Span> {
    let mut spans = Vec::new();
    if let Some(time) = labels::time(evidence.time.as_ref()) {
        spans.push(span(Look::Faint, &format!("{} ", reader.clock(time, beside))));
    }
    if !evidence.source.is_empty() {
        spans.push(span(Look::Faint, &format!("{}  ", evidence.source)));
    }
    spans.push(span(Look::Plain, &localized::evidence(evidence, reader.language)));
    spans
}

fn related(related: &Related, beside: Option<Timestamp>, reader: &Reader) -> Vec<Span> {
    let subject = Subject {
        kind: SubjectKind::Pod.into(),
        namespace: related.namespace.clone(),
        name: related.pod.clone(),
        ..Subject::default()
    };
    let pod = if related.pod.is_empty() { String::new() } else { labels::subject_name(&subject) + " " };
    let mut spans = vec![span(Look::Strong, format!("{pod}{}", related.container).trim_end())];
    if related.evidence.is_some() {
        spans.push(span(Look::Plain, "  "));
    }
    spans.extend(related.evidence.iter().flat_map(|evidence| observed(evidence, beside, reader)));
    spans
}

fn causes(diagnosis: &Diagnosis, language: Language) -> String {
    let cause = labels::cause(diagnosis.cause);
    if diagnosis.contributing.is_empty() {
        return cause;
    }
    let contributing: Vec<_> = diagnosis.contributing.iter().map(|code| labels::cause(*code)).collect();
    text(&texts::cause_contributing(cause, contributing), language)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::Language;

    use crate::{
        page::Page,
        reader::Reader,
        testing::{self, golden},
    };

    fn explained(width: usize, colour: bool, diagnosis: &coroner_proto::v1::Diagnosis) -> String {
        explained_in(Language::English, width, colour, diagnosis)
    }

    fn explained_in(
        language: Language,
        width: usize,
        colour: bool,
        diagnosis: &coroner_proto::v1::Diagnosis,
    ) -> String {
        let mut page = Page::new(width, colour, Reader { language, ..testing::reader() });
        super::explain(&mut page, diagnosis, diagnosis.into(), testing::now());
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
    fn of_an_old_record_a_reader_of_chinese_gets_labels_cause_and_next_steps_in_chinese() {
        golden("explain-oom-child.zh.txt", &explained_in(Language::Chinese, 100, false, &testing::oom_child()));
        golden("explain-undetermined.zh.txt", &explained_in(Language::Chinese, 100, false, &testing::undetermined()));
    }

    #[test]
    fn a_node_and_a_resolved_condition_are_explained() {
        golden("explain-node.txt", &explained(120, false, &testing::node_pressure()));
    }

    #[test]
    fn what_happens_to_a_node_again_is_not_counted_in_a_container() {
        let mut of_node = testing::node_pressure();
        of_node.occurrence_count = 3;
        let page = explained(120, false, &of_node);
        assert!(page.contains("3 times") && !page.contains("in this container"), "{page}");
        assert!(explained(120, false, &testing::oom_child()).contains("times in this container"));
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
