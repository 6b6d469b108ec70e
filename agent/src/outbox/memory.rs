//! Where records wait while the disk refuses: a small queue that dies with the process, and a stream of its own, so
//! that its sequences can never meet those of the file.

use std::collections::VecDeque;

use coroner_proto::v1::OutboxRecord;
use prost::Message;
use uuid::Uuid;

use super::{Batch, Limit, Loss, Rank, Record};

/// Bytes of records that may wait; with their bookkeeping they stay near 1 MiB.
const MAX_BYTES: usize = 1 << 20;
/// What a record takes beside its body.
const OVERHEAD: usize = size_of::<(u64, Record)>();

#[derive(Debug)]
pub(super) struct Memory {
    stream_id: String,
    last: u64,
    records: VecDeque<(u64, Record)>,
    bytes: usize,
    /// What was discarded since the last batch.
    loss: Option<Loss>,
}

impl Default for Memory {
    fn default() -> Self {
        let stream_id = Uuid::now_v7().to_string();
        Self { stream_id, last: 0, records: VecDeque::new(), bytes: 0, loss: None }
    }
}

impl Memory {
    pub(super) fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The number of records that wait in memory.
    pub(super) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.loss.is_none()
    }

    pub(super) fn append(&mut self, records: Vec<Record>) {
        for record in records {
            self.push(record);
        }
        while self.bytes > MAX_BYTES {
            let candidates = self.records.iter().enumerate().filter(|(_, (_, record))| record.rank < Rank::Loss);
            let Some((index, _)) = candidates.min_by_key(|(_, (sequence, record))| (record.rank, *sequence)) else {
                break;
            };
            if let Some((_, record)) = self.records.remove(index) {
                self.bytes -= record.body.len() + OVERHEAD;
                self.loss = Some(Loss::add(self.loss, record.at));
            }
        }
    }

    fn push(&mut self, record: Record) {
        self.last += 1;
        self.bytes += record.body.len() + OVERHEAD;
        self.records.push_back((self.last, record));
    }

    pub(super) fn batch(&mut self, limit: Limit, node: &str) -> Batch {
        if let Some(loss) = self.loss.take() {
            self.push(loss.into_record(node));
        }
        let mut bytes = 0;
        let fitting = self.records.iter().take(limit.records.max(1)).enumerate().take_while(|(index, (_, record))| {
            bytes += record.body.len();
            *index == 0 || bytes <= limit.bytes
        });
        let records = fitting.map(|(_, (sequence, record))| OutboxRecord {
            sequence: *sequence,
            ..OutboxRecord::decode(record.body.as_slice()).expect("encoded by this process")
        });
        Batch { stream_id: self.stream_id.clone(), records: records.collect() }
    }

    pub(super) fn acknowledge(&mut self, sequence: u64) {
        while self.records.front().is_some_and(|(first, _)| *first <= sequence) {
            if let Some((_, record)) = self.records.pop_front() {
                self.bytes -= record.body.len() + OVERHEAD;
            }
        }
    }

    pub(super) fn replace(&mut self, sequence: u64, record: Record) {
        if let Some((_, old)) = self.records.iter_mut().find(|(kept, _)| *kept == sequence) {
            self.bytes = self.bytes - old.body.len() + record.body.len();
            *old = record;
        }
    }

    /// All records that wait, as the disk stores them.
    pub(super) fn to_records(&self, node: &str) -> Vec<Record> {
        let records = self.records.iter().map(|(_, record)| record.clone());
        records.chain(self.loss.map(|loss| loss.into_record(node))).collect()
    }

    /// The disk has it all. Sequences go on.
    pub(super) fn clear(&mut self) {
        self.records = VecDeque::new();
        self.bytes = 0;
        self.loss = None;
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Diagnosis, Severity, outbox_record};

    use super::*;

    const ALL: Limit = Limit { records: usize::MAX, bytes: usize::MAX };

    fn diagnosis(severity: Severity, bytes: usize) -> Record {
        Record::diagnosis(Diagnosis {
            severity: severity.into(),
            explanation: "x".repeat(bytes),
            ..Diagnosis::default()
        })
    }

    #[test]
    fn a_full_memory_discards_the_least_severe_first_and_counts_them() {
        let mut memory = Memory::default();
        memory.append(vec![diagnosis(Severity::Info, 300_000), diagnosis(Severity::Critical, 300_000)]);
        memory.append(vec![diagnosis(Severity::Warning, 300_000), diagnosis(Severity::Error, 300_000)]);
        memory.append(vec![diagnosis(Severity::Error, 300_000)]);

        let batch = memory.batch(ALL, "n");
        let kept: Vec<_> = batch.records.iter().map(|record| record.sequence).collect();
        assert_eq!(kept, [2, 4, 5, 6]);
        let Some(outbox_record::Record::Gap(gap)) = &batch.records[3].record else { panic!("{:?}", batch.records[3]) };
        assert_eq!(gap.lost_count, Some(2));
    }

    #[test]
    fn a_batch_holds_what_its_limits_allow_and_at_least_one() {
        let mut memory = Memory::default();
        memory.append(vec![diagnosis(Severity::Info, 1000), diagnosis(Severity::Info, 1000)]);
        assert_eq!(memory.batch(Limit { records: 500, bytes: 10 }, "n").records.len(), 1);
        assert_eq!(memory.batch(Limit { records: 1, bytes: 1 << 20 }, "n").records.len(), 1);
        assert_eq!(memory.batch(ALL, "n").records.len(), 2);
        memory.acknowledge(2);
        assert!(memory.is_empty() && memory.bytes == 0);
    }
}
