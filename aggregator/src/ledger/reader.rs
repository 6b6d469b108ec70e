//! Reading the ledger in the order in which it became durable. Every function is one short look at one state of the ledger:
//! no reader holds the ledger open while it waits for its client.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{Offset, schema};
use crate::{filter::Selection, key::Key};

/// A place in the ledger: everything up to and including `offset` is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// 0 is before everything.
    pub offset: Offset,
    /// When the record at `offset` was stored, in nanoseconds since 1970; 0 where that is not known.
    pub time: i64,
}

/// How much one look may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records looked at, wanted or not.
    pub scan: usize,
    /// Records taken.
    pub records: usize,
    /// Bytes of records taken; a first one is taken whatever its size.
    pub bytes: usize,
}

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// What had been removed before it could be read.
    pub lost: Option<Lost>,
    /// The records that were wanted.
    pub items: Vec<Item>,
    /// Where to go on.
    pub position: Position,
    /// True if nothing lay behind `position` at that time.
    pub at_end: bool,
}

/// Records that were removed before a reader came to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many, whether they were wanted or not.
    pub count: u64,
    /// When the last of them was stored.
    pub end_time: i64,
    /// The place behind them.
    pub offset: Offset,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The place behind it.
    pub position: Position,
    /// The namespace that it is about; empty for none.
    pub namespace: String,
    /// What it is.
    pub body: Body,
}

/// An encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A `Diagnosis`.
    Diagnosis(Vec<u8>),
    /// A `Gap`.
    Gap(Vec<u8>),
}

/// Reads on from `after`, up to and including `until`.
///
/// # Errors
/// If SQLite fails.
pub fn read(
    connection: &Connection,
    after: Position,
    until: Option<Offset>,
    selection: &Selection,
    limits: Limits,
) -> Result<Chunk, rusqlite::Error> {
    let snapshot = connection.unchecked_transaction()?;
    let last = schema::last_offset(&snapshot)?;
    let end = until.map_or(last, |until| until.min(last));
    let mut chunk = Chunk { position: after, ..Chunk::default() };
    let expired = expired(&snapshot)?;
    if expired.offset > after.offset && after.offset < end {
        let offset = expired.offset.min(end);
        let count = u64::try_from(offset - after.offset).expect("offsets rise");
        chunk.lost = Some(Lost { count, end_time: expired.time, offset });
        chunk.position = Position { offset, time: expired.time };
    }
    let mut statement = snapshot.prepare_cached(
        "SELECT offset, store_time, uid IS NULL, event_time, namespace, name, node, container, workload,
             workload_above, cause, kind, severity, confidence, fatal, body
         FROM record WHERE offset > :after AND offset <= :end ORDER BY offset LIMIT :scan",
    )?;
    let scan = i64::try_from(limits.scan).unwrap_or(i64::MAX);
    let mut rows = statement.query(named_params! {":after": chunk.position.offset, ":end": end, ":scan": scan})?;
    let (mut bytes, mut scanned) = (0, 0);
    let reached_end = loop {
        let Some(row) = rows.next()? else { break scanned < limits.scan };
        let position = Position { offset: row.get(0)?, time: row.get(1)? };
        let (is_gap, key) = (row.get(2)?, key(row, 3)?);
        if if is_gap { selection.wants_gap(&key.node) } else { selection.wants(&key) } {
            let body = row.get_ref(15)?.as_blob()?;
            if chunk.items.len() == limits.records || (bytes > 0 && bytes + body.len() > limits.bytes) {
                break false;
            }
            bytes += body.len();
            let body = if is_gap { Body::Gap(body.to_vec()) } else { Body::Diagnosis(body.to_vec()) };
            chunk.items.push(Item { position, namespace: key.namespace, body });
        }
        chunk.position = position;
        scanned += 1;
    };
    if reached_end {
        // As a rule it is there already; but no reader may wait for an offset that nothing has.
        chunk.position.offset = chunk.position.offset.max(end);
    }
    chunk.at_end = chunk.position.offset >= end;
    Ok(chunk)
}

fn key(row: &Row<'_>, at: usize) -> Result<Key, rusqlite::Error> {
    Ok(Key {
        event_time: row.get(at)?,
        namespace: row.get(at + 1)?,
        name: row.get(at + 2)?,
        node: row.get(at + 3)?,
        container: row.get(at + 4)?,
        workload: row.get(at + 5)?,
        workload_above: row.get(at + 6)?,
        cause: row.get(at + 7)?,
        kind: row.get(at + 8)?,
        severity: row.get(at + 9)?,
        confidence: row.get(at + 10)?,
        fatal: row.get(at + 11)?,
    })
}

/// The place before the oldest record that is kept, and when the last one that is not was stored.
///
/// # Errors
/// If SQLite fails.
pub fn expired(connection: &Connection) -> Result<Position, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT expired_offset, expired_time FROM ledger")?;
    statement.query_row((), |row| Ok(Position { offset: row.get(0)?, time: row.get(1)? }))
}

/// The place of the last record that was ever stored.
///
/// # Errors
/// If SQLite fails.
pub fn last(connection: &Connection) -> Result<Position, rusqlite::Error> {
    let offset = schema::last_offset(connection)?;
    Ok(Position { offset, time: store_time(connection, offset)?.map_or(0, |(_, time)| time) })
}

/// The place before the first record stored at or after `time`. Offsets and times rise together, so it is found by
/// bisection, without an index.
///
/// # Errors
/// If SQLite fails.
pub fn seek(connection: &Connection, time: i64) -> Result<Position, rusqlite::Error> {
    let snapshot = connection.unchecked_transaction()?;
    // Invariant: all up to and including `low` are older than `time`, all after `high` are not.
    let mut low = expired(&snapshot)?;
    let mut high = schema::last_offset(&snapshot)?;
    while low.offset < high {
        let middle = low.offset + (high - low.offset + 1) / 2;
        match store_time(&snapshot, middle)? {
            Some((offset, stored)) if stored < time => low = Position { offset, time: stored },
            _ => high = middle - 1,
        }
    }
    Ok(low)
}

/// The first record at or behind an offset, with its time.
pub(super) fn store_time(connection: &Connection, offset: Offset) -> Result<Option<(Offset, i64)>, rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("SELECT offset, store_time FROM record WHERE offset >= ? ORDER BY offset LIMIT 1")?;
    statement.query_row((offset,), |row| Ok((row.get(0)?, row.get(1)?))).optional()
}
