//! Objects of the API that pods refer to: workloads, and the Node.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::observation::kube::{self, Change, Workload};

/// Workloads that are kept: more than the pods of a node can belong to. Of more, the least recently used is removed.
const WORKLOADS: usize = 4096;
/// How long a workload is kept that no pod belongs to: it may be there before its pod.
const KEEP: SignedDuration = SignedDuration::from_mins(10);

/// The objects of the API beside pods that rules on this node read.
#[derive(Debug, Default)]
pub struct Objects {
    /// The Node object of this node.
    pub node: Option<kube::Node>,
    /// Workloads by uid, and when each was last recorded or known to be needed.
    workloads: BTreeMap<String, (Timestamp, Workload)>,
    /// The same in order of that time.
    order: BTreeSet<(Timestamp, String)>,
    /// Workloads by the uid of their controller.
    controlled: BTreeMap<String, BTreeSet<String>>,
}

impl Objects {
    /// Records a workload. One that is deleted is kept as it was last, for the pods that are deleted with it.
    pub fn record_workload(&mut self, at: Timestamp, change: Change, workload: Workload) {
        let uid = workload.meta.uid.clone();
        if self.remove(&uid).is_none() && change == Change::Deleted {
            return;
        }
        if let Some(controller) = &workload.meta.controller {
            self.controlled.entry(controller.uid.clone()).or_default().insert(uid.clone());
        }
        self.order.insert((at, uid.clone()));
        self.workloads.insert(uid, (at, workload));
        while self.workloads.len() > WORKLOADS
            && let Some((_, oldest)) = self.order.first().cloned()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, uid: &str) -> Option<Workload> {
        let (at, workload) = self.workloads.remove(uid)?;
        self.order.remove(&(at, uid.to_owned()));
        if let Some(controller) = &workload.meta.controller
            && let Some(beside) = self.controlled.get_mut(&controller.uid)
        {
            beside.remove(uid);
            if beside.is_empty() {
                self.controlled.remove(&controller.uid);
            }
        }
        Some(workload)
    }

    /// A workload by its uid.
    pub fn workload(&self, uid: &str) -> Option<&Workload> {
        self.workloads.get(uid).map(|(_, workload)| workload)
    }

    /// The workloads whose controller has this uid.
    pub fn controlled_by(&self, uid: &str) -> impl Iterator<Item = &Workload> {
        self.controlled.get(uid).into_iter().flatten().filter_map(|uid| self.workload(uid))
    }

    /// The workloads whose pods a change of this one may concern: itself, those below it, those beside it.
    pub(super) fn around(&self, uid: &str) -> BTreeSet<String> {
        let above = self.workload(uid).and_then(|workload| workload.meta.controller.as_ref());
        let beside = above.and_then(|above| self.controlled.get(&above.uid));
        let below = self.controlled.get(uid);
        below.into_iter().chain(beside).flatten().cloned().chain([uid.to_owned()]).collect()
    }

    /// Forgets workloads that no pod belongs to any more: `has_pods` returns whether the workload of a uid controls a
    /// pod on file.
    pub(super) fn expire(&mut self, now: Timestamp, has_pods: impl Fn(&str) -> bool) {
        while let Some((at, uid)) = self.order.first().cloned()
            && at + KEEP <= now
        {
            let is_needed = self.around(&uid).iter().any(|uid| has_pods(uid));
            if let Some((needed, _)) = self.workloads.get_mut(&uid).filter(|_| is_needed) {
                *needed = now;
                self.order.remove(&(at, uid.clone()));
                self.order.insert((now, uid));
            } else {
                self.remove(&uid);
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at + KEEP)
    }

    /// How many workloads are kept.
    pub fn count(&self) -> usize {
        self.workloads.len()
    }
}
