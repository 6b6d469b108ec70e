//! The typed arguments of messages. Text is made safe on its way in: control characters are escaped, and its length is
//! bounded.

use coroner_proto::v1::{Argument, ArgumentList, Cause, Message, argument::Value};
use jiff::{SignedDuration, Timestamp};

use crate::{redact, text, wire};

/// Longest quoted text, in bytes.
const QUOTE: usize = 512;
/// Longest name, in bytes: that of an object of Kubernetes.
const IDENTIFIER: usize = 253;
/// Most items of a list.
const ITEMS: usize = 16;

/// Words of a program, the kernel or an object of the API: not translated, without a full stop at their end, cut to 512
/// bytes.
#[derive(Clone, Debug)]
pub struct Quote(String);
/// A name, or a keyword by which the message chooses its wording, cut to 253 bytes.
#[derive(Clone, Debug)]
pub struct Identifier(String);
/// Several names, of which the first 16 count.
#[derive(Clone, Debug)]
pub struct Identifiers(Vec<Value>);
/// A number without a unit; it selects plural forms.
#[derive(Clone, Copy, Debug)]
pub struct Count(i64);
/// A size in bytes, shown in binary units.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(u64);
/// A span of time, shown in at most two units.
#[derive(Clone, Copy, Debug)]
pub struct Duration(SignedDuration);
/// A point in time, shown as the time of day with its zone.
#[derive(Clone, Copy, Debug)]
pub struct Time(Timestamp);
/// Several moments, of which the first 16 count.
#[derive(Clone, Debug)]
pub struct Times(Vec<Value>);
/// A signal by its number, shown by its name.
#[derive(Clone, Copy, Debug)]
pub struct SignalName(i32);
/// A cause, shown by its code: `OOM_NODE`.
#[derive(Clone, Copy, Debug)]
pub struct CauseName(Cause);
/// A part of a text that is a message itself.
#[derive(Clone, Debug)]
pub struct Phrase(Message);
/// Several such parts, of which the first 16 count.
#[derive(Clone, Debug)]
pub struct Phrases(Vec<Value>);

impl<T: AsRef<str>> From<T> for Quote {
    fn from(text: T) -> Self {
        Self(redact::cut(text.as_ref().trim().trim_end_matches('.'), QUOTE))
    }
}

impl<T: AsRef<str>> From<T> for Identifier {
    fn from(text: T) -> Self {
        Self(text::clean(text.as_ref(), IDENTIFIER))
    }
}

impl<T: AsRef<str>> From<Vec<T>> for Identifiers {
    fn from(names: Vec<T>) -> Self {
        let names = names.into_iter().take(ITEMS);
        Self(names.map(|name| Value::from(Identifier::from(name))).collect())
    }
}

impl From<Vec<Timestamp>> for Times {
    fn from(times: Vec<Timestamp>) -> Self {
        Self(times.into_iter().take(ITEMS).map(|time| Value::from(Time::from(time))).collect())
    }
}

impl From<Message> for Phrase {
    fn from(message: Message) -> Self {
        Self(message)
    }
}

impl From<Vec<Message>> for Phrases {
    fn from(messages: Vec<Message>) -> Self {
        Self(messages.into_iter().take(ITEMS).map(Value::Message).collect())
    }
}

impl From<i32> for Count {
    fn from(number: i32) -> Self {
        Self(number.into())
    }
}

impl From<u32> for Count {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl From<i64> for Count {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Count {
    fn from(number: usize) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Bytes {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<SignedDuration> for Duration {
    fn from(duration: SignedDuration) -> Self {
        Self(duration.max(SignedDuration::ZERO))
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX))
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl From<i32> for SignalName {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl From<Cause> for CauseName {
    fn from(cause: Cause) -> Self {
        Self(cause)
    }
}

impl From<Quote> for Value {
    fn from(Quote(text): Quote) -> Self {
        Self::Quote(text)
    }
}

impl From<Identifier> for Value {
    fn from(Identifier(text): Identifier) -> Self {
        Self::Identifier(text)
    }
}

impl From<Identifiers> for Value {
    fn from(Identifiers(values): Identifiers) -> Self {
        list(values)
    }
}

impl From<Count> for Value {
    fn from(Count(number): Count) -> Self {
        Self::Count(number)
    }
}

impl From<Bytes> for Value {
    fn from(Bytes(bytes): Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Duration> for Value {
    fn from(Duration(duration): Duration) -> Self {
        Self::Duration(prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() })
    }
}

impl From<Time> for Value {
    fn from(Time(time): Time) -> Self {
        Self::Time(wire::time(time))
    }
}

impl From<Times> for Value {
    fn from(Times(values): Times) -> Self {
        list(values)
    }
}

impl From<SignalName> for Value {
    fn from(SignalName(number): SignalName) -> Self {
        Self::Signal(number)
    }
}

impl From<CauseName> for Value {
    fn from(CauseName(cause): CauseName) -> Self {
        Self::Cause(cause.into())
    }
}

impl From<Phrase> for Value {
    fn from(Phrase(message): Phrase) -> Self {
        Self::Message(message)
    }
}

impl From<Phrases> for Value {
    fn from(Phrases(values): Phrases) -> Self {
        list(values)
    }
}

fn list(values: Vec<Value>) -> Value {
    let items = values.into_iter().map(|value| Argument { name: String::new(), value: Some(value) });
    Value::List(ArgumentList { items: items.collect() })
}

/// A message of these arguments. Called by what [`messages!`](crate::messages!) declares.
pub fn message<const N: usize>(id: &str, arguments: [(&str, Value); N]) -> Message {
    let argument = |(name, value): (&str, Value)| Argument { name: name.to_owned(), value: Some(value) };
    Message { id: id.to_owned(), arguments: arguments.into_iter().map(argument).collect() }
}
