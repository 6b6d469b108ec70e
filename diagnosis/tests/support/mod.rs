//! The recorded cases of `tests/corpus`, read from disk.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the crate does no I/O, its tests read the recorded cases")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A case: the text of `case.json`, and of each file by its name without ending.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) case_json: String,
    pub(crate) files: BTreeMap<String, String>,
}

/// All cases, one after the other, by name, with these of their files.
pub(crate) fn cases(files: &[&str]) -> impl Iterator<Item = Case> {
    dirs().into_iter().map(|dir| case(&dir, files))
}

/// Where the cases are, by name.
pub(crate) fn dirs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/cases");
    let mut dirs: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    assert!(!dirs.is_empty());
    dirs
}

/// One case, with these of its files.
pub(crate) fn case(dir: &Path, files: &[&str]) -> Case {
    Case {
        name: dir.file_name().unwrap().to_str().unwrap().to_owned(),
        case_json: fs::read_to_string(dir.join("case.json")).unwrap(),
        files: files.iter().map(|file| ((*file).to_owned(), text(dir, file))).collect(),
    }
}

/// A file is plain only where it is empty; not all cases have all.
fn text(dir: &Path, file: &str) -> String {
    let mut text = String::new();
    match File::open(dir.join(format!("{file}.ndjson.gz"))) {
        Ok(packed) => flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap(),
        Err(_) => match File::open(dir.join(format!("{file}.ndjson"))) {
            Ok(mut plain) => plain.read_to_string(&mut text).unwrap(),
            Err(_) => 0,
        },
    };
    text
}
