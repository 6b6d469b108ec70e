//! The lock of the one writer.

use std::{fs::File, path::Path};

use super::error::Error;
use crate::file::is_at;

/// Keeps a second writer away. Held apart from SQLite's own locks, which are of another kind (fcntl).
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|source| Error::File { doing: "lock", path: path.into(), source })?;
    match file.try_lock() {
        // Who held the lock until just now may have put another file into its place.
        Ok(()) if !is_at(&file, path) => Err(Error::InUse { path: path.into() }),
        Ok(()) => Ok(file),
        Err(fs_error) => Err(match fs_error {
            std::fs::TryLockError::WouldBlock => Error::InUse { path: path.into() },
            std::fs::TryLockError::Error(source) => Error::File { doing: "lock", path: path.into(), source },
        }),
    }
}
