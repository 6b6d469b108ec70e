//! The gaps that this program makes: what readers get in the place of records that it cannot give them.

use coroner_diagnosis::messages::{self, Message, gaps};
use coroner_proto::v1::{Gap, GapReason, RejectedRecord};

use crate::time::timestamp;

/// As the source of a gap: where records are checked.
const INTAKE: &str = "intake";
/// As the source of a gap: where records are kept.
const LEDGER: &str = "ledger";

/// Records stored from `start` to `end` that retention removed before they were read; 0 for a time that is not known.
pub(crate) fn of_retention(start: i64, end: i64, lost_count: Option<u64>) -> Gap {
    let gap = Gap {
        source: LEDGER.into(),
        reason: GapReason::Retention.into(),
        start_time: (start > 0).then(|| timestamp(start)),
        end_time: (end > 0).then(|| timestamp(end)),
        lost_count,
        ..Gap::default()
    };
    messages::worded(gap, gaps::gap_retention())
}

/// What lies between a reader's place in one ledger, stored at `start`, and the oldest record of another one, stored at
/// `end`.
pub(crate) fn of_other_ledger(start: i64, end: i64) -> Gap {
    messages::worded(of_retention(start, end, None), gaps::gap_other_ledger())
}

/// A record stored at `time` that cannot be read back.
pub(crate) fn of_corrupt_record(time: i64) -> Gap {
    in_ledger("", time, GapReason::Corrupt, 1)
}

/// `count` stored records that cannot be read back, up to one that was stored at `time`.
pub(crate) fn of_corrupt_records(time: i64, count: u64) -> Gap {
    Gap { start_time: None, ..in_ledger("", time, GapReason::Corrupt, count) }
}

/// What was acknowledged and not indexed yet in a ledger whose structure was damaged, of which the last record was
/// stored at `time`; 0 if there was none. How much of it is lost cannot be known.
pub(crate) fn of_damaged_ledger(time: i64) -> Gap {
    let gap = Gap {
        source: LEDGER.into(),
        reason: GapReason::Corrupt.into(),
        end_time: (time > 0).then(|| timestamp(time)),
        ..Gap::default()
    };
    messages::worded(gap, gaps::gap_damaged_ledger())
}

/// `count` records of a node, up to one that was stored at `time`, that retention took before their time.
pub(crate) fn of_share(node: &str, time: i64, count: u64) -> Gap {
    Gap { start_time: None, ..in_ledger(node, time, GapReason::Retention, count) }
}

/// `lost` records that came from `node` until `time` and that the ledger cannot store.
pub(crate) fn in_ledger(node: &str, time: i64, reason: GapReason, lost: u64) -> Gap {
    let message = match reason {
        GapReason::Rejected => gaps::gap_foreign_uid(),
        GapReason::Retention => gaps::gap_retention(),
        _ => gaps::gap_corrupt(lost),
    };
    at(LEDGER, node, time, reason, lost, message)
}

fn at(source: &str, node: &str, time: i64, reason: GapReason, lost: u64, message: Message) -> Gap {
    let gap = Gap {
        node: node.into(),
        source: source.into(),
        reason: reason.into(),
        start_time: Some(timestamp(time)),
        end_time: Some(timestamp(time)),
        lost_count: Some(lost),
        ..Gap::default()
    };
    messages::worded(gap, message)
}

/// Records of a push from `node` that are refused for good. The same push again gives the same gap, but for its time.
pub(crate) fn of_rejected(rejected: &[RejectedRecord], node: &str, time: i64) -> Gap {
    let first = rejected.first().map_or("", |record| &record.reason);
    let message = gaps::gap_rejected(rejected.len(), first);
    at(INTAKE, node, time, GapReason::Rejected, rejected.len() as u64, message)
}
