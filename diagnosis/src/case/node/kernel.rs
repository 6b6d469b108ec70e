//! What the kernel reports: its log, tracepoints, processes and cgroups.

use jiff::{SignedDuration, Timestamp};

use super::{Concerned, NodeFile};
use crate::{
    case::{ContainerFile, container::ProcessFile, oom_kill::Line, processes::AuditedEnd, subject::Subject},
    observation::{
        cgroup::{self, Level},
        cri::ContainerId,
        kernel_log::{DaemonKill, Event, Killed, Record, Target, Xid},
        process::{Exit, Process},
        trace::OomVictim,
    },
};

/// How long after a process was killed for memory a source may first report whose it was.
const REPORTED_LATE: SignedDuration = SignedDuration::from_mins(1);

/// The kernel writes all lines of one kill within this time.
const BESIDE: SignedDuration = SignedDuration::from_secs(1);

impl NodeFile {
    pub(super) fn record_kernel(&mut self, at: Timestamp, read: Timestamp, record: Record, concerned: &mut Concerned) {
        // Only the kernel itself writes with facility 0; a line of any other may be forged.
        if record.facility != 0 {
            return self.record_daemon(at, read, record, concerned);
        }
        let Some(event) = Event::parse(&record.text) else { return };
        let (text, boot_micros) = (record.text, record.boot_micros);
        match event {
            Event::Killed(killed) => self.record_killed(at, Line { boot_micros, read, event: killed, text }, concerned),
            Event::OomSummary(summary) => {
                if let Some(path) = summary.victim_cgroup.clone().map(cgroup::Path) {
                    self.enrol_victim(&path, summary.pid, &summary.comm, at, concerned);
                    self.record_pods_kill(&path, summary.pid, at, concerned);
                }
                self.concern_owner(summary.pid, concerned);
                self.processes.record_summary(summary.pid, at, Line { boot_micros, read, event: summary, text });
            }
            Event::LegacySummary { victim_cgroup, limit_cgroup } => {
                self.processes.record_legacy_summary(at, (victim_cgroup, limit_cgroup));
            }
            Event::LegacyChoice { scope } => self.processes.record_legacy_scope(at, scope),
            Event::LimitUsage { usage, limit } => self.processes.record_limit_usage(at, (usage, limit)),
            Event::CgroupMemory(memory) => self.processes.record_cgroup_memory(at, memory),
            Event::GroupKill { cgroup } => {
                if let Some(id) = self.place(&cgroup::Path(cgroup), at) {
                    self.registry.record(&id, at, |file| file.record_group_kill(at));
                    concerned.insert(Subject::Container(id.clone()));
                    self.processes.record_group_kill(at, id);
                }
            }
            Event::Fault(fault) => {
                self.concern_owner(fault.tid, concerned);
                self.processes.faults.add(fault.tid, at, Line { boot_micros, read, event: fault, text });
            }
            Event::Seccomp { pid, signal, syscall, .. } => {
                self.concern_owner(pid, concerned);
                let event = AuditedEnd { signal, syscall: Some(syscall) };
                self.processes.audits.add(pid, at, Line { boot_micros, read, event, text });
            }
            Event::AbnormalEnd { pid, signal, .. } => {
                self.concern_owner(pid, concerned);
                let event = AuditedEnd { signal, syscall: None };
                self.processes.audits.add(pid, at, Line { boot_micros, read, event, text });
            }
            Event::ForkRejected { cgroup } => self.record_refused_fork(at, &cgroup::Path(cgroup), concerned),
            Event::Trouble(trouble) => {
                if let Some(xid) = Xid::parse(&text) {
                    let line = Line { boot_micros, read, event: xid, text: text.clone() };
                    self.record_device_error(at, line, concerned);
                }
                self.record_trouble(at, trouble, text, concerned);
            }
            Event::HardwareMemoryError { pid, .. } => {
                self.concern_owner(pid, concerned);
                self.processes.memory_errors.add(pid, at, Line { boot_micros, read, event: (), text });
            }
            Event::OomInvoked { .. } => {}
        }
    }

    /// An error of a device that a process used.
    fn record_device_error(&mut self, at: Timestamp, line: Line<Xid>, concerned: &mut Concerned) {
        let pid = line.event.pid;
        self.concern_owner(pid, concerned);
        let pod = self.owner(pid).and_then(|id| self.registry.container(id)?.pod_uid());
        concerned.extend(pod.map(|uid| Subject::Pod(uid.to_owned())));
        self.processes.device_errors.add(pid, at, line);
    }

