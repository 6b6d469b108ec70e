//! Offsets that have no record any more, or never had one, and why. Any other offset without a record is a loss by
//! damage.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::Offset;

/// Offsets in a row that have no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) first: Offset,
    pub(super) last: Offset,
    /// Whose records retention took; none where nothing was lost.
    pub(super) owner: Option<String>,
}

/// Stores that these offsets have no record on purpose.
pub(super) fn add(transaction: &Transaction<'_>, hole: &Hole) -> Result<(), rusqlite::Error> {
    let Hole { first, last, owner } = hole;
    let before: Option<Offset> = transaction
        .prepare_cached("SELECT first FROM hole WHERE last = ? - 1 AND owner IS ?")?
        .query_row((first, owner), |row| row.get(0))
        .optional()?;
    match before {
        Some(before) => {
            transaction.prepare_cached("UPDATE hole SET last = ? WHERE first = ?")?.execute((last, before))?;
        }
        None => {
            transaction.prepare_cached("INSERT INTO hole VALUES (?, ?, ?)")?.execute((first, last, owner))?;
        }
    }
    Ok(())
}

/// The holes that overlap these offsets.
pub(super) fn within(connection: &Connection, first: Offset, last: Offset) -> Result<Vec<Hole>, rusqlite::Error> {
    // Holes do not overlap: of those that begin before, only the last can reach so far.
    let mut statement = connection.prepare_cached(
        "SELECT first, last, owner FROM (SELECT * FROM hole WHERE first < ?1 ORDER BY first DESC LIMIT 1) WHERE last >= ?1
         UNION ALL SELECT first, last, owner FROM hole WHERE first BETWEEN ?1 AND ?2",
    )?;
    let rows = statement
        .query_map((first, last), |row| Ok(Hole { first: row.get(0)?, last: row.get(1)?, owner: row.get(2)? }))?;
    rows.collect()
}

/// Forgets those that lie before the oldest record that is kept.
pub(super) fn expire(transaction: &Transaction<'_>, offset: Offset) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("DELETE FROM hole WHERE last <= ?")?.execute((offset,)).map(drop)
}
