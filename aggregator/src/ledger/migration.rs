//! Brings a ledger of the version before up to the present one: lists by severity had no index.

use rusqlite::{Connection, TransactionBehavior};

/// The version of ledgers that are migrated.
pub(super) const FROM: i32 = 3;
/// The version that it becomes.
const TO: i32 = 4;

/// What is different in the version before.
const CHANGES: &str = "
ALTER TABLE stream RENAME COLUMN heard_time TO push_time;
ALTER TABLE node RENAME COLUMN heard_time TO push_time;
CREATE INDEX latest_by_severity ON record (severity, event_time, uid) WHERE latest = 1 AND severity > 1;
";

/// Brings it up in one transaction: it is of one version or of the other.
pub(super) fn run(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    tracing::info!("The ledger is of version {FROM}: an index is added");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(CHANGES)?;
    transaction.pragma_update(None, "user_version", TO)?;
    transaction.commit()
}
