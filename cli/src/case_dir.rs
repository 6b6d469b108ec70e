//! A recorded case on disk: a folder with `case.json` and a file for each source, plain (`kmsg.ndjson`) or compressed
//! (`kmsg.ndjson.gz`); below `pod_logs`, the ends of containers' logs. `tests/corpus/README.md` describes the format.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

/// The most that one file may hold when it is unpacked: real ones hold a few MiB.
const FILE_MAX: u64 = 256 << 20;

/// What lies in the folder of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseDir {
    /// The text of `case.json`.
    pub case_json: String,
    /// The text of each file of a source, by its name with the ending `.ndjson`, or its path as
    /// `pod_logs/<namespace>_<pod>_<uid>/<container>/<attempt>.log`.
    pub files: BTreeMap<String, String>,
}

impl CaseDir {
    /// Reads a case. Files with other endings are left alone.
    ///
    /// # Errors
    /// If there is no `case.json`, or a file cannot be read, or not be unpacked, or is there in both forms, or is no text,
    /// or holds more than 256 MiB. The error names the file.
    pub fn read(dir: &Path) -> Result<Self> {
        let case_json = read(&dir.join("case.json"))?;
        let mut files = BTreeMap::new();
        collect(dir, "", ".ndjson", &mut files)?;
        for pod in folders(&dir.join(LOGS))? {
            for container in folders(&dir.join(LOGS).join(&pod))? {
                let folder = format!("{LOGS}/{pod}/{container}");
                collect(&dir.join(&folder), &format!("{folder}/"), ".log", &mut files)?;
            }
        }
        Ok(Self { case_json, files })
    }
}

/// The folder of the logs.
const LOGS: &str = "pod_logs";

/// The files of a folder that have this ending.
fn collect(dir: &Path, prefix: &str, ending: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for name in names(dir)? {
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if !plain.ends_with(ending) {
            continue;
        }
        if files.insert(format!("{prefix}{plain}"), read(&dir.join(&name))?).is_some() {
            bail!("{} is there both plain and compressed", dir.join(plain).display());
        }
    }
    Ok(())
}

/// The folders in a folder; none where it does not exist.
fn folders(dir: &Path) -> Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    Ok(names(dir)?.into_iter().filter(|name| dir.join(name).is_dir()).collect())
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let listing = || format!("listing {}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(listing)? {
        names.extend(entry.with_context(listing)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<String> {
    let reading = || format!("reading {}", path.display());
    // A pipe would be waited for.
    ensure!(fs::metadata(path).with_context(reading)?.is_file(), "{} is not a file", path.display());
    let file = File::open(path).with_context(reading)?;
    let mut text = String::new();
    let limit = FILE_MAX + 1;
    // Containers may write any bytes.
    if path.extension().is_some_and(|ending| ending == "log") {
        let mut bytes = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut bytes).with_context(reading)?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    if path.extension().is_some_and(|ending| ending == "gz") {
        MultiGzDecoder::new(file).take(limit).read_to_string(&mut text)
    } else {
        file.take(limit).read_to_string(&mut text)
    }
    .with_context(reading)?;
    ensure!(u64::try_from(text.len()).is_ok_and(|length| length < limit), "{} is too large", path.display());
    Ok(text)
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
        let files: Vec<_> = read.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(files, [("kmsg.ndjson", "a\n"), ("pods.ndjson", ""), ("trace.ndjson", "b\nc\n")]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let whole = gzip(b"some text that is cut");
        for (name, contents) in [
            ("kmsg.ndjson", b"\xff".as_slice()),
            ("kmsg.ndjson.gz", &whole[..whole.len() - 4]),
            ("kmsg.ndjson.gz", b"not compressed"),
        ] {
            let dir = case(&[("case.json", b"{}"), (name, contents)]);
            let error = format!("{:#}", CaseDir::read(dir.path()).unwrap_err());
            assert!(error.contains(name), "{error}");
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
