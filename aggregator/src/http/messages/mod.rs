//! The texts of the page, beside those of diagnoses: labels, notes and errors.

use coroner_diagnosis::messages::{Catalogue, Language, Message};

pub(super) mod texts;

static CATALOGUE: Catalogue = Catalogue::new(&[include_str!("en.ftl")], &[include_str!("zh.ftl")]);

/// The text of a message of the page. An id that the catalogue lacks, which tests rule out, is the text itself.
pub(super) fn text(message: &Message, language: Language) -> String {
    CATALOGUE.text(message, language)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::faults;

    use super::*;

    #[test]
    fn both_catalogues_word_every_message_with_its_arguments_and_nothing_else() {
        assert_eq!(faults(&CATALOGUE, texts::DECLARED), Vec::<String>::new());
    }
}
