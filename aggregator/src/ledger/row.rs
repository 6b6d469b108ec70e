//! A record as it lies in the ledger: its columns, and the checksum over all of them that cannot change. SQLite finds
//! damage to its own structure; a changed bit in a value is found by this.

use crc32fast::Hasher;
use rusqlite::{
    Row, ToSql,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::{Body, Offset, reader::Position};
use crate::key::Key;

/// The columns of a record that never change, in the order of the checksum, and the checksum behind them. `latest` may
/// change.
pub(super) const COLUMNS: &str = "offset, store_time, stream, sequence, uid, revision, event_time, namespace, name, node, container, \
     workload, workload_above, cause, kind, severity, confidence, fatal, owner, body, checksum";
/// How many there are before the checksum.
const CHECKED: usize = 20;
/// The place of the body among them.
const BODY: usize = 19;

/// A record whose checksum holds.
pub(super) struct Stored<'row> {
    row: &'row Row<'row>,
}

/// The row of these [`COLUMNS`], if its checksum holds.
///
/// # Errors
/// If SQLite fails.
pub(super) fn stored<'row>(row: &'row Row<'row>) -> Result<Option<Stored<'row>>, rusqlite::Error> {
    let is_sound = row.get_ref(CHECKED)? == ValueRef::Integer(checksum_of(row)?);
    Ok(is_sound.then_some(Stored { row }))
}

impl Stored<'_> {
    pub(super) fn position(&self) -> Result<Position, rusqlite::Error> {
        Ok(Position { offset: self.row.get(0)?, time: self.row.get(1)? })
    }

    pub(super) fn is_gap(&self) -> Result<bool, rusqlite::Error> {
        Ok(self.row.get_ref(4)? == ValueRef::Null)
    }

    pub(super) fn namespace(&self) -> Result<String, rusqlite::Error> {
        self.row.get(7)
    }

    pub(super) fn uid(&self) -> Result<Option<[u8; 16]>, rusqlite::Error> {
        self.row.get(4)
    }

    pub(super) fn key(&self) -> Result<Key, rusqlite::Error> {
        let row = self.row;
        Ok(Key {
            event_time: row.get(6)?,
            namespace: self.namespace()?,
            name: row.get(8)?,
            node: row.get(9)?,
            container: row.get(10)?,
            workload: row.get(11)?,
            workload_above: row.get(12)?,
            cause: row.get(13)?,
            kind: row.get(14)?,
            severity: row.get(15)?,
            confidence: row.get(16)?,
            fatal: row.get(17)?,
        })
    }

    /// The encoded message.
    pub(super) fn bytes(&self) -> Result<&[u8], rusqlite::Error> {
        Ok(self.row.get_ref(BODY)?.as_blob()?)
    }

    pub(super) fn body(&self) -> Result<Body, rusqlite::Error> {
        let bytes = self.bytes()?.to_vec();
        Ok(if self.is_gap()? { Body::Gap(bytes) } else { Body::Diagnosis(bytes) })
    }

    /// The values of all columns without the checksum.
    pub(super) fn values(&self) -> Result<Vec<Value>, rusqlite::Error> {
        (0..=CHECKED).map(|column| self.row.get(column)).collect()
    }
}

/// What is stored of a record, in the order of [`COLUMNS`] without the checksum.
pub(super) struct New<'a> {
    pub(super) offset: Offset,
    pub(super) store_time: i64,
    pub(super) stream: i64,
    pub(super) sequence: i64,
    pub(super) uid: Option<[u8; 16]>,
    pub(super) revision: u32,
    pub(super) key: &'a Key,
    pub(super) owner: &'a str,
    pub(super) body: &'a [u8],
}

impl New<'_> {
    /// Calls `call` with the values of all columns and their checksum.
    pub(super) fn with_checksum<T>(
        &self,
        call: impl FnOnce(&[&dyn ToSql; CHECKED + 1]) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let mut columns: [&dyn ToSql; CHECKED + 1] = [
            &self.offset,
            &self.store_time,
            &self.stream,
            &self.sequence,
            &self.uid,
            &self.revision,
            &self.key.event_time,
            &self.key.namespace,
            &self.key.name,
            &self.key.node,
            &self.key.container,
            &self.key.workload,
            &self.key.workload_above,
            &self.key.cause,
            &self.key.kind,
            &self.key.severity,
            &self.key.confidence,
            &self.key.fatal,
            &self.owner,
            &self.body,
            &0,
        ];
        let checksum = checksum(&columns[..CHECKED])?;
        columns[CHECKED] = &checksum;
        call(&columns)
    }
}

/// The checksum of values that are stored together.
pub(super) fn checksum(values: &[&dyn ToSql]) -> Result<i64, rusqlite::Error> {
    let mut hasher = Hasher::new();
    for value in values {
        add_output(&mut hasher, &value.to_sql()?);
    }
    Ok(hasher.finalize().into())
}

/// The same over a row of [`COLUMNS`], but for the checksum that it holds.
pub(super) fn checksum_of(row: &Row<'_>) -> Result<i64, rusqlite::Error> {
    let mut hasher = Hasher::new();
    for column in 0..CHECKED {
        add(&mut hasher, row.get_ref(column)?);
    }
    Ok(hasher.finalize().into())
}

fn add_output(hasher: &mut Hasher, output: &ToSqlOutput<'_>) {
    match output {
        ToSqlOutput::Borrowed(value) => add(hasher, *value),
        ToSqlOutput::Owned(value) => add(hasher, value.into()),
        _ => {}
    }
}

/// Adds a value with its kind and length, so that no two rows of values give the same bytes.
fn add(hasher: &mut Hasher, value: ValueRef<'_>) {
    let (kind, bytes): (u8, &[u8]) = match &value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => (1, &number.to_le_bytes()),
        ValueRef::Real(number) => (2, &number.to_le_bytes()),
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(blob) => (4, blob),
    };
    let mut head = [kind; 9];
    head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    hasher.update(&head);
    hasher.update(bytes);
}
