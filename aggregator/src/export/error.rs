//! Why an exporter does not run.

use std::{io, path::Path};

use coroner_runtime::problem::Problem;

use crate::messages::{problem, start};

/// An exporter that cannot be started, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What an operator has to correct.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// A fault of this program.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Of a file without which it has no place for its cursor.
    pub(super) fn of_file(doing: &str, path: &Path, error: &io::Error) -> Self {
        problem(start::export_file(doing, path.display().to_string(), error.to_string())).into()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Problem(problem) => problem,
            Error::Failed(reason) => Self::of_system(&io::Error::other(reason)),
        }
    }
}
