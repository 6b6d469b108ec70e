//! Files and what lies at their paths.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// Whether this open file is the one at the path.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let identity = |file: fs::Metadata| (file.dev(), file.ino());
    let (one, other) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    one.is_ok_and(|one| other.is_ok_and(|other| one == other))
}
