//! What is counted of the records that were stored: diagnoses by their cause, losses by their reason.

use std::collections::BTreeMap;

use coroner_diagnosis::catalogue;
use coroner_proto::v1::{Cause, GapReason, OutboxRecord, Severity, outbox_record::Record};
use coroner_runtime::metrics::{Counter, Counters, Metrics};

/// The counters. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    diagnoses: Counters<2>,
    gaps: Counters,
}

/// How many records of each kind one push brings.
#[derive(Debug, Default)]
pub(super) struct Stored(BTreeMap<Kind, u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Diagnosis(Cause, Severity),
    Gap(GapReason),
}

impl Kind {
    /// That of a record; none of a later revision.
    pub(super) fn of(record: &OutboxRecord) -> Option<Self> {
        match record.record.as_ref()? {
            Record::Diagnosis(diagnosis) if diagnosis.revision > 1 => None,
            Record::Diagnosis(diagnosis) => Some(Self::Diagnosis(diagnosis.cause(), diagnosis.severity())),
            Record::Gap(gap) => Some(Self::Gap(gap.reason())),
        }
    }
}

impl Stored {
    pub(super) fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }
}

impl Tally {
    /// Registers them. Each cause begins with zero, so that the first of its kind is an increase.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let help = "Diagnoses that were stored, each once whatever its revisions";
        let tally = Self {
            diagnoses: metrics.counters_by("diagnoses", ["cause", "severity"], help),
            gaps: metrics.counters("gaps", "reason", "Gaps that were stored: records or observations were lost"),
        };
        for row in catalogue::rows() {
            tally.diagnosis(row.cause, row.severity);
        }
        for reason in (0..).map_while(|number| GapReason::try_from(number).ok()) {
            tally.gap(reason);
        }
        tally
    }

    /// Counts what has been stored.
    pub(super) fn add(&self, stored: &Stored) {
        for (kind, count) in &stored.0 {
            let counter = match *kind {
                Kind::Diagnosis(cause, severity) => self.diagnosis(cause, severity),
                Kind::Gap(reason) => self.gap(reason),
            };
            counter.inc_by(*count);
        }
    }

    fn diagnosis(&self, cause: Cause, severity: Severity) -> Counter {
        let severity = severity.as_str_name().trim_start_matches("SEVERITY_").to_lowercase();
        self.diagnoses.with([cause.as_str_name().trim_start_matches("CAUSE_"), &severity])
    }

    fn gap(&self, reason: GapReason) -> Counter {
        self.gaps.of(&reason.as_str_name().trim_start_matches("GAP_REASON_").to_lowercase())
    }
}
