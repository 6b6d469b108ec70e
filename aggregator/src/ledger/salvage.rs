//! Takes what can be read of a damaged ledger over into a new one. Records keep their offsets and the ledger its epoch,
//! so readers go on where they were; what could not be read leaves offsets without records, which each reader finds as
//! a loss.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row, ToSql, types::Value};

use super::{
    Offset,
    error::Error,
    holders,
    records::{self, insert_gap},
    row::{self, COLUMNS},
    schema,
};
use crate::gap;

/// Keys that are tried one by one behind one that cannot be read; then ever more are passed over.
const CLOSE: u32 = 256;
/// Places that cannot be read, after which no more is looked for.
const MAX_FAULTS: u32 = 100_000;
/// The tables beside records and [inbox](super::inbox), with their columns.
const TABLES: [(&str, &str); 3] = [
    ("stream", "id, node, stream_id, acknowledged, push_time, checksum"),
    ("node", "name, push_time, status"),
    ("hole", "first, last, owner"),
];
/// The columns of the inbox that lie before the records of a push, which mostly fill pages of their own.
const HEAD: &str = "id, receive_time, stream, node, acknowledge, records";

/// What was copied from a damaged ledger.
pub(super) struct Salvaged {
    /// The number of records that could be read.
    pub(super) records: u64,
    /// Where the damaged ledger is now.
    pub(super) aside: PathBuf,
}

/// Puts a new ledger with what can be read of this one into its place, and this one aside.
pub(super) fn salvage(path: &Path) -> Result<Salvaged, Error> {
    let draft = schema::with_suffix(path, ".new");
    let file = |doing| move |source| Error::File { doing, path: path.into(), source };
    let sqlite = |source| Error::Sqlite { doing: "take over what can be read of the damaged ledger", source };
    schema::make(&draft).map_err(file("clear the way for"))?;
    schema::write_schema(&draft).map_err(sqlite)?;
    let damaged = schema::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    let records = take_over(&damaged, &draft).map_err(sqlite)?;
    drop(damaged);
    let aside = schema::set_aside(path, "damaged").map_err(file("set aside"))?;
    schema::remove_journal(path).map_err(file("clear the way for"))?;
    schema::put(&draft, path).map_err(file("put into its place"))?;
    Ok(Salvaged { records, aside })
}

