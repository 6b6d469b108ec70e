//! The durable cursor of one exporter: one resume token, in a file that is replaced as a whole, or where several
//! aggregators share the ledger, in the lease by which one of them exports.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use coroner_runtime::whole_file::replace;
use tokio::task::spawn_blocking;

use crate::{lease::Lease, token::ResumeToken};

#[derive(Clone, Debug)]
pub(super) enum Cursor {
    File(CursorFile),
    Leased(Lease),
}

impl Cursor {
    /// `None` if there is none; [`ErrorKind::InvalidData`] for what is no token.
    pub(super) async fn read(&self) -> io::Result<Option<ResumeToken>> {
        match self {
            Self::File(file) => file.read(),
            Self::Leased(lease) => match lease.memory().await.as_str() {
                "" => Ok(None),
                text => decode(text).map(Some),
            },
        }
    }

    /// On return the cursor is durable; before, the one that was there.
    pub(super) async fn write(&self, token: ResumeToken) -> io::Result<()> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                spawn_blocking(move || file.write(token)).await.map_err(io::Error::other)?
            }
            Self::Leased(lease) => lease.remember(token.encode()).await.map_err(io::Error::other),
        }
    }

    /// Where the cursor is stored, for logs and errors.
    pub(super) fn place(&self) -> PathBuf {
        match self {
            Self::File(file) => file.path.clone(),
            Self::Leased(_) => "the lease".into(),
        }
    }
}

fn decode(text: &str) -> io::Result<ResumeToken> {
    ResumeToken::decode(text.trim_end()).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no cursor"))
}

#[derive(Clone, Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
}

impl CursorFile {
    /// The cursor of the exporter `name`.
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!("{name}.cursor")) }
    }

    fn read(&self) -> io::Result<Option<ResumeToken>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        decode(&text).map(Some)
    }

    fn write(&self, token: ResumeToken) -> io::Result<()> {
        replace(&self.path, format!("{}\n", token.encode()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Position;

    #[test]
    fn a_cursor_is_read_back_as_it_was_written_last() {
        let directory = tempfile::tempdir().unwrap();
        let file = CursorFile::new(directory.path(), "siem");
        assert_eq!(file.read().unwrap(), None);
        for offset in [1, 7] {
            let token = ResumeToken { epoch: uuid::Uuid::from_u128(9), position: Position { offset, time: 5 } };
            file.write(token).unwrap();
            assert_eq!(file.read().unwrap(), Some(token));
        }
    }

    #[test]
    fn half_a_draft_does_no_harm_and_half_a_cursor_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = CursorFile::new(directory.path(), "siem");
        fs::write(directory.path().join("siem.cursor.new"), "01").unwrap();
        assert_eq!(file.read().unwrap(), None);
        fs::write(&file.path, "01").unwrap();
        assert_eq!(file.read().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
