//! What the container runtime reports: the CRI, containerd, Docker.

use jiff::Timestamp;

use super::{Concerned, NodeFile};
use crate::{
    case::{container::ProcessFile, statements::Statement, subject::Subject},
    observation::{
        Source,
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Sandbox, State},
        docker,
    },
};

impl NodeFile {
    pub(super) fn record_status(
        &mut self,
        at: Timestamp,
        source: Source,
        mut status: Container,
        concerned: &mut Concerned,
    ) {
        let id = status.id.clone();
        let uid = status.pod.uid.clone();
        if status.state == State::Exited && self.registry.was_closed(&id, &uid) {
            return;
        }
        // The pid of one that ran in an earlier boot is another process' now.
        let began = status.started_at.or(status.created_at);
        if self.state.booted.zip(began).is_some_and(|(booted, began)| began < booted) {
            status.pid = None;
        }
        let running = status.pid.filter(|_| status.state == State::Running);
        let born = began.unwrap_or(at);
        self.registry.record(&id, born.min(at), |file| {
            file.last_seen = file.last_seen.max(at);
            file.record_status(source, status);
        });
        if let Some(pid) = running {
            self.enrol(&id, pid, &ProcessFile { seen: at, namespaced_pid: Some(1), ..ProcessFile::default() });
        }
        concerned.insert(Subject::Container(id));
        self.concern_pod(at, uid, concerned);
    }

    pub(super) fn record_removed(&mut self, at: Timestamp, id: &ContainerId, concerned: &mut Concerned) {
        if self.registry.container(id).is_some() {
            self.registry.record(id, at, |file| file.removed = Some(at));
            concerned.insert(Subject::Container(id.clone()));
        }
    }

    pub(super) fn record_sandbox(&mut self, at: Timestamp, sandbox: &Sandbox, concerned: &mut Concerned) {
        let known = self.registry.record_sandbox(&sandbox.id, &sandbox.pod.uid, at).is_some();
        if known {
            self.registry.with_sandbox(&sandbox.id, |file| file.ready = sandbox.ready);
            self.registry.record_pod(&sandbox.pod.uid, at, |pod| pod.pod = Some(sandbox.pod.clone()));
            self.concern(&sandbox.id, concerned);
        }
    }

    pub(super) fn record_sandbox_removed(&mut self, at: Timestamp, id: &ContainerId, concerned: &mut Concerned) {
        self.registry.with_sandbox(id, |sandbox| {
            sandbox.gone.get_or_insert(at);
        });
        // Without a word of its pod, all that is known of it is that it is no more.
        self.record_removed(at, id, concerned);
    }

    pub(super) fn record_task(&mut self, at: Timestamp, event: TaskEvent, concerned: &mut Concerned) {
        let id = event.container;
        if self.registry.sandbox(&id).is_some() {
            self.record_sandbox_task(at, &id, event.kind);
            return self.concern(&id, concerned);
        }
        let process = |namespaced_pid| ProcessFile { seen: at, namespaced_pid, ..ProcessFile::default() };
        match event.kind {
            TaskEventKind::Start { pid } => {
                self.registry.record(&id, at, |file| {
                    file.task_pid = Some(pid);
                    file.task_started = Some(at);
                });
                self.enrol(&id, pid, &process(Some(1)));
            }
            TaskEventKind::ExecStarted { pid, .. } => {
                self.registry.record(&id, at, |_| ());
                self.enrol(&id, pid, &ProcessFile { exec: true, ..process(None) });
            }
            TaskEventKind::Oom => {
                self.registry.record(&id, at, |file| file.record_task_oom(at));
            }
            TaskEventKind::Exit { process_id, pid, status, exited_at } if process_id == id.0 => {
                self.registry.record(&id, at, |file| {
                    file.task_pid = Some(pid);
                    file.task_exit = Some(Statement { at: exited_at.unwrap_or(at), what: status });
                });
                self.enrol(&id, pid, &process(None));
            }
            TaskEventKind::Exit { pid, .. } => {
                if self.registry.owner(pid) == Some(&id) {
                    self.enrol(&id, pid, &ProcessFile { ended: Some(at), ..process(None) });
                }
            }
            TaskEventKind::Delete { status, exited_at } => {
                self.registry.record(&id, at, |file| {
                    if file.task_exit.is_none() && file.task_started.is_some() {
                        file.task_exit = Some(Statement { at: exited_at.unwrap_or(at), what: status });
                    }
                });
            }
        }
        self.concern(&id, concerned);
    }

    fn record_sandbox_task(&mut self, at: Timestamp, id: &ContainerId, event: TaskEventKind) {
        match event {
            TaskEventKind::Start { pid } => {
                self.registry.with_sandbox(id, |sandbox| sandbox.ready = true);
                self.enrol(id, pid, &ProcessFile { seen: at, ..ProcessFile::default() });
            }
            TaskEventKind::Exit { process_id, status, exited_at, .. } if process_id == id.0 => {
                let end = Statement { at: exited_at.unwrap_or(at), what: status };
                self.registry.with_sandbox(id, |sandbox| sandbox.end = Some(end));
            }
            TaskEventKind::Delete { status, exited_at } => {
                let end = Statement { at: exited_at.unwrap_or(at), what: status };
                self.registry.with_sandbox(id, |sandbox| {
                    sandbox.end.get_or_insert(end);
                });
            }
            TaskEventKind::ExecStarted { .. } | TaskEventKind::Oom | TaskEventKind::Exit { .. } => {}
        }
    }

    pub(super) fn record_docker(
        &mut self,
        at: Timestamp,
        id: &ContainerId,
        event: docker::Event,
        concerned: &mut Concerned,
    ) {
        if self.registry.sandbox(id).is_some() {
            if let docker::Event::Die { status } = event
                && status != docker::LOST
            {
                self.registry.with_sandbox(id, |sandbox| sandbox.end = Some(Statement { at, what: status }));
            }
        } else {
            self.registry.record(id, at, |file| file.record_docker(at, event));
        }
        self.concern(id, concerned);
    }
}
