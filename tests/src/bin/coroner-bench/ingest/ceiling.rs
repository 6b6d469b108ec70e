//! The same bytes straight into SQLite: no more can be stored in it at this durability.

use std::time::Instant;

use anyhow::{Context, Result};
use prost::Message;
use rusqlite::Connection;

use super::load::{self, Load};

/// Diagnoses a second.
pub(super) fn measure(records: u64) -> Result<f64> {
    let batches: Vec<Vec<Vec<u8>>> = Load::new(1, records)
        .batches(0)
        .map(|numbers| numbers.map(|n| load::diagnosis(0, n).encode_to_vec()).collect())
        .collect();
    let directory = tempfile::tempdir().context("making a directory for the database")?;
    let mut connection = Connection::open(directory.path().join("ceiling.db")).context("creating the database")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE record (offset INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)")?;
    let started = Instant::now();
    for batch in &batches {
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO record (body) VALUES (?)")?;
        for body in batch {
            insert.execute((body,))?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok(records as f64 / started.elapsed().as_secs_f64())
}
