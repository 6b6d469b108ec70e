//! What can go wrong with a ledger.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use coroner_diagnosis::messages::{self, Message, stores};
use coroner_runtime::{error::chain, problem::Problem};
use nix::unistd::{getegid, geteuid};
use rusqlite::ErrorCode;
use tonic::Status;

use crate::{
    messages::{problem, start},
    unavailable::unavailable,
};

/// Why an operation on a ledger failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else lies where the ledger should.
    #[error("{}", messages::english(&stores::ledger_is_foreign(path.display().to_string())))]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A ledger, but not of this program's version.
    #[error("{}", messages::english(&other_version(path, *found, *expected)))]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// This program's.
        expected: i32,
    },
    /// A ledger that cannot be relied upon.
    #[error("{}", messages::english(&stores::ledger_is_damaged(path.display().to_string(), detail)))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// Another process writes to it.
    #[error("{}", messages::english(&stores::ledger_in_use(path.display().to_string())))]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A copy would replace something.
    #[error("{}", messages::english(&stores::backup_exists(path.display().to_string())))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A copy would replace what it is a copy of.
    #[error("{}", messages::english(&stores::backup_is_ledger(path.display().to_string())))]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made or read.
    #[error("{}", of_file(doing, path, source))]
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
    #[error("{}", self.problem())]
    StreamChanged,
    /// The thread that writes has panicked.
    #[error("{}", self.problem())]
    WriterFailed,
    /// A query took longer than it may.
    #[error("{}", self.problem())]
    Deadline,
    /// The writer is gone, or could not store it.
    #[error("{}", self.problem())]
    Unavailable,
}

fn other_version(path: &Path, found: i32, expected: i32) -> Message {
    let of = if found > expected { stores::ledger_is_later } else { stores::ledger_is_too_old };
    of(path.display().to_string(), found, expected)
}

impl Error {
    /// The same for who starts the aggregator: what to do about it, where that takes more than a line of the log.
    pub fn problem(&self) -> Problem {
        if let Some(message) = self.message() {
            return Problem::new(message, &messages::CATALOGUE);
        }
        problem(match self {
            Self::File { doing, path, source } => {
                start::ledger_file(doing, path.display().to_string(), source.to_string())
            }
            Self::Sqlite { doing, source } => start::ledger_sqlite(doing, chain(source)),
            Self::JetStream { doing, source } => start::ledger_stream(doing, chain(&**source)),
            Self::StreamChanged => start::ledger_stream_changed(),
            Self::Deadline => start::ledger_deadline(),
            Self::Unavailable => start::ledger_unavailable(),
            _ => start::ledger_writer_failed(),
        })
    }

    fn message(&self) -> Option<Message> {
        match self {
            Self::OtherVersion { path, found, expected } => Some(other_version(path, *found, *expected)),
            Self::InUse { path } => Some(stores::ledger_in_use(path.display().to_string())),
            Self::NotALedger { path } => Some(stores::ledger_is_foreign(path.display().to_string())),
            Self::Damaged { path, detail } => Some(stores::ledger_is_damaged(path.display().to_string(), detail)),
            Self::Exists { path } => Some(stores::backup_exists(path.display().to_string())),
            Self::SameFile { path } => Some(stores::backup_is_ledger(path.display().to_string())),
            Self::File { path, source, .. } => denied(path, source),
            _ => None,
        }
    }

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

fn of_file(doing: &str, path: &Path, error: &io::Error) -> String {
    let denied = denied(path, error).map(|denied| messages::english(&denied));
    denied.unwrap_or_else(|| format!("cannot {doing} ledger {}", path.display()))
}

/// Of a directory that this process may not use: whose it is, and who it should be for. Volumes that ignore fsGroup
/// come as root's.
fn denied(path: &Path, error: &io::Error) -> Option<Message> {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    let there = path.ancestors().skip(1).find_map(|directory| Some((directory, fs::metadata(directory).ok()?)));
    let (directory, metadata) = there?;
    Some(stores::ledger_is_denied(
        path.display().to_string(),
        geteuid().to_string(),
        getegid().to_string(),
        directory.display().to_string(),
        metadata.uid().to_string(),
        metadata.gid().to_string(),
        format!("{:04o}", metadata.mode() & 0o7777),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_user_is_named_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let error = |kind: io::ErrorKind| Error::File { doing: "create", path: path.clone(), source: kind.into() };
        let text = error(io::ErrorKind::PermissionDenied).to_string();
        let owner = fs::metadata(directory.path()).unwrap().uid();
        assert!(text.contains(&format!("{} belongs to uid {owner}", directory.path().display())), "{text}");
        assert!(text.contains(&format!("chown {}:", geteuid())), "{text}");
        assert!(!error(io::ErrorKind::StorageFull).to_string().contains("belongs to"));
    }
}
