//! Moves an observation in time, with every time that it holds.

use std::sync::Arc;

use coroner_diagnosis::observation::{
    Fact, Gap, Observation,
    containerd::{TaskEvent, TaskEventKind},
    cri, docker, kube,
    node::Reading,
};
use jiff::{SignedDuration, Timestamp};

/// The API gives times in whole seconds, cut off.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// Microseconds between two ticks of `start_ticks`: USER_HZ is 100 wherever Linux runs Kubernetes.
const TICK: i64 = 10_000;

/// Moves times of at least `since`. Earlier ones, such as the creation of a container that is reported again later,
/// stay.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    /// What happened before this moment is not moved.
    pub since: Timestamp,
    /// By so much.
    pub by: SignedDuration,
}

impl Shift {
    /// Moves the observation: it is seen later in any case, its contents as far as they are new.
    pub fn apply(self, observation: &mut Observation) {
        let moves = observation.happened_at >= self.since;
        observation.seen_at += self.by;
        self.time(&mut observation.happened_at);
        match &mut observation.fact {
            // The kernel's clock gives the time of the observation itself.
            Fact::KernelLog(record) if moves => record.boot_micros = later(record.boot_micros, self.by.as_micros()),
            Fact::Process(process) if moves => {
                process.start_ticks = later(process.start_ticks, self.by.as_micros() / i128::from(TICK));
            }
            Fact::Container(container) => self.container(container),
            Fact::Docker(docker::Report::Container(container)) => self.container(container),
            Fact::Sandbox(sandbox) | Fact::Docker(docker::Report::Sandbox(sandbox)) => {
                self.known(&mut sandbox.created_at)
            }
            Fact::Task(TaskEvent {
                kind: TaskEventKind::Exit { exited_at, .. } | TaskEventKind::Delete { exited_at, .. },
                ..
            }) => self.known(exited_at),
            Fact::Log(tail) => tail.lines.iter_mut().for_each(|line| self.time(&mut line.at)),
            Fact::Object(_, object) => self.in_seconds().object(object),
            Fact::KubeletPod(pod) => self.in_seconds().pod(pod),
            Fact::Gap(Gap { from, to, .. }) => {
                self.time(from);
                self.time(to);
            }
            Fact::Node(Reading::Blocked(processes)) => {
                processes.iter_mut().for_each(|process| self.time(&mut process.since));
            }
            Fact::Node(Reading::KubeletCertificate(expires)) => self.time(expires),
            Fact::Node(Reading::KubeletClientCertificate(validity)) => {
                self.time(&mut validity.from);
                self.time(&mut validity.until);
            }
            // They hold no time of their own.
            Fact::KernelLog(_)
            | Fact::Process(_)
            | Fact::Signal(_)
            | Fact::OomVictim(_)
            | Fact::Cgroup(_)
            | Fact::CgroupRemoved(_)
            | Fact::ProcessExit(_)
            | Fact::NodeMemory(_)
            | Fact::ContainerRemoved(_)
            | Fact::SandboxRemoved(_)
            | Fact::Task(_)
            | Fact::Docker(docker::Report::Event(..))
            | Fact::ContainerName { .. }
            | Fact::FileSystem(_)
            | Fact::Pids(_)
            | Fact::KubeletConfig(_)
            | Fact::KubeletSummary(_)
            | Fact::Node(_)
            | Fact::Lease(_)
            | Fact::ReadUpTo(_)
            | Fact::Health(..) => {}
        }
    }

    fn in_seconds(self) -> Self {
        Self { since: self.since.saturating_sub(SECOND).unwrap_or(self.since), ..self }
    }

    fn time(self, time: &mut Timestamp) {
        if *time >= self.since {
            *time += self.by;
        }
    }

    fn known(self, time: &mut Option<Timestamp>) {
        if let Some(time) = time {
            self.time(time);
        }
    }

    fn container(self, container: &mut cri::Container) {
        self.known(&mut container.created_at);
        self.known(&mut container.started_at);
        self.known(&mut container.finished_at);
    }

    fn object(self, object: &mut kube::Object) {
        use kube::Object;
        match object {
            Object::Pod(pod) => self.pod(Arc::make_mut(pod)),
            Object::Event(event) => {
                self.known(&mut event.meta.created);
                self.known(&mut event.first);
                self.known(&mut event.last);
            }
            Object::Node(node) => {
                self.known(&mut node.meta.created);
                self.conditions(&mut node.conditions);
            }
            Object::Workload(workload) => {
                self.known(&mut workload.meta.created);
                self.known(&mut workload.deletion);
                self.conditions(&mut workload.conditions);
            }
            Object::Service(service) => self.known(&mut service.meta.created),
            Object::EndpointSlice(slice) => self.known(&mut slice.meta.created),
            Object::Ingress(ingress) => self.known(&mut ingress.meta.created),
            Object::ResourceQuota(quota) => self.known(&mut quota.meta.created),
            Object::LimitRange(range) => self.known(&mut range.meta.created),
            Object::Claim(claim) => self.known(&mut claim.meta.created),
        }
    }

    fn pod(self, pod: &mut kube::Pod) {
        self.known(&mut pod.meta.created);
        self.known(&mut pod.started);
        if let Some(deletion) = &mut pod.deletion {
            self.time(&mut deletion.due);
        }
        self.conditions(&mut pod.conditions);
        for status in &mut pod.statuses {
            match &mut status.state {
                kube::State::Waiting { .. } => {}
                kube::State::Running { since } => self.known(since),
                kube::State::Terminated(terminated) => self.terminated(terminated),
            }
            if let Some(last) = &mut status.last {
                self.terminated(last);
            }
        }
    }

    fn terminated(self, terminated: &mut kube::Terminated) {
        self.known(&mut terminated.started);
        self.known(&mut terminated.finished);
    }

    fn conditions(self, conditions: &mut [kube::Condition]) {
        conditions.iter_mut().for_each(|condition| self.known(&mut condition.since));
    }
}

fn later(count: u64, by: i128) -> u64 {
    u64::try_from(i128::from(count) + by).unwrap_or(0)
}
