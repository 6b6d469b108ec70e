//! A diagnosis as plain text, to be pasted into a ticket or a chat.

use coroner_diagnosis::{localized, text::clean};
use coroner_proto::v1::{Diagnosis, Evidence};

use super::{facts, messages::texts, view::View, words};

/// No single text is written beyond this; the wire's own limits are lower.
const MAX_TEXT_BYTES: usize = 4_096;

/// The whole of it, a fact a line.
pub(super) fn of(diagnosis: &Diagnosis, view: &View) -> String {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let event = words::event(diagnosis);
    let mut lines = vec![
        words::summary(diagnosis, view.language),
        [words::subject(&subject), subject.container]
            .map(|part| clean(&part, MAX_TEXT_BYTES))
            .join(" ")
            .trim_end()
            .to_owned(),
    ];
    let time = event.map(|time| format!("{} UTC · ", words::moment(time))).unwrap_or_default();
    lines.push(format!("{time}{}", view.text(&words::confidence(diagnosis))));
    let explanation = localized::explanation(diagnosis, view.language);
    if !explanation.is_empty() {
        lines.extend([String::new(), explanation]);
    }
    let statements = |statements: &[Evidence]| {
        let line = |statement: &Evidence| {
            let time = words::time(statement.time.as_ref()).map(|time| words::clock(time, event)).unwrap_or_default();
            format!("{time} {}  {}", statement.source, localized::evidence(statement, view.language))
                .trim_start()
                .to_owned()
        };
        statements.iter().map(line).collect::<Vec<_>>()
    };
    for (title, section) in [
        (texts::evidence(), statements(&diagnosis.evidence)),
        (texts::ruled_out(), statements(&diagnosis.against)),
        (texts::last_lines(), diagnosis.last_lines.clone()),
        (texts::next_steps(), localized::suggestions(diagnosis, view.language)),
        (
            texts::details(),
            facts::facts(diagnosis, view).iter().map(|(name, value)| format!("{}: {value}", view.text(name))).collect(),
        ),
    ] {
        if !section.is_empty() {
            lines.extend([String::new(), view.text(&title)]);
            lines.extend(section.iter().map(|line| format!("  {}", clean(line, MAX_TEXT_BYTES))));
        }
    }
    lines.iter().map(|line| format!("{}\n", clean(line, MAX_TEXT_BYTES))).collect()
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::Language;
    use coroner_proto::v1::Subject;

    use super::super::view::Form;
    use super::*;

    #[test]
    fn no_text_forges_a_line() {
        let hostile = "a\nCause: FORGED\u{1b}[31m";
        let diagnosis = Diagnosis {
            summary: hostile.into(),
            explanation: hostile.into(),
            subject: Some(Subject { name: hostile.into(), container: hostile.into(), ..Subject::default() }),
            evidence: vec![Evidence { source: hostile.into(), text: hostile.into(), ..Evidence::default() }],
            last_lines: vec![hostile.into()],
            suggestions: vec![hostile.into()],
            missing_sources: vec![hostile.into()],
            ..Diagnosis::default()
        };
        let view = View {
            language: Language::English,
            is_chosen: false,
            form: Form::Text,
            here: "/".into(),
            caller: None,
            has_session: false,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let text = of(&diagnosis, &view);
        assert!(
            !text.contains('\u{1b}') && !text.lines().any(|line| line.trim_start().starts_with("Cause: FORGED")),
            "{text}"
        );
    }
}
