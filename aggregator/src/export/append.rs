//! A file of lines that only grows: each append is durable or leaves no trace, and a line is never torn.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use coroner_runtime::whole_file::sync_directory;

use crate::file::is_at;

/// The file. It is opened when it is first written to, and again when another file has replaced it, as by rotation.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    open: Option<File>,
}

impl Lines {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Appends whole lines. On return they are on disk.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let result = self.try_append(lines);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    /// Bytes of the file; 0 where there is none.
    pub(super) fn len(&self) -> io::Result<u64> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.open
            && !is_at(file, &self.path)
        {
            self.open = None;
        }
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        let before = file.metadata()?.len();
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // What cannot be taken back is cut off when the file is next opened.
            let _torn = file.set_len(before);
        }
        written
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Not to wait for a reader, should it be a pipe: O_NONBLOCK means nothing to a regular file.
    const NONBLOCK: i32 = 0o4000;
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o640).custom_flags(NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    cut_torn_line(&mut file)?;
    // The name is durable as well.
    sync_directory(path)?;
    Ok(file)
}

/// Removes what follows the last line end. Readers of lines have not gone beyond that; the record itself comes again.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(4096);
        let part = &mut block[..usize::try_from(end - start).expect("at most 4096")];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
        file.sync_data()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off_and_whole_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        for (before, after) in [("a\nb\nto", "a\nb\nc\n"), ("torn", "c\n"), ("", "c\n"), ("a\n", "a\nc\n")] {
            fs::write(&path, before).unwrap();
            Lines::new(path.clone()).append(b"c\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
        fs::write(&path, format!("a\n{}", "x".repeat(10_000))).unwrap();
        Lines::new(path.clone()).append(b"c\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nc\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_recreated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut lines = Lines::new(path.clone());
        lines.append(b"a\n").unwrap();
        fs::rename(&path, directory.path().join("lines.1")).unwrap();
        lines.append(b"b\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
        assert_eq!(lines.len().unwrap(), 2);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(Lines::new("/dev/full".into()).append(b"a\n").is_err());
    }
}
