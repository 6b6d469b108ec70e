//! Catalogues: the wording of messages, in Fluent's format. A message is parsed each time it is asked for: few are at
//! once, and all of them parsed would take 0.9 MiB for each language.

use std::{collections::BTreeMap, iter, sync::OnceLock};

use coroner_proto::v1::{Argument, Cause, Message, argument::Value};
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use jiff::{SignedDuration, Timestamp};

use super::format;
use crate::signal::signal_name;

/// How deep messages may stand in one another.
const DEPTH: usize = 4;

/// A language that texts are shown in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language that the first of these values names that is not empty: those of LC_ALL, LC_MESSAGES and LANG.
    pub fn of_locale(values: [String; 3]) -> Self {
        let locale = values.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
        match locale.split(['_', '.', '@', '-']).next() {
            Some("zh") => Self::Chinese,
            _ => Self::English,
        }
    }

    /// What separates two sentences of a paragraph.
    pub const fn between_sentences(self) -> &'static str {
        match self {
            Self::English => " ",
            Self::Chinese => "",
        }
    }

    /// What separates two names of a list.
    pub const fn between_names(self) -> &'static str {
        match self {
            Self::English => ", ",
            Self::Chinese => "、",
        }
    }

    /// The tag by which Fluent chooses plurals (BCP 47).
    const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

/// Where the lines of each message are, by its id.
type Index = BTreeMap<&'static str, &'static str>;

/// The wording of a crate's messages in each language.
pub struct Catalogue {
    english: &'static [&'static str],
    chinese: &'static [&'static str],
    indexes: [OnceLock<Index>; 2],
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Catalogue {
    /// A catalogue of the contents of `.ftl` files, by language.
    pub const fn new(english: &'static [&'static str], chinese: &'static [&'static str]) -> Self {
        Self { english, chinese, indexes: [const { OnceLock::new() }; 2] }
    }

    /// The contents of the `.ftl` files of a language.
    pub const fn sources(&self, language: Language) -> &'static [&'static str] {
        match language {
            Language::English => self.english,
            Language::Chinese => self.chinese,
        }
    }

    /// The text of a message of this program. An id that the catalogue lacks, which tests rule out, is the text itself.
    pub fn text(&self, message: &Message, language: Language) -> String {
        self.render(message, language).unwrap_or_else(|| message.id.clone())
    }

    /// The text of a message. `None` if the catalogue does not know it, one of its arguments is missing or of a kind
    /// that is not known, or messages stand too deep in one another: a message of a later version has its English text
    /// beside it.
    pub fn render(&self, message: &Message, language: Language) -> Option<String> {
        self.render_within(message, language, DEPTH)
    }

    fn render_within(&self, message: &Message, language: Language, depth: usize) -> Option<String> {
        let deeper = depth.checked_sub(1)?;
        let bundle = bundle(self.index(language).get(&*message.id)?, language);
        let pattern = bundle.get_message(&message.id)?.value()?;
        let size = |argument: &Argument| match argument.value {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        };
        // What stands in one sentence is compared.
        let sizes: Vec<u64> = message.arguments.iter().filter_map(size).collect();
        let further = format::further_digits(&sizes);
        let mut arguments = FluentArgs::with_capacity(message.arguments.len());
        for Argument { name, value } in &message.arguments {
            let value = match value.as_ref()? {
                Value::Bytes(bytes) => format::bytes(*bytes, further).into(),
                value => self.value(value, language, deeper)?,
            };
            arguments.set(name.as_str(), value);
        }
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors);
        errors.is_empty().then(|| text.into_owned())
    }

    /// The value as Fluent takes it: numbers choose plurals, everything else is text.
    fn value<'a>(&self, value: &'a Value, language: Language, depth: usize) -> Option<FluentValue<'a>> {
        match value {
            Value::Count(number) => Some((*number).into()),
            value => self.text_of(value, language, depth).map(FluentValue::from),
        }
    }

    fn text_of(&self, value: &Value, language: Language, depth: usize) -> Option<String> {
        Some(match value {
            Value::Quote(text) | Value::Identifier(text) => text.clone(),
            Value::Count(number) => number.to_string(),
            Value::Bytes(bytes) => format::bytes(*bytes, 0),
            Value::Duration(duration) => {
                format::duration(SignedDuration::new(duration.seconds, duration.nanos), language)
            }
            Value::Time(time) => format::time(Timestamp::new(time.seconds, time.nanos).ok()?),
            Value::Signal(number) => signal_name(*number),
            Value::Cause(cause) => format::cause(Cause::try_from(*cause).ok()?),
            Value::Message(message) => self.render_within(message, language, depth)?,
            Value::List(list) => {
                let deeper = depth.checked_sub(1)?;
                let items = list.items.iter().map(|item| self.text_of(item.value.as_ref()?, language, deeper));
                format::list(&items.collect::<Option<Vec<_>>>()?, language)
            }
        })
    }

    fn index(&self, language: Language) -> &Index {
        let index = match language {
            Language::English => &self.indexes[0],
            Language::Chinese => &self.indexes[1],
        };
        index.get_or_init(|| self.sources(language).iter().copied().flat_map(entries).collect())
    }
}

/// The messages of an `.ftl` file: the id of each, and its lines with the comments behind them.
pub(super) fn entries(source: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = iter::once(0).chain(source.match_indices('\n').map(|(end, _)| end + 1));
    let starts: Vec<_> = lines.filter(|start| source[*start..].starts_with(|c: char| c.is_ascii_lowercase())).collect();
    let ends = starts.iter().copied().skip(1).chain([source.len()]);
    let entry =
        |(start, end): (&usize, usize)| source[*start..end].split_once(" =").map(|(id, _)| (id, &source[*start..end]));
    starts.iter().zip(ends).filter_map(entry).collect()
}

/// These lines, parsed. What cannot be parsed is missing, and tests hold that nothing is.
fn bundle(lines: &str, language: Language) -> FluentBundle<FluentResource> {
    let tag = language.tag().parse().expect("the tag is a constant");
    let mut bundle = FluentBundle::new(vec![tag]);
    // Marks around arguments that guard against right-to-left text: arguments have been cleaned of it.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(lines.to_owned()).unwrap_or_else(|(resource, _)| resource);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_names_the_language() {
        let language =
            |all: &str, messages: &str, lang: &str| Language::of_locale([all, messages, lang].map(str::to_owned));
        assert_eq!(language("", "", "zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(language("", "zh-TW", "en_US.UTF-8"), Language::Chinese);
        assert_eq!(language("C", "", "zh_CN.UTF-8"), Language::English);
        assert_eq!(language("", "", "zhuang"), Language::English);
        assert_eq!(language("", "", ""), Language::English);
    }
}
