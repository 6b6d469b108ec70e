//! The texts of this program, beside those of diagnoses: labels, notes and errors.

use coroner_diagnosis::messages::{Catalogue, Language, Message};
use coroner_runtime::problem::Problem;

pub(crate) mod case;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod demo;
pub(crate) mod notes;
pub(crate) mod page;

/// The catalogues of this program.
static CATALOGUE: Catalogue = Catalogue::new(
    &[
        include_str!("en/case.ftl"),
        include_str!("en/cluster.ftl"),
        include_str!("en/command.ftl"),
        include_str!("en/demo.ftl"),
        include_str!("en/notes.ftl"),
        include_str!("en/page.ftl"),
    ],
    &[
        include_str!("zh/case.ftl"),
        include_str!("zh/cluster.ftl"),
        include_str!("zh/command.ftl"),
        include_str!("zh/demo.ftl"),
        include_str!("zh/notes.ftl"),
        include_str!("zh/page.ftl"),
    ],
);

/// The text of a message of this program. An id that the catalogue lacks, which tests rule out, is the text itself.
pub(crate) fn text(message: &Message, language: Language) -> String {
    CATALOGUE.text(message, language)
}

/// What a person has to correct.
pub(crate) fn problem(message: Message) -> Problem {
    Problem::new(message, &CATALOGUE)
}

/// The text of a message of this program in English, where the reader is not known.
pub(crate) fn english(message: &Message) -> String {
    text(message, Language::English)
}

/// Several texts as the parts of one sentence.
pub(crate) fn joined(messages: &[Message], language: Language) -> String {
    let separator = match language {
        Language::English => "; ",
        Language::Chinese => "；",
    };
    messages.iter().map(|message| text(message, language)).collect::<Vec<_>>().join(separator)
}

/// Several names as one list.
pub(crate) fn listed(names: &[String], language: Language) -> String {
    names.join(language.between_names())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use coroner_diagnosis::messages::{Declared, faults};

    use super::*;

    fn declared() -> Vec<Declared> {
        [case::DECLARED, cluster::DECLARED, command::DECLARED, demo::DECLARED, notes::DECLARED, page::DECLARED].concat()
    }

    #[test]
    fn both_catalogues_contain_exactly_the_declared_messages_and_arguments() {
        assert_eq!(faults(&CATALOGUE, &declared()), Vec::<String>::new());
    }

    /// The Rust files below a folder but those of messages, one after the other.
    fn sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true if entry.ends_with("messages") => {}
                true => sources(&entry, text),
                false => text.push_str(&fs::read_to_string(&entry).unwrap_or_default()),
            }
        }
    }

    #[test]
    fn every_message_is_used() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        for (id, _) in declared() {
            assert!(text.contains(&format!("::{id}")), "{id} is not used");
        }
    }
}
