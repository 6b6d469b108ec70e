//! How much the ledger holds of each node, so that a node that fills it loses records of its own.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

/// Retention first removes from a holder of more than this part of all, in percent,
const MOST_PERCENT: i64 = 75;
/// or of more than so many times the average of all holders.
const MOST_SHARES: i64 = 2;

/// What the ledger holds of a node, or of the watch of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name of the node, or of the aggregator's own watch.
    pub name: String,
    /// The number of records that are kept.
    pub records: i64,
    /// The size of these records in bytes, encoded.
    pub bytes: i64,
    /// The number of records that retention removed before their time, because there were so many.
    pub taken: i64,
}

/// Counts records of a holder that were stored, or removed where the numbers are negative.
pub(super) fn add(transaction: &Transaction<'_>, name: &str, records: i64, bytes: i64) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO holder VALUES (?1, ?2, ?3, 0)
             ON CONFLICT DO UPDATE SET records = records + ?2, bytes = bytes + ?3",
        )?
        .execute((name, records, bytes))
        .map(drop)
}

/// Counts all records of a ledger in which none were counted. To group them, SQLite would hold their bodies in memory.
pub(super) fn count(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction
        .execute(
            "INSERT INTO holder SELECT owner, 1, length(body), 0 FROM record WHERE true
             ON CONFLICT DO UPDATE SET records = records + 1, bytes = bytes + excluded.bytes",
            (),
        )
        .map(drop)
}

/// Counts records that retention took before their time.
pub(super) fn add_taken(transaction: &Transaction<'_>, name: &str, count: i64) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("UPDATE holder SET taken = taken + ? WHERE name = ?")?.execute((count, name)).map(drop)
}

/// Removes the holders of whom no record is kept, and none was removed early.
pub(super) fn forget(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("DELETE FROM holder WHERE records <= 0 AND taken = 0")?.execute(()).map(drop)
}

/// Who holds so much that retention takes of it first.
pub(super) fn greediest(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT name FROM holder, (SELECT sum(bytes) AS total, count(*) AS holders FROM holder WHERE records > 0)
             WHERE holders > 1 AND (bytes * 100 > total * ?1 OR bytes * holders > total * ?2 AND holders > ?2)
             ORDER BY bytes DESC LIMIT 1",
        )?
        .query_row((MOST_PERCENT, MOST_SHARES), |row| row.get(0))
        .optional()
}

/// The number of records that are kept, of all holders.
pub(super) fn records(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.prepare_cached("SELECT coalesce(sum(records), 0) FROM holder")?.query_row((), |row| row.get(0))
}

/// All holders of records.
///
/// # Errors
/// If SQLite fails.
pub fn holders(connection: &Connection) -> Result<Vec<Holder>, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT name, records, bytes, taken FROM holder")?;
    let rows = statement.query_map((), |row| {
        Ok(Holder { name: row.get(0)?, records: row.get(1)?, bytes: row.get(2)?, taken: row.get(3)? })
    })?;
    rows.collect()
}
