//! The explanation page of a diagnosis: what happened and how sure that is, what speaks for it and against the obvious
//! alternatives, and what to do next.

use coroner_diagnosis::catalogue::{self, Language, Text};
use coroner_proto::v1::{ContainerKind, Diagnosis, Evidence, Severity, Subject};
use jiff::Timestamp;

use crate::{
    page::{Look, Page, Span, span},
    words,
};

/// Where the texts behind the labels begin.
const INDENT: usize = 13;

/// Writes the whole explanation. Ages are counted to `now`.
///
/// What the node said in its own words stays in English; in another language, the catalogue's words come before them.
pub(crate) fn explain(page: &mut Page, diagnosis: &Diagnosis, now: Timestamp) {
    headline(page, diagnosis);
    let language = page.language();
    let told_otherwise = language != Language::English;
    if told_otherwise && catalogue::find(diagnosis.cause()).is_some() {
        page.paragraph(None, 2, &[span(Look::Plain, &diagnosis.summary)]);
    }
    if !diagnosis.explanation.is_empty() {
        page.paragraph(None, 2, &[span(Look::Plain, &diagnosis.explanation)]);
    }
    let event = words::time(diagnosis.event_time.as_ref());
    rows(page, WHEN, [vec![span(Look::Plain, &when(diagnosis, event, now, language))]]);
    rows(page, ENDED, exit(diagnosis, language).map(|text| vec![span(Look::Plain, &text)]));
    rows(page, EVIDENCE, diagnosis.evidence.iter().map(|evidence| witnessed(evidence, event)));
    rows(page, RULED_OUT, diagnosis.against.iter().map(|evidence| witnessed(evidence, event)));
    let candidates = diagnosis.candidates.iter().map(|candidate| {
        vec![span(Look::Strong, &words::cause(candidate.cause)), span(Look::Plain, &format!("  {}", candidate.reason))]
    });
    rows(page, CANDIDATES, candidates);
    let missing = &diagnosis.missing_sources;
    rows(page, MISSING, (!missing.is_empty()).then(|| vec![span(Look::Notice, &missing.join(", "))]));
    let withheld = diagnosis.redactions.iter().map(|redaction| format!("{} ({})", redaction.field, redaction.rule));
    rows(page, WITHHELD, withheld.map(|text| vec![span(Look::Plain, &text)]));
    let next: Vec<&str> = match catalogue::find(diagnosis.cause()) {
        Some(row) if told_otherwise => row.next.iter().map(|step| step.to(language)).collect(),
        _ => diagnosis.suggestions.iter().map(String::as_str).collect(),
    };
    rows(page, NEXT, next.into_iter().map(|text| vec![span(Look::Plain, text)]));
    rows(page, CAUSE, [vec![span(Look::Plain, &causes(diagnosis, language))]]);
    let id = match language {
        Language::English => format!("{}, revision {}", diagnosis.uid, diagnosis.revision),
        Language::Chinese => format!("{}，第 {} 版", diagnosis.uid, diagnosis.revision),
    };
    rows(page, ID, [vec![span(Look::Faint, &id)]]);
}

const WHEN: Text = Text::new("When", "时间");
const ENDED: Text = Text::new("Ended", "结束");
const EVIDENCE: Text = Text::new("Evidence", "证据");
const RULED_OUT: Text = Text::new("Ruled out", "已排除");
const CANDIDATES: Text = Text::new("Candidates", "候选");
const MISSING: Text = Text::new("Missing", "缺少来源");
const WITHHELD: Text = Text::new("Withheld", "已隐去");
const NEXT: Text = Text::new("Next", "下一步");
const CAUSE: Text = Text::new("Cause", "原因");
const ID: Text = Text::new("Id", "编号");

/// Subject, summary and how sure, as the first line of a page or as all there is to say.
pub(crate) fn headline(page: &mut Page, diagnosis: &Diagnosis) {
    let language = page.language();
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let mut spans = vec![span(Look::Strong, &words::subject_name(&subject))];
    let container = container(&subject, language);
    if !container.is_empty() {
        spans.push(span(Look::Plain, &format!("  {container}")));
    }
    spans.push(span(words::look(diagnosis.severity()), &format!("  {}", summary(diagnosis, language))));
    spans.push(span(Look::Strong, &format!("  {}", words::confidence(diagnosis).to(language))));
    if diagnosis.severity() == Severity::Info {
        spans.push(span(Look::Faint, &format!(" · {}", words::severity(Severity::Info).to(language))));
    }
    page.paragraph(None, 0, &spans);
}

/// One line: how long ago, what, how sure.
pub(crate) fn brief(page: &mut Page, diagnosis: &Diagnosis, now: Timestamp) {
    let language = page.language();
    let event = words::time(diagnosis.event_time.as_ref());
    let mut spans = Vec::new();
    let container = diagnosis.subject.as_ref().map_or("", |subject| &subject.container);
    if !container.is_empty() {
        spans.push(span(Look::Plain, &format!("{container}: ")));
    }
    spans.push(span(words::look(diagnosis.severity()), &summary(diagnosis, language)));
    spans.push(span(Look::Strong, &format!("  {}", words::confidence(diagnosis).to(language))));
    if diagnosis.occurrence_count > 1 {
        spans.push(span(Look::Plain, &format!("  {}", occurrence(diagnosis.occurrence_count, language))));
    }
    spans.push(span(Look::Faint, &format!("  {}", diagnosis.uid)));
    let age = event.map_or_else(|| "?".to_owned(), |event| ago(event, now, language));
    page.paragraph(Some((2, span(Look::Plain, &age))), INDENT, &spans);
}

