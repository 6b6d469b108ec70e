//! What the messages of a record must be, so that every reader can render them in bounded time and memory.

use coroner_proto::v1::{Argument, Cause, Diagnosis, Message, argument::Value};
use prost::Message as _;

use super::field::{Refusal, known, time};

/// Messages of an explanation, as defined by the protocol.
const MAX_SENTENCES: usize = 8;
/// Next steps.
const MAX_STEPS: usize = 4;
/// Arguments of a message, and items of a list.
const MAX_ARGUMENTS: usize = 16;
/// How deep messages and lists may stand in a message.
const MAX_DEPTH: usize = 4;
/// Values of a message that is kept in memory.
const MAX_VALUES: usize = 64;
/// Bytes of the name of a message or an argument.
const MAX_ID_BYTES: usize = 64;
/// Bytes of a quote or an identifier.
const MAX_TEXT_BYTES: usize = 1024;

/// Checks all messages of a diagnosis.
///
/// # Errors
/// The rule that one breaks.
pub(super) fn check(diagnosis: &Diagnosis) -> Result<(), Refusal> {
    let Diagnosis {
        summary_message,
        explanation_messages,
        suggestion_messages,
        evidence,
        against,
        candidates,
        related,
        ..
    } = diagnosis;
    at_most("explanation_messages", MAX_SENTENCES, explanation_messages.len())?;
    at_most("suggestion_messages", MAX_STEPS, suggestion_messages.len())?;
    let of_related = related.iter().filter_map(|related| related.evidence.as_ref());
    let of_evidence = evidence.iter().chain(against).chain(of_related).filter_map(|evidence| evidence.message.as_ref());
    let of_candidates = candidates.iter().filter_map(|candidate| candidate.reason_message.as_ref());
    let all = summary_message.iter().map(|message| ("summary_message", message));
    let all = all
        .chain(explanation_messages.iter().map(|message| ("explanation_messages", message)))
        .chain(suggestion_messages.iter().map(|message| ("suggestion_messages", message)))
        .chain(of_evidence.map(|message| ("evidence.message", message)))
        .chain(of_candidates.map(|message| ("candidates.reason_message", message)));
    for (field, found) in all {
        message(field, found)?;
    }
    Ok(())
}

/// Whether a message that is kept for each source of each node can be rendered, and takes little memory.
pub(crate) fn is_sound(found: &Message, max_bytes: usize) -> bool {
    found.encoded_len() <= max_bytes && values(found) <= MAX_VALUES && message("message", found).is_ok()
}

/// How many values there are in a message, also within others.
fn values(message: &Message) -> usize {
    message.arguments.iter().map(value_count).sum()
}

fn value_count(argument: &Argument) -> usize {
    1 + match &argument.value {
        Some(Value::Message(message)) => values(message),
        Some(Value::List(list)) => list.items.iter().map(value_count).sum(),
        _ => 0,
    }
}

/// Checks one message of this field.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn message(field: &str, message: &Message) -> Result<(), Refusal> {
    within(field, message, MAX_DEPTH)
}

fn within(field: &str, message: &Message, depth: usize) -> Result<(), Refusal> {
    let deeper = depth.checked_sub(1).ok_or_else(|| format!("{field} is more than {MAX_DEPTH} messages deep"))?;
    id(field, &message.id)?;
    at_most(field, MAX_ARGUMENTS, message.arguments.len())?;
    for Argument { name, value: found } in &message.arguments {
        id(field, name)?;
        value(field, found.as_ref(), deeper)?;
    }
    Ok(())
}