    /// An OOM daemon's report concerns the containers that may have ended by it.
    fn record_daemon(&mut self, at: Timestamp, read: Timestamp, record: Record, concerned: &mut Concerned) {
        let Some(event) = DaemonKill::parse(&record.text) else { return };
        match &event.target {
            Target::Process(pid) => self.concern_owner(*pid, concerned),
            Target::Cgroup(path) => {
                let path = cgroup::Path(path.clone());
                let pod = path.pod_uid();
                let within = |file: &&ContainerFile| {
                    let in_pod = pod.is_some() && file.pod_uid() == pod.as_deref();
                    in_pod || file.cgroup.as_ref().is_some_and(|own| own.is_within(&path))
                };
                let files = self.registry.containers().filter(within);
                concerned.extend(files.map(|file| Subject::Container(file.id.clone())));
            }
        }
        let line = Line { boot_micros: record.boot_micros, read, event, text: record.text };
        self.processes.record_daemon_kill(at, line);
    }

    /// The kernel names the cgroup of the process that wanted to fork, which need not be the one whose limit it is.
    fn record_refused_fork(&mut self, at: Timestamp, path: &cgroup::Path, concerned: &mut Concerned) {
        if let Level::Pod { pod_uid } = path.level() {
            self.registry.record_pod(&pod_uid, at, |pod| pod.record_refused_fork(at));
            let containers = self.registry.pod(&pod_uid).into_iter().flat_map(|pod| &pod.containers);
            concerned.extend(containers.cloned().map(Subject::Container));
        } else if let Some(id) = self.place(path, at) {
            self.registry.record(&id, at, |file| file.record_refused_fork(at));
            concerned.insert(Subject::Container(id));
        }
    }

    fn record_killed(&mut self, at: Timestamp, line: Line<Killed>, concerned: &mut Concerned) {
        let pid = line.event.pid;
        if let Some(victim) = self.processes.legacy_victim(at).map(|path| cgroup::Path(path.to_owned())) {
            self.enrol_victim(&victim, pid, &line.event.comm, at, concerned);
        } else if let Some(id) = self.processes.group_killed_near(at).cloned()
            && self.owner(pid).is_none()
        {
            self.enrol(&id, pid, &ProcessFile { seen: at, ..ProcessFile::default() });
        }
        self.processes.record_kill(pid, at, line);
        let victim = self.processes.oom_kill(pid, at - BESIDE, at).and_then(|kill| kill.victim_cgroup());
        if let Some(path) = victim {
            self.record_pods_kill(&path, pid, at, concerned);
        }
        self.kill_owned(pid, at, concerned);
    }

    /// A process in a pod's cgroups was killed. Whether it belongs to a container, the runtime may report later.
    fn record_pods_kill(&mut self, path: &cgroup::Path, pid: i32, at: Timestamp, concerned: &mut Concerned) {
        if let Some(uid) = path.pod_uid() {
            self.registry.record_pod(&uid, at, |pod| pod.record_kill(at, pid));
            concerned.insert(Subject::Pod(uid));
        }
    }

    pub(super) fn record_victim(&mut self, at: Timestamp, victim: OomVictim, concerned: &mut Concerned) {
        let pid = victim.pid;
        self.processes.record_victim(at, victim);
        self.kill_owned(pid, at, concerned);
    }

    /// Lets the container of a process know that the OOM killer chose it.
    fn kill_owned(&mut self, pid: i32, at: Timestamp, concerned: &mut Concerned) {
        let Some(id) = self.registry.owner(pid).cloned() else { return };
        if self.registry.sandbox(&id).is_none() {
            self.registry.record(&id, at, |file| file.record_kill(at, pid));
        }
        self.concern(&id, concerned);
    }

    pub(super) fn record_process_exit(&mut self, at: Timestamp, exit: &Exit, concerned: &mut Concerned) {
        self.processes.exits.add(exit.pid, at, exit.status);
        let Some(id) = self.registry.owner(exit.pid).cloned() else { return };
        let ended = ProcessFile { seen: at, ended: Some(at), ..ProcessFile::default() };
        self.registry.record_process(&id, exit.pid, &ended);
        self.concern(&id, concerned);
    }

