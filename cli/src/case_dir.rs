//! A recorded case on disk: a folder with `case.json` and a file for each source, plain (`kmsg.ndjson`) or compressed
//! (`kmsg.ndjson.gz`); below `pod_logs`, the ends of containers' logs. `tests/corpus/README.md` describes the format.
//!
//! Files are read line by line, so that a recording of days may be larger than memory.

mod error;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use coroner_diagnosis::recording::GUEST;
use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

use self::error::LineFault;
pub use self::error::Unusable;
pub(crate) use self::error::{fault, shown};
use crate::{archive::unpack, messages::case};

/// The most that all files of a case may hold when they are unpacked: some hundred times a day of a busy node.
const CASE_MAX: u64 = 4 << 30;
/// The longest line: a listing of the kubelet's pods takes a few MiB.
const LINE_MAX: u64 = 64 << 20;
/// The most of `case.json`.
const JSON_MAX: u64 = 16 << 20;
/// The folder of the logs.
const LOGS: &str = "pod_logs";

/// What lies in the folder of a case.
#[derive(Clone, Debug)]
pub struct CaseDir {
    /// The text of `case.json`.
    pub case_json: String,
    /// Where the file of each source lies, by its name with the ending `.ndjson`, or its path as
    /// `pod_logs/<namespace>_<pod>_<uid>/<container>/<attempt>.log`.
    files: BTreeMap<String, PathBuf>,
    /// Where an archive was unpacked; removed with the last clone.
    _unpacked: Option<Rc<TempDir>>,
}

impl CaseDir {
    /// Reads `case.json` and finds the files, in a folder or in an archive of one, as `coroner record` writes it. Files
    /// with other endings are left alone.
    ///
    /// # Errors
    /// If there is no `case.json`, or it or the folder cannot be read, or a file is there in both forms, or is none.
    /// The error names the file.
    pub fn read(path: &Path) -> Result<Self, Unusable> {
        if let Err(error) = fs::metadata(path) {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => Unusable::new(case::case_missing(shown(path))),
                _ => Unusable::io(path, &error),
            });
        }
        if !path.is_file() {
            return Self::in_folder(path, path);
        }
        let (unpacked, folder) = unpack(path, CASE_MAX)?;
        let case = Self::in_folder(&folder, path)?;
        Ok(Self { _unpacked: Some(Rc::new(unpacked)), ..case })
    }

    /// The case in this folder, named as the caller has named it.
    fn in_folder(dir: &Path, named: &Path) -> Result<Self, Unusable> {
        let path = dir.join("case.json");
        if !path.exists() {
            return Err(Unusable::new(case::case_without_json(shown(named))));
        }
        let mut case_json = String::new();
        is_file(&path)?;
        let read = File::open(&path).and_then(|file| file.take(JSON_MAX).read_to_string(&mut case_json));
        read.map_err(|error| Unusable::io(&path, &error))?;
        let mut files = BTreeMap::new();
        collect(dir, "", ".ndjson", &mut files)?;
        let guest = dir.join(GUEST);
        if guest.is_dir() {
            collect(&guest, GUEST, ".ndjson", &mut files)?;
        }
        for pod in folders(&dir.join(LOGS))? {
            for container in folders(&dir.join(LOGS).join(&pod))? {
                let folder = format!("{LOGS}/{pod}/{container}");
                collect(&dir.join(&folder), &format!("{folder}/"), ".log", &mut files)?;
            }
        }
        Ok(Self { case_json, files, _unpacked: None })
    }

    /// The file of this name, if there is one.
    pub fn file(&self, name: &str) -> Option<Lines> {
        self.files().find_map(|(found, lines)| (found == name).then_some(lines))
    }

    /// The lines of each file, by its name. A file is opened when its first line is asked for. Lines of logs may be of
    /// any bytes; an error ends a file, also that all of them together hold more than 4 GiB.
    pub fn files(&self) -> impl Iterator<Item = (String, Lines)> {
        self.files_within(CASE_MAX)
    }

    fn files_within(&self, bytes: u64) -> impl Iterator<Item = (String, Lines)> {
        let left = Rc::new(Cell::new(bytes));
        self.files.iter().map(move |(name, path)| (name.clone(), Lines::new(path.clone(), Rc::clone(&left))))
    }
}

