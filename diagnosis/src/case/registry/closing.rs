//! When files are closed, and what goes with them.

use jiff::Timestamp;

use super::{KEEP, Registry};
use crate::{
    case::{container::ContainerFile, coverage::Coverage, sandbox::SandboxFile, subject::Subject},
    observation::{Source, cri::ContainerId},
};

/// Why a file was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It ended long enough ago, or nothing of it is left.
    Ended,
    /// Of too many files, it was that of what ended longest ago.
    Full,
    /// It was new, and all others are about what lives.
    Refused,
    /// It was a sandbox and no container: it goes on in the file of its pod.
    Sandbox,
}

impl Registry {
    /// Closes what has ended long enough ago.
    pub(in crate::case) fn expire(&mut self, coverage: &Coverage) {
        loop {
            let due = self.reviews.take_due(self.now);
            if due.is_empty() {
                return;
            }
            for subject in due {
                let again = match &subject {
                    Subject::Container(id) => self.review_container(id, coverage),
                    Subject::Pod(uid) => self.review_pod(uid, coverage),
                    Subject::Node => None,
                };
                match (again, &subject) {
                    (Some(at), _) => self.reviews.wait(&subject, at),
                    (None, Subject::Container(id)) => self.close_container(id, Closing::Ended),
                    (None, Subject::Pod(uid)) => self.close_pod(uid, Closing::Ended),
                    (None, Subject::Node) => {}
                }
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(in crate::case) fn next_expiry(&self) -> Option<Timestamp> {
        self.reviews.next()
    }

    /// When to look at a container's file again; `None` if it is to be closed.
    fn review_container(&mut self, id: &ContainerId, coverage: &Coverage) -> Option<Timestamp> {
        let file = self.containers.get_mut(id)?;
        for pid in file.forget_processes(self.now - KEEP) {
            self.disown(pid, id);
        }
        let file = self.containers.get(id)?;
        let ended = file.ended_at();
        if ended.is_none() && self.lives(file, coverage) {
            return Some(self.now + KEEP);
        }
        let due = file.recorded.max(ended.unwrap_or(file.recorded).min(self.now)) + KEEP;
        (due > self.now).then_some(due)
    }

    /// Whether any source reports that a container is running which has not reported its end. Runtime and cgroups are
    /// listed again after a loss, so their statements stay valid; of events, one may be lost; of an object, it may be
    /// gone.
    fn lives(&self, file: &ContainerFile, coverage: &Coverage) -> bool {
        let by_events = file.task_started.is_some_and(|started| {
            !coverage.is_absent(file.events_by) && !coverage.has_gap(file.events_by, started, self.now)
        });
        let by_object = || {
            let pod = file.filed_under.as_ref().and_then(|uid| self.pods.get(uid));
            file.kubelet.is_some() && pod.is_some_and(|pod| pod.gone.is_none() && pod.lists(&file.id.0))
        };
        file.status.is_some() || file.samples.latest.is_some() || by_events || by_object()
    }

    /// When to look at a pod's file again; `None` if it is to be closed.
    fn review_pod(&self, uid: &str, coverage: &Coverage) -> Option<Timestamp> {
        let pod = self.pods.get(uid)?;
        // The kubelet lists all its pods repeatedly, and reports of none that it is gone.
        let listed = || !coverage.covered(Source::Kubelet, pod.recorded, self.now);
        let is_there = pod.gone.is_none() && (pod.api.is_some() || pod.kubelet.is_some() && listed());
        if pod.runs() || is_there {
            return Some(self.now + KEEP);
        }
        let due = pod.recorded + KEEP;
        (due > self.now).then_some(due)
    }

    pub(super) fn close_container(&mut self, id: &ContainerId, closing: Closing) {
        let Some(file) = self.containers.remove(id) else { return };
        for pid in file.processes.keys() {
            self.disown(*pid, id);
        }
        file.retired().map(|at| self.ended.remove(&(at, id.clone())));
        let subject = Subject::Container(id.clone());
        self.reviews.remove(&subject);
        self.closed.push((subject, closing));
        let has_ended = file.ended_at().is_some();
        if let Some(uid) = file.filed_under
            && let Some(pod) = self.pods.get_mut(&uid)
        {
            pod.containers.remove(id);
            if has_ended {
                pod.record_closed(id.clone());
            }
            if !pod.runs() {
                self.reviews.wait(&Subject::Pod(uid.clone()), self.now);
            }
            self.index_pod(&uid);
        }
    }

    pub(super) fn close_pod(&mut self, uid: &str, closing: Closing) {
        self.unindex_object(uid);
        let Some(pod) = self.pods.remove(uid) else { return };
        for (id, sandbox) in &pod.sandboxes {
            self.forget_sandbox(id, sandbox);
        }
        pod.indexed.map(|at| self.ended_pods.remove(&(at, uid.to_owned())));
        let subject = Subject::Pod(uid.to_owned());
        self.reviews.remove(&subject);
        self.closed.push((subject, closing));
    }

    pub(super) fn forget_sandbox(&mut self, id: &ContainerId, sandbox: &SandboxFile) {
        self.sandboxes.remove(id);
        for pid in &sandbox.pids {
            self.disown(*pid, id);
        }
    }

    /// Takes out what has been closed since this was last asked, and why.
    pub(in crate::case) fn take_closed(&mut self) -> Vec<(Subject, Closing)> {
        std::mem::take(&mut self.closed)
    }
}
