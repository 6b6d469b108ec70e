//! Why a recorded case cannot be read.

use std::{error::Error, fmt, io, path::Path};

use coroner_diagnosis::{
    messages::{Language, Message},
    recording::{CaseError, LineError, Problem},
};

use crate::{
    client::chain,
    messages::{case, text},
};

/// A recorded case that cannot be read: what is wrong with which file, as a message. It is displayed in English.
#[derive(Clone, Debug)]
pub struct Unusable(Message);

impl Unusable {
    pub(crate) fn new(message: Message) -> Self {
        Self(message)
    }

    /// A file or folder that the system does not let be read.
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Self(case::case_unreadable(shown(path), error.to_string()))
    }

    /// What `case.json` of this case lacks.
    pub(crate) fn of_case(path: &Path, error: &CaseError) -> Self {
        Self(match error {
            CaseError::Json(error) => case::case_json(shown(path), error.to_string()),
            CaseError::Later(version) => case::case_later(shown(path), version),
        })
    }

    /// A line of a file of this case.
    pub(crate) fn of_line(path: &Path, error: &LineError) -> Self {
        let fault = match &error.source {
            Problem::Json(error) => case::line_not_json(error.to_string()),
            Problem::Parse(error) => case::line_not_parsed(error.to_string()),
            Problem::Read(error) => fault(error),
            Problem::Time(_) => case::line_time(),
        };
        Self(case::case_line(shown(path), &error.file, error.line, fault))
    }

    /// The message, for the language of a reader.
    pub(crate) fn into_message(self) -> Message {
        self.0
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&text(&self.0, Language::English))
    }
}

impl Error for Unusable {}

/// A line that is not read, within an `io::Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFault {
    TooLong,
    TooMuch,
    NotText,
}

impl LineFault {
    fn message(self) -> Message {
        match self {
            Self::TooLong => case::line_too_long(),
            Self::TooMuch => case::case_too_large(),
            Self::NotText => case::line_not_text(),
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&text(&self.message(), Language::English))
    }
}

impl Error for LineFault {}

/// Why a line cannot be read.
pub(crate) fn fault(error: &io::Error) -> Message {
    match error.get_ref().and_then(|fault| fault.downcast_ref::<LineFault>()) {
        Some(fault) => fault.message(),
        None => case::line_unreadable(chain(error)),
    }
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
