//! What the API server and the kubelet report.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Concerned, NodeFile};
use crate::{
    case::{container::KubeletStatus, registry::Reporter, statements::Statement, subject::Subject},
    observation::{
        cri::{ContainerId, Pod},
        kube::{self, Change, Object, Terminated},
        kubelet,
    },
};

impl NodeFile {
    pub(super) fn record_object(&mut self, at: Timestamp, change: Change, object: Object, concerned: &mut Concerned) {
        match object {
            Object::Pod(pod) => {
                let by = if change == Change::Deleted { Reporter::ApiLast } else { Reporter::Api };
                self.record_pod(at, by, pod, concerned);
            }
            Object::Event(event) if event.about.kind == "Pod" => {
                if change == Change::Applied && !event.about.uid.is_empty() {
                    let uid = self.registry.node_uid(&event.about.uid);
                    self.registry.record_pod(&uid, at, |pod| pod.record_event(at, *event));
                    self.concern_pod(at, uid, concerned);
                }
            }
            Object::Node(node) => {
                if self.node.name.is_empty() || node.meta.name == self.node.name {
                    self.objects.node = Some(*node);
                    concerned.insert(Subject::Node);
                }
            }
            Object::Workload(workload) => {
                let uid = workload.meta.uid.clone();
                self.objects.record_workload(at, change, *workload);
                // Workloads explain deletions, and nothing else.
                let around = self.objects.around(&uid);
                let pods = around.iter().flat_map(|uid| self.registry.controlled_by(uid));
                let asked = |uid: &&String| {
                    let object = self.registry.pod(uid).and_then(|pod| pod.object());
                    object.is_some_and(|pod| pod.deletion.is_some())
                };
                let pods: Vec<_> = pods.filter(asked).cloned().collect();
                pods.into_iter().for_each(|uid| self.concern_pod(at, uid, concerned));
            }
            Object::Event(_)
            | Object::Service(_)
            | Object::EndpointSlice(_)
            | Object::Ingress(_)
            | Object::Claim(_)
            | Object::ResourceQuota(_)
            | Object::LimitRange(_) => {}
        }
    }

    pub(super) fn record_kubelet_pod(&mut self, at: Timestamp, mut pod: kube::Pod, concerned: &mut Concerned) {
        let file = self.registry.pod(&pod.node_uid);
        let is_as_by_api = file.and_then(|file| file.api.as_deref()) == Some(&pod);
        if file.is_some_and(|file| file.api.is_some()) {
            pod.forget_spec();
        }
        if is_as_by_api || file.and_then(|file| file.kubelet.as_deref()) == Some(&pod) {
            // The kubelet is asked again and again: it still has the pod, and that is all.
            self.registry.record_pod(&pod.node_uid, at, |file| {
                file.last_report = file.last_report.max(at);
                if is_as_by_api {
                    file.kubelet = None;
                }
            });
            return;
        }
        self.record_pod(at, Reporter::Kubelet, Arc::new(pod), concerned);
    }

    fn record_pod(&mut self, at: Timestamp, by: Reporter, pod: Arc<kube::Pod>, concerned: &mut Concerned) {
        let elsewhere = !self.node.name.is_empty() && pod.node != self.node.name;
        if elsewhere || pod.node_uid.is_empty() {
            return;
        }
        let uid = pod.node_uid.clone();
        let names = Pod { namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone(), uid: uid.clone() };
        for status in &pod.statuses {
            let restarts = u32::try_from(status.restarts).unwrap_or_default();
            let ended = |ended: &Terminated, attempt| (ended.id.clone(), attempt, Some(ended.clone()));
            let now = match &status.state {
                kube::State::Terminated(terminated) => ended(terminated, restarts),
                kube::State::Running { .. } => (status.id.clone(), restarts, None),
                kube::State::Waiting { .. } => (String::new(), restarts, None),
            };
            let before = status.last.as_ref().map(|last| ended(last, restarts.saturating_sub(1)));
            for (id, attempt, ended) in before.into_iter().chain([now]) {
                if id.is_empty() {
                    continue;
                }
                let id = ContainerId(id);
                // The status repeats an end as long as the pod is there: nothing new, no sign of life, and no reason to
                // open a file again that has been closed.
                let is_known = self
                    .registry
                    .container(&id)
                    .and_then(|file| file.kubelet.as_ref())
                    .is_some_and(|status| status.ended.is_some());
                if is_known || ended.is_some() && self.registry.was_closed(&id, &uid) {
                    continue;
                }
                let born = ended.as_ref().and_then(|ended| ended.started).map_or(at, |started| started.min(at));
                let known = KubeletStatus {
                    pod: names.clone(),
                    name: status.name.clone(),
                    kind: status.kind,
                    image: status.image.clone(),
                    attempt,
                    ended: ended.map(|what| Statement { at, what }),
                };
                self.registry.record(&id, born, |file| {
                    file.last_seen = file.last_seen.max(at);
                    file.record_kubelet(known);
                });
            }
        }
        self.registry.record_object(&uid, at, by, pod);
        self.registry.record_pod(&uid, at, |file| {
            file.pod.get_or_insert(names);
        });
        self.concern_pod(at, uid, concerned);
    }

    pub(super) fn record_summary(&mut self, at: Timestamp, summary: kubelet::Summary) {
        for stats in summary.pods {
            let uid = stats.pod_ref.uid.clone();
            if self.registry.pod(&uid).is_some() {
                self.registry.record_pod(&uid, at, |pod| pod.record_stats(at, stats));
            }
        }
        self.stats = Some(Statement { at, what: summary.node });
    }
}
