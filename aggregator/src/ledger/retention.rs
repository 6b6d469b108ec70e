//! How much a ledger keeps, and how the rest goes.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, named_params};

use super::{
    Offset,
    error::Error,
    holders,
    holes::{self, Hole},
    schema,
};

/// Records among which those of one holder are looked for in one step.
const SCAN: i64 = 20_000;

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

/// Removes at most `limit` of the oldest records: those stored before `oldest`, and any if the ledger is `over` its
/// size. Gives how many it removed.
pub(super) fn remove_oldest(
    connection: &mut Connection,
    over: bool,
    oldest: i64,
    limit: u32,
) -> Result<usize, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM stream WHERE push_time < ?", (oldest,))?;
    transaction.execute("DELETE FROM node WHERE push_time < ?", (oldest,))?;
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
    let removed = remove(&transaction, |_| true, 0, offset, i64::MAX)?;
    transaction.execute("UPDATE ledger SET expired_offset = ?, expired_time = ?", (offset, time))?;
    holes::expire(&transaction, offset)?;
    holders::forget(&transaction)?;
    transaction.commit()?;
    Ok(removed.len())
}

/// Removes at most `limit` of the oldest records of a holder, of those behind an offset and not many behind it. Gives
/// how many, and up to where there are none of it any more.
pub(super) fn remove_of(
    connection: &mut Connection,
    holder: &str,
    after: Offset,
    limit: u32,
) -> Result<(usize, Offset), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let until = after.saturating_add(SCAN).min(schema::last_offset(&transaction)?);
    let removed = remove(&transaction, |owner| owner == holder, after, until, i64::from(limit))?;
    for offset in &removed {
        holes::add(&transaction, &Hole { first: *offset, last: *offset, owner: Some(holder.to_owned()) })?;
    }
    holders::add_taken(&transaction, holder, i64::try_from(removed.len()).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    let reached = if removed.len() < limit as usize { until } else { removed.last().copied().unwrap_or(until) };
    Ok((removed.len(), reached))
}

/// Removes records behind one offset and up to another, of these owners and at most so many. Gives their offsets.
fn remove(
    transaction: &Transaction<'_>,
    is_wanted: impl Fn(&str) -> bool,
    after: Offset,
    until: Offset,
    limit: i64,
) -> Result<Vec<Offset>, rusqlite::Error> {
    let mut removed = Vec::new();
    let mut orphans: Vec<[u8; 16]> = Vec::new();
    let mut owners: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    {
        let mut statement = transaction.prepare_cached(
            "SELECT offset, owner, uid, latest, length(body) FROM record WHERE offset > ? AND offset <= ? ORDER BY offset",
        )?;
        let mut rows = statement.query((after, until))?;
        while let Some(row) = rows.next()? {
            let owner = row.get_ref(1)?.as_str()?;
            if !is_wanted(owner) {
                continue;
            }
            removed.push(row.get(0)?);
            let (records, bytes) = owners.entry(owner.to_owned()).or_default();
            (*records, *bytes) = (*records - 1, *bytes - row.get::<_, i64>(4)?);
            if let (Some(uid), true) = (row.get(2)?, row.get(3)?) {
                orphans.push(uid);
            }
            if i64::try_from(removed.len()).is_ok_and(|count| count >= limit) {
                break;
            }
        }
    }
    let mut delete = transaction.prepare_cached("DELETE FROM record WHERE offset = ?")?;
    for offset in &removed {
        delete.execute((offset,))?;
    }
    // Revisions may have arrived out of order: an earlier one may be younger than the highest.
    let mut promote = transaction.prepare_cached(
        "UPDATE record SET latest = 1
         WHERE offset = (SELECT offset FROM record WHERE uid = ? ORDER BY revision DESC LIMIT 1)",
    )?;
    for uid in orphans {
        promote.execute((uid,))?;
    }
    for (owner, (records, bytes)) in owners {
        holders::add(transaction, &owner, records, bytes)?;
    }
    Ok(removed)
}
