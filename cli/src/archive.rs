//! A recording as one file: a `.tar.gz` with a folder that `coroner replay` reads, as it reads the folder.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use coroner_diagnosis::{messages::Message, recording::OBSERVED};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use jiff::Timestamp;
use tar::{Archive, Builder, EntryType, Header};
use tempfile::TempDir;

use crate::{
    case_dir::{Unusable, shown},
    messages::case,
};

/// Rows are collected up to so many bytes, because a tar names the size of a file before its contents.
const PART: usize = 1 << 20;
/// The most files of an archive.
const FILES: usize = 100_000;

/// An archive that is being written. It is whole once [`finish`](Self::finish) has returned.
pub(crate) struct Packer<W: Write> {
    tar: Builder<GzEncoder<W>>,
    folder: String,
    written: Timestamp,
    part: Vec<u8>,
    parts: u32,
}

impl<W: Write> Packer<W> {
    /// An archive of one folder of this name, with this time.
    pub(crate) fn new(out: W, folder: String, written: Timestamp) -> Self {
        let tar = Builder::new(GzEncoder::new(out, Compression::default()));
        Self { tar, folder, written, part: Vec::new(), parts: 0 }
    }

    /// Adds a row of `observed`.
    pub(crate) fn row(&mut self, row: &str) -> io::Result<()> {
        if self.part.len() + row.len() >= PART {
            self.end_part()?;
        }
        self.part.extend_from_slice(row.as_bytes());
        self.part.push(b'\n');
        Ok(())
    }

    fn end_part(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        self.parts += 1;
        let contents = std::mem::take(&mut self.part);
        self.file(&format!("{OBSERVED}.{:06}.ndjson", self.parts), &contents)
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(u64::try_from(contents.len()).map_err(io::Error::other)?);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(self.written.as_second()).unwrap_or_default());
        self.tar.append_data(&mut header, format!("{}/{name}", self.folder), contents)
    }

    /// Writes what is left, `case.json` last.
    pub(crate) fn finish(mut self, case_json: &str) -> io::Result<W> {
        self.end_part()?;
        self.file("case.json", case_json.as_bytes())?;
        self.tar.into_inner()?.finish()
    }
}

/// Unpacks a recording below a directory of its own, which is removed with what is returned, and gives its folder. Only
/// plain files are unpacked, by names that stay below the folder, and no more than `max_bytes` in all.
///
/// # Errors
/// It is no such archive, or holds too much.
pub(crate) fn unpack(path: &Path, max_bytes: u64) -> Result<(TempDir, PathBuf), Unusable> {
    let failed = |message: Message| Unusable::new(message);
    let reading = |error: io::Error| failed(case::archive_unreadable(shown(path), error.to_string()));
    let unpacking = |error: io::Error| failed(case::archive_not_unpacked(shown(path), error.to_string()));
    let directory = tempfile::tempdir().map_err(unpacking)?;
    let file = File::open(path).map_err(|error| failed(case::case_unreadable(shown(path), error.to_string())))?;
    let mut archive = Archive::new(MultiGzDecoder::new(io::BufReader::new(file)));
    let (mut left, mut folder) = (max_bytes, directory.path().to_owned());
    for (index, entry) in archive.entries().map_err(reading)?.enumerate() {
        let mut entry = entry.map_err(reading)?;
        if index >= FILES {
            return Err(failed(case::archive_too_many(shown(path), FILES)));
        }
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let name = entry.path().map_err(reading)?.into_owned();
        let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below {
            return Err(failed(case::archive_outside(shown(path), shown(&name))));
        }
        let target = directory.path().join(&name);
        let parent = target.parent().unwrap_or_else(|| directory.path());
        fs::create_dir_all(parent).map_err(unpacking)?;
        if name.file_name().is_some_and(|name| name == "case.json") {
            parent.clone_into(&mut folder);
        }
        let mut out = File::create_new(&target).map_err(unpacking)?;
        let copied = io::copy(&mut entry.by_ref().take(left + 1), &mut out).map_err(reading)?;
        if copied > left {
            return Err(failed(case::archive_too_large(shown(path), max_bytes)));
        }
        left -= copied;
    }
    Ok((directory, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(archive: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(archive).unwrap();
        file
    }

    fn raw(entries: &[(&str, EntryType)]) -> Vec<u8> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(0);
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            tar.append(&header, io::empty()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn many_rows_are_several_parts_and_are_unpacked_as_they_were() {
        let mut packer = Packer::new(Vec::new(), "case".to_owned(), Timestamp::UNIX_EPOCH);
        let row = "x".repeat(300_000);
        for _ in 0..5 {
            packer.row(&row).unwrap();
        }
        packer.file("status.json", b"{}").unwrap();
        let archive = written(&packer.finish("{}\n").unwrap());
        let (_directory, folder) = unpack(archive.path(), 1 << 30).unwrap();
        let size = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
        assert_eq!((size("observed.000001.ndjson"), size("observed.000002.ndjson")), (900_003, 600_002));
        assert_eq!((size("case.json"), size("status.json")), (3, 2));
        let error = unpack(archive.path(), 1_500_000).unwrap_err().to_string();
        assert!(error.contains("contains more"), "{error}");
    }

    #[test]
    fn what_would_leave_the_folder_is_refused_and_links_are_left_out() {
        for name in ["../case.json", "/etc/case.json", "a/../../case.json"] {
            let archive = written(&raw(&[(name, EntryType::Regular)]));
            assert!(unpack(archive.path(), 1 << 20).unwrap_err().to_string().contains("outside"), "{name}");
        }
        let archive = written(&raw(&[("c/kmsg.ndjson", EntryType::Symlink), ("c/case.json", EntryType::Regular)]));
        let (_directory, folder) = unpack(archive.path(), 1 << 20).unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        assert!(unpack(written(b"not an archive").path(), 1 << 20).is_err());
    }
}
