//! Records in the ledger, under all that they are found by.

use coroner_proto::v1::GapReason;
use prost::Message;
use rusqlite::{CachedStatement, OptionalExtension, Transaction, named_params};

use super::{
    Offset,
    push::{Entry, Identity},
};
use crate::{gap, key::Key};

/// Where records come from, and when they came.
pub(super) struct Origin<'a> {
    pub(super) stream: i64,
    pub(super) node: &'a str,
    /// Nanoseconds since 1970.
    pub(super) time: i64,
}

/// Stores records under all that they are found by; one at this offset, if one is given.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    origin: &Origin<'_>,
    entries: &[Entry],
    offset: Option<Offset>,
) -> Result<(), rusqlite::Error> {
    let Origin { stream, node: from, time } = *origin;
    let mut highest = transaction
        .prepare_cached("SELECT offset, revision, node FROM record WHERE uid = ? ORDER BY revision DESC LIMIT 1")?;
    let mut known_revision = transaction.prepare_cached("SELECT 1 FROM record WHERE uid = ? AND revision = ?")?;
    let mut known_gap =
        transaction.prepare_cached("SELECT 1 FROM record WHERE uid IS NULL AND stream = ? AND sequence = ?")?;
    let mut demote = transaction.prepare_cached("UPDATE record SET latest = 0 WHERE offset = ?")?;
    let mut insert = transaction.prepare_cached(INSERT)?;
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
            // A uid is its node's: nobody else can know the same facts, and who claims to would hide what that node reported.
            (Some(key), Some((.., node))) if *node != key.node => {
                Err((GapReason::Rejected, "a diagnosis was refused: its uid is one of another node's"))
            }
            (Some(key), _) => Ok(key),
        };
        let instead;
        let (entry, key) = match fit {
            Ok(key) => (entry, key),
            Err((reason, text)) => {
                tracing::error!(from, sequence = entry.sequence, reason = text, "A record is reported as lost");
                instead = gap(entry.sequence, from, time, reason, 1, text);
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
        insert_entry(&mut insert, entry, &key, &Place { offset, stream, is_latest, time })?;
    }
    Ok(())
}

/// With NULL for the offset, the next one.
const INSERT: &str = "
    INSERT INTO record (offset, store_time, stream, sequence, uid, revision, latest, event_time, namespace, name, node,
        container, workload, workload_above, cause, kind, severity, confidence, fatal, body)
    VALUES (:offset, :store_time, :stream, :sequence, :uid, :revision, :latest, :event_time, :namespace, :name, :node,
        :container, :workload, :workload_above, :cause, :kind, :severity, :confidence, :fatal, :body)";

/// The gap in the place of `lost` records that this ledger cannot store.
fn gap(sequence: i64, node: &str, time: i64, reason: GapReason, lost: i64, text: &str) -> (Entry, Key) {
    let gap = gap::in_ledger(node, time, reason, lost.unsigned_abs(), text);
    (Entry { sequence, identity: None, body: gap.encode_to_vec() }, Key::of_gap(&gap, time))
}

/// The same, as it goes through the inbox.
pub(super) fn corrupt(sequence: i64, node: &str, time: i64, lost: i64, text: &str) -> Entry {
    gap(sequence, node, time, GapReason::Corrupt, lost, text).0
}

/// Stores a gap of the log itself, which is of no node and no outbox.
pub(super) fn insert_gap(
    transaction: &Transaction<'_>,
    offset: Offset,
    time: i64,
    reason: GapReason,
    lost: i64,
    text: &str,
) -> Result<(), rusqlite::Error> {
    let (gap, key) = gap(offset, "", time, reason, lost, text);
    let place = Place { offset: Some(offset), stream: 0, is_latest: false, time };
    insert_entry(&mut transaction.prepare_cached(INSERT)?, &gap, &key, &place)
}

/// Where a record goes.
struct Place {
    /// The next one if none is given.
    offset: Option<Offset>,
    stream: i64,
    is_latest: bool,
    /// Nanoseconds since 1970.
    time: i64,
}

fn insert_entry(
    insert: &mut CachedStatement<'_>,
    entry: &Entry,
    key: &Key,
    place: &Place,
) -> Result<(), rusqlite::Error> {
    let Key {
        event_time,
        namespace,
        name,
        node,
        container,
        workload,
        workload_above,
        cause,
        kind,
        severity,
        confidence,
        fatal,
    } = key;
    insert.execute(named_params! {
        ":offset": place.offset,
        ":store_time": place.time,
        ":stream": place.stream,
        ":sequence": entry.sequence,
        ":uid": entry.identity.map(|i| i.uid.into_bytes()),
        ":revision": entry.identity.map_or(0, |i| i.revision),
        ":latest": place.is_latest,
        ":event_time": event_time,
        ":namespace": namespace,
        ":name": name,
        ":node": node,
        ":container": container,
        ":workload": workload,
        ":workload_above": workload_above,
        ":cause": cause,
        ":kind": kind,
        ":severity": severity,
        ":confidence": confidence,
        ":fatal": fatal,
        ":body": entry.body,
    })?;
    Ok(())
}
