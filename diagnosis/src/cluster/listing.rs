//! Lists of all objects of a kind: what such a list does not name is gone.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    Subject,
    file::{ClusterFile, Concerned, Named, TOGETHER, path},
};
use crate::observation::kube::Kind;

impl ClusterFile {
    /// All objects of a kind are about to be listed; of events, those of this reason.
    pub(super) fn begin_list(&mut self, kind: Kind, reason: &str) {
        self.overfull.remove(&kind);
        self.listing.insert((kind, reason.into()), BTreeSet::new());
    }

    /// All were listed: what was not among them is gone.
    pub(super) fn end_list(&mut self, at: Timestamp, kind: Kind, reason: &str) -> Concerned {
        let mut concerned = Concerned::new();
        let Some(listed) = self.listing.remove(&(kind, reason.into())) else { return concerned };
        match kind {
            Kind::Pods => {
                let gone: Vec<_> = self.pods.uids().filter(|uid| !listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| concerned.extend(self.put_pod(at, uid, None)));
                for (uid, removed) in self.removed.iter_mut().filter(|(uid, _)| !listed.contains(*uid)) {
                    removed.is_gone = true;
                    concerned.insert(Subject::Pod(Arc::clone(uid)), at + TOGETHER);
                }
            }
            Kind::Nodes => {
                let gone: Vec<_> = self.nodes.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                gone.iter().for_each(|name| concerned.extend(self.put_node(at, name, None)));
            }
            Kind::Events => {
                let gone = self.failures.of_reason(reason).filter(|(_, event)| !listed.contains(*event));
                for about in gone.map(|(about, _)| Arc::clone(about)).collect::<Vec<_>>() {
                    self.failures.remove(&about);
                    concerned.insert(Subject::Workload(about), at + TOGETHER);
                }
            }
            Kind::Deployments | Kind::ReplicaSets | Kind::StatefulSets | Kind::DaemonSets | Kind::Jobs => {
                let of_kind = self.workloads.iter().filter(|(_, workload)| Kind::from(workload.kind) == kind);
                let gone = of_kind.map(|(uid, _)| uid).filter(|uid| !listed.contains(*uid));
                for uid in gone.cloned().collect::<Vec<_>>() {
                    concerned.extend(self.put_workload(at, &uid, None));
                }
            }
            Kind::Services | Kind::EndpointSlices | Kind::Ingresses | Kind::Claims => {
                let mut gone = Vec::new();
                for (namespace, objects) in &self.namespaces {
                    let names: Vec<_> = match kind {
                        Kind::Services => objects.services.keys().cloned().collect(),
                        Kind::EndpointSlices => objects.slices.keys().cloned().collect(),
                        Kind::Ingresses => objects.ingresses.keys().cloned().collect(),
                        _ => objects.claims.keys().cloned().collect(),
                    };
                    let names = names.into_iter().filter(|name| !listed.contains(&*path(namespace, name)));
                    gone.extend(names.map(|name| (Arc::clone(namespace), name)));
                }
                for (namespace, name) in gone {
                    let none = match kind {
                        Kind::Services => Named::Service(None),
                        Kind::EndpointSlices => Named::Slice(None),
                        Kind::Ingresses => Named::Ingress(None),
                        _ => Named::Claim(None),
                    };
                    concerned.extend(self.put_named(at, &namespace, &name, none));
                }
            }
            Kind::ResourceQuotas | Kind::LimitRanges => {}
        }
        concerned
    }

    pub(super) fn list(&mut self, kind: Kind, reason: &str, id: impl FnOnce() -> Arc<str>) {
        // Few lists are under way at a time, and mostly none.
        if !self.listing.is_empty()
            && let Some(listed) = self.listing.get_mut(&(kind, reason.into()))
        {
            listed.insert(id());
        }
    }
}
