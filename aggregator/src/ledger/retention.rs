//! How much a ledger keeps, and how the rest goes.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, named_params};

use super::{Offset, error::Error};

/// How much is kept: what is older, or too much, goes, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// By the time at which a record was stored.
    pub age: Duration,
    /// Bytes of the ledger's file that are in use.
    pub bytes: u64,
}

impl Retention {
    pub(super) fn age_nanoseconds(&self) -> i64 {
        i64::try_from(self.age.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// When the oldest record becomes too old, in nanoseconds since 1970; none if there is none.
pub(super) fn due(connection: &Connection, retention: Retention) -> Result<Option<i64>, Error> {
    let oldest = "SELECT store_time FROM record ORDER BY offset LIMIT 1";
    let oldest: Option<i64> = connection
        .query_row(oldest, (), |row| row.get(0))
        .optional()
        .map_err(Error::reading("look at the oldest record"))?;
    Ok(oldest.map(|oldest| oldest.saturating_add(retention.age_nanoseconds())))
}

/// Bytes of the ledger's file that are in use.
///
/// # Errors
/// If SQLite fails.
pub fn used_bytes(connection: &Connection) -> Result<u64, rusqlite::Error> {
    let ask = |sql| connection.prepare_cached(sql)?.query_row((), |row| row.get::<_, i64>(0));
    let pages = ask("PRAGMA page_count")? - ask("PRAGMA freelist_count")?;
    Ok((pages * ask("PRAGMA page_size")?).unsigned_abs())
}

/// Removes at most `limit` of the oldest records: those stored before `oldest`, and any if the ledger is `over` its size. Gives how many
/// it removed.
pub(super) fn remove_oldest(
    connection: &mut Connection,
    over: bool,
    oldest: i64,
    limit: u32,
) -> Result<usize, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM stream WHERE heard_time < ?", (oldest,))?;
    transaction.execute("DELETE FROM node WHERE heard_time < ?", (oldest,))?;
    let last: Option<(Offset, i64)> = transaction
        .prepare_cached(
            "SELECT offset, store_time FROM (SELECT offset, store_time FROM record ORDER BY offset LIMIT :limit)
             WHERE :over OR store_time < :oldest ORDER BY offset DESC LIMIT 1",
        )?
        .query_row(named_params! {":limit": limit, ":over": over, ":oldest": oldest}, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((offset, time)) = last else {
        transaction.commit()?;
        return Ok(0);
    };
    let orphans: Vec<[u8; 16]> = transaction
        .prepare_cached("SELECT uid FROM record WHERE offset <= ? AND latest = 1")?
        .query_map((offset,), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let removed = transaction.prepare_cached("DELETE FROM record WHERE offset <= ?")?.execute((offset,))?;
    {
        // Revisions may have arrived out of order: an earlier one may be younger than the highest.
        let mut promote = transaction.prepare_cached(
            "UPDATE record SET latest = 1
             WHERE offset = (SELECT offset FROM record WHERE uid = ? ORDER BY revision DESC LIMIT 1)",
        )?;
        for uid in orphans {
            promote.execute((uid,))?;
        }
    }
    transaction.execute("UPDATE ledger SET expired_offset = ?, expired_time = ?", (offset, time))?;
    transaction.commit()?;
    Ok(removed)
}
