//! A diagnosis in the language of its reader.
//!
//! The messages of a diagnosis are rendered by the catalogues of this version. Where a message is missing, as in an old
//! record, or not known, as in the record of a later version, the English text of the record stands in its place.

use coroner_proto::v1::{
    ApiServerAccess, Candidate, Daemon, Diagnosis, Evidence, ExporterStatus, Gap, Message, SourceStatus, TaskStatus,
    UnobservedCheck,
};

use crate::{
    catalogue::{self, Place},
    messages::{CATALOGUE, Language},
};

/// What happened, in one phrase. Of a record without messages, what its cause means; empty if that is not known either.
pub fn summary(diagnosis: &Diagnosis, language: Language) -> String {
    if language == Language::English && !diagnosis.summary.is_empty() {
        return diagnosis.summary.clone();
    }
    let message = diagnosis.summary_message.as_ref().and_then(|message| CATALOGUE.render(message, language));
    let meaning = || catalogue::find(diagnosis.cause()).and_then(|row| CATALOGUE.render(&(row.what)(), language));
    let meaning = || meaning().filter(|_| language != Language::English);
    let summary = message.or_else(meaning).unwrap_or_else(|| diagnosis.summary.clone());
    summary.trim_end_matches('。').to_owned()
}

/// What happened, who acted and the numbers. Of a record without messages, its summary and explanation in English.
pub fn explanation(diagnosis: &Diagnosis, language: Language) -> String {
    if language == Language::English {
        return diagnosis.explanation.clone();
    }
    let sentences = diagnosis.explanation_messages.iter().map(|message| CATALOGUE.render(message, language));
    let sentences: Option<Vec<String>> = sentences.collect();
    let is_worded = diagnosis.summary_message.is_some();
    match sentences {
        Some(sentences) if is_worded => sentences.join(language.between_sentences()),
        _ => [&diagnosis.summary, &diagnosis.explanation]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(|text| text.trim_end_matches('.').to_owned() + ".")
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// What to do next. Of a record without messages, what this version suggests for its cause.
pub fn suggestions(diagnosis: &Diagnosis, language: Language) -> Vec<String> {
    if language == Language::English {
        return diagnosis.suggestions.clone();
    }
    let render = |steps: &[Message]| steps.iter().map(|step| CATALOGUE.render(step, language)).collect();
    let own: Option<Vec<String>> = render(&diagnosis.suggestion_messages);
    let of_cause = || {
        let subject = diagnosis.subject.clone().unwrap_or_default();
        catalogue::find(diagnosis.cause()).and_then(|row| render(&(row.next)(&Place::of(&subject))))
    };
    own.filter(|steps| !steps.is_empty()).or_else(of_cause).unwrap_or_else(|| diagnosis.suggestions.clone())
}

/// What a source stated: quoted, or in the language of the reader.
pub fn evidence(evidence: &Evidence, language: Language) -> String {
    rendered(evidence.message.as_ref(), &evidence.text, language)
}

/// What would decide for a candidate, in this language.
pub fn reason(candidate: &Candidate, language: Language) -> String {
    rendered(candidate.reason_message.as_ref(), &candidate.reason, language)
}

/// The text of a gap, in this language.
pub fn gap(gap: &Gap, language: Language) -> String {
    rendered(gap.text_message.as_ref(), &gap.text, language)
}

/// Why a source does not observe everything.
pub fn source_reason(status: &SourceStatus, language: Language) -> String {
    rendered(status.reason_message.as_ref(), &status.reason, language)
}

/// Why a check of the node is not made.
pub fn check_reason(check: &UnobservedCheck, language: Language) -> String {
    rendered(check.reason_message.as_ref(), &check.reason, language)
}

/// Why a task of an aggregator does not run; empty while it does.
pub fn task_reason(status: &TaskStatus, language: Language) -> String {
    rendered(status.reason_message.as_ref(), &status.reason, language)
}

/// Why an exporter does not deliver; empty while it does.
pub fn exporter_reason(status: &ExporterStatus, language: Language) -> String {
    rendered(status.reason_message.as_ref(), &status.reason, language)
}

/// What the last failed check of a daemon got; empty if none failed.
pub fn daemon_error(daemon: &Daemon, language: Language) -> String {
    rendered(daemon.error_message.as_ref(), &daemon.error, language)
}

/// Why the API server is not reached; empty while it is.
pub fn api_server_error(access: &ApiServerAccess, language: Language) -> String {
    rendered(access.error_message.as_ref(), &access.error, language)
}

/// A message of this crate, as those of the catalogue of causes.
pub fn message(message: &Message, language: Language) -> String {
    CATALOGUE.render(message, language).unwrap_or_else(|| message.id.clone())
}

fn rendered(message: Option<&Message>, english: &str, language: Language) -> String {
    let wanted = message.filter(|_| language != Language::English);
    wanted.and_then(|message| CATALOGUE.render(message, language)).unwrap_or_else(|| english.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::health;

    #[test]
    fn a_reason_without_a_message_or_with_an_unknown_one_is_its_english_text() {
        let status = |reason_message: Option<Message>| {
            let status = SourceStatus { reason: "not started yet".into(), reason_message, ..SourceStatus::default() };
            [Language::English, Language::Chinese].map(|language| source_reason(&status, language))
        };
        assert_eq!(status(Some(health::health_not_started())), ["not started yet", "尚未启动"]);
        assert_eq!(status(None), ["not started yet"; 2]);
        assert_eq!(
            status(Some(Message { id: "of_a_later_version".into(), arguments: vec![] })),
            ["not started yet"; 2]
        );
    }
}
