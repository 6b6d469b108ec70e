//! The durable cursor of one exporter: a file that holds one resume token, replaced as a whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::cursor::ResumeToken;

#[derive(Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
    draft: PathBuf,
    directory: PathBuf,
}

impl CursorFile {
    /// The cursor of the exporter `name`.
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        Self {
            path: directory.join(format!("{name}.cursor")),
            draft: directory.join(format!("{name}.cursor.new")),
            directory: directory.into(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `None` if there is none; [`ErrorKind::InvalidData`] for what is no token.
    pub(super) fn read(&self) -> io::Result<Option<ResumeToken>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let token = ResumeToken::decode(text.trim_end());
        token.map(Some).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no cursor"))
    }

    /// On return the cursor is on disk; before, the one that was there.
    pub(super) fn write(&self, token: ResumeToken) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.draft)?;
        file.write_all(format!("{}\n", token.encode()).as_bytes())?;
        file.sync_all()?;
        fs::rename(&self.draft, &self.path)?;
        File::open(&self.directory)?.sync_all()
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
    fn half_a_draft_does_no_harm_and_half_a_cursor_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = CursorFile::new(directory.path(), "siem");
        fs::write(&file.draft, "01").unwrap();
        assert_eq!(file.read().unwrap(), None);
        fs::write(&file.path, "01").unwrap();
        assert_eq!(file.read().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
