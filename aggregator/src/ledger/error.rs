//! What can go wrong with a ledger.

use std::{io, path::PathBuf};

use coroner_runtime::error::chain;
use rusqlite::ErrorCode;
use tonic::Status;

use crate::unavailable::unavailable;

/// What can go wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else lies where the ledger should.
    #[error("{} is not a ledger of coroner-aggregator; nothing in it was changed", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A ledger, but not of this program's version.
    #[error(
        "{} is a ledger of version {found}, and this coroner-aggregator reads version {expected} only; nothing in it was changed",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// This program's.
        expected: i32,
    },
    /// A ledger that cannot be relied upon.
    #[error("ledger {} is damaged ({detail}); move it away to start with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// Another process writes to it.
    #[error("ledger {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A copy would replace something.
    #[error("{} exists already; --force replaces it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A copy would replace what it is a copy of.
    #[error("{} is the ledger itself and its backup at once; give another file", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made or read.
    #[error("cannot {doing} ledger {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// SQLite failed.
    #[error("cannot {doing}")]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// JetStream failed.
    #[error("cannot {doing}")]
    JetStream {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stream has lost records, or is another one.
    #[error("the stream is not the one that was read so far; the aggregator has to start anew with it")]
    StreamChanged,
    /// The thread that writes has panicked.
    #[error("the ledger's writer has failed")]
    WriterFailed,
    /// A query took longer than it may.
    #[error("the query took too long")]
    Deadline,
    /// The writer is gone, or could not store it.
    #[error("the ledger cannot store anything at present")]
    Unavailable,
}

impl Error {
    pub(super) fn reading(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { doing, source }
    }

    /// Whether the stored data itself cannot be used, so that no restart helps.
    pub fn is_about_data(&self) -> bool {
        match self {
            Self::NotALedger { .. } | Self::OtherVersion { .. } | Self::Damaged { .. } => true,
            Self::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            Self::InUse { .. }
            | Self::Exists { .. }
            | Self::SameFile { .. }
            | Self::File { .. }
            | Self::JetStream { .. }
            | Self::StreamChanged
            | Self::WriterFailed
            | Self::Deadline
            | Self::Unavailable => false,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Deadline => Self::deadline_exceeded(error.to_string()),
            Error::Unavailable => unavailable(error.to_string()),
            _ => {
                tracing::error!(error = chain(&error), "Cannot read the ledger");
                Self::internal("the ledger cannot be read")
            }
        }
    }
}
