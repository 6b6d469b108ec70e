//! Where a flood waits: pushes lie here as they came, durable and acknowledged, until there is time to file their
//! records under all that they are found by. Written behind each other and without an index, they take a small part of
//! the time that filing takes.

use prost::Message;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::{
    push::{Entry, Identity, Push},
    row::checksum,
};

/// How much waits to be indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many records are stored and not indexed yet.
    pub records: i64,
    /// The bytes of these records.
    pub bytes: i64,
}

impl Waiting {
    /// Whether nothing waits to be indexed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A push that is stored in the inbox and not indexed yet.
pub(super) struct Received {
    pub(super) id: i64,
    /// When it was received, in nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) stream: i64,
    pub(super) node: String,
    /// The highest sequence of the push.
    pub(super) acknowledge: i64,
    pub(super) size: Waiting,
    /// Its records; `None` if they cannot be decoded.
    pub(super) entries: Option<Vec<Entry>>,
}

/// The records of a push as they lie in a row.
#[derive(Clone, PartialEq, Message)]
struct Parcel {
    #[prost(message, repeated, tag = "1")]
    records: Vec<Packed>,
}

#[derive(Clone, PartialEq, Message)]
struct Packed {
    #[prost(int64, tag = "1")]
    sequence: i64,
    /// Empty for a gap.
    #[prost(bytes = "vec", tag = "2")]
    uid: Vec<u8>,
    #[prost(uint32, tag = "3")]
    revision: u32,
    #[prost(bytes = "vec", tag = "4")]
    body: Vec<u8>,
}

/// Puts the records of a push behind what waits already.
pub(super) fn put(
    transaction: &Transaction<'_>,
    stream: i64,
    push: Push,
    time: i64,
) -> Result<Waiting, rusqlite::Error> {
    let Push { node, entries, acknowledge, .. } = push;
    let records = length(entries.len());
    let parcel = Parcel { records: entries.into_iter().map(pack).collect() }.encode_to_vec();
    let size = Waiting { records, bytes: length(parcel.len()) };
    transaction
        .prepare_cached(
            "INSERT INTO inbox (receive_time, stream, node, acknowledge, records, parcel, checksum)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            time,
            stream,
            node,
            acknowledge,
            records,
            parcel,
            checksum(&[&time, &stream, &node, &acknowledge, &records, &parcel])?
        ])?;
    Ok(size)
}

/// The push that has waited longest.
pub(super) fn first(transaction: &Transaction<'_>) -> Result<Option<Received>, rusqlite::Error> {
    transaction
        .prepare_cached(
            "SELECT id, receive_time, stream, node, acknowledge, records, parcel, checksum FROM inbox ORDER BY id LIMIT 1",
        )?
        .query_row((), |row| {
            let parcel = row.get_ref(6)?.as_blob()?;
            let (time, stream, acknowledge, records) = (row.get(1)?, row.get(2)?, row.get(4)?, row.get(5)?);
            let node: String = row.get(3)?;
            let found = checksum(&[&time, &stream, &node, &acknowledge, &records, &parcel])?;
            let entries = if found == row.get::<_, i64>(7)? { Parcel::decode(parcel).ok() } else { None };
            Ok(Received {
                id: row.get(0)?,
                time,
                stream,
                node,
                acknowledge,
                size: Waiting { records, bytes: length(parcel.len()) },
                entries: entries.and_then(|parcel| parcel.records.into_iter().map(unpack).collect()),
            })
        })
        .optional()
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn pack(entry: Entry) -> Packed {
    let Entry { sequence, identity, body } = entry;
    let (uid, revision) =
        identity.map_or((vec![], 0), |identity| (identity.uid.into_bytes().to_vec(), identity.revision));
    Packed { sequence, uid, revision, body }
}

fn unpack(packed: Packed) -> Option<Entry> {
    let Packed { sequence, uid, revision, body } = packed;
    let identity = match &*uid {
        [] => None,
        uid => Some(Identity { uid: Uuid::from_slice(uid).ok()?, revision }),
    };
    Some(Entry { sequence, identity, body })
}

/// Removes a push that has been indexed.
pub(super) fn remove(transaction: &Transaction<'_>, id: i64) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("DELETE FROM inbox WHERE id = ?")?.execute((id,)).map(drop)
}

/// How much waits, and when the last of it came, in nanoseconds since 1970; 0 for nothing.
pub(super) fn waiting(connection: &Connection) -> Result<(Waiting, i64), rusqlite::Error> {
    let sums =
        "SELECT coalesce(sum(records), 0), coalesce(sum(length(parcel)), 0), coalesce(max(receive_time), 0) FROM inbox";
    connection
        .prepare_cached(sums)?
        .query_row((), |row| Ok((Waiting { records: row.get(0)?, bytes: row.get(1)? }, row.get(2)?)))
}