    pub(super) fn record_process(&mut self, at: Timestamp, process: Process, concerned: &mut Concerned) {
        let Some(id) = self.place(&cgroup::Path(process.cgroup), at) else { return };
        let file = ProcessFile {
            seen: at,
            start_ticks: Some(process.start_ticks),
            name: Some(process.name),
            namespaced_pid: process.namespaced_pid,
            alive: (!process.ending).then_some(at),
            ending: process.ending.then_some(at),
            ..ProcessFile::default()
        };
        self.enrol(&id, process.pid, &file);
        self.concern(&id, concerned);
    }

    pub(super) fn record_sample(&mut self, at: Timestamp, sample: cgroup::Sample, concerned: &mut Concerned) {
        let path = cgroup::Path(sample.path.clone());
        match path.level() {
            Level::Container { .. } => {
                let Some(id) = self.place(&path, at) else { return };
                let mut is_news = false;
                for pid in &sample.processes {
                    is_news |= self.enrol(&id, *pid, &ProcessFile { seen: at, ..ProcessFile::default() });
                }
                if self.registry.sandbox(&id).is_some() {
                    return;
                }
                let news = self.registry.record(&id, at, |file| {
                    let own = file.cgroup.as_ref() == Some(&path);
                    // What is read there was not removed before.
                    if own && file.cgroup_removed.is_some_and(|removed| removed < at) {
                        file.cgroup_removed = None;
                    }
                    own && file.samples.record(at, sample)
                });
                if is_news || news == Some(true) {
                    concerned.insert(Subject::Container(id));
                }
            }
            Level::Pod { pod_uid } => {
                let news = self.registry.record_pod(&pod_uid, at, |pod| {
                    pod.cgroup = Some(path);
                    pod.samples.record(at, sample)
                });
                if news == Some(true) {
                    let containers = self.registry.pod(&pod_uid).into_iter().flat_map(|pod| &pod.containers);
                    concerned.extend(containers.cloned().map(Subject::Container));
                }
            }
            Level::Kubepods | Level::Root | Level::Other => {}
        }
    }

    pub(super) fn record_cgroup_removed(&mut self, at: Timestamp, path: &cgroup::Path, concerned: &mut Concerned) {
        let Level::Container { container_id, .. } = path.level() else { return };
        let id = ContainerId(container_id);
        self.registry.with_sandbox(&id, |sandbox| {
            if sandbox.cgroup.as_ref() == Some(path) {
                sandbox.gone.get_or_insert(at);
            }
        });
        if self.registry.container(&id).is_some_and(|file| file.cgroup.as_ref() == Some(path)) {
            self.registry.record(&id, at, |file| file.cgroup_removed = Some(at));
            concerned.insert(Subject::Container(id));
        }
    }

    fn enrol_victim(&mut self, path: &cgroup::Path, pid: i32, name: &str, at: Timestamp, concerned: &mut Concerned) {
        if let Some(id) = self.place(path, at) {
            self.enrol(&id, pid, &ProcessFile { seen: at, name: Some(name.to_owned()), ..ProcessFile::default() });
            self.concern(&id, concerned);
        }
    }

    /// The container or sandbox that a cgroup belongs to, its file opened if need be. `None` for what is neither.
    fn place(&mut self, path: &cgroup::Path, at: Timestamp) -> Option<ContainerId> {
        let Level::Container { pod_uid, container_id } = path.level() else { return None };
        let id = ContainerId(container_id);
        let own = path.container();
        if self.registry.sandbox(&id).is_some() {
            self.registry.with_sandbox(&id, |sandbox| {
                sandbox.cgroup = sandbox.cgroup.take().or(own);
            });
        } else {
            let in_pod = !pod_uid.is_empty();
            self.registry.record(&id, at, |file| {
                file.cgroup = file.cgroup.take().or(own);
                if in_pod {
                    file.pod_uid = Some(pod_uid.clone());
                }
            })?;
            if in_pod {
                let pod_path = path.pod();
                self.registry.record_pod(&pod_uid, at, |pod| pod.cgroup = pod.cgroup.take().or(pod_path));
            }
        }
        Some(id)
    }

    /// Records a process of a container or sandbox. Whether it is new there.
    pub(super) fn enrol(&mut self, id: &ContainerId, pid: i32, process: &ProcessFile) -> bool {
        let is_new = self.registry.record_process(id, pid, process);
        if is_new && self.registry.container(id).is_some() {
            // Reported before the process was. A kill long before was that of another process, whose pid it has now.
            let times =
                self.processes.kill_times(pid, process.seen.saturating_sub(REPORTED_LATE).unwrap_or(process.seen));
            for at in times.collect::<Vec<_>>() {
                self.registry.record(id, at, |file| file.record_kill(at, pid));
            }
        }
        is_new
    }
}
