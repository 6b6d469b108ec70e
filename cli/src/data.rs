//! Messages of the wire for programs: proto3 JSON, one object a line, and YAML of the same, one document each.

use coroner_diagnosis::text;
use coroner_proto::v1::Diagnosis;
use prost::{Message, Name};
use serde_json::Value;

use crate::{args::Format, exit::Failure, messages::command};

/// The message as a line of JSON or a document of YAML; `None` for the formats that are for people.
///
/// # Errors
/// A received message may contain what JSON cannot represent, such as a time beyond the year 9999.
pub(crate) fn render<M: Message + Name>(format: Option<Format>, message: &M) -> Result<Option<String>, Failure> {
    match format {
        Some(Format::Json | Format::Yaml) => {
            let value = coroner_proto::json::to_value(message).map_err(|error| unsayable(&error))?;
            render_value(format, value).map(Some)
        }
        Some(Format::Table | Format::Wide | Format::Name) | None => Ok(None),
    }
}

/// A diagnosis as data: its uid for `-o name`, else as [`render`].
///
/// # Errors
/// As [`render`].
pub(crate) fn diagnosis(format: Option<Format>, diagnosis: &Diagnosis) -> Result<Option<String>, Failure> {
    match format {
        Some(Format::Name) => Ok(Some(name(&diagnosis.uid))),
        format => render(format, diagnosis),
    }
}

/// A line of `-o name`.
pub(crate) fn name(name: &str) -> String {
    format!("{}\n", text::clean(name, usize::MAX))
}

/// The value as a document of YAML, or as a line of JSON for any other format.
///
/// # Errors
/// None that is known: both formats hold every value.
pub(crate) fn render_value(format: Option<Format>, value: Value) -> Result<String, Failure> {
    if format == Some(Format::Yaml) {
        let document = serde_saphyr::to_string(&cleaned(value)).map_err(|error| unsayable(&error))?;
        return Ok(format!("---\n{document}"));
    }
    Ok(json_line(&value))
}

/// The failure for a record that cannot be written as text.
pub(crate) fn unsayable(error: &dyn std::fmt::Display) -> Failure {
    Failure::error(command::error_format(error.to_string()))
}

/// The value in one line.
fn json_line(value: &Value) -> String {
    format!("{}\n", text::escape_json(&value.to_string()))
}

/// The value with its texts escaped as for people: YAML has no escape that fits into every style of its scalars.
fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text::clean(&text, usize::MAX)),
        Value::Array(values) => Value::Array(values.into_iter().map(cleaned).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, cleaned(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn json_is_one_line_that_keeps_every_character() {
        for text in testing::HOSTILE {
            let line = render(Some(Format::Json), &testing::with_text_everywhere(text)).unwrap().unwrap();
            testing::assert_harmless(&line);
            assert_eq!(line.lines().count(), 1);
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["summary"], *text);
            assert_eq!(value["evidence"][0]["text"], *text);
        }
    }

    #[test]
    fn yaml_is_a_document_for_each_message() {
        testing::golden("diagnosis.yaml", &render(Some(Format::Yaml), &testing::oom_child()).unwrap().unwrap());
    }

    #[test]
    fn hostile_text_in_any_field_neither_drives_the_terminal_nor_forges_yaml() {
        let yaml = |text: &str| render(Some(Format::Yaml), &testing::with_text_everywhere(text)).unwrap().unwrap();
        let honest = yaml("x");
        for text in testing::HOSTILE {
            let document = yaml(text);
            testing::assert_harmless(&document);
            assert_eq!(document.lines().count(), honest.lines().count(), "{document}");
        }
    }

    #[test]
    fn times_are_rfc_3339_and_enums_have_their_names() {
        let line = render(Some(Format::Json), &testing::oom_child()).unwrap().unwrap();
        assert!(line.contains(r#""eventTime":"2026-11-20T10:02:11.482Z""#), "{line}");
        assert!(line.contains(r#""cause":"CAUSE_OOM_CONTAINER_LIMIT""#), "{line}");
    }

    #[test]
    fn an_impossible_time_is_an_error_and_no_panic() {
        let time = prost_types::Timestamp { seconds: i64::MAX, nanos: -5 };
        let diagnosis = coroner_proto::v1::Diagnosis { event_time: Some(time), ..Default::default() };
        assert!(render(Some(Format::Json), &diagnosis).is_err());
    }
}
