//! What earlier runs of the watch reported, as far as the ledger holds it.

use std::collections::{BTreeMap, BTreeSet};

use coroner_diagnosis::continuation::Continuation;
use coroner_proto::v1::{Diagnosis, DiagnosisFilter, SubjectKind};
use prost::Message as _;

use crate::{
    filter::Filter,
    ledger::{self, Ledger, Query, list},
};

/// The most diagnoses of a page that is read.
const PAGE: usize = 500;

/// Diagnoses of the cluster that were reported before this run.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    continuation: Continuation,
    /// States that were not over, by uid.
    open: BTreeMap<String, Diagnosis>,
    /// Of the newest diagnosis that has one.
    cluster_uid: String,
}

impl Earlier {
    /// Reads the newest of it about subjects of these kinds, as much as a [`Continuation`] can hold.
    pub(crate) async fn read(ledger: &Ledger, kinds: &[SubjectKind]) -> Result<Self, ledger::Error> {
        let mut earlier = Self::default();
        let filter = DiagnosisFilter {
            subject_kinds: kinds.iter().copied().map(i32::from).collect(),
            ..DiagnosisFilter::default()
        };
        let Ok(filter) = Filter::new(filter) else { return Ok(earlier) };
        let mut after = None;
        loop {
            let query = Query {
                filter: filter.clone(),
                except: BTreeSet::new(),
                start_time: None,
                end_time: None,
                after,
                limit: PAGE,
                bytes: usize::MAX,
                scan: Query::SCAN,
            };
            let page = ledger.query(move |connection| list(connection, &query)).await?;
            let diagnoses = page.bodies.iter().filter_map(|body| Diagnosis::decode(body.as_slice()).ok());
            for diagnosis in diagnoses {
                if !earlier.add(diagnosis) {
                    return Ok(earlier);
                }
            }
            match page.next {
                Some(position) => after = Some(position),
                None => return Ok(earlier),
            }
        }
    }

    /// False when it is full.
    fn add(&mut self, diagnosis: Diagnosis) -> bool {
        let node = diagnosis.node.as_ref();
        // What an agent reports is on its node, as intake sees to; this watch is on none.
        let on = diagnosis.subject.as_ref().map_or("", |subject| subject.node.as_str());
        if !on.is_empty() || node.is_some_and(|node| !node.name.is_empty()) {
            return true;
        }
        if !self.continuation.remember(&diagnosis) {
            return false;
        }
        if self.cluster_uid.is_empty() {
            self.cluster_uid = node.map(|node| node.cluster_uid.clone()).unwrap_or_default();
        }
        if !diagnosis.fatal && diagnosis.resolve_time.is_none() {
            self.open.insert(diagnosis.uid.clone(), diagnosis);
        }
        true
    }

    /// The cluster's uid as it was recorded last; empty if it never was.
    pub(crate) fn cluster_uid(&self) -> &str {
        &self.cluster_uid
    }

    /// What later reports continue, and the states in this cluster that were not over. Of those that were recorded
    /// under another uid nothing is known: they would be looked for in vain.
    pub(crate) fn of_cluster(self, uid: &str) -> (Continuation, BTreeMap<String, Diagnosis>) {
        let mut open = self.open;
        open.retain(|_, diagnosis| diagnosis.node.as_ref().is_some_and(|node| node.cluster_uid == uid));
        (self.continuation, open)
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Node;

    use super::*;

    fn diagnosis(uid: &str, cluster_uid: &str, node: &str) -> Diagnosis {
        let node = Node { cluster_uid: cluster_uid.into(), name: node.into(), ..Node::default() };
        Diagnosis { uid: uid.into(), revision: 1, node: Some(node), ..Diagnosis::default() }
    }

    #[test]
    fn states_recorded_under_another_uid_stay_as_they_are() {
        let mut earlier = Earlier::default();
        for diagnosis in [
            diagnosis("newest", "", ""),
            diagnosis("own", "c1", ""),
            diagnosis("another's", "c0", ""),
            diagnosis("an agent's", "c1", "n1"),
        ] {
            assert!(earlier.add(diagnosis));
        }
        assert_eq!(earlier.cluster_uid(), "c1");
        let (_, open) = earlier.of_cluster("c1");
        assert_eq!(open.into_keys().collect::<Vec<_>>(), ["own"]);
    }
}