/// The summary, or the cause's code where an agent gave none.
pub(crate) fn summary(diagnosis: &Diagnosis, language: Language) -> String {
    match (language, catalogue::find(diagnosis.cause())) {
        (Language::Chinese, Some(row)) => row.what.to(language).trim_end_matches('。').to_owned(),
        _ if diagnosis.summary.is_empty() => words::cause(diagnosis.cause),
        _ => diagnosis.summary.clone(),
    }
}

/// `container web`, `init container setup`; empty for a subject that is no container.
fn container(subject: &Subject, language: Language) -> String {
    if subject.container.is_empty() {
        return String::new();
    }
    let kind = match subject.container_kind() {
        ContainerKind::Unspecified | ContainerKind::Main => Text::new("container", "容器"),
        ContainerKind::Init => Text::new("init container", "初始化容器"),
        ContainerKind::Sidecar => Text::new("sidecar container", "边车容器"),
        ContainerKind::Ephemeral => Text::new("ephemeral container", "临时容器"),
    };
    format!("{} {}", kind.to(language), subject.container)
}

fn rows(page: &mut Page, label: Text, rows: impl IntoIterator<Item = Vec<Span>>) {
    let mut label = label.to(page.language());
    for row in rows {
        page.paragraph(Some((2, span(Look::Faint, label))), INDENT, &row);
        label = "";
    }
}

fn ago(time: Timestamp, now: Timestamp, language: Language) -> String {
    let age = words::age(time, now);
    match language {
        Language::English => format!("{age} ago"),
        Language::Chinese => format!("{age} 前"),
    }
}

fn occurrence(count: u32, language: Language) -> String {
    match language {
        Language::English => format!("{} time", words::ordinal(count)),
        Language::Chinese => format!("第 {count} 次"),
    }
}

fn when(diagnosis: &Diagnosis, event: Option<Timestamp>, now: Timestamp, language: Language) -> String {
    let say = |english: String, chinese: String| match language {
        Language::English => english,
        Language::Chinese => chinese,
    };
    let mut text = match event {
        Some(event) => {
            let (moment, ago) = (words::moment(event), ago(event, now, language));
            say(format!("{moment}, {ago}"), format!("{moment}，{ago}"))
        }
        None => say("at an unknown time".into(), "时间不明".into()),
    };
    let node = diagnosis.subject.as_ref().map_or("", |subject| &subject.node);
    if !node.is_empty() {
        text += &say(format!(", on node {node}"), format!("，节点 {node}"));
    }
    if diagnosis.occurrence_count > 1 {
        let count = occurrence(diagnosis.occurrence_count, language);
        text += &say(format!("; {count} for this container"), format!("；该容器{count}"));
    }
    if let Some(resolved) = words::time(diagnosis.resolve_time.as_ref()) {
        text += &match event.map(|event| words::age(event, resolved)) {
            Some(after) => say(format!("; resolved after {after}"), format!("；{after} 后恢复")),
            None => say("; resolved".into(), "；已恢复".into()),
        };
    }
    text
}

fn exit(diagnosis: &Diagnosis, language: Language) -> Option<String> {
    let exit = diagnosis.exit.as_ref()?;
    let say = |english: &str, chinese: &str| match language {
        Language::English => english.to_owned(),
        Language::Chinese => chinese.to_owned(),
    };
    let code = format!("{} {}", say("exit code", "退出码"), exit.code);
    let by = format!("{} {}", say("by", "信号"), words::signal(exit.signal));
    let mut text = match (exit.signal, diagnosis.fatal) {
        (0, _) => code,
        (_, true) => format!("{code}{}{by}", say(", ", "，")),
        (_, false) => by,
    };
    if exit.fabricated {
        text += &say("; the code was made up, nobody saw the real one", "；退出码是编造的，没有人看到真实的退出码");
    }
    if !exit.reported_reason.is_empty() {
        text += &format!("{}{}", say("; reported as ", "；上报为 "), exit.reported_reason);
    }
    if !diagnosis.fatal {
        text += &say("; it was not the end of the container", "；容器并未因此结束");
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

fn causes(diagnosis: &Diagnosis, language: Language) -> String {
    let mut text = words::cause(diagnosis.cause);
    if !diagnosis.contributing.is_empty() {
        let contributing: Vec<_> = diagnosis.contributing.iter().map(|code| words::cause(*code)).collect();
        let contributing = contributing.join(", ");
        text += &match language {
            Language::English => format!(", with {contributing} contributing"),
            Language::Chinese => format!("，促成因素：{contributing}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::catalogue::Language;

    use crate::{
        page::Page,
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
        let mut page = Page::new(width, colour, language);
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
    fn a_reader_of_chinese_gets_labels_explanation_and_next_steps_in_chinese() {
        golden("explain-oom-child.zh.txt", &explained_in(Language::Chinese, 100, false, &testing::oom_child()));
        golden("explain-undetermined.zh.txt", &explained_in(Language::Chinese, 100, false, &testing::undetermined()));
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
