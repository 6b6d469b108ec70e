//! One record of the ledger on its way out.

use coroner_proto::v1::{Diagnosis, Gap};
use prost::Message;
use uuid::Uuid;

use crate::{
    gap,
    ledger::{self, Body, Offset, Position},
};

/// One record of the ledger on its way out.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The position after this record: where to resume once it is exported.
    pub(super) position: Position,
    /// Names it for good: what comes twice comes with the same one.
    pub(super) id: String,
    pub(super) record: Record,
}

#[derive(Clone, Debug)]
pub(super) enum Record {
    Diagnosis(Box<Diagnosis>),
    Gap(Gap),
}

impl Item {
    pub(super) fn diagnosis(position: Position, diagnosis: Diagnosis) -> Self {
        let id = format!("{}:{}", diagnosis.uid, diagnosis.revision);
        Self { position, id, record: Record::Diagnosis(Box::new(diagnosis)) }
    }

    /// A gap that takes the place of everything from `after` on.
    pub(super) fn gap(epoch: Uuid, after: Offset, position: Position, gap: Gap) -> Self {
        Self { position, id: format!("gap:{epoch}:{after}-{}", position.offset), record: Record::Gap(gap) }
    }

    /// A gap of what is missing between other records behind `after` and up to `end`; those that are there follow it.
    pub(super) fn missing(epoch: Uuid, after: Position, end: Offset, gap: Gap) -> Self {
        let id = format!("gap:{epoch}:{}-{end}:{}", after.offset, gap.node);
        Self { position: after, id, record: Record::Gap(gap) }
    }

    /// Without the pods of other namespaces that took part, unless the receiver gets all namespaces.
    pub(super) fn restricted_to(mut self, namespaces: &[String]) -> Self {
        if let Record::Diagnosis(diagnosis) = &mut self.record
            && !namespaces.is_empty()
        {
            diagnosis.related.retain(|related| namespaces.contains(&related.namespace));
        }
        self
    }

    /// The record as the ledger with this epoch holds it.
    pub(super) fn decode(epoch: Uuid, ledger::Item { position, body, .. }: ledger::Item) -> Self {
        let before = position.offset - 1;
        match body {
            Body::Diagnosis(body) => match Diagnosis::decode(&*body) {
                Ok(diagnosis) => Self::diagnosis(position, diagnosis),
                Err(_) => Self::gap(epoch, before, position, gap::of_corrupt_record(position.time)),
            },
            Body::Gap(body) => {
                let gap = Gap::decode(&*body).unwrap_or_else(|_| gap::of_corrupt_record(position.time));
                Self::gap(epoch, before, position, gap)
            }
        }
    }
}
