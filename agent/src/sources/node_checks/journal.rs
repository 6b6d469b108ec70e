//! The last messages of a process in systemd's journal. journald takes `_PID` from the kernel, so a message with the
//! pid of a daemon is that daemon's own.

use std::path::PathBuf;

use jiff::Timestamp;
use sdjournal::{Journal, JournalConfig};

use crate::host::HostRoot;

/// Journal files that are opened: journald keeps 100 of each directory at most, unless its configuration permits more.
const FILES: usize = 256;
/// Bytes of a file's part that is read at once: a longer message is not shown.
const OBJECT: u64 = 1 << 20;
/// Bytes of one message after decompression.
const MESSAGE: usize = 64 << 10;

/// The directories of the node's journal: kept over restarts, and else in memory.
pub(super) fn directories(host: &HostRoot) -> Vec<PathBuf> {
    let directories = [host.log.join("journal"), host.run.join("log/journal")];
    directories.into_iter().filter(|directory| directory.is_dir()).collect()
}

/// The last messages of a process since a moment, the oldest first; none where there is no journal, or none that can be
/// read.
pub(super) fn messages(host: &HostRoot, pid: i32, since: Timestamp, count: usize) -> Vec<String> {
    let directories = directories(host);
    if directories.is_empty() {
        return Vec::new();
    }
    let config = JournalConfig {
        max_journal_files: FILES,
        max_object_size_bytes: OBJECT,
        max_decompressed_bytes: MESSAGE,
        ..JournalConfig::default()
    };
    let Ok(journal) = Journal::open_dirs_with_config(&directories, config) else { return Vec::new() };
    let mut query = journal.query();
    query
        .match_exact("_PID", pid.to_string().as_bytes())
        .since_realtime(u64::try_from(since.as_microsecond()).unwrap_or(0))
        .seek_tail()
        .reverse(true)
        .limit(count);
    let Ok(entries) = query.iter() else { return Vec::new() };
    let message = |entry: sdjournal::EntryRef| Some(String::from_utf8_lossy(entry.get("MESSAGE")?).into_owned());
    let mut messages: Vec<String> = entries.flatten().filter_map(message).collect();
    messages.reverse();
    messages
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _};

    use flate2::read::GzDecoder;
    use jiff::SignedDuration;

    use super::*;

    /// Written by systemd-journal-remote 252 from the export format: messages of processes 7 and 8, one of them long
    /// enough to be compressed.
    const FILE: &[u8] = include_bytes!("../../../tests/data/system.journal.gz");
    /// When the last of them was written, in seconds.
    const LAST: i64 = 1_795_979_999;

    #[test]
    fn the_last_messages_of_a_process_are_read_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let host = HostRoot::at(root.path());
        let since = Timestamp::from_second(LAST).unwrap() - SignedDuration::from_mins(1);
        let last = |pid, count| messages(&host, pid, since, count);
        assert_eq!(last(7, 5), Vec::<String>::new(), "no journal");

        let file = host.log.join("journal/0123456789abcdef0123456789abcdef/system.journal");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut whole = Vec::new();
        GzDecoder::new(FILE).read_to_end(&mut whole).unwrap();
        fs::write(&file, &whole).unwrap();
        let found = last(7, 5);
        assert_eq!(found.len(), 2, "the third is of an earlier process: {found:?}");
        assert!(found[0].contains("Kubelet version"), "{found:?}");
        assert!(found[1].contains("running with swap on is not supported") && found[1].len() > 1000, "{found:?}");
        assert_eq!(last(7, 1), found[1..]);
        assert_eq!(last(8, 5), ["of another process"]);
        assert_eq!(last(9, 5), Vec::<String>::new());

        // The directory of a journal in memory is read as well.
        fs::create_dir_all(host.run.join("log")).unwrap();
        fs::rename(host.log.join("journal"), host.run.join("log/journal")).unwrap();
        assert_eq!(last(7, 5), found);
    }

    #[test]
    fn a_damaged_journal_is_read_as_far_as_it_goes() {
        let root = tempfile::tempdir().unwrap();
        let host = HostRoot::at(root.path());
        let file = host.log.join("journal/system.journal");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut whole = Vec::new();
        GzDecoder::new(FILE).read_to_end(&mut whole).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let read = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let found = messages(&host, 7, Timestamp::UNIX_EPOCH, 5);
            assert!(found.len() <= 5, "{found:?}");
        };
        for length in (0..used).step_by(used / 40) {
            read(&whole[..length]);
        }
        let mut damaged = whole;
        for at in (0..used).step_by(used / 40) {
            damaged[at] ^= 0xff;
            read(&damaged);
            damaged[at] ^= 0xff;
        }
        fs::write(&file, &damaged).unwrap();
        assert_eq!(messages(&host, 7, Timestamp::UNIX_EPOCH, 5).len(), 3, "what is not damaged is read");
    }
}
