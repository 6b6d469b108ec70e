//! How well a source observes its interface, and why not better.

use std::fmt;

use coroner_proto::v1::Message;
use prost::Message as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    messages::{self, health},
    redact, report, text,
};

/// Longest text of a reason, in bytes. The aggregator accepts twice as much.
const TEXT: usize = 512;
/// The largest message of a reason, encoded, in bytes: a larger one is left out beside its text.
const MESSAGE: usize = 1024;

/// How well a source sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It sees everything.
    Ok,
    /// It sees less than it could, with the reason.
    Degraded(Reason),
    /// It is not there, or not allowed, with the reason. A state, not an error.
    Absent(Reason),
}

/// Why something does not observe everything.
///
/// A recording contains its English text only, which every version reads as a quotation. The quotation of a text is
/// equal to the message of that text.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Recorded")]
pub enum Reason {
    /// Text of others, control characters escaped.
    Quote(String),
    /// What the catalogues word.
    Message(Message),
}

impl Reason {
    /// Text that Coroner has not worded: of the system, or of a recording.
    pub fn quote(text: impl AsRef<str>) -> Self {
        Self::Quote(redact::cut(text.as_ref(), TEXT))
    }

    /// Whether no reason is given, as in a recording without one.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Quote(text) if text.is_empty())
    }

    /// The English text, without a bound.
    pub fn text(&self) -> String {
        match self {
            Self::Quote(text) => text.clone(),
            Self::Message(message) => messages::english(message),
        }
    }

    /// The English text and the message of it, as they leave the node: bounded, and without secrets.
    pub fn on_the_wire(&self) -> (String, Option<Message>) {
        match self {
            Self::Quote(text) => (text::clean(&redact::clean(text).0, TEXT), None),
            Self::Message(message) => {
                let message = report::cleaned(message.clone());
                let english = text::clean(&messages::english(&message), TEXT);
                (english, Some(message).filter(|message| message.encoded_len() <= MESSAGE))
            }
        }
    }

    /// The reason as a part of another message.
    pub fn phrase(self) -> Message {
        match self {
            Self::Quote(text) => health::health_quoted(text),
            Self::Message(message) => message,
        }
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Message(one), Self::Message(other)) => one == other,
            (one, other) => one.text() == other.text(),
        }
    }
}

impl From<Message> for Reason {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// A reason as it stands in recordings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Text(String),
    /// As a later version may write it, with more beside the text.
    Object {
        text: String,
    },
}

impl From<Recorded> for Reason {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Text(text) | Recorded::Object { text } => Self::quote(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{CATALOGUE, Language};

    #[test]
    fn a_recording_has_the_text_and_is_read_as_a_quotation() {
        let health = Health::Absent(health::health_no_socket("CRI").into());
        let json = serde_json::to_string(&health).unwrap();
        assert_eq!(json, r#"{"absent":"this node has no CRI socket"}"#);
        for written in [&*json, r#"{"absent":{"text":"this node has no CRI socket","later":[1]}}"#] {
            let read: Health = serde_json::from_str(written).unwrap();
            assert!(matches!(&read, Health::Absent(Reason::Quote(text)) if text == "this node has no CRI socket"));
            assert_eq!(read, health);
        }
        assert_eq!(serde_json::from_str::<Health>(r#""ok""#).unwrap(), Health::Ok);
    }

    #[test]
    fn what_leaves_the_node_is_bounded_and_has_no_secrets() {
        let failed = Reason::from(health::health_call_failed("Version", "password=hunter2"));
        let (text, message) = failed.on_the_wire();
        assert_eq!(text, "Version failed: password=[redacted:named]");
        let chinese = CATALOGUE.render(&message.unwrap(), Language::Chinese).unwrap();
        assert_eq!(chinese, "Version 失败：password=[redacted:named]");

        let long = || health::health_unreadable("x".repeat(300), "\u{1b}y".repeat(300));
        let (text, message) = Reason::from(health::health_both(long(), long())).on_the_wire();
        assert!(text.len() <= TEXT && !text.contains('\u{1b}') && message.is_none(), "{text}");
        let (text, message) = Reason::quote("\u{1b}y".repeat(300)).on_the_wire();
        assert!(text.len() <= TEXT && !text.contains('\u{1b}') && message.is_none(), "{text}");
    }
}
