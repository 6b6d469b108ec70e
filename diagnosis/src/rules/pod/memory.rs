//! The kernel killed a process in the pod's cgroups that belongs to none of its containers: a virtual machine of Kata
//! Containers, or what else the runtime runs beside them.

use coroner_proto::v1::{Cause, Confidence, Exit, Memory, OomScope, Process};
use jiff::SignedDuration;

use super::Finding;
use crate::{
    aspect::Aspect,
    case::{NodeFile, OomKill, PodFile},
    messages::memory as texts,
    observation::{
        Source,
        cgroup::{self, Level},
        cri::ContainerId,
        kernel_log::KillScope,
        kube::{ContainerStatus, State},
    },
    text,
    verdict::Verdict,
};

/// All that is reported of one kill is reported within this time.
const SAME_KILL: SignedDuration = SignedDuration::from_secs(1);

/// The kills beside a pod's containers, whether its object is known or not.
pub fn beside_containers(node: &NodeFile, file: &PodFile) -> Vec<Finding> {
    let kills = file.kills().filter_map(|(at, pid)| node.oom_kill(pid, at - SAME_KILL, at + SAME_KILL));
    kills.filter(|kill| is_beside_containers(node, file, kill)).filter_map(|kill| finding(&kill)).collect()
}

fn is_beside_containers(node: &NodeFile, file: &PodFile, kill: &OomKill<'_>) -> bool {
    match kill.victim_cgroup().map(|path| path.level()) {
        Some(Level::Container { container_id, .. }) => {
            let id = ContainerId(container_id);
            // Before any container of the pod has been started, a sandbox that no source has reported yet.
            let waits =
                file.object().is_some_and(|pod| pod.phase == "Pending" && pod.statuses.iter().all(waits_for_start));
            let named = node.registry.container(&id).is_some_and(|container| container.name().is_some());
            node.registry.sandbox(&id).is_some() || waits && !named
        }
        Some(level) => matches!(level, Level::Other | Level::Pod { .. }),
        None => false,
    }
}

fn waits_for_start(status: &ContainerStatus) -> bool {
    status.id.is_empty() && status.last.is_none() && matches!(status.state, State::Waiting { .. })
}

fn finding(kill: &OomKill<'_>) -> Option<Finding> {
    let (cause, scope) = shortage(kill)?;
    let line = kill.killed?;
    let name = text::clean(&line.event.comm, 64);
    let confidence = if kill.confirmed { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(cause, confidence, kill.at)
        .not_fatal()
        .headed(match scope {
            OomScope::Pod => texts::oom_beside_pod(),
            OomScope::Kubepods => texts::oom_beside_kubepods(),
            _ => texts::oom_beside_node(),
        })
        .explained(texts::oom_beside(name.clone(), kill.pid))
        .supported(kill.summary.map(|line| crate::verdict::Evidence::new(Source::KernelLog, kill.at, &line.text)))
        .supported_by(Source::KernelLog, kill.at, &line.text);
    verdict.exit = Some(Exit { code: 137, signal: 9, ..Exit::default() });
    verdict.process = Some(Process {
        pid: kill.pid,
        name,
        is_main: Some(false),
        anon_rss_bytes: Some(line.event.anon_rss),
        file_rss_bytes: Some(line.event.file_rss),
        shmem_rss_bytes: line.event.shmem_rss,
        oom_score_adj: line.event.oom_score_adj,
    });
    verdict.memory = Some(Memory {
        scope: scope.into(),
        limit_cgroup: kill.limit_cgroup().unwrap_or_default().to_owned(),
        usage_bytes: kill.limit_usage.map(|(usage, _)| usage),
        limit_bytes: kill.limit_usage.and_then(|(_, limit)| limit),
        ..Memory::default()
    });
    if !kill.confirmed {
        verdict = verdict.waiting();
    }
    let aspect = Aspect::Process { pid: kill.pid, boot_micros: Some(line.boot_micros) };
    Some(Finding { aspect, verdict, ripe: kill.at })
}

/// Whose memory ran out, as far as the kernel names it.
fn shortage(kill: &OomKill<'_>) -> Option<(Cause, OomScope)> {
    if kill.scope == Some(KillScope::Global) || kill.summary.is_some_and(|line| line.event.global) {
        return Some((Cause::OomNode, OomScope::Node));
    }
    match cgroup::Path(kill.limit_cgroup()?.to_owned()).level() {
        Level::Pod { .. } => Some((Cause::OomPodLimit, OomScope::Pod)),
        Level::Root | Level::Kubepods => Some((Cause::OomNode, OomScope::Kubepods)),
        Level::Container { .. } | Level::Other => None,
    }
}
