//! What happens to a file that cannot be continued: it is set aside, a new one takes its place, and what can still be
//! read moves over. The steps can be interrupted anywhere: while `FILE.salvage` is there, the next opening goes on.

use std::{
    ffi::OsString,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use coroner_diagnosis::messages::{self, gaps};
use coroner_proto::v1::{Gap, GapReason, OutboxRecord};
use coroner_runtime::{error::chain, whole_file::sync_directory};
use jiff::Timestamp;
use prost::Message;
use rusqlite::Connection;
use tracing::{error, info};

use super::{
    Rank, Record,
    disk::{Disk, DiskError, connect, key, rank, read_stream, read_version},
};
use crate::status::{OUTBOX, wire_time};

/// Files set aside that are kept; older ones are removed, for the disk is bounded too.
const KEPT: usize = 2;
/// Records that are moved over in one transaction.
const CHUNK: usize = 64;
/// Unreadable places among the records of a rank after which the rest of these is given up.
const MAX_HOLES: u32 = 100_000;

/// Opens the file in this place, having finished what an earlier salvage left undone.
pub(super) fn open(path: &Path, max_bytes: u64, node: &str) -> Result<Disk, DiskError> {
    let aside = suffixed(path, ".salvage");
    if aside.exists() {
        move_aside(path, &aside)?;
    }
    let mut disk = Disk::open(path, max_bytes, node)?;
    if aside.exists() {
        let (saved, why) = salvage(&aside, &mut disk)?;
        let kept = keep(path, &aside)?;
        error!(file = %kept.display(), reason = why, saved, "The outbox was unusable and has been set aside");
        let now = wire_time(Timestamp::now());
        let gap = Gap {
            node: node.to_owned(),
            source: OUTBOX.into(),
            reason: GapReason::Corrupt.into(),
            end_time: Some(now),
            ..Gap::default()
        };
        disk.append(&[Record::loss(messages::worded(gap, gaps::gap_outbox_unusable(&why, saved)))])?;
    }
    Ok(disk)
}

/// Puts a new file in the place of one that is at fault.
pub(super) fn replace_damaged(path: &Path, max_bytes: u64, node: &str, fault: &DiskError) -> Result<Disk, DiskError> {
    info!(fault = chain(fault), "Replacing the outbox");
    let aside = suffixed(path, ".salvage");
    if aside.exists() {
        keep(path, &aside)?;
    }
    move_aside(path, &aside)?;
    open(path, max_bytes, node)
}

/// Moves the file and then its write-ahead log. A log that was left behind is brought after by the next call.
fn move_aside(path: &Path, aside: &Path) -> Result<(), DiskError> {
    let fail = |error| DiskError::File { path: aside.to_owned(), error };
    if !aside.exists() {
        fs::rename(path, aside).map_err(fail)?;
    }
    let log = suffixed(path, "-wal");
    if log.exists() && !path.exists() {
        fs::rename(&log, suffixed(aside, "-wal")).map_err(fail)?;
    }
    sync_directory(path).map_err(fail)
}

/// Gives a salvaged file its last name, and removes the oldest of its kind.
fn keep(path: &Path, aside: &Path) -> Result<PathBuf, DiskError> {
    let prefix = suffixed(path, ".corrupt-");
    let kept = suffixed(&prefix, &Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ").to_string());
    let rename = || {
        let log = suffixed(aside, "-wal");
        if log.exists() {
            fs::rename(log, suffixed(&kept, "-wal"))?;
        }
        fs::rename(aside, &kept)?;
        let mut files = set_aside(&prefix)?;
        files.sort();
        files.reverse();
        for old in files.into_iter().skip(KEPT) {
            fs::remove_file(&old)?;
            if let Err(error) = fs::remove_file(suffixed(&old, "-wal"))
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
        }
        sync_directory(path)
    };
    rename().map_err(|error| DiskError::File { path: kept.clone(), error })?;
    Ok(kept)
}

fn set_aside(prefix: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = prefix.parent().unwrap_or_else(|| Path::new("."));
    let prefix = prefix.as_os_str().as_encoded_bytes();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.as_os_str().as_encoded_bytes();
        if name.starts_with(prefix) && !name.ends_with(b"-wal") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Moves over what was not acknowledged and can be read. Gives how many records, and what was wrong with the file.
fn salvage(aside: &Path, disk: &mut Disk) -> Result<(u64, String), DiskError> {
    let opened = connect(aside).and_then(|connection| read_version(&connection).map(|()| connection));
    let connection = match opened {
        Ok(connection) => connection,
        Err(error) => return Ok((0, chain(&error))),
    };
    // If its state cannot be read, all of it may be unsent: what is not will be known by its uid.
    let (last, acknowledged) = read_stream(&connection).map_or((u64::MAX, 0), |(_, last, sent)| (last, sent));
    let (mut places, mut fault) = (Vec::new(), None);
    for rank in Rank::ALL {
        find(&connection, key(rank, acknowledged)..=key(rank, last), &mut places, &mut fault);
    }
    places.sort_unstable();
    let mut saved = 0;
    for chunk in places.chunks(CHUNK) {
        let mut records = Vec::new();
        for (sequence, key) in chunk {
            match take(&connection, *key) {
                Ok(Some(record)) => records.push(record),
                Ok(None) => {
                    fault.get_or_insert_with(|| format!("record {sequence} does not match its checksum"));
                }
                Err(error) => {
                    fault.get_or_insert_with(|| error.to_string());
                }
            }
        }
        disk.append(&records)?;
        saved += records.len() as u64;
    }
    Ok((saved, fault.unwrap_or_else(|| "its integrity check failed".into())))
}

/// Finds without the index what lies behind the first of these keys, up to the last: sequence and key. Notes the first
/// fault on the way.
fn find(connection: &Connection, keys: RangeInclusive<i64>, places: &mut Vec<(i64, i64)>, fault: &mut Option<String>) {
    let mut at = *keys.start();
    for _ in 0..MAX_HOLES {
        let mut read = || -> rusqlite::Result<()> {
            let mut select = connection.prepare_cached(
                "SELECT sequence, key FROM record NOT INDEXED WHERE key > ?1 AND key <= ?2 ORDER BY key",
            )?;
            let mut rows = select.query([at, *keys.end()])?;
            while let Some(row) = rows.next()? {
                at = row.get(1)?;
                places.push((row.get(0)?, at));
            }
            Ok(())
        };
        let Err(error) = read() else { return };
        fault.get_or_insert_with(|| error.to_string());
        at += 1;
        if at >= *keys.end() {
            return;
        }
    }
}

/// The record that lies there; `None` if it is not as it was written.
fn take(connection: &Connection, key: i64) -> rusqlite::Result<Option<Record>> {
    let mut select = connection.prepare_cached("SELECT at, checksum, body FROM record NOT INDEXED WHERE key = ?1")?;
    select.query_row([key], |row| {
        let body: Vec<u8> = row.get(2)?;
        let is_sound = row.get::<_, i64>(1)? == i64::from(crc32fast::hash(&body));
        let at = Timestamp::from_millisecond(row.get(0)?).unwrap_or_default();
        Ok((is_sound && OutboxRecord::decode(&*body).is_ok()).then_some(Record { rank: rank(key), at, body }))
    })
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
