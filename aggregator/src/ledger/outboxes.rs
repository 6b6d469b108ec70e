//! The agents' outboxes, as the ledger knows them: how far each is acknowledged, and the status of its node.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{push::Push, row::checksum};

/// Lives of one node's outbox that are remembered. A node has one at a time.
const STREAMS_PER_NODE: i64 = 8;

/// Stores the state that a push contains beside its records. Gives what is acknowledged, and under which stream to
/// store the records; `None` if there is nothing to store, or what comes before it is missing.
pub(super) fn acknowledge(
    transaction: &Transaction<'_>,
    push: &Push,
    now: i64,
) -> Result<(i64, Option<i64>), rusqlite::Error> {
    if let Some((status, reported)) = &push.status {
        transaction
            .prepare_cached(
                "INSERT INTO node VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET push_time = excluded.push_time, status = excluded.status",
            )?
            .execute(params![push.node, reported, status])?;
    }
    let known: Option<(i64, i64, i64)> = transaction
        .prepare_cached("SELECT id, acknowledged, checksum FROM stream WHERE node = ? AND stream_id = ?")?
        .query_row((&push.node, &push.stream_id), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let known = match known {
        // Of a damaged number nothing holds: the agent comes again with all that it still keeps.
        Some((id, found, sum)) if sum != checksum(&[&push.node, &push.stream_id, &found])? => Some((id, 0)),
        Some((id, found, _)) => Some((id, found)),
        None => None,
    };
    let before = known.map_or(0, |(_, acknowledged)| acknowledged);
    // An agent that lives but finds nothing out is not to be forgotten: it would push again all that it still keeps.
    if let (Some((stream, _)), true) = (known, push.status.is_some()) {
        transaction.prepare_cached("UPDATE stream SET push_time = ? WHERE id = ?")?.execute((now, stream))?;
    }
    if push.acknowledge == 0 && push.entries.is_empty() || before < push.after {
        return Ok((before, None));
    }
    let stream = match known {
        Some((stream, _)) => stream,
        None => insert_stream(transaction, push, now)?,
    };
    let acknowledged = before.max(push.acknowledge);
    let sum = checksum(&[&push.node, &push.stream_id, &acknowledged])?;
    transaction
        .prepare_cached("UPDATE stream SET acknowledged = ?, checksum = ?, push_time = ? WHERE id = ?")?
        .execute((acknowledged, sum, now, stream))?;
    Ok((acknowledged, Some(stream)))
}

fn insert_stream(transaction: &Transaction<'_>, push: &Push, now: i64) -> Result<i64, rusqlite::Error> {
    transaction.execute(
        "INSERT INTO stream (node, stream_id, acknowledged, push_time, checksum) VALUES (?, ?, 0, ?, 0)",
        (&push.node, &push.stream_id, now),
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute(
        "DELETE FROM stream WHERE node = ?1
         AND id NOT IN (SELECT id FROM stream WHERE node = ?1 ORDER BY push_time DESC, id DESC LIMIT ?2)",
        (&push.node, STREAMS_PER_NODE),
    )?;
    Ok(id)
}
