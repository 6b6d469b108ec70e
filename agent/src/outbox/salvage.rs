//! What happens to a file that cannot be continued: it is set aside, a new one takes its place, and what can still be
//! read moves over. The steps can be interrupted anywhere: while `FILE.salvage` is there, the next opening goes on.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use coroner_proto::v1::{Gap, GapReason, OutboxRecord};
use jiff::Timestamp;
use prost::Message;
use rusqlite::{Connection, params};
use tracing::{error, info};

use super::{
    Rank, Record, describe,
    disk::{Disk, DiskError, connect, read_stream, read_version, signed, unsigned},
};
use crate::status::{OUTBOX, wire_time};

/// Files set aside that are kept; older ones are removed, for the disk is bounded too.
const KEPT: usize = 2;
/// Records that are moved over in one transaction.
const CHUNK: i64 = 64;
/// Unreadable places after which the rest is given up.
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
        disk.append(&[Record::loss(Gap {
            node: node.to_owned(),
            source: OUTBOX.into(),
            reason: GapReason::Corrupt.into(),
            start_time: None,
            end_time: Some(now),
            lost_count: None,
            text: format!("the outbox was unusable ({why}): {saved} records could be taken over"),
        })])?;
    }
    Ok(disk)
}

/// Puts a new file in the place of one that is at fault.
pub(super) fn replace_damaged(path: &Path, max_bytes: u64, node: &str, fault: &DiskError) -> Result<Disk, DiskError> {
    info!(fault = describe(fault), "Replacing the outbox");
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
        Err(error) => return Ok((0, describe(&error))),
    };
    // If its state cannot be read, all of it may be unsent: what is not will be known by its uid.
    let (last, acknowledged) = read_stream(&connection).map_or((u64::MAX, 0), |(_, last, sent)| (last, sent));
    let mut at = acknowledged;
    let mut saved = 0;
    let mut fault = None;
    for _ in 0..MAX_HOLES {
        match take(&connection, &mut at, &mut saved, disk)? {
            None => break,
            Some(hole) => {
                fault.get_or_insert(hole);
                at += 1;
                if at >= last {
                    break;
                }
            }
        }
    }
    Ok((saved, fault.unwrap_or_else(|| "its integrity check failed".into())))
}

/// Moves records over from behind `at` on, up to the first that cannot be read: then says why, and `at` is the last before.
fn take(connection: &Connection, at: &mut u64, saved: &mut u64, disk: &mut Disk) -> Result<Option<String>, DiskError> {
    loop {
        let mut records = Vec::new();
        let mut hole = None;
        let mut read = || -> rusqlite::Result<()> {
            let mut select = connection.prepare_cached(
                "SELECT sequence, rank, at, checksum, body FROM record NOT INDEXED
                 WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
            )?;
            let mut rows = select.query(params![signed(*at), CHUNK])?;
            while let Some(row) = rows.next()? {
                let sequence = unsigned(row.get(0)?);
                let body: Vec<u8> = row.get(4)?;
                *at = sequence;
                if row.get::<_, i64>(3)? == i64::from(crc32fast::hash(&body)) && OutboxRecord::decode(&*body).is_ok() {
                    let at = Timestamp::from_millisecond(row.get(2)?).unwrap_or_default();
                    records.push(Record { rank: rank(row.get(1)?), at, body });
                } else {
                    hole = Some(format!("record {sequence} does not match its checksum"));
                }
            }
            Ok(())
        };
        let end = read();
        disk.append(&records)?;
        *saved += records.len() as u64;
        match end {
            Err(error) => return Ok(Some(error.to_string())),
            Ok(()) if hole.is_some() => return Ok(hole),
            Ok(()) if records.is_empty() => return Ok(None),
            Ok(()) => {}
        }
    }
}

fn rank(number: i64) -> Rank {
    match number {
        5 => Rank::Loss,
        4 => Rank::Critical,
        3 => Rank::Error,
        2 => Rank::Warning,
        _ => Rank::Info,
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