fn value(field: &str, value: Option<&Value>, depth: usize) -> Result<(), Refusal> {
    match value.ok_or_else(|| format!("{field} has an argument without a value"))? {
        Value::Quote(text) | Value::Identifier(text) if text.len() > MAX_TEXT_BYTES => {
            Err(format!("{field} has an argument of more than {MAX_TEXT_BYTES} bytes"))
        }
        Value::Time(moment) => time(field, Some(moment)),
        Value::Cause(cause) => known::<Cause>(field, *cause),
        Value::Message(message) => within(field, message, depth),
        Value::List(list) => {
            let deeper = depth.checked_sub(1).ok_or_else(|| format!("{field} is more than {MAX_DEPTH} lists deep"))?;
            at_most(field, MAX_ARGUMENTS, list.items.len())?;
            list.items.iter().try_for_each(|item| self::value(field, item.value.as_ref(), deeper))
        }
        Value::Quote(_)
        | Value::Identifier(_)
        | Value::Count(_)
        | Value::Bytes(_)
        | Value::Duration(_)
        | Value::Signal(_) => Ok(()),
    }
}

fn id(field: &str, id: &str) -> Result<(), Refusal> {
    let is_sound = (1..=MAX_ID_BYTES).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_sound.then_some(()).ok_or_else(|| format!("{field} has an id or a name other than a-z, 0-9 and _"))
}

fn at_most(field: &str, most: usize, count: usize) -> Result<(), Refusal> {
    (count <= most).then_some(()).ok_or_else(|| format!("{field} has more than {most} entries"))
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::ArgumentList;

    use super::*;

    fn argument(name: &str, value: Value) -> Argument {
        Argument { name: name.into(), value: Some(value) }
    }

    fn with(value: Value) -> Message {
        Message { id: "oom_container_limit".into(), arguments: vec![argument("limit", value)] }
    }

    #[test]
    fn sound_messages_are_taken() {
        let nested = with(Value::Message(with(Value::List(ArgumentList {
            items: vec![argument("", Value::Message(with(Value::Bytes(7))))],
        }))));
        assert_eq!(message("summary_message", &nested), Ok(()));
        assert_eq!(check(&Diagnosis { summary_message: Some(nested), ..Diagnosis::default() }), Ok(()));
    }

    #[test]
    fn what_is_kept_in_memory_is_small() {
        let list = |items: usize| with(Value::List(ArgumentList { items: vec![argument("", Value::Count(1)); items] }));
        assert!(is_sound(&list(16), 1024));
        let nested = (0..4).map(|_| argument("why", Value::Message(list(16)))).collect();
        assert!(!is_sound(&Message { id: "x".into(), arguments: nested }, 1024));
        assert!(!is_sound(&with(Value::Quote("x".repeat(1024))), 1024));
        assert!(!is_sound(&Message::default(), 1024));
    }

    #[test]
    fn each_broken_rule_is_named() {
        let refusal = |found: &Message| message("summary_message", found).unwrap_err();
        assert!(refusal(&Message::default()).contains("id"));
        assert!(refusal(&Message { id: "../x".into(), arguments: vec![] }).contains("id"));
        assert!(refusal(&with(Value::Quote("x".repeat(1025)))).contains("bytes"));
        assert!(refusal(&with(Value::Cause(9999))).contains("9999"));
        let time = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert!(refusal(&with(Value::Time(time))).contains("out of range"));
        let deep = (0..5).fold(with(Value::Count(1)), |inner, _| with(Value::Message(inner)));
        assert!(refusal(&deep).contains("deep"));
        let many = vec![argument("limit", Value::Count(1)); 17];
        assert!(refusal(&Message { id: "x".into(), arguments: many.clone() }).contains("16 entries"));
        assert!(refusal(&with(Value::List(ArgumentList { items: many }))).contains("16 entries"));
        let empty = Argument { name: "limit".into(), value: None };
        assert!(refusal(&Message { id: "x".into(), arguments: vec![empty] }).contains("without a value"));
        let sentences = vec![with(Value::Count(1)); 9];
        let diagnosis = Diagnosis { explanation_messages: sentences, ..Diagnosis::default() };
        assert!(check(&diagnosis).unwrap_err().contains("explanation_messages"));
    }
}
