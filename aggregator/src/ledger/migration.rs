//! Brings a ledger of the version before up to the present one: its rows had no checksums, no owner and no count by it.
//! (Version 3 was in no revision of the sources.)

use rusqlite::{Connection, TransactionBehavior, functions::FunctionFlags};

use super::{holders, row, schema};

/// The version of ledgers that are migrated.
pub(super) const FROM: i32 = 2;
/// The version that it becomes.
const TO: i32 = 4;

/// What is different in the version before, beside what it [lacks](schema::ADDED). It counted no holes as losses:
/// duplicates in a shared ledger left some. The owner of a record is the node whose outbox it came through; gaps of
/// the ledger itself came through none.
const CHANGES: &str = "
ALTER TABLE stream RENAME COLUMN heard_time TO push_time;
ALTER TABLE node RENAME COLUMN heard_time TO push_time;
ALTER TABLE stream ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE stream SET checksum = checksum(node, stream_id, acknowledged);
INSERT INTO hole SELECT offset + 1, (SELECT min(offset) FROM record AS next WHERE next.offset > record.offset) - 1, NULL
    FROM record WHERE offset < (SELECT max(offset) FROM record)
    AND NOT EXISTS (SELECT 1 FROM record AS next WHERE next.offset = record.offset + 1);
";

/// What changes in many rows, and the last of these. SQLite holds what a statement changes in memory until the
/// statement is over, so it is done in parts.
const ROWS: [(&str, &str); 2] = [
    (
        "SELECT ifnull(max(id), 0) FROM inbox",
        "UPDATE inbox SET checksum = checksum(receive_time, stream, node, acknowledge, records, parcel)
         WHERE id BETWEEN ? AND ?",
    ),
    (
        "SELECT ifnull(max(offset), 0) FROM record",
        "UPDATE record SET (owner, checksum) = (
             SELECT by, checksum(offset, store_time, stream, sequence, uid, revision, event_time, namespace, name, node,
                 container, workload, workload_above, cause, kind, severity, confidence, fatal, by, body)
             FROM (SELECT coalesce(
                 (SELECT stream.node FROM stream WHERE stream.id = record.stream),
                 iif(record.stream = 0, '', record.node)
             ) AS by)
         ) WHERE offset BETWEEN ? AND ?",
    ),
];
/// Rows of a part.
const PART: usize = 1_000;

/// Brings it up in one transaction: it is of one version or of the other.
pub(super) fn run(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    tracing::info!("The ledger is of version {FROM}: checksums and an index are added");
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("checksum", -1, flags, |values| {
        Ok(row::sum((0..values.len()).map(|at| values.get_raw(at))))
    })?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(schema::ADDED)?;
    transaction.execute_batch(CHANGES)?;
    for (last, update) in ROWS {
        let last: i64 = transaction.query_row(last, (), |row| row.get(0))?;
        let mut part = transaction.prepare(update)?;
        for first in (1..=last).step_by(PART) {
            part.execute((first, first + PART as i64 - 1))?;
        }
    }
    holders::count(&transaction)?;
    transaction.pragma_update(None, "user_version", TO)?;
    transaction.commit()?;
    connection.remove_function("checksum", -1)
}
