//! The texts of a diagnosis: its messages, without secrets, and their English texts.

use std::collections::BTreeSet;

use coroner_proto::v1::{Candidate, Cause, Diagnosis, Evidence, Message, Redaction, Related, argument::Value};
use jiff::Timestamp;

use crate::{
    messages, redact, text,
    verdict::{self, Statement, Verdict},
    wire,
};

/// Longest headline, in bytes. Its wording keeps to 80 characters; names in it may be longer.
const HEADLINE: usize = 200;
/// Longest explanation, in bytes.
const EXPLANATION: usize = 2048;

/// Gives a diagnosis the texts of its verdict, and the next steps. Takes secrets out of everything that Coroner did not
/// word itself, and names what was withheld, here or by the source before.
pub(super) fn render(diagnosis: &mut Diagnosis, verdict: &Verdict, next: Vec<Message>) {
    let headline = cleaned(verdict.headline.clone());
    let explanation: Vec<Message> = verdict.explanation.iter().cloned().map(cleaned).collect();
    diagnosis.summary = text::clean(&messages::english(&headline), HEADLINE);
    diagnosis.explanation = text::clean(&messages::english_paragraph(&explanation), EXPLANATION);
    diagnosis.suggestions = next.iter().map(messages::english).collect();
    diagnosis.evidence = verdict.evidence.iter().map(evidence).collect();
    diagnosis.against = verdict.against.iter().map(evidence).collect();
    diagnosis.candidates = verdict.candidates.iter().map(candidate).collect();
    diagnosis.related = verdict.related.iter().map(related).collect();
    diagnosis.last_lines = verdict.last_lines.iter().map(|line| redact::clean(line).0).collect();
    if let Some(exit) = &mut diagnosis.exit {
        exit.reported_reason = redact::clean(&exit.reported_reason).0;
    }
    diagnosis.redactions = redactions(diagnosis);
    diagnosis.summary_message = Some(headline);
    diagnosis.explanation_messages = explanation;
    diagnosis.suggestion_messages = next;
}

fn evidence(evidence: &verdict::Evidence) -> Evidence {
    let (text, message) = match &evidence.statement {
        Statement::Quote(text) => (redact::clean(text).0, None),
        Statement::Message(message) => {
            let message = cleaned(message.clone());
            (messages::english(&message), Some(message))
        }
    };
    Evidence {
        source: evidence.source.name().to_owned(),
        // An object may lack the time that it should have.
        time: (evidence.at > Timestamp::UNIX_EPOCH).then(|| wire::time(evidence.at)),
        text,
        message,
    }
}

fn related(related: &verdict::Related) -> Related {
    Related {
        namespace: text::clean(&related.namespace, 253),
        pod: text::clean(&related.pod, 253),
        container: text::clean(&related.container, 253),
        evidence: related.evidence.as_ref().map(evidence),
    }
}

fn candidate((cause, decided_by): &(Cause, Message)) -> Candidate {
    let decided_by = cleaned(decided_by.clone());
    Candidate { cause: (*cause).into(), reason: messages::english(&decided_by), reason_message: Some(decided_by) }
}

/// The message without secrets in what is quoted or named in it.
pub(crate) fn cleaned(mut message: Message) -> Message {
    message.arguments.iter_mut().filter_map(|argument| argument.value.as_mut()).for_each(clean);
    message
}

fn clean(value: &mut Value) {
    match value {
        Value::Quote(text) | Value::Identifier(text) => *text = redact::clean(text).0,
        Value::Message(message) => *message = cleaned(std::mem::take(message)),
        Value::List(list) => list.items.iter_mut().filter_map(|item| item.value.as_mut()).for_each(clean),
        Value::Count(_)
        | Value::Bytes(_)
        | Value::Duration(_)
        | Value::Time(_)
        | Value::Signal(_)
        | Value::Cause(_) => {}
    }
}

/// The fields in which something was withheld, and the rules that withheld it.
fn redactions(diagnosis: &Diagnosis) -> Vec<Redaction> {
    let Diagnosis { summary, explanation, exit, evidence, against, candidates, last_lines, related, .. } = diagnosis;
    let of_related = related.iter().filter_map(|related| related.evidence.as_ref());
    let texts = [("summary", summary), ("explanation", explanation)].into_iter();
    let texts = texts
        .chain(exit.iter().map(|exit| ("exit.reported_reason", &exit.reported_reason)))
        .chain(evidence.iter().map(|evidence| ("evidence.text", &evidence.text)))
        .chain(against.iter().map(|evidence| ("against.text", &evidence.text)))
        .chain(of_related.map(|evidence| ("related.evidence.text", &evidence.text)))
        .chain(last_lines.iter().map(|line| ("last_lines", line)))
        .chain(candidates.iter().map(|candidate| ("candidates.reason", &candidate.reason)));
    let withheld: BTreeSet<_> =
        texts.flat_map(|(field, text)| redact::rules_in(text).map(move |rule| (field, rule))).collect();
    withheld.into_iter().map(|(field, rule)| Redaction { field: field.into(), rule: rule.into() }).collect()
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Confidence, Subject};

    use super::*;
    use crate::{
        messages::{common, memory},
        observation::Source,
        report::{Revision, diagnosis},
    };

    #[test]
    fn secrets_in_what_others_worded_stay_on_the_node() {
        let at = Timestamp::UNIX_EPOCH;
        let verdict = Verdict::new(Cause::CommandNotFound, Confidence::Certain, at)
            .headed(memory::oom_unknown())
            .explained(common::runtime_reported("srv --password=hunter2"))
            .supported_by(Source::Cri, at, "exec: \"srv --password=hunter2\"")
            .supported_by(Source::Logs, at, "token=[redacted:named]")
            .supported_by(Source::Cri, at, common::kubelet_reported("pwd=hunter2"));
        let revision = Revision { number: 1, first_seen: at, occurrences: 1, resolved: None };
        let reported = diagnosis(Subject::default(), &verdict, revision);
        assert!(!format!("{reported:?}").contains("hunter2"), "{reported:?}");
        let redactions: Vec<_> = reported.redactions.iter().map(|r| (r.field.as_str(), r.rule.as_str())).collect();
        assert_eq!(redactions, [("evidence.text", "named"), ("explanation", "named")]);
    }
}
