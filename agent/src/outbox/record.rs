//! The records of the outbox: diagnoses and gaps, encoded, with their ranks.

use coroner_diagnosis::messages::{self, gaps};
use coroner_proto::v1::{Diagnosis, Gap, GapReason, OutboxRecord, Severity, outbox_record};
use jiff::Timestamp;
use prost::Message;

use crate::status::{OUTBOX, wire_time};

/// The rank of a record: the lowest is discarded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Severity INFO or none.
    Info = 1,
    /// Severity WARNING.
    Warning,
    /// Severity ERROR; and the gaps of sources, since verdicts may be missing.
    Error,
    /// Severity CRITICAL.
    Critical,
    /// The outbox' own losses. Never discarded.
    Loss,
}

impl Rank {
    /// All ranks, the least severe first.
    pub(super) const ALL: [Self; 5] = [Self::Info, Self::Warning, Self::Error, Self::Critical, Self::Loss];
}

/// A record that has no place in a stream yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// By what it is kept longer than others when the outbox is full.
    pub rank: Rank,
    /// What it is about was then; for the time span of a loss.
    pub at: Timestamp,
    /// An [`OutboxRecord`] without its sequence, encoded.
    pub(super) body: Vec<u8>,
}

impl Record {
    /// A record of a diagnosis, ranked by its severity: the least severe are discarded first.
    pub fn diagnosis(diagnosis: Diagnosis) -> Self {
        let rank = match diagnosis.severity() {
            Severity::Unspecified | Severity::Info => Rank::Info,
            Severity::Warning => Rank::Warning,
            Severity::Error => Rank::Error,
            Severity::Critical => Rank::Critical,
        };
        let at = diagnosis.event_time.or(diagnosis.observe_time).and_then(from_wire).unwrap_or_else(Timestamp::now);
        Self::encode(rank, at, outbox_record::Record::Diagnosis(diagnosis))
    }

    /// A record of something that a source lost.
    pub fn gap(gap: Gap) -> Self {
        Self::of_gap(Rank::Error, gap)
    }

    pub(super) fn loss(gap: Gap) -> Self {
        Self::of_gap(Rank::Loss, gap)
    }

    fn of_gap(rank: Rank, gap: Gap) -> Self {
        let at = gap.end_time.and_then(from_wire).unwrap_or_else(Timestamp::now);
        Self::encode(rank, at, outbox_record::Record::Gap(gap))
    }

    fn encode(rank: Rank, at: Timestamp, record: outbox_record::Record) -> Self {
        Self { rank, at, body: OutboxRecord { sequence: 0, record: Some(record) }.encode_to_vec() }
    }
}

fn from_wire(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// Records that were discarded: how many, and of which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    count: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Loss {
    pub(super) fn add(loss: Option<Self>, at: Timestamp) -> Self {
        let Self { count, from, to } = loss.unwrap_or(Self { count: 0, from: at, to: at });
        Self { count: count + 1, from: from.min(at), to: to.max(at) }
    }

    pub(super) fn merge(a: Self, b: Self) -> Self {
        Self { count: a.count + b.count, from: a.from.min(b.from), to: a.to.max(b.to) }
    }

    pub(super) fn into_record(self, node: &str) -> Record {
        let gap = Gap {
            node: node.to_owned(),
            source: OUTBOX.into(),
            reason: GapReason::OutboxFull.into(),
            start_time: Some(wire_time(self.from)),
            end_time: Some(wire_time(self.to)),
            lost_count: Some(self.count),
            ..Gap::default()
        };
        Record::loss(messages::worded(gap, gaps::gap_outbox_full()))
    }
}