/// The lines of one file.
pub struct Lines {
    path: PathBuf,
    /// `None` before the first line, and after the last.
    file: Option<Box<dyn BufRead>>,
    opened: bool,
    /// Bytes that all files of the case may still hold.
    left: Rc<Cell<u64>>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Lines {
    fn new(path: PathBuf, left: Rc<Cell<u64>>) -> Self {
        Self { path, file: None, opened: false, left }
    }

    fn open(&self) -> io::Result<Box<dyn BufRead>> {
        let file = File::open(&self.path)?;
        if self.has_ending("gz") {
            return Ok(Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file)))));
        }
        Ok(Box::new(BufReader::new(file)))
    }

    fn has_ending(&self, ending: &str) -> bool {
        self.path.extension().is_some_and(|found| found == ending)
    }

    fn read(&mut self) -> io::Result<Option<String>> {
        if !self.opened {
            self.opened = true;
            self.file = Some(self.open()?);
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let most = self.left.get().min(LINE_MAX);
        let mut line = Vec::new();
        let read = file.take(most + 1).read_until(b'\n', &mut line)?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        if read > LINE_MAX {
            return Err(io::Error::other(LineFault::TooLong));
        }
        if read > most {
            return Err(io::Error::other(LineFault::TooMuch));
        }
        self.left.set(self.left.get() - read);
        if read == 0 {
            self.file = None;
            return Ok(None);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        // Containers may write any bytes.
        if self.has_ending("log") {
            return Ok(Some(String::from_utf8_lossy(text).into_owned()));
        }
        let text = std::str::from_utf8(text).map_err(|_| io::Error::other(LineFault::NotText))?;
        Ok(Some(text.to_owned()))
    }
}

impl Iterator for Lines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.read();
        if line.is_err() {
            self.file = None;
        }
        line.transpose()
    }
}

/// The files of a folder that have this ending.
fn collect(dir: &Path, prefix: &str, ending: &str, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Unusable> {
    for name in names(dir)? {
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if !plain.ends_with(ending) {
            continue;
        }
        let path = dir.join(&name);
        is_file(&path)?;
        if files.insert(format!("{prefix}{plain}"), path).is_some() {
            return Err(Unusable::new(case::case_twice(shown(&dir.join(plain)))));
        }
    }
    Ok(())
}

/// A pipe would be waited for.
fn is_file(path: &Path) -> Result<(), Unusable> {
    let metadata = fs::metadata(path).map_err(|error| Unusable::io(path, &error))?;
    if metadata.is_file() { Ok(()) } else { Err(Unusable::new(case::case_not_a_file(shown(path)))) }
}

/// The folders in a folder; none where it does not exist.
fn folders(dir: &Path) -> Result<Vec<String>, Unusable> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    Ok(names(dir)?.into_iter().filter(|name| dir.join(name).is_dir()).collect())
}

fn names(dir: &Path) -> Result<Vec<String>, Unusable> {
    let failed = |error| Unusable::io(dir, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn case(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            fs::write(dir.path().join(name), contents).unwrap();
        }
        dir
    }

    #[test]
    fn plain_and_compressed_files_are_read_alike() {
        let dir = case(&[
            ("case.json", b"{}"),
            ("kmsg.ndjson", b"a\n"),
            ("trace.ndjson.gz", &[gzip(b"b\n"), gzip(b"c\n")].concat()),
            ("pods.ndjson", b""),
            ("notes.txt", b"\xff"),
        ]);
        let read = CaseDir::read(dir.path()).unwrap();
        assert_eq!(read.case_json, "{}");
        let files: Vec<(String, Vec<String>)> =
            read.files().map(|(name, lines)| (name, lines.map(Result::unwrap).collect())).collect();
        let expected = [("kmsg.ndjson", &["a"][..]), ("pods.ndjson", &[]), ("trace.ndjson", &["b", "c"])];
        assert_eq!(
            files,
            expected.map(|(name, lines)| (name.to_owned(), lines.iter().map(|l| (*l).to_owned()).collect()))
        );
    }

    #[test]
    fn a_case_that_holds_too_much_is_refused_at_the_line_that_is_too_much() {
        let dir = case(&[("case.json", b"{}"), ("kmsg.ndjson", b"aaaa\nbbbb\n"), ("trace.ndjson", b"cccc\ndddd\n")]);
        let case = CaseDir::read(dir.path()).unwrap();
        let count = |bytes| {
            let lines = case.files_within(bytes).flat_map(|(_, lines)| lines);
            lines.collect::<io::Result<Vec<_>>>().map(|lines| lines.len())
        };
        assert_eq!(count(20).unwrap(), 4);
        let error = count(19).unwrap_err().to_string();
        assert!(error.contains("4 GiB") && error.contains("shorter"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_ends_its_file() {
        let whole = gzip(b"some text that is cut");
        for (name, contents) in [
            ("kmsg.ndjson", b"\xff".as_slice()),
            ("kmsg.ndjson.gz", &whole[..whole.len() - 4]),
            ("kmsg.ndjson.gz", b"not compressed"),
        ] {
            let dir = case(&[("case.json", b"{}"), (name, contents)]);
            let (_, mut lines) = CaseDir::read(dir.path()).unwrap().files().next().unwrap();
            assert!(lines.any(|line| line.is_err()) && lines.next().is_none(), "{name}");
        }
        let twice = case(&[("case.json", b"{}"), ("kmsg.ndjson", b""), ("kmsg.ndjson.gz", &gzip(b""))]);
        assert!(CaseDir::read(twice.path()).unwrap_err().to_string().contains("both"));
        let error = CaseDir::read(case(&[]).path()).unwrap_err().to_string();
        assert!(error.contains("case.json"), "{error}");
        let folder = case(&[("case.json", b"{}")]);
        fs::create_dir(folder.path().join("kmsg.ndjson")).unwrap();
        assert!(CaseDir::read(folder.path()).unwrap_err().to_string().contains("not a file"));
    }
}
