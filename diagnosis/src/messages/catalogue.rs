//! Catalogues: the wording of messages, in Fluent's format, one bundle a language. A bundle is parsed when its language
//! is first asked for, and kept.

use std::sync::OnceLock;

use coroner_proto::v1::{Argument, Cause, Message, argument::Value};
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
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

type Bundle = FluentBundle<FluentResource>;

/// The wording of a crate's messages in each language.
pub struct Catalogue {
    english: &'static [&'static str],
    chinese: &'static [&'static str],
    bundles: [OnceLock<Bundle>; 2],
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Catalogue {
    /// A catalogue of the contents of `.ftl` files, by language.
    pub const fn new(english: &'static [&'static str], chinese: &'static [&'static str]) -> Self {
        Self { english, chinese, bundles: [const { OnceLock::new() }; 2] }
    }

    /// The contents of the `.ftl` files of a language.
    pub const fn sources(&self, language: Language) -> &'static [&'static str] {
        match language {
            Language::English => self.english,
            Language::Chinese => self.chinese,
        }
    }

    /// Whether the texts of a language have been parsed, and take memory. For tests.
    pub fn is_read(&self, language: Language) -> bool {
        self.cell(language).get().is_some()
    }

    fn cell(&self, language: Language) -> &OnceLock<Bundle> {
        match language {
            Language::English => &self.bundles[0],
            Language::Chinese => &self.bundles[1],
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
        let bundle = self.bundle(language);
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

    fn bundle(&self, language: Language) -> &Bundle {
        self.cell(language).get_or_init(|| {
            let tag = language.tag().parse().expect("the tag is a constant");
            let mut bundle = FluentBundle::new_concurrent(vec![tag]);
            // Marks around arguments that guard against right-to-left text: arguments have been cleaned of it.
            bundle.set_use_isolating(false);
            for source in self.sources(language) {
                // What cannot be parsed is missing, and tests hold that nothing is.
                let resource = FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(resource, _)| resource);
                bundle.add_resource_overriding(resource);
            }
            bundle
        })
    }
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
