//! Small files that are replaced as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Writes a file, so that a loss of power leaves the old one or the new one, and once this returns the new one. What is
/// not complete yet is in a file beside it with the extension `new` behind its own.
///
/// # Errors
/// What the file system refused.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    fs::write(&new, bytes)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path)
}

/// Writes the directory of a file to its disk: the name of the file is part of it.
///
/// # Errors
/// What the file system refused.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("outbox.boot");
        for text in ["one", "two"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(replace(&root.path().join("absent/outbox.boot"), b"").is_err());
    }
}
