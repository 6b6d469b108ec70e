//! Files of connections that cannot be used.

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
};

use coroner_diagnosis::messages::{Message, operation};

/// A file that a connection needs, and which only an operator can correct. It travels within an `io::Error` of the kind
/// `InvalidInput`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableFile {
    /// It cannot be read, or what it contains is refused.
    #[error("cannot use {}: {error}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The error, in one line.
        error: String,
    },
    /// It is readable, and contains no certificate.
    #[error("{} contains no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

impl UnusableFile {
    /// The error of a file that failed in this way.
    pub(super) fn failed(path: &Path, error: impl Display) -> io::Error {
        Self::Failed { path: path.to_owned(), error: error.to_string() }.into()
    }

    /// The file that is at fault, if that is what this error is about.
    pub(crate) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The same for people, in each language.
    pub(crate) fn message(&self) -> Message {
        match self {
            Self::Failed { path, error } => operation::export_file(path.display().to_string(), error),
            Self::NoCertificate { path } => operation::export_no_certificate(path.display().to_string()),
        }
    }
}

impl From<UnusableFile> for io::Error {
    fn from(file: UnusableFile) -> Self {
        Self::new(io::ErrorKind::InvalidInput, file)
    }
}
