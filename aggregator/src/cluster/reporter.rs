//! What the watch has found, on its way into the ledger, and the health of its sources.

use std::time::Duration;

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Health, Reason},
};
use coroner_proto::v1::{
    Diagnosis, OutboxRecord, PushDiagnosesRequest, SourceHealth, SourceStatus, outbox_record::Record,
};
use jiff::Timestamp;
use tokio::time::sleep;
use uuid::Uuid;

use crate::intake::{Intake, MAX_RECORDS};

/// Time between two tries to store what could not be stored.
const RETRY: Duration = Duration::from_secs(1);

/// Pushes to the intake, as an agent does.
#[derive(Debug)]
pub(crate) struct Reporter {
    intake: Intake,
    /// The name under which it pushes.
    name: &'static str,
    stream_id: String,
    sequence: u64,
    /// Not yet stored.
    waiting: Vec<OutboxRecord>,
    sources: Vec<SourceStatus>,
}

impl Reporter {
    /// Pushes under this name, which no node can have.
    pub(crate) fn new(intake: Intake, name: &'static str) -> Self {
        let stream_id = Uuid::now_v7().to_string();
        Self { intake, name, stream_id, sequence: 0, waiting: Vec::new(), sources: Vec::new() }
    }

    /// Puts a diagnosis behind what waits to be stored.
    pub(crate) fn add(&mut self, diagnosis: Diagnosis) {
        self.sequence += 1;
        self.waiting.push(OutboxRecord { sequence: self.sequence, record: Some(Record::Diagnosis(diagnosis)) });
    }

    /// Whether something waits to be stored.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Reports this of a source with the next push. True if it has changed.
    pub(crate) fn set_status(&mut self, source: &str, health: &Health) -> bool {
        match health {
            Health::Ok => self.set(source, SourceHealth::Ok, Default::default()),
            Health::Degraded(reason) => self.set(source, SourceHealth::Degraded, reason.on_the_wire()),
            Health::Absent(reason) => self.set(source, SourceHealth::Absent, reason.on_the_wire()),
        }
    }

    /// Reports of a source that it has not listed its objects yet. True if that has changed.
    pub(crate) fn set_not_listed(&mut self, source: &str) -> bool {
        let reason = Reason::from(health::health_not_listed());
        self.set(source, SourceHealth::Unspecified, reason.on_the_wire())
    }

    fn set(&mut self, source: &str, health: SourceHealth, reason: (String, Option<Message>)) -> bool {
        let (reason, reason_message) = reason;
        let known = self.sources.iter_mut().find(|known| known.source == source);
        let status = SourceStatus {
            source: source.to_owned(),
            health: health.into(),
            reason,
            reason_message,
            since_time: i64::try_from(Timestamp::now().as_nanosecond()).ok().map(crate::time::timestamp),
            gap_count: known.as_ref().map_or(0, |known| known.gap_count),
        };
        match known {
            Some(known) if known.health == status.health && known.reason == status.reason => return false,
            Some(known) => *known = status,
            None => self.sources.push(status),
        }
        true
    }

    /// Reports with the next push how often a source has lost something. True if it has changed.
    pub(crate) fn set_gap_count(&mut self, source: &str, count: u64) -> bool {
        let known = self.sources.iter_mut().find(|known| known.source == source && known.gap_count != count);
        known.map(|known| known.gap_count = count).is_some()
    }

    /// All sources that were named so far are degraded.
    pub(crate) fn degrade(&mut self, reason: Message) {
        let health = Health::Degraded(reason.into());
        let names: Vec<_> = self.sources.iter().map(|status| status.source.clone()).collect();
        for name in names {
            self.set_status(&name, &health);
        }
    }

    /// Whether all of these sources are healthy.
    pub(crate) fn is_healthy(&self, mut sources: impl Iterator<Item = &'static str>) -> bool {
        let health = |name| self.sources.iter().find(|status| status.source == name).map(SourceStatus::health);
        sources.all(|name| health(name) == Some(SourceHealth::Ok))
    }

    /// Stores what waits, with the status; tries until it is stored.
    pub(crate) async fn push(&mut self) {
        loop {
            let request = PushDiagnosesRequest {
                node: self.name.to_owned(),
                stream_id: self.stream_id.clone(),
                records: self.waiting.iter().take(MAX_RECORDS).cloned().collect(),
                sources: self.sources.clone(),
                after_sequence: 0,
            };
            let count = request.records.len();
            match self.intake.take(request).await {
                Ok(_) => {
                    self.waiting.drain(..count);
                    if self.waiting.is_empty() {
                        return;
                    }
                }
                Err(status) => {
                    tracing::warn!("What the cluster's watch found is not stored yet: {}", status.message());
                    sleep(RETRY).await;
                }
            }
        }
    }
}
