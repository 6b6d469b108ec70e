//! The texts that people read. A rule names a message and its arguments; the catalogues in `en/` and `zh/` hold the
//! wording.
//!
//! A message is declared once, by [`messages!`](crate::messages!), as a function of its arguments: an id or an argument
//! that does not exist does not compile, and an unused message is dead code. Tests hold that both catalogues word every
//! declared message with exactly its arguments.

mod argument;
mod catalogue;
mod declare;
mod format;

pub(crate) mod causes;
pub(crate) mod cluster;
pub(crate) mod common;
pub(crate) mod crash;
pub(crate) mod eviction;
pub(crate) mod exit;
pub(crate) mod explain;
pub mod gaps;
pub mod health;
pub(crate) mod lost;
pub(crate) mod memory;
pub(crate) mod next;
pub(crate) mod node;
pub mod operation;
pub(crate) mod removal;
pub(crate) mod start;
pub(crate) mod stop;
pub mod stores;
pub(crate) mod triage;
pub(crate) mod unwell;

pub use argument::{
    Bytes, CauseName, Count, Duration, Identifier, Identifiers, Phrase, Phrases, Quote, SignalName, Time, Times,
    message,
};
pub use catalogue::{Catalogue, Language};
use coroner_proto::v1::Gap;
pub use coroner_proto::v1::Message;
pub use declare::{Declared, faults};

/// The catalogues of these groups of messages.
macro_rules! catalogue {
    [$($group:literal),* $(,)?] => {
        Catalogue::new(
            &[$(include_str!(concat!("en/", $group, ".ftl"))),*],
            &[$(include_str!(concat!("zh/", $group, ".ftl"))),*],
        )
    };
}

/// The catalogues of this crate.
pub static CATALOGUE: Catalogue = catalogue![
    "causes",
    "cluster",
    "common",
    "crash",
    "eviction",
    "exit",
    "explain",
    "gaps",
    "health",
    "lost",
    "memory",
    "next",
    "node",
    "operation",
    "removal",
    "start",
    "stop",
    "stores",
    "triage",
    "unwell",
];

/// The text of a message. An id that the catalogue lacks is the text itself.
pub fn text(message: &Message, language: Language) -> String {
    CATALOGUE.text(message, language)
}

/// The text of a message in English. An id that the catalogue lacks, which tests rule out for the messages of this
/// crate, is the text itself.
pub fn english(message: &Message) -> String {
    text(message, Language::English)
}

/// The English text of sentences that follow one another.
pub fn english_paragraph(sentences: &[Message]) -> String {
    sentences.iter().map(english).collect::<Vec<_>>().join(Language::English.between_sentences())
}

/// The gap with this message, and its English text.
pub fn worded(gap: Gap, message: Message) -> Gap {
    Gap { text: english(&message), text_message: Some(message), ..gap }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Argument, argument::Value};

    use super::*;

    /// Phrases that are not used in texts, beside the words that `scripts/words` refuses everywhere.
    const AVOIDED: [&str; 7] = ["died of", "its own word", "编造", "照做", "杀死", "上限", "证人"];

    #[test]
    fn texts_use_standard_terms() {
        for language in [Language::English, Language::Chinese] {
            for line in CATALOGUE.sources(language).iter().flat_map(|source| source.lines()) {
                let lower = line.to_lowercase();
                let found = AVOIDED.iter().find(|phrase| lower.contains(*phrase));
                assert_eq!(found, None, "{line}");
                assert!(language == Language::Chinese || !line.contains("  ") || line.starts_with(' '), "{line}");
            }
        }
    }

    fn declared() -> Vec<Declared> {
        [
            causes::DECLARED,
            cluster::DECLARED,
            common::DECLARED,
            crash::DECLARED,
            eviction::DECLARED,
            exit::DECLARED,
            explain::DECLARED,
            gaps::DECLARED,
            health::DECLARED,
            lost::DECLARED,
            memory::DECLARED,
            next::DECLARED,
            node::DECLARED,
            operation::DECLARED,
            removal::DECLARED,
            start::DECLARED,
            stop::DECLARED,
            stores::DECLARED,
            triage::DECLARED,
            unwell::DECLARED,
        ]
        .concat()
    }

    #[test]
    fn both_catalogues_contain_exactly_the_declared_messages_and_arguments() {
        assert_eq!(faults(&CATALOGUE, &declared()), Vec::<String>::new());
    }

    #[test]
    fn every_declared_message_can_be_rendered_in_both_languages() {
        for (id, arguments) in declared() {
            let value = |name: &&str| Argument { name: (*name).to_owned(), value: Some(Value::Count(2)) };
            let message = Message { id: id.to_owned(), arguments: arguments.iter().map(value).collect() };
            for language in [Language::English, Language::Chinese] {
                assert!(CATALOGUE.render(&message, language).is_some(), "{language:?}: {id}");
            }
        }
    }
}
