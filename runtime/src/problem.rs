//! What a person has to correct before a program can start, in each language.

use std::{error::Error, fmt, io};

use coroner_diagnosis::messages::{Catalogue, Language, Message};

use crate::messages;

/// A problem, and the catalogue that has its text. The catalogue is parsed when the text is asked for, so a program
/// that starts has none of this in memory.
#[derive(Clone, Debug)]
pub struct Problem {
    message: Message,
    catalogue: &'static Catalogue,
}

impl Problem {
    /// The problem that this message of this catalogue states.
    pub const fn new(message: Message, catalogue: &'static Catalogue) -> Self {
        Self { message, catalogue }
    }

    /// That the system refuses what every program needs.
    pub fn of_system(error: &io::Error) -> Self {
        messages::problem(messages::cannot_start(error.to_string()))
    }

    /// Its text, in one line.
    pub fn text(&self, language: Language) -> String {
        self.catalogue.text(&self.message, language)
    }
}

impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text(Language::English))
    }
}

impl Error for Problem {}
