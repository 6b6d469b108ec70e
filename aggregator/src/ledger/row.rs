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
    let mut sum = Sum::new();
    for value in values {
        match value.to_sql()? {
            ToSqlOutput::Borrowed(value) => sum.add(value),
            ToSqlOutput::Owned(value) => sum.add((&value).into()),
            _ => {}
        }
    }
    Ok(sum.finish())
}

/// The same of values as SQLite has them.
pub(super) fn sum<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = Sum::new();
    values.for_each(|value| sum.add(value));
    sum.finish()
}

/// The same over a row of [`COLUMNS`], but for the checksum that it holds.
fn checksum_of(row: &Row<'_>) -> Result<i64, rusqlite::Error> {
    let mut sum = Sum::new();
    for column in 0..CHECKED {
        sum.add(row.get_ref(column)?);
    }
    Ok(sum.finish())
}

/// A checksum under way.
struct Sum {
    hasher: Hasher,
    /// Bytes that are next. Few bytes at once are slow to hash, and most values are short.
    gathered: [u8; 512],
    /// How many these are.
    length: usize,
}

impl Sum {
    fn new() -> Self {
        Self { hasher: Hasher::new(), gathered: [0; 512], length: 0 }
    }

    /// Adds a value with its kind and length, so that no two rows of values give the same bytes.
    fn add(&mut self, value: ValueRef<'_>) {
        let (kind, bytes): (u8, &[u8]) = match &value {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => (1, &number.to_le_bytes()),
            ValueRef::Real(number) => (2, &number.to_le_bytes()),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        let mut head = [kind; 9];
        head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.put(&head);
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.length + bytes.len() > self.gathered.len() {
            self.hasher.update(&self.gathered[..self.length]);
            self.length = 0;
        }
        match self.gathered.get_mut(self.length..self.length + bytes.len()) {
            Some(next) => {
                next.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.hasher.update(bytes),
        }
    }

    fn finish(mut self) -> i64 {
        self.hasher.update(&self.gathered[..self.length]);
        self.hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// What ledgers already hold must stay sound, however the bytes are gathered.
        #[test]
        fn the_checksum_is_that_of_all_bytes_in_a_row(values in vec(vec(any::<u8>(), 0..700), 0..30)) {
            let mut bytes = Vec::new();
            for value in &values {
                bytes.push(4);
                bytes.extend((value.len() as u64).to_le_bytes());
                bytes.extend(value);
            }
            let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
            prop_assert_eq!(checksum(&values).unwrap(), i64::from(crc32fast::hash(&bytes)));
        }
    }
}
