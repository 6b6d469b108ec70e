//! The gaps that this program makes: what readers get in the place of records that it cannot give them.

use coroner_proto::v1::{Gap, GapReason, RejectedRecord};

use crate::time::timestamp;

/// As the source of a gap: where records are checked.
const INTAKE: &str = "intake";
/// As the source of a gap: where records are kept.
const LEDGER: &str = "ledger";

/// Records stored from `start` to `end` that retention removed before they were read; 0 for a time that is not known.
pub(crate) fn of_retention(start: i64, end: i64, lost_count: Option<u64>) -> Gap {
    Gap {
        source: LEDGER.into(),
        reason: GapReason::Retention.into(),
        start_time: (start > 0).then(|| timestamp(start)),
        end_time: (end > 0).then(|| timestamp(end)),
        lost_count,
        text: "records were removed by the ledger's retention before they were read".into(),
        ..Gap::default()
    }
}

/// What lies between a reader's place in one ledger, stored at `start`, and the oldest record of another one; `text` says so.
pub(crate) fn of_other_ledger(start: i64, end: i64, text: &str) -> Gap {
    Gap { text: text.into(), ..of_retention(start, end, None) }
}

/// A record stored at `time` that cannot be read back.
pub(crate) fn of_corrupt_record(time: i64) -> Gap {
    let text = "a stored record could not be read back";
    in_ledger("", time, GapReason::Corrupt, 1, text)
}

/// `lost` records that came from `node` until `time` and that the ledger cannot store.
pub(crate) fn in_ledger(node: &str, time: i64, reason: GapReason, lost: u64, text: &str) -> Gap {
    Gap {
        node: node.into(),
        source: LEDGER.into(),
        reason: reason.into(),
        start_time: Some(timestamp(time)),
        end_time: Some(timestamp(time)),
        lost_count: Some(lost),
        text: text.into(),
    }
}

/// Records of a push from `node` that are refused for good. The same push again gives the same gap, but for its time.
pub(crate) fn of_rejected(rejected: &[RejectedRecord], node: &str, time: i64) -> Gap {
    let first = rejected.first().map_or("", |record| &record.reason);
    Gap {
        source: INTAKE.into(),
        ..in_ledger(
            node,
            time,
            GapReason::Rejected,
            rejected.len() as u64,
            &format!("{} records were refused for good; the first: {first}", rejected.len()),
        )
    }
}
