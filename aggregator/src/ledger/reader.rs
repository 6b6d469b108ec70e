//! Reading the ledger in the order in which it became durable. Every function is one short look at one state of the
//! ledger: no reader holds the ledger open while it waits for its client.

use std::collections::BTreeMap;

use coroner_proto::v1;
use rusqlite::{Connection, OptionalExtension};

use super::{
    Offset, holes,
    row::{self, COLUMNS},
    schema,
};
use crate::{filter::Selection, gap};

/// A place in the ledger: everything up to and including `offset` is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The offset of the last record that is handled; 0 before all.
    pub offset: Offset,
    /// When the record at `offset` was stored, in nanoseconds since 1970; 0 where that is not known.
    pub time: i64,
}

/// How much one reading of the ledger may examine and return.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most records that are examined, whether they match or not.
    pub scan: usize,
    /// The most records that are returned.
    pub records: usize,
    /// Bytes of records taken; a first one is taken whatever its size.
    pub bytes: usize,
}

/// The result of one reading of the ledger.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// What had been removed before it could be read.
    pub lost: Option<Lost>,
    /// What is not there of what lies before the end of the chunk, though it should be.
    pub missing: Vec<v1::Gap>,
    /// The records that were wanted.
    pub items: Vec<Item>,
    /// The position at which to continue.
    pub position: Position,
    /// True if nothing lay behind `position` at that time.
    pub at_end: bool,
}

/// Records that were removed before a reader came to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many, whether they were wanted or not.
    pub count: u64,
    /// When the last of them was stored, in nanoseconds since 1970.
    pub end_time: i64,
    /// The offset after them.
    pub offset: Offset,
}

/// A record that was read, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The position after this record.
    pub position: Position,
    /// The namespace that it is about; empty for none.
    pub namespace: String,
    /// The record's message, not decoded.
    pub body: Body,
}

/// The encoded message of a record.
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
    let sql = format!("SELECT {COLUMNS} FROM record WHERE offset > ? AND offset <= ? ORDER BY offset LIMIT ?");
    let mut statement = snapshot.prepare_cached(&sql)?;
    let scan = i64::try_from(limits.scan).unwrap_or(i64::MAX);
    let mut rows = statement.query((chunk.position.offset, end, scan))?;
    let (mut bytes, mut scanned) = (0, 0);
    let mut missing = Missing::default();
    let reached_end = loop {
        let Some(row) = rows.next()? else { break scanned < limits.scan };
        let offset: Offset = row.get(0)?;
        // In a damaged table rows may come in any order.
        if !(chunk.position.offset + 1..=end).contains(&offset) {
            scanned += 1;
            continue;
        }
        let Some(stored) = row::stored(row)? else {
            // As if it were not there.
            scanned += 1;
            missing.note(&snapshot, chunk.position.offset + 1, offset, selection)?;
            chunk.position.offset = offset;
            continue;
        };
        let position = stored.position()?;
        let is_wanted = selection.wants_all() || {
            let key = stored.key()?;
            if stored.is_gap()? { selection.wants_gap(&key.node) } else { selection.wants(&key) }
        };
        if is_wanted {
            let length = stored.bytes()?.len();
            if chunk.items.len() == limits.records || (bytes > 0 && bytes + length > limits.bytes) {
                break false;
            }
            bytes += length;
        }
        missing.note(&snapshot, chunk.position.offset + 1, offset - 1, selection)?;
        if is_wanted {
            chunk.items.push(Item { position, namespace: stored.namespace()?, body: stored.body()? });
        }
        chunk.position = position;
        scanned += 1;
    };
    if reached_end {
        missing.note(&snapshot, chunk.position.offset + 1, end, selection)?;
        chunk.position.offset = chunk.position.offset.max(end);
    }
    chunk.missing = missing.gaps(chunk.position.time);
    chunk.at_end = chunk.position.offset >= end;
    Ok(chunk)
}

/// Records that a reader misses without having been informed: removed by retention before their time, or lost by the
/// disk.
#[derive(Default)]
struct Missing {
    /// How many of whom retention took.
    taken: BTreeMap<String, u64>,
    damaged: u64,
}

impl Missing {
    /// Notes that there are no records at these offsets.
    fn note(
        &mut self,
        connection: &Connection,
        first: Offset,
        last: Offset,
        selection: &Selection,
    ) -> Result<(), rusqlite::Error> {
        if first > last {
            return Ok(());
        }
        let count = |first: Offset, last: Offset| u64::try_from(last - first + 1).unwrap_or(0);
        let mut unexplained = count(first, last);
        for hole in holes::within(connection, first, last)? {
            let explained = count(hole.first.max(first), hole.last.min(last));
            unexplained = unexplained.saturating_sub(explained);
            if let Some(owner) = hole.owner.filter(|owner| selection.wants_gap(owner)) {
                *self.taken.entry(owner).or_default() += explained;
            }
        }
        self.damaged += unexplained;
        Ok(())
    }

    /// One gap for each reason and node, of what was stored until `time`.
    fn gaps(self, time: i64) -> Vec<v1::Gap> {
        let taken = self.taken.into_iter().map(|(owner, count)| gap::of_share(&owner, time, count));
        let damaged = (self.damaged > 0).then(|| gap::of_corrupt_records(time, self.damaged));
        taken.chain(damaged).collect()
    }
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
