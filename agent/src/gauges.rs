//! What the agent's metrics show of its work: how much is observed, and how much is kept.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::{examiner::Sizes, observation::Source};
use coroner_runtime::metrics::{Counter, Gauge, Metrics};
use tokio::time::sleep;

use crate::{
    outbox::{Closed, Keeper},
    sources,
};

/// How often the outbox is measured.
const INTERVAL: Duration = Duration::from_secs(15);

/// Counters of the examination.
#[derive(Clone, Debug)]
pub struct Gauges {
    observations: BTreeMap<Source, Counter>,
    /// By what is kept.
    kept: [Gauge; 6],
    refused: Gauge,
}

impl Gauges {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let counters = metrics.counters("observations", "source", "Observations of a source");
        let files = metrics.gauges("case_files", "kind", "Case files that are kept");
        let kept = metrics.gauges("examiner_entries", "kind", "What the examiner keeps beside case files");
        Self {
            observations: sources::all().map(|source| (source, counters.of(source.name()))).collect(),
            kept: [
                files.of("container"),
                files.of("pod"),
                kept.of("object"),
                kept.of("statement"),
                kept.of("subject"),
                kept.of("waiting"),
            ],
            refused: metrics.gauge(
                "case_files_refused",
                "Times at which there was no room for a container or pod, as too many live: diagnoses may be missing",
            ),
        }
    }

    /// Counts an observation.
    pub fn count(&self, source: Source) {
        if let Some(counter) = self.observations.get(&source) {
            counter.inc();
        }
    }

    /// Measures what the examiner keeps.
    pub fn measure(&self, sizes: &Sizes) {
        let Sizes { containers, pods, objects, statements, subjects, waiting, refused } = *sizes;
        for (gauge, size) in self.kept.iter().zip([containers, pods, objects, statements, subjects, waiting]) {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        self.refused.set(i64::try_from(refused).unwrap_or(i64::MAX));
    }
}

/// Measures the outbox now and then.
#[derive(Clone, Debug)]
pub struct OutboxGauges {
    waiting: Gauge,
    bytes: Gauge,
}

impl OutboxGauges {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            waiting: metrics.gauge("outbox_records", "Records that the aggregator has not acknowledged yet"),
            bytes: metrics.gauge("outbox_bytes", "Bytes of the outbox' file that are in use"),
        }
    }

    /// Measures until it is dropped.
    ///
    /// # Errors
    /// If the outbox' owner has ended.
    pub async fn run(self, outbox: Keeper) -> Result<(), Closed> {
        loop {
            let sizes = outbox.sizes().await?;
            self.waiting.set(i64::try_from(sizes.waiting).unwrap_or(i64::MAX));
            self.bytes.set(i64::try_from(sizes.bytes).unwrap_or(i64::MAX));
            sleep(INTERVAL).await;
        }
    }
}
