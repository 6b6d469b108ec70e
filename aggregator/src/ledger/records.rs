//! Records in the ledger, under all that they are found by.

use coroner_proto::v1::{Gap, GapReason};
use prost::Message;
use rusqlite::{CachedStatement, OptionalExtension, ToSql, Transaction};

use super::{
    Offset, holders,
    push::{Entry, Identity},
    row,
    schema::last_offset,
};
use crate::{gap, key::Key};

/// Where records come from, and when they came.
pub(super) struct Origin<'a> {
    pub(super) stream: i64,
    pub(super) node: &'a str,
    /// When it is stored, in nanoseconds since 1970.
    pub(super) time: i64,
}

/// Stores records under all that they are found by; one at this offset, if one is given. Gives how many were not there
/// before.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    origin: &Origin<'_>,
    entries: &[Entry],
    offset: Option<Offset>,
) -> Result<usize, rusqlite::Error> {
    let Origin { stream, node: from, time } = *origin;
    let mut highest = transaction
        .prepare_cached("SELECT offset, revision, owner FROM record WHERE uid = ? ORDER BY revision DESC LIMIT 1")?;
    let mut known_revision = transaction.prepare_cached("SELECT 1 FROM record WHERE uid = ? AND revision = ?")?;
    let mut known_gap =
        transaction.prepare_cached("SELECT 1 FROM record WHERE uid IS NULL AND stream = ? AND sequence = ?")?;
    let mut demote = transaction.prepare_cached("UPDATE record SET latest = 0 WHERE offset = ?")?;
    let mut insert = transaction.prepare_cached(INSERT)?;
    let mut next = match offset {
        Some(offset) => offset,
        None => last_offset(transaction)? + 1,
    };
    let (mut count, mut bytes) = (0, 0);
    for entry in entries {
        let highest: Option<(Offset, u32, String)> = match entry.identity {
            Some(Identity { uid, .. }) => {
                let row = highest.query_row((uid.into_bytes(),), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                row.optional()?
            }
            None => None,
        };
        let fit = match (entry.key(time), &highest) {
            (None, _) => Err((GapReason::Corrupt, "a stored record could not be understood")),
            // A uid belongs to its node: no other can know the same facts, and one that claims to would hide what that
            // node reported.
            (Some(_), Some((.., owner))) if *owner != from => {
                Err((GapReason::Rejected, "a diagnosis was refused: its uid is one of another node's"))
            }
            (Some(key), _) => Ok(key),
        };
        let instead;
        let (entry, key) = match fit {
            Ok(key) => (entry, key),
            Err((reason, text)) => {
                tracing::error!(from, sequence = entry.sequence, reason = text, "A record is reported as lost");
                instead = gap(entry.sequence, from, time, reason, 1);
                (&instead.0, instead.1)
            }
        };
        // What is there already is looked for, not left to ON CONFLICT: that would use up an offset.
        let is_latest = match (entry.identity, highest) {
            (None, _) if known_gap.exists((stream, entry.sequence))? => continue,
            (None, _) => false,
            (Some(_), None) => true,
            (Some(Identity { revision, .. }), Some((offset, highest, _))) if revision > highest => {
                demote.execute((offset,))?;
                true
            }
            (Some(Identity { uid, revision }), _) if known_revision.exists((uid.into_bytes(), revision))? => continue,
            (Some(_), _) => false,
        };
        insert_entry(&mut insert, entry, &key, &Place { offset: next, stream, owner: from, is_latest, time })?;
        next += 1;
        count += 1;
        bytes += length(entry.body.len());
    }
    if count > 0 {
        holders::add(transaction, from, length(count), bytes)?;
    }
    Ok(count)
}

/// The columns in the order of [`row::COLUMNS`], and whether it is the latest.
pub(super) const INSERT: &str = "
    INSERT INTO record (offset, store_time, stream, sequence, uid, revision, event_time, namespace, name, node, container,
        workload, workload_above, cause, kind, severity, confidence, fatal, owner, body, checksum, latest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// The gap in the place of `lost` records that this ledger cannot store.
fn gap(sequence: i64, node: &str, time: i64, reason: GapReason, lost: i64) -> (Entry, Key) {
    let gap = gap::in_ledger(node, time, reason, lost.unsigned_abs());
    (Entry { sequence, identity: None, body: gap.encode_to_vec() }, Key::of_gap(&gap, time))
}

/// The same, as it goes through the inbox.
pub(super) fn corrupt(sequence: i64, node: &str, time: i64, lost: i64) -> Entry {
    gap(sequence, node, time, GapReason::Corrupt, lost).0
}

/// Stores a gap of the log or the ledger itself, which is of no node and no outbox.
pub(super) fn insert_gap(
    transaction: &Transaction<'_>,
    offset: Offset,
    time: i64,
    gap: &Gap,
) -> Result<(), rusqlite::Error> {
    let entry = Entry { sequence: offset, identity: None, body: gap.encode_to_vec() };
    let place = Place { offset, stream: 0, owner: "", is_latest: false, time };
    insert_entry(&mut transaction.prepare_cached(INSERT)?, &entry, &Key::of_gap(gap, time), &place)?;
    holders::add(transaction, "", 1, length(entry.body.len()))
}

/// Where a record goes.
struct Place<'a> {
    offset: Offset,
    stream: i64,
    /// Who reported it.
    owner: &'a str,
    is_latest: bool,
    /// Nanoseconds since 1970.
    time: i64,
}

fn insert_entry(
    insert: &mut CachedStatement<'_>,
    entry: &Entry,
    key: &Key,
    place: &Place<'_>,
) -> Result<(), rusqlite::Error> {
    let Place { offset, stream, owner, is_latest, time } = *place;
    let new = row::New {
        offset,
        store_time: time,
        stream,
        sequence: entry.sequence,
        uid: entry.identity.map(|identity| identity.uid.into_bytes()),
        revision: entry.identity.map_or(0, |identity| identity.revision),
        key,
        owner,
        body: &entry.body,
    };
    new.with_checksum(|columns| {
        let values: Vec<&dyn ToSql> = columns.iter().copied().chain([&is_latest as &dyn ToSql]).collect();
        insert.execute(&*values).map(drop)
    })
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