fn take_over(damaged: &Connection, draft: &Path) -> Result<u64, rusqlite::Error> {
    let mut copy = schema::connect(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = copy.transaction()?;
    let ledger = damaged.query_row("SELECT epoch, expired_offset, expired_time FROM ledger", (), |row| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    // Without it the ledger is another one, and readers begin with its oldest record.
    if let Ok(known) = ledger {
        transaction.execute("UPDATE ledger SET epoch = ?, expired_offset = ?, expired_time = ?", known)?;
    }
    for (table, columns) in TABLES {
        take_over_table(damaged, &transaction, table, columns)?;
    }
    take_over_inbox(damaged, &transaction)?;
    let (count, highest) = take_over_records(damaged, &transaction)?;
    let last = schema::last_offset(damaged).unwrap_or(0).max(highest);
    transaction.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'record'", (last,))?;
    // A statement that could be rolled back alone would hold all pages that it changes in memory.
    transaction.execute_batch(
        "UPDATE OR ROLLBACK record SET latest = 1 WHERE offset IN
             (SELECT offset FROM record AS one WHERE uid IS NOT NULL AND NOT EXISTS
                 (SELECT 1 FROM record AS other WHERE other.uid = one.uid AND other.revision > one.revision));",
    )?;
    holders::count(&transaction)?;
    // Pushes that waited have no offsets: what is missing of them leaves no trace.
    let time = transaction.query_row("SELECT coalesce(max(store_time), 0) FROM record", (), |row| row.get(0))?;
    if let Some(next) = last.checked_add(1) {
        insert_gap(&transaction, next, time, &gap::of_damaged_ledger(time))?;
    }
    transaction.commit()?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(count)
}

/// Takes over the rows of a table up to the first that cannot be read. What they hold is checked when it is used.
fn take_over_table(damaged: &Connection, copy: &Connection, table: &str, columns: &str) -> Result<(), rusqlite::Error> {
    let marks = vec!["?"; columns.split(", ").count()].join(", ");
    let mut insert = copy.prepare(&format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"))?;
    let Ok(mut statement) = damaged.prepare(&format!("SELECT {columns} FROM {table}")) else { return Ok(()) };
    let count = statement.column_count();
    let Ok(mut rows) = statement.query(()) else { return Ok(()) };
    while let Ok(Some(row)) = rows.next() {
        let Ok(values) = (0..count).map(|column| row.get(column)).collect::<Result<Vec<Value>, _>>() else { continue };
        // A value of another type than the column's is one that was damaged.
        let _refused = insert.execute(&*refs(&values));
    }
    Ok(())
}

/// Takes over the pushes that wait and whose heads can be read. Where the records of one cannot, they are left out: no
/// checksum fits then, so that a gap takes their place when the push is indexed.
fn take_over_inbox(damaged: &Connection, copy: &Connection) -> Result<(), rusqlite::Error> {
    let mut insert = copy
        .prepare(&format!("INSERT OR IGNORE INTO inbox ({HEAD}, parcel, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))?;
    let heads = format!("SELECT {HEAD} FROM inbox WHERE id > ? ORDER BY id");
    if damaged.prepare(&heads).is_err() {
        return Ok(());
    }
    for_each(damaged, &heads, Offset::MAX, |_, row| {
        let columns = row.as_ref().column_count();
        let Ok(mut values) = (0..columns).map(|column| row.get(column)).collect::<Result<Vec<Value>, _>>() else {
            return;
        };
        let rest = damaged.query_row("SELECT parcel, checksum FROM inbox WHERE id = ?", (&values[0],), |row| {
            Ok([row.get(0)?, row.get(1)?])
        });
        values.extend(rest.unwrap_or([Value::Blob(Vec::new()), Value::Integer(0)]));
        let _refused = insert.execute(&*refs(&values));
    })
}

/// Takes over every record whose checksum holds. Gives how many, and the offset of the last.
fn take_over_records(damaged: &Connection, copy: &Connection) -> Result<(u64, Offset), rusqlite::Error> {
    let mut insert = copy.prepare(records::INSERT)?;
    let records = format!("SELECT {COLUMNS} FROM record WHERE offset > ? ORDER BY offset");
    let end = schema::last_offset(damaged).unwrap_or(Offset::MAX);
    let (mut count, mut highest) = (0, 0);
    for_each(damaged, &records, end, |offset, row| {
        let Ok(Some(values)) = sound(row) else { return };
        let latest = 0;
        let values: Vec<&dyn ToSql> = refs(&values).into_iter().chain([&latest as &dyn ToSql]).collect();
        // One that is there twice, by a damaged index, is taken once.
        if insert.execute(&*values).is_ok() {
            count += 1;
            highest = highest.max(offset);
        }
    })?;
    Ok((count, highest))
}

/// Calls `take` with each row that can be read, and its key, which is the first column. `rows` selects those behind a
/// key, in the order of their keys; none is looked for behind `end`.
fn for_each(
    damaged: &Connection,
    rows: &str,
    end: i64,
    mut take: impl FnMut(i64, &Row<'_>),
) -> Result<(), rusqlite::Error> {
    let (mut at, mut faults, mut step) = (0, 0, 1);
    while faults < MAX_FAULTS && at < end {
        let mut statement = damaged.prepare_cached(rows)?;
        let mut rows = statement.query((at,))?;
        let ended = loop {
            match rows.next() {
                Ok(None) => break true,
                Err(_) => break false,
                Ok(Some(row)) => {
                    step = 1;
                    let Ok(key) = row.get(0) else { break false };
                    at = at.max(key);
                    take(key, row);
                }
            }
        };
        if ended {
            break;
        }
        // Behind what cannot be read there may be more.
        faults += 1;
        at = at.saturating_add(step);
        if faults.is_multiple_of(CLOSE) || step > 1 {
            step = step.saturating_mul(2);
        }
    }
    Ok(())
}

fn sound(row: &Row<'_>) -> Result<Option<Vec<Value>>, rusqlite::Error> {
    row::stored(row)?.map(|stored| stored.values()).transpose()
}

fn refs(values: &[Value]) -> Vec<&dyn ToSql> {
    values.iter().map(|value| value as &dyn ToSql).collect()
}
